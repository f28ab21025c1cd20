package api

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir/search"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                  "[]",
		"&&":                                "[]",
		"name=a":                            "[{name a}]",
		"b=2&a=1&b=3":                       "[{b 2} {a 1} {b 3}]",
		"name=Ada+Sample":                   "[{name Ada Sample}]",
		"name=a;b":                          "[{name a;b}]",
		"name":                              "[{name }]",
		"=x":                                "[{ x}]",
		"identifier=a%7Cb%5C%2Cc":           `[{identifier a|b\\,c}]`,
		"date=ge2026-01-05T10:12:31+01:00":  "[{date ge2026-01-05T10:12:31+01:00}]",
		"date=2026-01-05T10:12:31.5+01:00":  "[{date 2026-01-05T10:12:31.5+01:00}]",
		"date=2026-01-05T10:12+01:00,2027":  "[{date 2026-01-05T10:12+01:00,2027}]",
		"date=2026-01-05T10:12%2B01:00":     "[{date 2026-01-05T10:12+01:00}]",
		"name=T10:12+Smith":                 "[{name T10:12 Smith}]",
		"name%3Aexact=x":                    "[{name:exact x}]",
		"name=%zz":                          "error",
		"%=x":                               "error",
		"patient.name=x&_has:A:b:c=d":       "[{patient.name x} {_has:A:b:c d}]",
		"name=a=b":                          "[{name a=b}]",
		"date=2026-01-05T10:12:31%2001:00+": "[{date 2026-01-05T10:12:31+01:00 }]",
	} {
		got, err := parameters(raw)
		text := fmt.Sprint(got)
		if err != nil {
			text = "error"
		}
		if text != strings.ReplaceAll(want, `\\`, `\`) {
			t.Errorf("?%s: %s, want %s", raw, text, want)
		}
	}
}

// FuzzParameters makes sure that what a link says is read as it was written.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"name", "a b+c&d=e%", "ge2026-01-05T10:12:31+01:00", `x|y\,$;/?#`, "\x00\xff"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if zoned.MatchString(value) {
			return
		}
		written := query([]search.Parameter{{Name: name, Value: value}})
		got, err := parameters(written)
		if err != nil || len(got) != 1 || got[0] != (search.Parameter{Name: name, Value: value}) {
			t.Errorf("%q=%q is written %s and read %q, %v", name, value, written, got, err)
		}
		if u, err := url.Parse("https://x/fhir?" + written); err != nil || u.RawQuery != written {
			t.Errorf("%s: %v", written, err)
		}
	})
}

func TestCriteria(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"identifier=a|b":                     "identifier=a%7Cb",
		"_format=xml&a=1&_pretty=true&b=%20": "a=1&b=+",
		"a=2026-01-05T10:12:31+01:00":        "a=2026-01-05T10:12:31%2B01:00",
		"a=1&&b=2":                           "a=1&b=2",
		"":                                   "criteria",
		"_format=xml":                        "criteria",
		"_cursor=x&a=1":                      "no parameter",
		"_pretty=x&a=1":                      "_pretty is true or false",
		"_format=a&_format=b&c=1":            "given twice",
		"%zz=1":                              "percent sign",
	} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("PUT", "/fhir/Patient", nil)
		c.Request.URL.RawQuery = raw
		got, err := criteria(c)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("?%s: %s, want %s", raw, got, want)
		}
	}
}

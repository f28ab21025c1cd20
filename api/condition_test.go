package api

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir/store"
)

// String writes t as a header.
func (t tags) String() string {
	if t.any {
		return "*"
	}
	quoted := make([]string, len(t.list))
	for i, tag := range t.list {
		quoted[i] = `W/"` + tag + `"`
	}
	return strings.Join(quoted, ", ")
}

func TestParseTags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		want   tags
		ok     bool
	}{
		{"*", tags{any: true}, true},
		{" * ", tags{any: true}, true},
		{`W/"1"`, tags{list: []string{"1"}}, true},
		{`"1"`, tags{list: []string{"1"}}, true},
		{`1`, tags{list: []string{"1"}}, true},
		{`W/1`, tags{list: []string{"1"}}, true},
		{`W/"1", "2",3`, tags{list: []string{"1", "2", "3"}}, true},
		{`W/"a,b"	, W/""`, tags{list: []string{"a,b", ""}}, true},
		{"", tags{}, false},
		{`W/"1`, tags{}, false},
		{`W/`, tags{}, false},
		{`W/"1"W/"2"`, tags{}, false},
		{`W/"1",`, tags{}, false},
		{`W/"1" 2`, tags{}, false},
		{`one`, tags{}, false},
		{`*, W/"1"`, tags{}, false},
		{`w/"1"`, tags{}, false},
	} {
		got, ok := parseTags(tt.header)
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("parseTags(%q) = %v, %v; want %v, %v", tt.header, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzTags(f *testing.F) {
	for _, seed := range []string{"*", `W/"1"`, `"1", W/"2"`, `W/3,4`, `W/"`, `"a b", ""`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, ok := parseTags(header)
		if !ok {
			return
		}
		again, ok := parseTags(got.String())
		if !ok || !reflect.DeepEqual(got, again) {
			t.Errorf("%q is %v; printed and read again %v, %v", header, got, again, ok)
		}
		if got.any == (len(got.list) > 0) {
			t.Errorf("%q is a star and a list, or neither: %+v", header, got)
		}
	})
}

func TestExpectation(t *testing.T) {
	t.Parallel()
	const refused store.Expect = -100
	for _, tt := range []struct {
		match, none []string
		want        store.Expect
	}{
		{nil, nil, store.Anything},
		{[]string{`W/"3"`}, nil, 3},
		{[]string{`"3"`}, nil, 3},
		{[]string{`3`}, nil, 3},
		{nil, []string{"*"}, store.Absent},
		{[]string{""}, nil, refused}, // a demand that got lost is no permission
		{nil, []string{""}, refused},
		{[]string{`W/"03"`}, nil, refused},
		{[]string{`W/"+3"`}, nil, refused},
		{[]string{`W/"0"`}, nil, refused},
		{[]string{`W/"-1"`}, nil, refused},
		{[]string{`W/"4294967297"`}, nil, refused},
		{[]string{`W/"three"`}, nil, refused},
		{[]string{`*`}, nil, refused},
		{[]string{`W/"1", W/"2"`}, nil, refused},
		{[]string{`W/"1"`, `W/"2"`}, nil, refused},
		{nil, []string{`W/"1"`}, refused},
		{[]string{`W/"1"`}, []string{"*"}, refused},
	} {
		got, err := expectation(http.Header{"If-Match": tt.match, "If-None-Match": tt.none})
		if err != nil {
			got = refused
		}
		if got != tt.want {
			t.Errorf("If-Match %q, If-None-Match %q: %d, %v; want %d", tt.match, tt.none, got, err, tt.want)
		}
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	v := &store.Version{Number: 3, Updated: time.Date(2026, 5, 4, 3, 2, 1, 900e6, time.UTC)}
	for _, tt := range []struct {
		none, since, want string
	}{
		{"", "", "send"},
		{`W/"3"`, "", "has it"},
		{`"3"`, "", "has it"},
		{"*", "", "has it"},
		{`W/"1", W/"3"`, "", "has it"},
		{`W/"2"`, "", "send"},
		{`W/"03"`, "", "send"},
		{`nonsense`, "", "refused"},
		{"", "Mon, 04 May 2026 03:02:01 GMT", "has it"},
		{"", "Mon, 04 May 2026 03:02:00 GMT", "send"},
		{"", "Monday, 04-May-26 03:02:01 GMT", "has it"},
		{"", "nonsense", "send"},
		{`W/"2"`, "Mon, 04 May 2026 03:02:01 GMT", "send"}, // the tag knows better
		{`W/"3"`, "Mon, 04 May 2026 03:02:00 GMT", "has it"},
	} {
		c := requestContext(t)
		if tt.none != "" {
			c.Request.Header.Set("If-None-Match", tt.none)
		}
		if tt.since != "" {
			c.Request.Header.Set("If-Modified-Since", tt.since)
		}
		fresh, err := notModified(c, v)
		got := map[bool]string{true: "has it", false: "send"}[fresh]
		if err != nil {
			got = "refused"
		}
		if got != tt.want {
			t.Errorf("If-None-Match %q, If-Modified-Since %q: %s, want %s", tt.none, tt.since, got, tt.want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		ok     bool
	}{{`W/"3"`, true}, {"*", true}, {`W/"2", "3"`, true}, {`W/"2"`, false}, {"nonsense", false}} {
		c := requestContext(t)
		c.Request.Header.Set("If-Match", tt.header)
		if err := matches(c, &store.Version{Number: 3}); (err == nil) != tt.ok {
			t.Errorf("If-Match %s: %v", tt.header, err)
		}
	}
}

// requestContext returns the context of a request that was not sent.
func requestContext(t *testing.T) *gin.Context {
	t.Helper()
	return &gin.Context{Request: httptest.NewRequest("GET", "/fhir/Patient/p", nil)}
}

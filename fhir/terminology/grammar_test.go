package terminology

import (
	"context"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestBuiltin(t *testing.T) {
	t.Parallel()
	tests := []struct{ system, valid, invalid string }{
		{"http://unitsofmeasure.org", "mg kg/m2 Cel {tablet} mm[Hg]", "mgg mg//m"},
		{"urn:ietf:bcp:47", "en en-GB EN-us de-CH-1996 zh-Hant-TW sr-Latn x-private en-x-a i-klingon sgn-BE-FR es-419 en-u-ca-gregory zh-min-nan", "e en_GB english english- en--GB en-GBR zz-ZZ-ZZ -en qq9 en-u"},
		{"urn:ietf:bcp:13", "text/plain application/fhir+json text/plain;charset=utf-8 image/svg+xml application/vnd.ms-excel Text/HTML json", "text text/ /plain text/pl/ain te(xt/plain text/plain;x"},
		{"urn:ietf:rfc:3986", "urn:oid:1.2.3 http://a.example/b", "abc urn: %"},
		{"urn:iso:std:iso:3166", "GB gb GBR 826 US XKX", "UK ZZ 827 G"},
		{"urn:iso:std:iso:3166:-2", "GB-ENG us-ca DE-BY FR-75", "UK-ENG GB- GB-ENGL GB-e! GB"},
		{"urn:iso:std:iso:4217", "GBP eur XXX HRK", "GB QQQ"},
		{"https://www.iana.org/time-zones", "Europe/London UTC America/Argentina/Buenos_Aires", "europe/london Europe/Nowhere"},
	}
	for _, tt := range tests {
		sys := builtin(tt.system)
		if sys == nil || sys.head().url != tt.system || sys.head().name == "" {
			t.Fatalf("%s: %v", tt.system, sys)
		}
		for _, code := range strings.Fields(tt.valid) {
			if c, err := sys.concept(context.Background(), code); err != nil || c == nil && code != "XKX" {
				t.Errorf("%s: %q is not known (%v)", tt.system, code, err)
			}
		}
		for _, code := range append(strings.Fields(tt.invalid), "", strings.Repeat("a-", 4000), "\x00", "é") {
			if c, err := sys.concept(context.Background(), code); err != nil || c != nil {
				t.Errorf("%s: %q is %v (%v)", tt.system, code, c, err)
			}
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	if n := len(countries().all); n != 3*249 {
		t.Errorf("%d codes of countries", n)
	}
	if n := len(currencies().all); n < 170 || n > 200 {
		t.Errorf("%d currencies", n)
	}
	if n := len(zones().all); n < 590 {
		t.Errorf("%d time zones", n)
	}
	for _, l := range []*listed{countries(), currencies(), zones()} {
		for _, c := range l.all {
			if c.display == "" {
				t.Errorf("%s|%s has no display", l.h.url, c.code)
			}
		}
	}
}

func TestGrammarFilters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		f    filter
		code string
		want bool
	}{
		{filter{"code", "=", "MG"}, "mg", false},
		{filter{"code", "=", "mg"}, "mg", true},
		{filter{"code", "in", "g, mg"}, "mg", true},
		{filter{"code", "not-in", "g, mg"}, "mg", false},
		{filter{"code", "regex", "m."}, "mg", true},
		{filter{"concept", "is-a", "mg"}, "mg", true},
		{filter{"concept", "is-not-a", "mg"}, "mg", false},
		{filter{"concept", "descendent-of", "mg"}, "mg", false},
		{filter{"canonical", "=", "kg"}, "mg", true},
		{filter{"canonical", "=", "m"}, "mg", false},
	}
	for _, tt := range tests {
		got, err := unitCodes.holds(context.Background(), tt.code, []filter{tt.f})
		if err != nil || got != tt.want {
			t.Errorf("%v of %s: %t, %v", tt.f, tt.code, got, err)
		}
	}
	for _, f := range []filter{{"display", "=", "x"}, {"code", "exists", "true"}, {"code", "regex", "("}} {
		if _, err := unitCodes.holds(context.Background(), "mg", []filter{f}); fhir.AsOutcome(err) == nil {
			t.Errorf("%v: %v", f, err)
		}
	}
	found, total, err := unitCodes.pick(context.Background(), selection{codes: []string{"g", "??", "mg", "m"}, offset: 1, count: 1, filters: []filter{{"canonical", "=", "g"}}})
	if err != nil || total != 2 || len(found) != 1 || found[0].code != "mg" {
		t.Errorf("%v %d %v", found, total, err)
	}
	if _, _, err := unitCodes.pick(context.Background(), selection{count: -1}); fhir.AsOutcome(err) == nil {
		t.Error("units are listed")
	}
}

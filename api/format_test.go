package api

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// What browsers send when somebody opens an address in them.
const (
	chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	firefox  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"
	safari   = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

func TestNegotiateAccept(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]format{
		"":                                       jsonFormat,
		"  ":                                     jsonFormat,
		chromium:                                 htmlFormat,
		firefox:                                  htmlFormat,
		safari:                                   htmlFormat,
		"*/*":                                    jsonFormat,
		"*":                                      jsonFormat,
		"application/fhir+json":                  jsonFormat,
		"application/fhir+xml":                   xmlFormat,
		"APPLICATION/FHIR+XML":                   xmlFormat,
		"application/*":                          jsonFormat,
		"application/json":                       jsonFormat,
		"text/xml":                               xmlFormat,
		"application/json, text/plain, */*":      jsonFormat,
		"application/fhir+xml, */*":              xmlFormat,
		"*/*, application/fhir+xml":              jsonFormat,
		"*/*;q=0.1, application/fhir+xml":        xmlFormat,
		"application/fhir+json;q=0, */*":         xmlFormat,
		"application/fhir+json;q=0.5, */*;q=0.8": xmlFormat,
		"application/fhir+json;q=0.5, application/fhir+xml":     xmlFormat,
		"application/fhir+xml;q=0.9,application/fhir+json":      jsonFormat,
		"application/fhir+json;q=0.001":                         jsonFormat,
		"application/fhir+json; fhirVersion=4.0":                jsonFormat,
		"application/fhir+xml; fhirVersion=4.0; charset=utf-8":  xmlFormat,
		"application/fhir+json; FHIRVersion=4.0.1":              jsonFormat,
		"application/fhir+json; fhirVersion=5.0":                unknownFormat,
		"application/fhir+json; fhirVersion=3.0, */*;q=0.1":     jsonFormat,
		"application/fhir+json;q=0":                             unknownFormat,
		"application/fhir+json;q=0, application/fhir+xml;q=0.0": unknownFormat,
		"*/*;q=0":                         unknownFormat,
		"*/*;q=2":                         unknownFormat,
		"*/*;q=NaN":                       unknownFormat,
		"*/*;q=x":                         unknownFormat,
		"image/png":                       unknownFormat,
		"application/json-patch+json":     unknownFormat,
		"nonsense;;;, application/xml":    xmlFormat,
		", ,application/fhir+xml, ,":      xmlFormat,
		"application/fhir+turtle, */*":    jsonFormat,
		"application/fhir+xml;q=\"0.5\"":  xmlFormat,
		"text/html;q=0.1, text/json":      jsonFormat,
		"application/xhtml+xml":           htmlFormat,
		"image/webp, */*;q=0.1, text/*":   jsonFormat,
		strings.Repeat("image/png, ", 50): unknownFormat,
	} {
		r := httptest.NewRequest("GET", "/fhir/Patient/p", nil)
		r.Header.Set("Accept", accept)
		if got, err := negotiate(r); got != want || (err != nil) != (want == unknownFormat) {
			t.Errorf("Accept: %s: %d, %v; want %d", accept, got, err, want)
		}
	}
}

func TestNegotiateManyHeaders(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/fhir/Patient/p", nil)
	r.Header["Accept"] = []string{"image/png", "application/fhir+xml;q=0.5", "text/html;q=0.1"}
	if got, err := negotiate(r); got != xmlFormat {
		t.Errorf("%d, %v", got, err)
	}
}

func TestNegotiateFormat(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]format{
		"json":                     jsonFormat,
		"JSON":                     jsonFormat,
		"xml":                      xmlFormat,
		"html":                     htmlFormat,
		"text/html":                htmlFormat,
		"application/json":         jsonFormat,
		"application/xml":          xmlFormat,
		"text/json":                jsonFormat,
		"text/xml":                 xmlFormat,
		"application/fhir%2Bjson":  jsonFormat,
		"application/fhir%2Bxml":   xmlFormat,
		"application/fhir+json":    jsonFormat,
		"application/fhir+xml":     xmlFormat,
		"application%2Ffhir%2Bxml": xmlFormat,
		"application/fhir+xml%3B%20charset%3Dutf-8": xmlFormat,
		"application/fhir+json%3BfhirVersion%3D4.0": jsonFormat,
		"json%3BfhirVersion%3D3.0":                  unknownFormat,
		"":                                          xmlFormat, // Accept decides
		"shiny":                                     unknownFormat,
		"application/json-patch%2Bjson":             unknownFormat,
		"*/*":                                       unknownFormat,
		"ttl":                                       unknownFormat,
	} {
		r := httptest.NewRequest("GET", "/fhir/Patient/p?_format="+query, nil)
		r.Header.Set("Accept", "application/fhir+xml")
		if got, err := negotiate(r); got != want || (err != nil) != (want == unknownFormat) {
			t.Errorf("_format=%s: %d, %v; want %d", query, got, err, want)
		}
	}
}

func TestBodyFormat(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]format{
		"application/fhir+json":                                jsonFormat,
		"application/fhir+json; charset=UTF-8":                 jsonFormat,
		"application/fhir+json; charset=\"utf-8\"":             jsonFormat,
		"application/json;charset=utf-8;fhirVersion=4.0":       jsonFormat,
		"application/fhir+xml":                                 xmlFormat,
		"text/xml; charset=utf-8":                              xmlFormat,
		"application/fhir+json; charset=iso-8859-1":            unknownFormat,
		"application/fhir+json; charset=utf-16":                unknownFormat,
		"application/fhir+json; charset=":                      unknownFormat,
		"application/fhir+json; charset=utf-8; charset=utf-16": unknownFormat,
		"application/fhir+json; fhirVersion=5.0":               unknownFormat,
		"text/html":                                            unknownFormat,
		"application/json-patch+json":                          unknownFormat,
		"text/plain":                                           unknownFormat,
		"*/*":                                                  unknownFormat,
		"":                                                     unknownFormat,
		"application/fhir+json, application/fhir+xml;charset=abc": unknownFormat,
	} {
		r := httptest.NewRequest("POST", "/fhir/Patient", nil)
		r.Header.Set("Content-Type", header)
		if got, err := bodyFormat(r); got != want || (err != nil) != (want == unknownFormat) {
			t.Errorf("Content-Type: %s: %d, %v; want %d", header, got, err, want)
		}
	}
}

func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", chromium, firefox, "application/fhir+json;q=0.5, application/fhir+xml", "a/b;q=1e-1;q", `x/y;a="b,c"`} {
		f.Add(seed, "")
	}
	f.Add("*/*", "application/fhir+json; fhirVersion=4.0")
	f.Fuzz(func(t *testing.T, accept, value string) {
		for _, p := range parseAccept(accept) {
			if !(p.quality >= 0 && p.quality <= 1) {
				t.Errorf("%q has an entry of quality %v", accept, p.quality)
			}
		}
		r := httptest.NewRequest("GET", "/fhir/Patient/p", nil)
		r.URL.RawQuery = url.Values{"_format": {value}}.Encode()
		r.Header.Set("Accept", accept)
		got, err := negotiate(r)
		if (err == nil) != (got == jsonFormat || got == xmlFormat || got == htmlFormat) {
			t.Errorf("Accept %q, _format %q: %d, %v", accept, value, got, err)
		}
		if err != nil && fhir.AsOutcome(err) == nil {
			if status, _ := translate(err); status != 406 {
				t.Errorf("Accept %q, _format %q: %d", accept, value, status)
			}
		}
	})
}

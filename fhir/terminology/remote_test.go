package terminology

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// distantWorld answers like a terminology server that knows the code "far" of
// urn:far, and the value set urn:far-set that has it.
func distantWorld(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	known := q.Get("code") == "far" && q.Get("system") == "urn:far"
	w.Header().Set("Content-Type", "application/fhir+json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/ValueSet/$validate-code") && q.Get("url") == "urn:far-set":
		fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":%t},{"name":"display","valueString":"Far away"}]}`, known)
	case strings.HasSuffix(r.URL.Path, "/ValueSet/$expand") && q.Get("url") == "urn:far-set":
		fmt.Fprint(w, `{"resourceType":"ValueSet","status":"active","expansion":{"timestamp":"2024-01-01","total":1,"contains":[{"system":"urn:far","code":"far","display":"Far away"}]}}`)
	case strings.HasSuffix(r.URL.Path, "/CodeSystem/$lookup") && known:
		fmt.Fprint(w, `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"Far"},{"name":"display","valueString":"Far away"}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}`)
	}
}

// TestExternal wants what is not known here to be asked for there.
func TestExternal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(distantWorld))
	t.Cleanup(server.Close)
	s := New(Config{Definitions: definition.NewCatalog(nil), External: server.URL})
	ctx := define(t,
		set("urn:includes", `{"include":[{"system":"urn:far"}]}`),
		set("urn:imports", `{"include":[{"valueSet":["urn:far-set"]}]}`),
		set("urn:names", `{"include":[{"system":"urn:far","concept":[{"code":"far"},{"code":"farther"}]}]}`))
	tests := []struct {
		set, code string
		want      Result
	}{
		{"urn:far-set", "far", In}, {"urn:includes", "far", In}, {"urn:includes", "near", Undecided}, {"urn:imports", "far", In},
		{"urn:names", "far", In}, {"urn:names", "farther", In}, {"urn:names", "near", Out}, {"urn:unheard-of", "far", Undecided},
	}
	for _, tt := range tests {
		got, err := s.Member(ctx, tt.set, Coding{System: "urn:far", Code: tt.code})
		if err != nil || got.Result != tt.want {
			t.Errorf("%s of %s: %+v, %v", tt.code, tt.set, got, err)
		}
		v, err := s.ValidateInValueSet(ctx, ValidateRequest{URL: tt.set, Codings: []Coding{{System: "urn:far", Code: tt.code}}})
		if tt.set == "urn:unheard-of" {
			if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unknown {
				t.Errorf("%s: %v", tt.set, err)
			}
		} else if err != nil || v.Result != (tt.want == In) {
			t.Errorf("%s of %s: %+v, %v", tt.code, tt.set, v, err)
		}
	}
	for _, url := range []string{"urn:far-set", "urn:imports"} {
		e, err := s.Expand(ctx, ExpandRequest{URL: url})
		if err != nil || codesIn(e) != "far" || e.Contains[0].Display != "Far away" {
			t.Errorf("%s: %+v, %v", url, e, err)
		}
	}
	if e, err := s.Expand(ctx, ExpandRequest{URL: "urn:names"}); err != nil || codesIn(e) != "far farther" {
		t.Errorf("%+v, %v", e, err)
	}
	if c, err := s.Lookup(ctx, LookupRequest{Coding: Coding{System: "urn:far", Code: "far"}, Properties: []string{"display"}}); err != nil || c.Display != "Far away" {
		t.Errorf("%+v, %v", c, err)
	}
	v, err := s.ValidateInCodeSystem(ctx, ValidateRequest{URL: "urn:far", Codings: []Coding{{Code: "near"}}})
	if err != nil || v.Result {
		t.Errorf("%+v, %v", v, err)
	}
}

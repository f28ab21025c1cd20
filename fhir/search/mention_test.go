package search

import (
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestMentions finds the patients that are named where no parameter looks.
func TestMentions(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry(spec.R4(), "https://fhir.example/r4", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, body, want string }{
		{"a parameter", `{"resourceType":"Observation","subject":{"reference":"Patient/p"},"status":"final","code":{"text":"x"}}`, "[]"},
		{"none", `{"resourceType":"Observation","status":"final","code":{"text":"x"}}`, "[]"},
		{"a note", `{"resourceType":"Observation","subject":{"reference":"Patient/p"},"status":"final","code":{"text":"x"},"note":[{"text":"y","authorReference":{"reference":"Patient/q"}}]}`, "[Patient/q]"},
		{"the same as the subject", `{"resourceType":"Observation","subject":{"reference":"Patient/p"},"status":"final","code":{"text":"x"},"note":[{"text":"y","authorReference":{"reference":"Patient/p"}}]}`, "[]"},
		{"an extension of a string", `{"resourceType":"Observation","status":"final","_status":{"extension":[{"url":"urn:x","valueReference":{"reference":"Patient/z"}},{"url":"urn:x","valueReference":{"reference":"Patient/q/_history/2"}}]},"code":{"text":"x"}}`, "[Patient/q Patient/z]"},
		{"a contained resource", `{"resourceType":"Observation","contained":[{"resourceType":"Specimen","id":"s","subject":{"reference":"https://fhir.example/r4/Patient/q"}}],"specimen":{"reference":"#s"},"status":"final","code":{"text":"x"}}`, "[Patient/q]"},
		{"another server's", `{"resourceType":"Task","status":"draft","intent":"plan","input":[{"type":{"text":"x"},"valueReference":{"reference":"https://other.example/Patient/q"}}]}`, "[]"},
		{"escaped", `{"resourceType":"Task","status":"draft","intent":"plan","input":[{"type":{"text":"x"},"valueReference":{"reference":"\u0050atient\/q"}}]}`, "[Patient/q]"},
		{"a text", `{"resourceType":"Task","status":"draft","intent":"plan","description":"Patient/q"}`, "[]"},
		{"a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Task","status":"draft","intent":"plan","input":[{"type":{"text":"x"},"valueReference":{"reference":"Patient/q"}}]}}]}`, "[]"},
	} {
		resource, err := fhir.Decode("", []byte(c.body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		ix, err := r.Index(resource.Root(), "1")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(ix.Mentions); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

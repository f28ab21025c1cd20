package consultation_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/fhir/validate"
)

// sample returns a file of the example consultation.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata/triage", name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// read decodes a resource.
func read(t testing.TB, typ string, src []byte) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode(typ, src)
	if err != nil {
		t.Fatalf("%.1000s\n%.3000s", err, src)
	}
	return r
}

// object is JSON in the making.
type object = map[string]any

// make1 returns a resource from its parts.
func make1(t testing.TB, o object) *fhir.Resource {
	t.Helper()
	src, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, o["resourceType"].(string), src)
}

// tree returns JSON as a value that can be compared.
func tree(t testing.TB, src []byte) object {
	t.Helper()
	var o object
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// validator knows what comes with the server.
var validator = sync.OnceValue(func() *validate.Validator {
	c := definition.NewCatalog(nil)
	return validate.New(validate.Config{Definitions: c, Terms: terminology.New(terminology.Config{Definitions: c})})
})

// decodes fails when a resource that the server has written is none, or not a valid one.
func decodes(t testing.TB, all ...consultation.Authored) {
	t.Helper()
	for _, a := range all {
		r := read(t, a.Type, a.JSON)
		if r.ID() != a.ID {
			t.Errorf("a %s has the id %q, not %q", a.Type, r.ID(), a.ID)
		}
		issues, err := validator().Check(t.Context(), r.Root(), validate.Options{Now: rulesNow})
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range issues {
			if is.Severity == fhir.Error || is.Severity == fhir.Fatal {
				t.Errorf("%v: %s", is, a.JSON)
			}
		}
	}
}

// detail returns the Detail of the first issue of an Outcome, or what else err says.
func detail(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	o := fhir.AsOutcome(err)
	if o == nil {
		t.Fatalf("this is no Outcome: %v", err)
	}
	if o.Issues[0].Text == "" {
		t.Error("the issue says nothing")
	}
	if o.Issues[0].Detail == "" {
		return string(o.Issues[0].Code)
	}
	return o.Issues[0].Detail
}

var rulesNow = time.Date(2025, 11, 20, 9, 12, 32, 90e6, time.UTC)

// demoEnv runs rules that nobody has approved.
func demoEnv() consultation.TriageEnv { return consultation.TriageEnv{Now: rulesNow, Demo: true} }

// form returns the form of the example and its rules.
func form(t testing.TB) (*fhir.Resource, *consultation.Rules) {
	t.Helper()
	q := read(t, "Questionnaire", sample(t, "questionnaire.json"))
	rules, issues := consultation.CompileRules(q.Root())
	for _, is := range issues {
		if is.Severity == fhir.Error {
			t.Fatalf("the example has a flaw: %v", is)
		}
	}
	return q, rules
}

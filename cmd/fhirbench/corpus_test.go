package main

import (
	"bytes"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestCorpusIsValidAndTheSameEachTime(t *testing.T) {
	t.Parallel()
	c, again := newCorpus(7, 1000), newCorpus(7, 1000)
	types, ids := map[string]int{}, map[string]bool{}
	for n := range c.size {
		o := c.at(n)
		r, err := fhir.Decode(o.typeName, o.body)
		if err != nil {
			t.Fatalf("resource %d: %v\n%s", n, err, o.body)
		}
		if r.ID() != o.id || ids[o.typeName+"/"+o.id] {
			t.Errorf("resource %d has the id %s, sent as %s, and is the first so called: %v", n, r.ID(), o.id, !ids[o.typeName+"/"+o.id])
		}
		if !bytes.Equal(o.body, again.at(n).body) {
			t.Errorf("resource %d is another one the second time", n)
		}
		types[o.typeName]++
		ids[o.typeName+"/"+o.id] = true
	}
	for name, want := range map[string]int{"Communication": 400, "Task": 300, "QuestionnaireResponse": 200, "Patient": 100} {
		if types[name] != want {
			t.Errorf("%d of %s, want %d", types[name], name, want)
		}
	}
}

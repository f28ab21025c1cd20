package search

import "testing"

func BenchmarkParse(b *testing.B) {
	r := testRegistry(b)
	for _, tt := range []struct{ name, typ, query string }{
		{"plain", "Task", "owner=Organization/1&status=requested,accepted&authored-on=ge2024-01-01&_sort=-authored-on&_count=20"},
		{"chain", "Observation", "subject:Patient.name=peter&code=http://loinc.org|1234-5"},
		{"typeless chain", "Observation", "subject.name=peter"},
		{"filter", "Patient", `_filter=given eq "peter" and birthdate ge 2014-10-10`},
		{"refused", "Task", "ownr=1"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = parseTest(r, tt.typ, tt.query)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	w := newWorld(b, `{"resourceType":"Patient","id":"eve","active":true,"gender":"female","name":[{"family":"Quinones","given":["Eve"]}],"birthDate":"1974-12-25","identifier":[{"system":"http://a.org","value":"AB1"}]}`)
	q, err := parseTest(w.registry, "Patient", "name:contains=uin&gender=female&birthdate=lt2000")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, ix := range w.indexes {
			if !Match(And(q.Where), ix, nil) {
				b.Fatal("no match")
			}
		}
	}
}

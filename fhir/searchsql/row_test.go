package searchsql

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestSecret pins hashes: what is stored depends on them.
func TestSecret(t *testing.T) {
	t.Parallel()
	s := testSecret(t)
	subject := &search.Param{Code: "subject", Type: search.ReferenceType, Base: "Task"}
	k := fhir.Key{Type: "Patient", ID: "1"}
	for name, c := range map[string]struct{ got, want int64 }{
		"RID":         {s.RID(k), 7753451473268319076},
		"Body":        {s.Body([]byte("{}")), -8478715996335182772},
		"Salt":        {s.Salt(subject), 4587636688919699936},
		"URL":         {s.URL("urn:x", "1"), -8749544984985295276},
		"Compartment": {s.Compartment(k), 6258814169156505586},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d, was %d", name, c.got, c.want)
		}
	}
	if _, err := NewSecret([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

// TestRow looks at the columns of a resource one by one.
func TestRow(t *testing.T) {
	t.Parallel()
	w, s := newWorld(1), testSecret(t)
	start, end := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC), math.Inf(1)
	ix := &search.Index{Key: fhir.Key{Type: "Task", ID: "1"}, Entries: []search.Entry{
		{Param: w.params["authored-on"], Value: search.Range{Lo: float64(start.UnixMicro()), Hi: end}},
		{Param: w.params["code"], Value: search.Token{System: "urn:a", Code: "b\x1fc", Folded: true, Texts: []string{"some text"}}},
		{Param: w.params["code"], Value: search.Token{System: "urn:a", Code: "a", Folded: true}},
		{Param: w.params["name"], Value: search.String{Text: "Bo", Folded: "bo"}},
		{Param: w.params["number"], Value: search.Range{Lo: 2, Hi: 2}},
		{Param: w.params["number"], Value: search.Range{Lo: 2, Hi: 2}},
		{Param: w.params["subject"], Value: search.Reference{Key: fhir.Key{Type: "Patient", ID: "1"}}},
		{Param: w.params["subject"], Value: search.Reference{Key: fhir.Key{Type: "Patient", ID: "1"}}},
	}}
	r := s.Row(ix, []string{"alpha"})
	if low, high := r.Times[0].Low(), r.Times[0].High(); low != "2024-01-02 03:04:05.000006Z" || high != openEnd {
		t.Errorf("t1 is %v to %v", low, high)
	}
	if r.Times[1].Low() != nil {
		t.Errorf("t2 is %v", r.Times[1].Low())
	}
	if want := "\x1fbo\x1fsome text\x1f"; r.Strs != want {
		t.Errorf("strs is %q, want %q", r.Strs, want)
	}
	places := strings.Split(r.Sorts, textSeparator)
	if len(places) != 19 || places[4] != "a\x1ebc" || places[8] != "bo" || places[18] != presenceMark || places[0] != "" {
		t.Errorf("sorts is %q", places)
	}
	if len(r.Ranges) != 1 || r.Ranges[0].Lo != 2 || len(r.Refs) != 1 || !slices.IsSorted(r.Keys) || len(slices.Compact(slices.Clone(r.Keys))) != len(r.Keys) {
		t.Errorf("%+v", r)
	}
	if empty := s.Row(&search.Index{Key: fhir.Key{Type: "Task"}}, nil); empty.Keys == nil || empty.Refs == nil || empty.Sorts != "" || empty.Strs != "" || len(empty.Words) != minSignature {
		t.Errorf("of nothing: %+v", empty)
	}
}

// TestTimes writes times as Postgres reads them.
func TestTimes(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		"0001-12-31 12:00:00Z BC":     time.Date(0, 12, 31, 12, 0, 0, 0, time.UTC),
		"0001-01-01 00:00:00Z":        time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		"10000-01-01 00:00:00Z":       time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		"1969-12-31 23:59:59.999999Z": time.Unix(0, -1000),
	} {
		if got := timeText(float64(at.UnixMicro())); got != want {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	}
}

// TestSlots holds the table of slots against what each pair of columns may hold:
// one parameter.
func TestSlots(t *testing.T) {
	t.Parallel()
	if slot(&search.Param{Code: "modified", Type: search.DateType, Base: "Task"}) != 2 {
		t.Error("the time when a Task was changed has no slot")
	}
	if slot(&search.Param{Code: "due", Type: search.DateType, Base: "Task", Custom: true, Own: true}) != 3 {
		t.Error("the time by which a Task is due has no slot")
	}
	if slot(&search.Param{Code: "due", Type: search.DateType, Base: "Task", Custom: true}) != 0 {
		t.Error("a custom parameter has a slot")
	}
}

// TestSignature looks for words that are there, and for some that are not.
func TestSignature(t *testing.T) {
	t.Parallel()
	s := testSecret(t)
	for _, n := range []int{0, 1, 13, 100, 1000} {
		words := make([]string, n)
		for i := range words {
			words[i] = strings.Repeat("x", i+1)
		}
		signature := s.signature(words)
		if size := len(signature); size&(size-1) != 0 || size < minSignature || size > maxSignature {
			t.Errorf("%d words have a signature of %d bytes", n, size)
		}
		has := func(word string) bool {
			return !slices.ContainsFunc(func() []int { p := s.positions(word); return p[:] }(), func(at int) bool {
				at &= len(signature)*8 - 1
				return signature[at/8]>>(at%8)&1 == 0
			})
		}
		if slices.ContainsFunc(words, func(w string) bool { return !has(w) }) {
			t.Errorf("a word of %d is not found", n)
		}
		wrong := 0
		for i := range 100 {
			if has("y" + strings.Repeat("z", i)) {
				wrong++
			}
		}
		if n <= 400 && wrong > 10 {
			t.Errorf("of 100 words that are not among %d, %d are found", n, wrong)
		}
	}
}

// taskIndex is what a Task is found by, with some 25 keys.
func taskIndex() *search.Index {
	param := func(position int, typ search.Type, code string) *search.Param {
		return &search.Param{Code: code, Type: typ, Base: "Task", Position: position}
	}
	bare := param(20, search.TokenType, "status")
	bare.Bare, bare.System = true, sensitive
	profile := &search.Param{Code: "_profile", Type: search.URIType, Base: "Resource", Position: 3, Canonical: true}
	reference := func(k fhir.Key) search.Value { return search.Reference{Key: k} }
	patient, organization := fhir.Key{Type: "Patient", ID: "8a2f6a7e-0d4e-4bb0-a3a9-3f3c8d0a1e52"}, fhir.Key{Type: "Organization", ID: "8a2f6a7e-0d4e-4bb0-a3a9-3f3c8d0a1e53"}
	return &search.Index{Key: fhir.Key{Type: "Task", ID: "1"}, Members: []search.Member{{Compartment: patient}}, Entries: []search.Entry{
		{Param: profile, Value: search.URI{Text: "https://openconsult.example/StructureDefinition/consultation-task"}},
		{Param: param(8, search.DateType, "authored-on"), Value: search.Range{Lo: 1.7e15, Hi: 1.7e15 + 1e6}},
		{Param: param(9, search.ReferenceType, "based-on"), Value: reference(fhir.Key{Type: "ServiceRequest", ID: "8a2f6a7e-0d4e-4bb0-a3a9-3f3c8d0a1e54"})},
		{Param: param(10, search.TokenType, "business-status"), Value: search.Token{System: "http://snomed.info/sct", Code: "385651009", Folded: true, Texts: []string{"in progress"}}},
		{Param: param(11, search.TokenType, "code"), Value: search.Token{System: "http://hl7.org/fhir/CodeSystem/task-code", Code: "fulfill", Texts: []string{"fulfill the focal request"}}},
		{Param: param(12, search.ReferenceType, "focus"), Value: reference(fhir.Key{Type: "ServiceRequest", ID: "8a2f6a7e-0d4e-4bb0-a3a9-3f3c8d0a1e54"})},
		{Param: param(13, search.TokenType, "group-identifier"), Value: search.Token{System: "urn:ietf:rfc:3986", Code: "urn:uuid:1", Folded: true}},
		{Param: param(14, search.TokenType, "identifier"), Value: search.Token{System: "https://openconsult.example/task", Code: "123456", Folded: true}},
		{Param: param(15, search.TokenType, "intent"), Value: search.Token{System: "http://hl7.org/fhir/task-intent", Code: "order"}},
		{Param: param(16, search.DateType, "modified"), Value: search.Range{Lo: 1.7e15, Hi: 1.7e15 + 1e6}},
		{Param: param(17, search.ReferenceType, "owner"), Value: reference(organization)},
		{Param: param(18, search.ReferenceType, "patient"), Value: reference(patient)},
		{Param: param(19, search.ReferenceType, "requester"), Value: reference(organization)},
		{Param: bare, Value: search.Token{System: sensitive, Code: "requested"}},
		{Param: param(21, search.ReferenceType, "subject"), Value: reference(patient)},
	}}
}

// BenchmarkRow measures what every write of a Task pays.
func BenchmarkRow(b *testing.B) {
	s, ix := testSecret(b), taskIndex()
	words := make([]string, 120)
	for i := range words {
		words[i] = strings.Repeat(string(rune('a'+i%26)), 1+i%9)
	}
	keys := 0
	b.ReportAllocs()
	for b.Loop() {
		keys = len(s.Row(ix, words).Keys)
	}
	b.ReportMetric(float64(keys), "keys")
}

// BenchmarkPage measures what the statement of a page costs.
func BenchmarkPage(b *testing.B) {
	w, s := newWorld(1), testSecret(b)
	where := []search.Condition{
		&search.Test{Param: w.params["bare"], Values: []search.Asked{search.AskedToken{AnySystem: true, Code: "requested"}}},
		&search.Test{Param: w.params["subject"], Values: []search.Asked{search.AskedReference{Keys: []fhir.Key{{Type: "Patient", ID: "1"}}}}},
	}
	orders := []search.Order{{Param: &search.Param{Code: "_lastUpdated"}, Descending: true}}
	b.ReportAllocs()
	for b.Loop() {
		p := &Page{Limit: 21, Bodies: true, Arms: []Arm{{Filter: s.Filter(Scope{Type: "Task", Tables: testTables}, where), Keys: Order(orders, func(string) *search.Param { return nil })}}}
		if _, err := p.Statement(testTables); err != nil {
			b.Fatal(err)
		}
	}
}

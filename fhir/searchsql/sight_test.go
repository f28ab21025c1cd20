package searchsql

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestSightGolden holds the statements that a sight makes against files.
func TestSightGolden(t *testing.T) {
	t.Parallel()
	s, w := testSecret(t), newWorld(1)
	patient := s.Accesses([]access.Key{{Kind: access.Open}, {Kind: access.Patient, Of: "Patient/1"}})
	staff := s.Accesses([]access.Key{{Kind: access.Open}, {Kind: access.Party, Of: "Organization/1"}, {Kind: access.Party, Of: "Practitioner/1"}})
	denied := s.Accesses([]access.Key{{Kind: access.Label, Of: "NOPAT"}, {Kind: access.Label, Of: "R"}})
	requested := &search.Test{Param: w.params["bare"], Values: []search.Asked{search.AskedToken{AnySystem: true, Code: "requested"}}}
	since := &search.Test{Param: w.params["authored-on"], Values: []search.Asked{search.AskedRange{Prefix: search.GreaterOrEqual, Range: search.Range{Lo: 1_704_067_200e6, Hi: 1_704_153_600e6}}}}
	status := []search.Condition{requested}
	page := func(typ string, sight Sight, a Arm) Statement {
		in := Scope{Type: typ, Tables: testTables}
		a.Filter = s.Filter(in, status)
		if a.Keys == nil {
			a.Keys = Order(nil, nil)
		}
		s.See(&a.Filter, in, sight)
		statement, err := (&Page{Arms: []Arm{a}, Limit: 21}).Statement(testTables)
		if err != nil {
			t.Fatal(err)
		}
		return statement
	}
	updated := Order([]search.Order{{Param: &search.Param{Code: "_lastUpdated", Base: "Resource"}, Descending: true}}, func(string) *search.Param {
		return &search.Param{Code: "_lastUpdated", Base: "Resource"}
	})
	for file, statement := range map[string]Statement{
		"see_all":      page("Task", Sight{{All: true}}, Arm{}),
		"see_nothing":  page("Task", nil, Arm{}),
		"see_party":    page("Task", Sight{{Parties: staff, Denied: denied}}, Arm{Scan: Scan{All: []bool{true}}}),
		"see_patient":  page("Task", Sight{{Parties: patient}}, Arm{Scan: Scan{Any: []bool{true}}}),
		"see_walk":     page("Task", Sight{{Parties: staff, Denied: denied}}, Arm{Walk: true, Keys: updated}),
		"see_granular": page("Task", Sight{{Parties: patient, Where: requested}, {Parties: patient, Where: since}}, Arm{}),
		"see_types":    page("", Sight{{Types: []string{"Task"}, Parties: staff}, {Types: []string{"Patient"}, Parties: staff}}, Arm{Scan: Scan{All: []bool{true}}}),
		"see_either":   page("Task", Sight{{Parties: patient}, {Parties: staff, Denied: denied}}, Arm{}),
		"see_either_led": page("Task", Sight{{Parties: patient}, {Parties: staff[1:], Denied: denied}},
			Arm{Scan: Scan{All: []bool{false}, Where: []bool{true}}}),
	} {
		golden(t, file, statement)
	}
	if page("Task", Sight{{All: true}}, Arm{}).SQL != page("Task", Sight{{Parties: staff}, {All: true}}, Arm{}).SQL {
		t.Error("an unlimited sight is narrowed by another branch")
	}
}

// TestSightFailsClosed shows nothing where a sight says nothing that can be
// decided.
func TestSightFailsClosed(t *testing.T) {
	t.Parallel()
	s, w := testSecret(t), newWorld(1)
	long := &search.Test{Param: w.params["name"], Values: []search.Asked{search.AskedString{Text: "christopherus", Folded: "christopherus"}}}
	chain := &search.Chain{Param: w.params["subject"], Target: "Patient", Where: search.And{}}
	for name, c := range map[string]struct {
		typ   string
		sight Sight
	}{
		"no branch":                     {"Task", nil},
		"zero branch":                   {"Task", Sight{{}}},
		"two zero branches":             {"Task", Sight{{}, {Denied: []int64{1}}}},
		"another type":                  {"Task", Sight{{All: true, Types: []string{"Patient"}}}},
		"no such type":                  {"", Sight{{All: true, Types: []string{"Nothing"}}}},
		"no types":                      {"", Sight{{All: true, Types: []string{}}}},
		"what SQL cannot decide":        {"Task", Sight{{All: true, Where: long}}},
		"the opposite of that":          {"Task", Sight{{All: true, Where: search.Not{Condition: long}}}},
		"a chain":                       {"Task", Sight{{All: true, Where: chain}}},
		"the opposite of a chain":       {"Task", Sight{{All: true, Where: search.Not{Condition: chain}}}},
		"a condition of no type":        {"", Sight{{All: true, Where: search.And{}}}},
		"several, none of which can be": {"Task", Sight{{All: true, Where: long}, {Parties: []int64{1}, Where: chain}}},
	} {
		var f Filter
		f.Type = c.typ
		if s.See(&f, Scope{Type: c.typ, Tables: testTables}, c.sight); !f.Never {
			t.Errorf("%s: shows %+v", name, f)
		}
	}
}

// seen is a resource with access keys.
type seen struct {
	ix   *search.Index
	keys []int64
}

// shows is what a sight means.
func (s Sight) shows(r seen) bool {
	return slices.ContainsFunc(s, func(b Branch) bool {
		return b.Admits(r.ix.Key.Type, r.keys) && (b.Where == nil || search.Match(b.Where, r.ix, document(nil)))
	})
}

// sight returns a random one for a type, or for all.
func (w *world) sight(typ string) Sight {
	var s Sight
	some := func(from, n int) []int64 {
		var keys []int64
		for range n {
			keys = append(keys, int64(from+w.IntN(6)))
		}
		return keys
	}
	standing := Branch{Parties: some(1000, 1+w.IntN(3)), Denied: some(2000, w.IntN(3))}
	for range w.IntN(4) {
		b := standing
		if w.IntN(3) == 0 {
			b = Branch{All: w.IntN(6) == 0, Parties: some(1000, w.IntN(90)), Denied: some(2000, w.IntN(2))}
		}
		if w.IntN(4) == 0 {
			b.Within = append([]int64{}, some(1000, w.IntN(4))...)
		}
		if typ == "" && w.IntN(4) > 0 {
			b.Types = []string{pick(w, "Task", "Patient", "Group", "Observation")}
		}
		if w.IntN(4) == 0 && (typ == "Task" || b.Types != nil && b.Types[0] == "Task") {
			b.Where = w.granular()
		}
		s = append(s, b)
	}
	return s
}

// granular returns a condition that SQL can decide.
func (w *world) granular() search.Condition {
	for {
		p := w.params[pick(w, "bare", "code", "subject", "url", "canonical", "authored-on", "date")]
		t := &search.Test{Param: p, Values: []search.Asked{w.ask(p, search.Plain)}}
		if isHot(t) {
			return search.And{t}
		}
	}
}

// TestSightMeansAdmits holds what SQL finds within a random sight against what
// the sight says of each resource.
func TestSightMeansAdmits(t *testing.T) {
	t.Parallel()
	w, b := newWorld(4), newTable(t)
	var all []seen
	for i := range 160 {
		ix := w.index(i)
		if typ := pick(w, "Task", "Task", "Patient", "Group", "Observation"); typ != "Task" {
			ix = &search.Index{Key: fhir.Key{Type: typ, ID: strconv.Itoa(i)}}
		}
		b.add(t, ix, nil)
		r := seen{ix: ix}
		for range w.IntN(4) {
			r.keys = append(r.keys, int64(1000+w.IntN(6)))
		}
		if w.IntN(3) == 0 {
			r.keys = append(r.keys, int64(2000+w.IntN(6)))
		}
		if _, err := b.Exec(`UPDATE res SET keys = keys || $2::bigint[] WHERE rid = $1`, b.secret.RID(ix.Key), "{"+joined(r.keys)+"}"); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	found := 0
	for range 600 {
		typ := pick(w, "Task", "", "Group", "Patient")
		in, sight := Scope{Type: typ, Tables: b.tables}, w.sight(typ)
		f := Filter{Type: typ}
		var where search.Condition = search.And{}
		if typ == "Task" && w.IntN(2) == 0 {
			where = w.granular()
			f = b.secret.Filter(in, []search.Condition{where})
		}
		b.secret.See(&f, in, sight)
		var got, want []string
		for _, r := range b.page(t, w.somePage(f)) {
			got = append(got, r.id)
		}
		for _, r := range all {
			if (typ == "" || typ == r.ix.Key.Type) && sight.shows(r) && search.Match(where, r.ix, document(nil)) {
				want = append(want, r.ix.Key.ID)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if found += len(want); !slices.Equal(got, want) {
			t.Fatalf("%s %s: %+v shows %v, want %v", typ, describe(where), sight, got, want)
		}
	}
	if found < 2000 {
		t.Errorf("all sights together showed %d resources: they show too little", found)
	}
}

func joined(ns []int64) string {
	s := ""
	for i, n := range ns {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprint(n)
	}
	return s
}

package searchsql

import (
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestShapes says what hot conditions come to: no text, no predicate, one key.
func TestShapes(t *testing.T) {
	t.Parallel()
	w, s := newWorld(1), testSecret(t)
	chain := &search.Chain{Param: w.params["subject"], Target: "Patient", Where: search.And{}}
	test := func(code string, m search.Modifier, values ...search.Asked) search.Condition {
		return &search.Test{Param: w.params[code], Modifier: m, Values: values}
	}
	foreign := &search.Param{Code: "code", Type: search.TokenType, Base: "Observation"}
	for name, c := range map[string]struct {
		asked                         search.Condition
		all, any, rids, where         int
		never, check, nested, stepped bool
	}{
		"bare code":               {asked: test("bare", 0, search.AskedToken{AnySystem: true, Code: "active"}), all: 1},
		"bare code of its system": {asked: test("bare", 0, search.AskedToken{System: sensitive, Code: "active"}), all: 1},
		"bare code of another":    {asked: test("bare", 0, search.AskedToken{System: "urn:a", Code: "active"}), never: true},
		"number as code":          {asked: test("code", 0, search.AskedToken{AnySystem: true, Code: "8480-6"}), all: 1},
		"letters as code":         {asked: test("code", 0, search.AskedToken{AnySystem: true, Code: "abc"}), any: 1},
		"system and code":         {asked: test("code", 0, search.AskedToken{System: "urn:a", Code: "abc"}), all: 1},
		"code without system":     {asked: test("code", 0, search.AskedToken{Code: "abc"}), all: 1},
		"system":                  {asked: test("code", 0, search.AskedToken{System: "urn:a", AnyCode: true}), all: 1},
		"alternatives":            {asked: test("bare", 0, search.AskedToken{AnySystem: true, Code: "a"}, search.AskedToken{AnySystem: true, Code: "b"}), any: 1},
		"the same twice":          {asked: test("bare", 0, search.AskedToken{AnySystem: true, Code: "a"}, search.AskedToken{AnySystem: true, Code: "a"}), all: 1},
		"both":                    {asked: search.And{test("bare", 0, search.AskedToken{AnySystem: true, Code: "a"}), test("bare", 0, search.AskedToken{AnySystem: true, Code: "b"})}, all: 2},
		"reference":               {asked: test("subject", 0, search.AskedReference{Keys: []fhir.Key{{Type: "Patient", ID: "1"}}}), all: 1},
		"id of several types":     {asked: test("subject", 0, search.AskedReference{Keys: []fhir.Key{{Type: "Patient", ID: "1"}, {Type: "Group", ID: "1"}}}), any: 1},
		"canonical with version":  {asked: test("canonical", 0, search.AskedReference{URL: "urn:x", Version: "1"}), all: 1},
		"eight letters":           {asked: test("name", 0, search.AskedString{Folded: "öäüößäöü"}), all: 1},
		"nine letters":            {asked: test("name", 0, search.AskedString{Folded: "öäüößäöüx"}), all: 1, where: 1, check: true},
		"exact":                   {asked: test("name", search.Exact, search.AskedString{Text: "A long name", Folded: "a long name"}), all: 1},
		"slot":                    {asked: test("authored-on", 0, search.AskedRange{Range: search.Range{Lo: 0, Hi: 1}}), where: 1},
		"date":                    {asked: test("date", 0, search.AskedRange{Range: search.Range{Lo: 0, Hi: 1}}), where: 1},
		"unit system alone":       {asked: test("quantity", 0, search.AskedQuantity{System: "urn:u"}), where: 1, check: true},
		"pair of tokens":          {asked: test("pair-token", 0, search.AskedComposite{search.AskedToken{System: "urn:a", Code: "x"}, search.AskedToken{System: "urn:a", Code: "y"}}), all: 1},
		"pair with a quantity":    {asked: test("pair-quantity", 0, search.AskedComposite{search.AskedToken{System: "urn:a", Code: "x"}, search.AskedQuantity{}}), where: 1},
		"ids":                     {asked: search.IDs{"1", "2"}, rids: 1},
		"not":                     {asked: search.Not{Condition: test("bare", 0, search.AskedToken{AnySystem: true, Code: "a"})}, where: 1},
		"not a long prefix":       {asked: search.Not{Condition: test("name", 0, search.AskedString{Folded: "abcdefghi"})}, check: true},
		"missing":                 {asked: &search.Test{Param: w.params["name"], Modifier: search.Missing}, where: 1},
		"nothing":                 {asked: search.Or{}, never: true},
		"anything":                {asked: search.And{}},
		"parameter of another":    {asked: &search.Test{Param: foreign, Values: []search.Asked{search.AskedToken{AnySystem: true, Code: "a"}}}, never: true},
		"missing of another":      {asked: &search.Test{Param: foreign, Modifier: search.Missing, Missing: true}},
		"chain":                   {asked: search.And{chain}, stepped: true},
		"chain in an or":          {asked: search.Or{chain, search.IDs{"1"}}, nested: true, check: true},
	} {
		f := s.Filter(Scope{Type: "Task", Tables: testTables}, []search.Condition{c.asked})
		if len(f.All) != c.all || len(f.Any) != c.any || len(f.RIDs) != c.rids || len(f.Where) != c.where ||
			f.Never != c.never || f.Check != nil != c.check || len(f.Nested) > 0 != c.nested || len(f.Steps) > 0 != c.stepped {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestSteps resolves a chain and a _has, at the top and inside.
func TestSteps(t *testing.T) {
	t.Parallel()
	w, s := newWorld(1), testSecret(t)
	chain := &search.Chain{Param: w.params["subject"], Target: "Patient", Where: search.And{}}
	has := &search.Has{Source: "Task", Param: w.params["subject"], Where: search.And{}}
	resolved := Resolved{chain: {Keys: []int64{1, 2}}, has: {RIDs: []int64{3}}, search.Listed{ID: "x"}: {}}
	f := s.Filter(Scope{Type: "Task", Tables: testTables, Resolved: resolved}, []search.Condition{chain, search.And{has}})
	if len(f.Steps) > 0 || !slices.Equal(f.Any[0], []int64{1, 2}) || !slices.Equal(f.RIDs[0], []int64{3}) || f.Check != nil {
		t.Errorf("resolved: %+v", f)
	}
	f = s.Filter(Scope{Type: "Task", Tables: testTables, Resolved: resolved}, []search.Condition{search.Or{chain, search.Not{Condition: has}}})
	if len(f.Where) != 1 || f.Nested != nil || f.Check != nil {
		t.Errorf("resolved inside: %+v", f)
	}
	if f = s.Filter(Scope{Type: "Task", Tables: testTables, Resolved: resolved}, []search.Condition{search.Listed{ID: "x"}}); !f.Never {
		t.Errorf("an empty list: %+v", f)
	}
	f = s.Filter(Scope{Type: "Task", Tables: testTables}, []search.Condition{chain, search.IDs{"1"}, search.Listed{ID: "x"}})
	if len(f.Steps) != 2 || f.Steps[0] != chain || len(f.RIDs) != 1 {
		t.Errorf("not resolved: %+v", f)
	}
}

// TestAndWithout adds keys to a filter that rows must have, or must not.
func TestAndWithout(t *testing.T) {
	t.Parallel()
	var f Filter
	f.And(1)
	f.And(2, 3)
	f.Without(4)
	if !slices.Equal(f.All, []int64{1}) || !slices.Equal(f.Any[0], []int64{2, 3}) || len(f.Where) != 1 || f.Never {
		t.Errorf("%+v", f)
	}
	f.Without()
	if len(f.Where) != 1 {
		t.Error("to be without nothing is a condition")
	}
	if f.And(); !f.Never {
		t.Error("to have one of nothing is possible")
	}
}

// TestLinks follows references there and back: those of a page, those of many
// rows, canonical ones too.
func TestLinks(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	subject := &search.Param{Code: "subject", Type: search.ReferenceType, Base: "Task", Position: 3}
	owner := &search.Param{Code: "owner", Type: search.ReferenceType, Base: "Task", Position: 2}
	canonical := &search.Param{Code: "canonical", Type: search.ReferenceType, Base: "Task", Position: 1, Canonical: true}
	url := &search.Param{Code: "url", Type: search.URIType, Base: "Group"}
	patient, other := fhir.Key{Type: "Patient", ID: "1"}, fhir.Key{Type: "Patient", ID: "2"}
	group := &search.Index{Key: fhir.Key{Type: "Group", ID: "g"}, Entries: []search.Entry{{Param: url, Value: search.URI{Text: "urn:g", Version: "2"}}}}
	task := &search.Index{Key: fhir.Key{Type: "Task", ID: "t"}, Entries: []search.Entry{
		{Param: canonical, Value: search.Reference{URL: "urn:g", Version: "2"}},
		{Param: owner, Value: search.Reference{Key: other}},
		{Param: subject, Value: search.Reference{Key: patient}},
	}, Members: []search.Member{{Compartment: patient}}}
	for _, ix := range []*search.Index{group, task, {Key: patient}, {Key: other}} {
		b.add(t, ix, nil)
	}
	salts := []int64{b.secret.Salt(subject), b.secret.Salt(canonical)}
	arm := func(f Filter) Arm { return Arm{Filter: f, Keys: Order(nil, nil)} }
	rows := b.page(t, &Page{Arms: []Arm{arm(Filter{Type: "Task"})}, Limit: 5, Links: salts})
	if len(rows) != 1 || !slices.Equal(rows[0].links[0], []int64{b.secret.RID(patient)}) {
		t.Fatalf("the subject: %+v", rows)
	}
	for _, version := range []string{"", "2"} {
		f := b.secret.Filter(Scope{Type: "Task", Tables: b.tables}, []search.Condition{
			&search.Test{Param: canonical, Values: []search.Asked{search.AskedReference{URL: "urn:g", Version: version}}}})
		if got := b.page(t, &Page{Arms: []Arm{arm(f)}, Limit: 5}); len(got) != 1 {
			t.Errorf("version %q: %+v", version, got)
		}
	}
	if got := b.page(t, &Page{Arms: []Arm{arm(Filter{Type: "Group", Any: [][]int64{Salted(b.secret.Salt(url), rows[0].links[1])}})}, Limit: 5}); len(got) != 1 || got[0].id != "g" {
		t.Errorf("the target of the canonical: %+v", got)
	}
	q := &Pointing{Arm: arm(Filter{Type: "Task", Any: [][]int64{Salted(salts[0], []int64{b.secret.RID(patient), 7})}}), Salts: salts[:1]}
	if got := b.numbers(t, q.Statement(b.tables)); !slices.Equal(got, []int64{b.secret.RID(patient)}) {
		t.Errorf("pointing: %v", got)
	}
	q.Among = []int64{7}
	if got := b.numbers(t, q.Statement(b.tables)); len(got) != 0 {
		t.Errorf("pointing among others: %v", got)
	}
	if got := b.page(t, &Page{Arms: []Arm{arm(Filter{Type: "Task", All: []int64{b.secret.Compartment(patient)}})}, Limit: 5}); len(got) != 1 {
		t.Errorf("the compartment: %+v", got)
	}
}

// TestAllTypes asks for what every type has.
func TestAllTypes(t *testing.T) {
	t.Parallel()
	w, b := newWorld(8), newTable(t)
	tag := w.params["_tag"]
	for i, typ := range []string{"Task", "Patient", "Group"} {
		ix := &search.Index{Key: fhir.Key{Type: typ, ID: "same"}}
		if i > 0 {
			ix.Entries = []search.Entry{{Param: tag, Value: newToken("urn:a", "x")}}
		}
		b.add(t, ix, nil)
	}
	for name, c := range map[string]struct {
		asked search.Condition
		want  int
	}{
		"tag":     {&search.Test{Param: tag, Values: []search.Asked{search.AskedToken{AnySystem: true, Code: "x"}}}, 2},
		"no tag":  {&search.Test{Param: tag, Modifier: search.Missing, Missing: true}, 1},
		"id":      {search.IDs{"same"}, 3},
		"updated": {search.Updated{Values: []search.Asked{search.AskedRange{Prefix: search.Less, Range: search.Range{Lo: 0, Hi: 1}}}}, 3},
	} {
		f := b.secret.Filter(Scope{Tables: b.tables}, []search.Condition{c.asked})
		if got := b.page(t, &Page{Arms: []Arm{{Filter: f, Keys: Order(nil, nil)}}, Limit: 9}); len(got) != c.want || f.Check != nil {
			t.Errorf("%s: %d rows, want %d", name, len(got), c.want)
		}
	}
}

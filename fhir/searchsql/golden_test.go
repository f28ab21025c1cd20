package searchsql

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden holds the statements of each shape against files, which -update
// writes. A changed plan is a changed file.
func TestGolden(t *testing.T) {
	t.Parallel()
	s, w := testSecret(t), newWorld(1)
	filter := func(typ string, where ...search.Condition) Filter {
		return s.Filter(Scope{Type: typ, Tables: testTables}, where)
	}
	equal := func(code string, values ...search.Asked) search.Condition {
		return &search.Test{Param: w.params[code], Values: values}
	}
	by := func(code string, descending bool) []Key {
		p := w.params[code]
		if p == nil {
			p = &search.Param{Code: code, Base: "Resource"}
		}
		return Order([]search.Order{{Param: p, Descending: descending}}, func(code string) *search.Param { return w.params[code] })
	}
	rids := Order(nil, nil)
	page := func(p Page) Statement {
		p.Limit = 21
		statement, err := p.Statement(testTables)
		if err != nil {
			t.Fatal(err)
		}
		return statement
	}
	one := func(a Arm) Statement { return page(Page{Arms: []Arm{a}, Bodies: true}) }

	status := equal("bare", search.AskedToken{AnySystem: true, Code: "requested"})
	owner := equal("subject", search.AskedReference{Keys: []fhir.Key{{Type: "Patient", ID: "1"}}})
	tags := equal("_tag", search.AskedToken{System: "urn:a", Code: "x"}, search.AskedToken{System: "urn:a", Code: "y"})
	since := equal("authored-on", search.AskedRange{Prefix: search.GreaterOrEqual, Range: search.Range{Lo: 1_704_067_200e6, Hi: 1_704_153_600e6}})
	dosage := equal("quantity", search.AskedQuantity{AskedRange: search.AskedRange{Prefix: search.Greater, Range: search.Range{Lo: 5, Hi: 5}}, System: "urn:u", Code: "mg"})
	name := equal("name", search.AskedString{Text: "Christopher", Folded: "christopher"})
	words := &search.Words{Alternatives: [][]string{{"alpha", "beta"}}}
	last := []Value{{Text: string(appendNumber(nil, 1_704_067_200e6))}, {Text: "-42"}}
	named := []Value{{Text: "chris"}, {Text: string(appendNumber(nil, 1_704_067_200e6))}, {Missing: true}, {Text: "-42"}}
	several := Order([]search.Order{{Param: w.params["name"]}, {Param: w.params["authored-on"], Descending: true}, {Param: w.params["code"]}},
		func(code string) *search.Param { return w.params[code] })
	where := Scan{Where: []bool{true}}

	for file, statement := range map[string]Statement{
		"found":               one(Arm{Filter: filter("Task", status, owner), Keys: by("_lastUpdated", true)}),
		"found_by_rare":       one(Arm{Filter: filter("Task", status, owner, tags), Keys: rids, Scan: Scan{All: []bool{false, true}, Any: []bool{false}}}),
		"found_by_slot":       one(Arm{Filter: filter("Task", since), Keys: rids, Scan: where}),
		"found_by_range":      one(Arm{Filter: filter("Task", dosage), Keys: rids, Scan: where}),
		"found_by_id":         one(Arm{Filter: filter("Task", search.IDs{"1", "2"}), Keys: rids}),
		"found_other":         one(Arm{Filter: filter("Group", search.IDs{"1"}, tags), Keys: rids}),
		"found_nothing":       one(Arm{Filter: filter("Task", search.Or{}), Keys: rids}),
		"found_text":          one(Arm{Filter: filter("Task", name), Keys: rids}),
		"found_words":         one(Arm{Filter: filter("Task", status, words), Keys: rids}),
		"found_not":           one(Arm{Filter: filter("Task", search.Not{Condition: status}, search.Or{owner, dosage}), Keys: rids}),
		"found_missing":       one(Arm{Filter: filter("Task", &search.Test{Param: w.params["subject"], Modifier: search.Missing, Missing: true}), Keys: rids}),
		"found_after_several": page(Page{Arms: []Arm{{Filter: filter("Task", status), Keys: several}}, After: named}),
		"walk_rid":            one(Arm{Filter: filter("Task", status), Keys: rids, Walk: true}),
		"walk_rid_after":      page(Page{Arms: []Arm{{Filter: filter("Task", status), Keys: rids, Walk: true}}, After: last[1:]}),
		"walk_updated":        one(Arm{Filter: filter("Task", status), Keys: by("_lastUpdated", true), Walk: true}),
		"walk_updated_after":  page(Page{Arms: []Arm{{Filter: filter("Task", status), Keys: by("_lastUpdated", true), Walk: true}}, After: last}),
		"walk_slot":           one(Arm{Filter: filter("Task", status), Keys: by("authored-on", true), Walk: true}),
		"walk_slot_bounded":   one(Arm{Filter: filter("Task", since), Keys: by("authored-on", true), Walk: true}),
		"walk_slot_before":    page(Page{Arms: []Arm{{Filter: filter("Task", status), Keys: Reverse(by("authored-on", true)), Walk: true}}, After: last}),
		"all_types":           page(Page{Arms: []Arm{{Filter: filter("", tags), Keys: by("_lastUpdated", false)}}, Generation: true}),
		"two_types":           one2(page, filter("Task", tags), filter("Observation", tags), by("_lastUpdated", true)),
		"links":               page(Page{Arms: []Arm{{Filter: Filter{Type: "Task", RIDs: [][]int64{{1, 2}}}, Keys: rids}}, Links: []int64{s.Salt(w.params["subject"])}, Bodies: true, Generation: true}),
		"count":               (&Count{Arms: []Arm{{Filter: filter("Task", status)}, {Filter: filter("Observation", tags)}}, Limit: 1001}).Statement(testTables),
		"ids":                 (&IDs{Arm: Arm{Filter: filter("Patient", tags)}, After: new(int64), Limit: 2000}).Statement(testTables),
		"pointing":            (&Pointing{Arm: Arm{Filter: filter("Task", status)}, Salts: []int64{s.Salt(w.params["subject"])}, Limit: 2000}).Statement(testTables),
		"pointing_among":      (&Pointing{Arm: Arm{Filter: Filter{Type: "Task", Any: [][]int64{Salted(5, []int64{1, 2})}}}, Salts: []int64{5, 6}, Among: []int64{1, 2}}).Statement(testTables),
	} {
		golden(t, file, statement)
	}
}

func one2(page func(Page) Statement, a, b Filter, keys []Key) Statement {
	return page(Page{Arms: []Arm{{Filter: a, Keys: keys, Walk: true}, {Filter: b, Keys: keys}}})
}

func golden(t *testing.T, name string, s Statement) {
	t.Helper()
	got := s.SQL + "\n"
	for i, arg := range s.Args {
		got += fmt.Sprintf("-- $%d: %q\n", i+1, arg)
	}
	file := filepath.Join("testdata", name+".sql")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the statement is\n%s\nwant\n%s", file, got, want)
	}
}

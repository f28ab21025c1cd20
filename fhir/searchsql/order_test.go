package searchsql

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// sortValue says by the index alone what a resource is put in order by: a number
// or a text, and whether there is one.
func sortValue(ix *search.Index, o search.Order) (number float64, text string, ok bool) {
	switch o.Param.Code {
	case "_id":
		return 0, ix.Key.ID, true
	case "_lastUpdated":
		return float64(ix.Updated.UnixMicro()), "", true
	}
	for _, e := range ix.Entries {
		if e.Param.Code != o.Param.Code {
			continue
		}
		n, s := 0.0, ""
		switch v := e.Value.(type) {
		case search.Range:
			n = v.Lo
		case search.Quantity:
			n = v.Lo
			if v.Base != "" {
				n = v.Canonical.Lo
			}
		case search.String:
			s = v.Folded
		case search.Token:
			s = v.Code
			if s == "" {
				s = " "
			}
		case search.URI:
			s = v.Text
		}
		if c := cmp.Or(cmp.Compare(n, number), strings.Compare(s, text)); !ok || c < 0 != o.Descending {
			number, text = n, s
		}
		ok = true
	}
	return number, text, ok
}

// expected returns the ids of all in order.
func (b *table) expected(orders []search.Order) []string {
	all := slices.Clone(b.all)
	slices.SortFunc(all, func(x, y *search.Index) int {
		for _, o := range orders {
			xn, xs, xok := sortValue(x, o)
			yn, ys, yok := sortValue(y, o)
			if xok != yok {
				if xok {
					return -1
				}
				return 1
			}
			if c := cmp.Or(cmp.Compare(xn, yn), strings.Compare(xs, ys)); c != 0 {
				if o.Descending {
					return -c
				}
				return c
			}
		}
		c := cmp.Compare(b.secret.RID(x.Key), b.secret.RID(y.Key))
		if len(orders) > 0 && orders[0].Descending {
			return -c
		}
		return c
	})
	ids := make([]string, len(all))
	for i, ix := range all {
		ids[i] = ix.Key.ID
	}
	return ids
}

func (w *world) orders() []search.Order {
	var orders []search.Order
	for range w.IntN(4) {
		code := pick(w, "_id", "_lastUpdated", "authored-on", "authored-on", "date", "name", "number", "quantity", "code", "url", "bare")
		p := w.params[code]
		if p == nil {
			p = &search.Param{Code: code, Base: "Resource"}
		}
		orders = append(orders, search.Order{Param: p, Descending: w.IntN(2) == 0})
	}
	return orders
}

// TestPages goes through all resources page by page, there and back, by many
// orders and both paths.
func TestPages(t *testing.T) {
	t.Parallel()
	w, b := newWorld(3), newTable(t)
	for i := range 50 {
		b.add(t, w.index(i), nil)
	}
	for n := range 200 {
		orders := w.orders()
		want := b.expected(orders)
		p := &Page{Limit: 1 + w.IntN(12), Generation: true, Arms: []Arm{{
			Filter: b.secret.Filter(Scope{Type: "Task", Tables: b.tables}, nil),
			Keys:   Order(orders, func(code string) *search.Param { return w.params[code] }),
			Walk:   n%2 == 0,
		}}}
		forward := b.through(t, p)
		if got := ids(forward); !slices.Equal(got, want) {
			t.Fatalf("%+v: the order is %v, want %v", orders, got, want)
		}
		for i := 1; i < len(forward); i++ {
			if Compare(p.Arms[0].Keys, forward[i-1].values, forward[i].values) >= 0 {
				t.Fatalf("%+v: %v does not come before %v", orders, forward[i-1].values, forward[i].values)
			}
		}
		p.Arms[0].Keys = Reverse(p.Arms[0].Keys)
		at := w.IntN(len(want))
		p.After = forward[at].values
		got := ids(b.through(t, p))
		slices.Reverse(got)
		if !slices.Equal(got, want[:at]) {
			t.Fatalf("%+v: before %s are %v, want %v", orders, want[at], got, want[:at])
		}
	}
}

// through returns all rows from p.After on, page by page.
func (b *table) through(t *testing.T, p *Page) []row {
	t.Helper()
	var all []row
	for {
		rows := b.page(t, p)
		all = append(all, rows...)
		if len(rows) < p.Limit {
			p.After = nil
			return all
		}
		p.After = overTheWire(t, rows[len(rows)-1].values)
	}
}

// overTheWire returns values as a page link brings them back.
func overTheWire(t *testing.T, values []Value) []Value {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var back []Value
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func ids(rows []row) []string {
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = r.id
	}
	return all
}

// TestBoundedWalks holds walks of a slot that is bounded, early values included,
// against all rows.
func TestBoundedWalks(t *testing.T) {
	t.Parallel()
	w, b := newWorld(4), newTable(t)
	for i := range 60 {
		b.add(t, w.index(i), nil)
	}
	for range 150 {
		slot := pick(w, "authored-on", "_lastUpdated")
		var c search.Condition = &search.Test{Param: w.params["authored-on"], Values: []search.Asked{w.ask(w.params["authored-on"], 0)}}
		order := search.Order{Param: w.params["authored-on"], Descending: w.IntN(2) == 0}
		if slot == "_lastUpdated" {
			c = search.Updated{Values: []search.Asked{search.AskedRange{Prefix: w.prefix(), Range: search.Range{Lo: 1_704_067_200_001_000, Hi: 1_704_067_200_002_000}}}}
			order.Param = &search.Param{Code: "_lastUpdated", Base: "Resource"}
		}
		var want []string
		for _, id := range b.expected([]search.Order{order}) {
			i := slices.IndexFunc(b.all, func(ix *search.Index) bool { return ix.Key.ID == id })
			if search.Match(c, b.all[i], nil) {
				want = append(want, id)
			}
		}
		p := &Page{Limit: 3, Arms: []Arm{{
			Filter: b.secret.Filter(Scope{Type: "Task", Tables: b.tables}, []search.Condition{c}),
			Keys:   Order([]search.Order{order}, func(code string) *search.Param { return w.params[code] }),
			Walk:   true,
		}}}
		if got := ids(b.through(t, p)); !slices.Equal(got, want) {
			s, _ := p.Statement(b.tables)
			t.Fatalf("%s by %+v: %v, want %v\n%s", describe(c), order, got, want, s.SQL)
		}
		p.Arms[0].Keys = Reverse(p.Arms[0].Keys)
		slices.Reverse(want)
		if got := ids(b.through(t, p)); !slices.Equal(got, want) {
			t.Fatalf("%s by %+v backwards: %v, want %v", describe(c), order, got, want)
		}
	}
}

// TestSeveralTypes puts rows of several types into one order, by a parameter that
// one of them keeps in a slot and another does not have.
func TestSeveralTypes(t *testing.T) {
	t.Parallel()
	w, b := newWorld(5), newTable(t)
	date := &search.Param{Code: "authored-on", Type: search.DateType, Base: "Group", Position: 2}
	var orderable []*search.Index
	for i := range 30 {
		ix := w.index(i)
		switch i % 3 {
		case 1:
			ix = &search.Index{Key: fhir.Key{Type: "Group", ID: "g" + strconv.Itoa(i)}, Updated: ix.Updated, Entries: []search.Entry{{Param: date, Value: w.period()}}}
		case 2:
			ix = &search.Index{Key: fhir.Key{Type: "Patient", ID: "p" + strconv.Itoa(i)}, Updated: ix.Updated}
		}
		b.add(t, ix, nil)
		orderable = append(orderable, ix)
	}
	for _, descending := range []bool{false, true} {
		orders := []search.Order{{Param: w.params["authored-on"], Descending: descending}}
		p := &Page{Limit: 7}
		for _, typ := range []string{"Task", "Group", "Patient"} {
			p.Arms = append(p.Arms, Arm{
				Filter: b.secret.Filter(Scope{Type: typ, Tables: b.tables}, nil),
				Walk:   true,
				Keys: Order(orders, func(code string) *search.Param {
					return map[string]*search.Param{"Task": w.params[code], "Group": date}[typ]
				}),
			})
		}
		if got, want := ids(b.through(t, p)), b.expected(orders); !slices.Equal(got, want) {
			t.Errorf("descending %t: %v, want %v", descending, got, want)
		}
	}
	if len(orderable) != 30 {
		t.Error("too few")
	}
}

// TestName puts patients in the order of their main name, which has an index, and
// of both their names.
func TestName(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	family := &search.Param{Code: "family", Type: search.StringType, Base: "Patient", Position: 4}
	long := strings.Repeat("ü", 100)
	for i, names := range [][]string{{"Bo", "Anna"}, {"Öster"}, {}, {long + "b"}, {long + "a", "Zoe"}, {"anna"}} {
		ix := &search.Index{Key: fhir.Key{Type: "Patient", ID: strconv.Itoa(i)}}
		for _, n := range names {
			ix.Entries = append(ix.Entries, search.Entry{Param: family, Value: search.String{Text: n, Folded: search.Fold(n)}})
		}
		b.add(t, ix, nil)
	}
	for _, descending := range []bool{false, true} {
		orders := []search.Order{{Param: family, Descending: descending}}
		p := &Page{Limit: 2, Arms: []Arm{{Filter: Filter{Type: "Patient"}, Keys: Order(orders, func(string) *search.Param { return family }), Walk: true}}}
		if walks := p.Arms[0].walks(); walks == descending {
			t.Errorf("descending %t walks: %t", descending, walks)
		}
		got := ids(b.through(t, p))
		first := map[bool][]string{false: {"0", "5"}, true: {"4", "3"}}[descending]
		slices.Sort(got[:2])
		slices.Sort(first)
		if !slices.Equal(got[:2], first) || got[5] != "2" {
			t.Errorf("descending %t: %v", descending, got)
		}
	}
}

// TestNumbersInOrder holds the texts of numbers against the numbers.
func TestNumbersInOrder(t *testing.T) {
	t.Parallel()
	numbers := []float64{math.Inf(-1), -math.MaxFloat64, -1e15, -1.5, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 0.1, 1, 1e15, math.MaxFloat64, math.Inf(1)}
	last := ""
	for _, n := range numbers {
		text := string(appendNumber(nil, n))
		if text <= last {
			t.Errorf("%g is %s, which does not come behind %s", n, text, last)
		}
		if back, ok := (Value{Text: text}).number(); !ok || back != n {
			t.Errorf("%g comes back as %g", n, back)
		}
		last = text
	}
	if zero := string(appendNumber(nil, math.Copysign(0, -1))); zero != string(appendNumber(nil, 0)) {
		t.Errorf("-0 is %s", zero)
	}
}

// TestForeignPositions refuses values that no page gave away.
func TestForeignPositions(t *testing.T) {
	t.Parallel()
	w := newWorld(6)
	keys := Order([]search.Order{{Param: w.params["authored-on"]}, {Param: w.params["name"]}}, func(code string) *search.Param { return w.params[code] })
	date := string(appendNumber(nil, 1))
	for name, values := range map[string][]Value{
		"too few":         {{Text: date}, {Text: "x"}},
		"no time":         {{Text: "x"}, {Text: "x"}, {Text: "1"}},
		"no RID":          {{Text: date}, {Text: "x"}, {Text: "1;"}},
		"a missing RID":   {{Text: date}, {Text: "x"}, {Missing: true}},
		"an injected RID": {{Text: date}, {Text: "x"}, {Text: "0) OR true --"}},
	} {
		p := &Page{Limit: 1, After: values, Arms: []Arm{{Filter: Filter{Type: "Task"}, Keys: keys}}}
		if _, err := p.Statement(testTables); fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package searchsql

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// FuzzNoText asks questions full of marked text, and looks for the mark in the
// statements.
func FuzzNoText(f *testing.F) {
	f.Add(uint64(1), "' OR '1'='1", "x")
	f.Add(uint64(2), "$1", `E'\x1f'`)
	f.Add(uint64(3), "\x00", "ü\x1f")
	f.Fuzz(func(t *testing.T, seed uint64, a, b string) {
		const mark = "zqmarkqz"
		a, b = mark+a, b+mark
		w, s := newWorld(seed), testSecret(t)
		token := search.AskedToken{System: a, Code: b, AnySystem: seed%3 == 0, AnyCode: seed%5 == 0, Text: a, Kind: &search.AskedToken{System: a, Code: b}}
		quantity := search.AskedQuantity{AskedRange: search.AskedRange{Prefix: w.prefix(), Range: w.number()}, System: a, Code: b}
		asked := map[search.Type]search.Asked{
			search.TokenType:     token,
			search.StringType:    search.AskedString{Text: a, Folded: search.Fold(a)},
			search.URIType:       search.AskedURI{Text: a, Version: b},
			search.ReferenceType: search.AskedReference{URL: a, Version: b, Keys: []fhir.Key{{Type: "Patient", ID: a}}},
			search.QuantityType:  quantity,
			search.DateType:      quantity.AskedRange,
			search.NumberType:    quantity.AskedRange,
		}
		var where []search.Condition
		for _, code := range w.codes() {
			p := w.params[code]
			value, ok := asked[p.Type]
			if !ok {
				all := search.AskedComposite{}
				for _, part := range p.Parts {
					all = append(all, asked[part.Param.Type])
				}
				value = all
			}
			test := &search.Test{Param: p, Modifier: w.modifier(p), Values: []search.Asked{value}, Name: a}
			if test.Modifier == search.Identifier {
				test.Values[0] = search.AskedReference{Token: &token}
			}
			where = append(where, test, search.Or{test, search.IDs{a, b}}, search.Not{Condition: test})
		}
		where = append(where, &search.Words{Alternatives: [][]string{{a, b}}, Name: a})
		rand.New(w.Rand).Shuffle(len(where), func(i, j int) { where[i], where[j] = where[j], where[i] })
		orders := w.orders()
		p := w.somePage(s.Filter(Scope{Type: "Task", Tables: testTables}, where))
		p.Arms[0].Keys = Order(orders, func(code string) *search.Param { return w.params[code] })
		for range p.Arms[0].Keys {
			p.After = append(p.After, Value{Text: a})
		}
		check := func(statement Statement) {
			if strings.Contains(statement.SQL, mark) {
				t.Errorf("text of a client stands in %s", statement.SQL)
			}
		}
		if _, err := p.Statement(testTables); err == nil {
			t.Error("a position with text for an RID is taken")
		}
		p.After[len(orders)].Text = "7"
		for i, k := range p.Arms[0].Keys {
			if k.isTime() {
				p.After[i].Text = string(appendNumber(nil, 5))
			}
		}
		statement, err := p.Statement(testTables)
		if err != nil {
			t.Fatal(err)
		}
		check(statement)
		check((&Count{Arms: p.Arms}).Statement(testTables))
		check((&IDs{Arm: p.Arms[0]}).Statement(testTables))
		check((&Pointing{Arm: p.Arms[0], Salts: []int64{1}}).Statement(testTables))
	})
}

package searchsql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// ask returns what may be asked of p.
func (w *world) ask(p *search.Param, m search.Modifier) search.Asked {
	switch p.Type {
	case search.TokenType:
		return w.askToken(p, m)
	case search.StringType:
		s := w.words()
		if runes := []rune(s); w.IntN(2) == 0 {
			s = string(runes[:1+w.IntN(len(runes))])
		}
		return search.AskedString{Text: s, Folded: search.Fold(s)}
	case search.DateType:
		return search.AskedRange{Prefix: w.prefix(), Range: w.day()}
	case search.NumberType:
		return search.AskedRange{Prefix: w.prefix(), Range: w.askNumber()}
	case search.QuantityType:
		return w.askQuantity()
	case search.URIType:
		s := w.uri()
		if m == search.Below || m == search.Above {
			s = s[:1+w.IntN(len(s))]
		}
		return search.AskedURI{Text: s, Version: w.version()}
	case search.ReferenceType:
		return w.askReference(p, m)
	}
	all := search.AskedComposite{}
	for _, part := range p.Parts {
		all = append(all, w.ask(part.Param, search.Plain))
	}
	return all
}

func (w *world) askToken(p *search.Param, m search.Modifier) search.Asked {
	a := search.AskedToken{Code: w.rawCode()}
	switch {
	case m == search.Text:
		return search.AskedToken{Text: search.Fold(w.words())}
	case m == search.OfType:
		a.AnySystem = true
		a.Kind = &search.AskedToken{System: pick(w, "urn:a", sensitive), Code: w.rawCode()}
		return a
	case p.Contact:
		a.Code = search.FoldContact(pick(w, "12345", "a@B.c"))
	case p.Code == "mime":
		a.Code = pick(w, "text/xml", "TEXT/xml", "text/xml;charset=utf-8")
	}
	switch w.IntN(4) {
	case 0:
		a.System = pick(w, "", "urn:a", sensitive, p.System)
	case 1:
		a.System, a.Code, a.AnyCode = pick(w, "urn:a", sensitive, "home", "urn:ietf:bcp:13"), "", true
	default:
		a.AnySystem = true
	}
	return a
}

func (w *world) prefix() search.Prefix {
	return pick(w, search.Equal, search.NotEqual, search.Greater, search.Less, search.GreaterOrEqual, search.LessOrEqual, search.StartsAfter, search.EndsBefore, search.Approximately)
}

func (w *world) askNumber() search.Range {
	v := pick(w, -1, 0, 0.1, 1, 1.5, 2, 2.5, 3)
	if w.IntN(2) == 0 {
		return search.Range{Lo: v, Hi: v}
	}
	return search.Range{Lo: v, Hi: v + pick(w, 0.5, 1.0)}
}

func (w *world) askQuantity() search.Asked {
	a := search.AskedQuantity{AskedRange: search.AskedRange{Prefix: w.prefix(), Range: w.askNumber()}}
	switch w.IntN(5) {
	case 0:
		a.Code = pick(w, "mg", "g", "Milligramm")
	case 1:
		a.System, a.Code = pick(w, "urn:u", "urn:v"), pick(w, "mg", "g")
	case 2:
		a.System = pick(w, "urn:u", "urn:v")
	case 3:
		a.System, a.Code, a.Base, a.Canonical = "http://unitsofmeasure.org", "g", "g", a.Range
	}
	return a
}

func (w *world) askReference(p *search.Param, m search.Modifier) search.Asked {
	switch {
	case m == search.Identifier:
		a := w.askToken(w.params["code"], search.Plain).(search.AskedToken)
		return search.AskedReference{Token: &a}
	case p.Canonical:
		return search.AskedReference{URL: w.uri(), Version: w.version()}
	case w.IntN(3) == 0:
		return search.AskedReference{URL: w.uri()}
	}
	k := w.key()
	if w.IntN(2) == 0 {
		return search.AskedReference{Keys: []fhir.Key{{Type: "Patient", ID: k.ID}, {Type: "Group", ID: k.ID}}}
	}
	return search.AskedReference{Keys: []fhir.Key{k}}
}

// modifier returns one that p may have.
func (w *world) modifier(p *search.Param) search.Modifier {
	all := []search.Modifier{search.Plain, search.Plain, search.Plain}
	switch p.Type {
	case search.TokenType:
		all = append(all, search.Text, search.OfType, search.Differs)
		if p.Bare {
			all = []search.Modifier{search.Plain, search.Below}
		}
	case search.StringType:
		all = append(all, search.Exact, search.Contains, search.Whole, search.Ends, search.Differs)
	case search.ReferenceType:
		all = append(all, search.Identifier, search.Differs)
		if p.Canonical {
			all = []search.Modifier{search.Plain, search.Below}
		}
	case search.URIType:
		all = append(all, search.Above, search.Below, search.Differs)
	case search.CompositeType:
		all = append(all, search.Differs)
	}
	return pick(w, all...)
}

// condition returns a question that is at most so deep.
func (w *world) condition(depth int) search.Condition {
	if depth > 0 {
		switch w.IntN(6) {
		case 0:
			return search.And{w.condition(depth - 1), w.condition(depth - 1)}
		case 1:
			return search.Or{w.condition(depth - 1), w.condition(depth - 1)}
		case 2:
			return search.Not{Condition: w.condition(depth - 1)}
		}
	}
	switch w.IntN(25) {
	case 0:
		return search.IDs{"1", "7", "none"}
	case 1:
		start := float64(1_704_067_200_000_000 + w.IntN(4)*1000 - w.IntN(2)*500)
		return search.Updated{Values: []search.Asked{search.AskedRange{Prefix: w.prefix(), Range: search.Range{Lo: start, Hi: start + pick(w, 1000.0, 2000, 86400e6)}}}}
	case 2:
		return &search.Words{Alternatives: [][]string{{pick(w, wordList...)}, {pick(w, wordList...), pick(w, wordList...)}}}
	}
	p := w.params[pick(w, w.codes()...)]
	return w.test(p)
}

var wordList = strings.Fields("alpha beta gamma delta epsilon")

func (w *world) test(p *search.Param) search.Condition {
	if w.IntN(8) == 0 {
		return &search.Test{Param: p, Modifier: search.Missing, Missing: w.IntN(2) == 0}
	}
	t := &search.Test{Param: p, Modifier: w.modifier(p)}
	for range 1 + w.IntN(2) {
		t.Values = append(t.Values, w.ask(p, t.Modifier))
	}
	return t
}

// isHot reports whether SQL alone must decide a test.
func isHot(t *search.Test) bool {
	switch t.Modifier {
	case search.Text, search.Contains, search.Ends, search.Whole, search.Differs, search.Below, search.Above:
		return false
	}
	return !slices.ContainsFunc(t.Values, func(a search.Asked) bool { return !isHotValue(t.Param, a) })
}

func isHotValue(p *search.Param, a search.Asked) bool {
	switch a := a.(type) {
	case search.AskedString:
		return len([]rune(a.Folded)) <= maxPrefix
	case search.AskedQuantity:
		return a.System == "" || a.Code != ""
	case search.AskedToken:
		return a.Code != "İ" // whose lower case has two letters
	case search.AskedReference:
		return a.Token == nil || isHotValue(p, *a.Token)
	case search.AskedComposite:
		for _, part := range a {
			if t, ok := part.(search.AskedToken); ok && t.AnyCode || !isHotValue(p, part) {
				return false
			}
		}
		return len(a) == 2 && p.Parts[0].Param.Type != search.URIType
	}
	return true
}

// TestExact holds what SQL finds against search.Match.
func TestExact(t *testing.T) {
	t.Parallel()
	w, b := newWorld(1), newTable(t)
	for i := range 150 {
		words := slices.Clone(wordList[:w.IntN(len(wordList))])
		slices.Sort(words)
		if i%10 == 0 {
			words = nil
		}
		b.add(t, w.index(i), words)
	}
	deleted := &search.Index{Key: fhir.Key{Type: "Task", ID: "gone"}, Updated: time.Now()}
	b.add(t, deleted, nil)
	if _, err := b.Exec("UPDATE res SET deleted = true WHERE id = 'gone'; ANALYZE"); err != nil {
		t.Fatal(err)
	}
	b.all, b.words = b.all[:150], b.words[:150]
	found, exact := 0, 0
	for n := range 3000 {
		c := w.condition(n % 3)
		f := b.secret.Filter(Scope{Type: "Task", Tables: b.tables}, []search.Condition{c})
		if test, ok := c.(*search.Test); ok && isHot(test) && f.Check != nil {
			t.Errorf("%s is left to be checked", describe(c))
		}
		if f.Check == nil {
			exact++
		}
		found += w.compare(t, b, c, f)
	}
	t.Logf("%d of 3000 are exact; %d resources found", exact, found)
	if exact < 1500 || found < 10000 {
		t.Error("too little is compared")
	}
}

// compare runs f along some path and returns how many resources it found.
func (w *world) compare(t *testing.T, b *table, c search.Condition, f Filter) int {
	t.Helper()
	p := w.somePage(f)
	found := map[string]bool{}
	for _, r := range b.page(t, p) {
		found[r.id] = true
	}
	n := 0
	for i, ix := range b.all {
		want := search.Match(c, ix, document(b.words[i]))
		got := found[ix.Key.ID]
		if got {
			n++
			delete(found, ix.Key.ID)
		}
		if got && f.Check != nil {
			got = search.Match(f.Check, ix, document(b.words[i]))
		}
		if got != want {
			s, err := p.Statement(b.tables)
			t.Fatalf("%s: SQL says %t, Match %t for %+v (%v)\n%s %v", describe(c), got, want, ix.Entries, err, s.SQL, s.Args)
		}
	}
	if len(found) > 0 {
		t.Fatalf("%s found what is not there: %v", describe(c), found)
	}
	return n
}

// somePage asks for all of f in some way.
func (w *world) somePage(f Filter) *Page {
	orders := [][]search.Order{nil, {{Param: &search.Param{Code: "_lastUpdated"}}}, {{Param: w.params["authored-on"], Descending: w.IntN(2) == 0}}, {{Param: w.params["name"]}}}
	a := Arm{Filter: f, Keys: Order(pick(w, orders...), func(code string) *search.Param { return w.params[code] }), Walk: w.IntN(2) == 0}
	if w.IntN(2) == 0 {
		a.Scan = Scan{All: make([]bool, len(f.All)), Any: make([]bool, len(f.Any)), Where: make([]bool, len(f.Where))}
		for i := range len(f.All) + len(f.Any) + len(f.Where) {
			if w.IntN(2) == 0 {
				a.Scan.Mark(i)
			}
		}
	}
	return &Page{Arms: []Arm{a}, Limit: 1000, Bodies: w.IntN(2) == 0, Generation: w.IntN(2) == 0}
}

// TestCount holds counts, lists of RIDs and pages against each other.
func TestCount(t *testing.T) {
	t.Parallel()
	w, b := newWorld(2), newTable(t)
	for i := range 60 {
		b.add(t, w.index(i), nil)
	}
	for range 200 {
		c := w.condition(1)
		f := b.secret.Filter(Scope{Type: "Task", Tables: b.tables}, []search.Condition{c})
		p := w.somePage(f)
		want := len(b.page(t, p))
		s := (&Count{Arms: []Arm{p.Arms[0]}}).Statement(b.tables)
		var n int
		if err := b.QueryRow(s.SQL, s.Args...).Scan(&n); err != nil {
			t.Fatalf("%v\n%s", err, s.SQL)
		}
		if n != want {
			t.Errorf("%s: %d rows are counted, %d found", describe(c), n, want)
		}
		if n := len(b.numbers(t, (&IDs{Arm: p.Arms[0]}).Statement(b.tables))); n != want {
			t.Errorf("%s: %d RIDs, %d rows", describe(c), n, want)
		}
	}
}

// numbers runs a statement for numbers.
func (b *table) numbers(t testing.TB, s Statement) []int64 {
	t.Helper()
	rows, err := b.Query(s.SQL, s.Args...)
	if err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, s.SQL))
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

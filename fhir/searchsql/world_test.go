package searchsql

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// sensitive is a code system whose codes differ by case.
const sensitive = "http://hl7.org/fhir/task-status"

// A world makes values and questions out of few words, so that they often meet.
type world struct {
	*rand.Rand
	params map[string]*search.Param
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), params: map[string]*search.Param{}}
	part := func(typ search.Type) search.Part {
		return search.Part{Param: &search.Param{Code: "part", Type: typ, Base: "Task"}}
	}
	for i, p := range []search.Param{
		{Code: "_tag", Type: search.TokenType, Base: "Resource"},
		{Code: "authored-on", Type: search.DateType},
		{Code: "bare", Type: search.TokenType, Bare: true, System: sensitive},
		{Code: "canonical", Type: search.ReferenceType, Canonical: true},
		{Code: "code", Type: search.TokenType},
		{Code: "contact", Type: search.TokenType, Contact: true},
		{Code: "date", Type: search.DateType},
		{Code: "mime", Type: search.TokenType, Bare: true, System: "urn:ietf:bcp:13"},
		{Code: "name", Type: search.StringType},
		{Code: "number", Type: search.NumberType},
		{Code: "pair-date", Type: search.CompositeType, Parts: []search.Part{part(search.TokenType), part(search.DateType)}},
		{Code: "pair-number", Type: search.CompositeType, Parts: []search.Part{part(search.TokenType), part(search.NumberType), part(search.NumberType)}},
		{Code: "pair-quantity", Type: search.CompositeType, Parts: []search.Part{part(search.TokenType), part(search.QuantityType)}},
		{Code: "pair-reference", Type: search.CompositeType, Parts: []search.Part{part(search.ReferenceType), part(search.TokenType)}},
		{Code: "pair-string", Type: search.CompositeType, Parts: []search.Part{part(search.TokenType), part(search.StringType)}},
		{Code: "pair-token", Type: search.CompositeType, Parts: []search.Part{part(search.TokenType), part(search.TokenType)}},
		{Code: "pair-uri", Type: search.CompositeType, Parts: []search.Part{part(search.URIType), part(search.TokenType)}},
		{Code: "quantity", Type: search.QuantityType},
		{Code: "subject", Type: search.ReferenceType},
		{Code: "url", Type: search.URIType, Canonical: true},
	} {
		p.Position = i
		if p.Base == "" {
			p.Base = "Task"
		}
		w.params[p.Code] = &p
	}
	return w
}

// codes are those of the parameters, in order of their positions.
func (w *world) codes() []string {
	codes := make([]string, len(w.params))
	for code, p := range w.params {
		codes[p.Position] = code
	}
	return codes
}

func pick[T any](w *world, from ...T) T { return from[w.IntN(len(from))] }

func (w *world) system() string { return pick(w, "", "", "urn:a", "urn:b", sensitive) }

func (w *world) rawCode() string {
	return pick(w, "a", "A", "b", "B", "1", "12", "ä", "Ä", "a b", "İ")
}

func newToken(system, code string) search.Token {
	if search.IsCaseSensitive(system) {
		return search.Token{System: system, Code: code}
	}
	return search.Token{System: system, Code: search.FoldCase(code), Folded: true}
}

func (w *world) words() string {
	return pick(w, "Anna", "Annabella", "annabellarina", "annabellarino", "Bo", "bo derek", "Öster", "oster", "l'a", "Ann", "李小龍", "x")
}

func (w *world) uri() string {
	return pick(w, "http://a.org/fhir", "http://a.org/fhir/", "http://a.org/fhir/V/1", "http://a.org/fhir/V/12", "http://a.org", "urn:x:1", "urn:x:12", "http://b.org/fhir//V", "x/y:/z", "/a/b")
}

func (w *world) version() string { return pick(w, "", "", "1", "1.2", "2") }

func (w *world) key() fhir.Key {
	return fhir.Key{Type: pick(w, "Patient", "Group"), ID: pick(w, "1", "2", "3")}
}

// day returns a date of some length around the changes of the year 2024.
func (w *world) day() search.Range {
	const hour = 3600 * 1e6
	start := float64(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()) + float64(w.IntN(6)-3)*12*hour
	return search.Range{Lo: start, Hi: start + pick(w, hour, 12*hour, 24*hour, 25*hour, 36*hour, 72*hour)}
}

func (w *world) period() search.Range {
	r := w.day()
	switch w.IntN(8) {
	case 0:
		r.Lo = math.Inf(-1)
	case 1:
		r.Hi = math.Inf(1)
	case 2: // so early that Postgres counts before Christ
		r.Lo = float64(time.Date(0, 12, 31, 12, 0, 0, 0, time.UTC).UnixMicro())
	}
	return r
}

func (w *world) number() search.Range {
	v := pick(w, -1, 0, 0.1, 1, 1.5, 2, 2.5, 3)
	switch w.IntN(6) {
	case 0:
		return search.Range{Lo: v, Hi: v + pick(w, 0.5, 1.0, 2.0)}
	case 1:
		return search.Range{Lo: math.Inf(-1), Hi: v}
	case 2:
		return search.Range{Lo: v, Hi: math.Inf(1)}
	}
	return search.Range{Lo: v, Hi: v}
}

// value returns what a resource may have for p.
func (w *world) value(p *search.Param) search.Value {
	switch p.Type {
	case search.TokenType:
		return w.token(p)
	case search.StringType:
		s := w.words()
		return search.String{Text: s, Folded: search.Fold(s)}
	case search.DateType:
		return w.period()
	case search.NumberType:
		return w.number()
	case search.QuantityType:
		return w.quantity()
	case search.URIType:
		return search.URI{Text: w.uri(), Version: w.version()}
	case search.ReferenceType:
		return w.reference(p)
	}
	all := search.Composite{}
	for _, part := range p.Parts {
		all = append(all, w.value(part.Param))
	}
	return all
}

func (w *world) token(p *search.Param) search.Value {
	switch {
	case p.Code == "mime":
		return newToken(p.System, pick(w, "text/xml", "text/xml;charset=utf-8", "text/xml2"))
	case p.Bare:
		return newToken(p.System, w.rawCode())
	case p.Contact:
		return search.Token{System: pick(w, "home", "work", ""), Code: search.FoldContact(pick(w, "123 45", "12-345", "A@b.c")), Folded: true}
	}
	t := newToken(w.system(), w.rawCode())
	if w.IntN(6) == 0 {
		t.Code = ""
	}
	for range w.IntN(3) {
		t.Texts = append(t.Texts, search.Fold(w.words()))
	}
	for range w.IntN(2) {
		t.Kinds = append(t.Kinds, newToken(pick(w, "urn:a", sensitive), w.rawCode()))
	}
	return t
}

func (w *world) quantity() search.Value {
	q := search.Quantity{Range: w.number()}
	switch w.IntN(4) {
	case 0:
		q.Unit = pick(w, "mg", "Milligramm")
	case 1:
		q.System, q.Code, q.Unit = pick(w, "urn:u", "urn:v"), pick(w, "mg", "g"), pick(w, "mg", "")
	case 2:
		q.System, q.Code, q.Base = "http://unitsofmeasure.org", pick(w, "mg", "g"), "g"
		q.Canonical = q.Range
		if q.Code == "mg" {
			q.Canonical = search.Range{Lo: q.Lo / 1000, Hi: q.Hi / 1000}
		}
	}
	return q
}

func (w *world) reference(p *search.Param) search.Value {
	if p.Canonical {
		return search.Reference{URL: w.uri(), Version: w.version()}
	}
	var r search.Reference
	switch w.IntN(4) {
	case 0:
		r.URL = w.uri()
	case 1:
	default:
		r.Key = w.key()
	}
	if w.IntN(3) == 0 || r == (search.Reference{}) {
		t := newToken(w.system(), w.rawCode())
		r.Identifier = &t
	}
	return r
}

// index returns what a Task may be found by.
func (w *world) index(id int) *search.Index {
	ix := &search.Index{Key: fhir.Key{Type: "Task", ID: strconv.Itoa(id)}, Updated: time.UnixMilli(1_704_067_200_000 + int64(w.IntN(3)))}
	for _, code := range w.codes() {
		p := w.params[code]
		n := w.IntN(3)
		if code == "authored-on" {
			n = min(n, 1)
		}
		for range n {
			ix.Entries = append(ix.Entries, search.Entry{Param: p, Value: w.value(p)})
		}
	}
	if w.IntN(2) == 0 {
		ix.Members = []search.Member{{Compartment: w.key()}}
	}
	return ix
}

// A table is a database with resources, and what is known of them.
type table struct {
	*pgtest.Database
	secret Secret
	tables *Tables
	all    []*search.Index
	words  [][]string
}

var testTables = &Tables{Numbers: map[string]int16{"Task": 140, "Patient": 103, "Group": 58, "Observation": 96},
	Parts: map[int16]string{140: "res_task", 103: "res_patient", 96: "res_observation"}, Rest: "res_other"}

func testSecret(t testing.TB) Secret {
	s, err := NewSecret([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newTable(t testing.TB) *table {
	return &table{Database: pgtest.New(t), secret: testSecret(t), tables: testTables}
}

// add stores a resource with what it is found by.
func (b *table) add(t testing.TB, ix *search.Index, words []string) {
	t.Helper()
	r := b.secret.Row(ix, words)
	rid, number := b.secret.RID(ix.Key), b.tables.Numbers[ix.Key.Type]
	var s1 any
	if r.S1 != "" {
		s1 = r.S1
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := b.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO res (rid, type, id, ver, updated, hash, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts)
		VALUES ($1, $2, $3, 2, $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		rid, number, ix.Key.ID, ix.Updated, pq.Array(r.Keys), pq.Array(r.Refs), r.Times[0].Low(), r.Times[0].High(),
		r.Times[1].Low(), r.Times[1].High(), r.Times[2].Low(), r.Times[2].High(), s1, r.Strs, r.Sorts)
	var signature any
	if words != nil {
		signature = r.Words
	}
	exec(`INSERT INTO ver (rid, ver, type, id, op, codec, body, words) VALUES ($1, 2, $2, $3, 'C', 0, $4, $5)`,
		rid, number, ix.Key.ID, []byte("{}"), signature)
	for _, x := range r.Ranges {
		exec(`INSERT INTO rng (grp, lo, hi, rid, ver) VALUES ($1, $2, $3, $4, 2), ($1, 1, 2, $4, 1)`, x.Group, x.Lo, x.Hi, rid)
	}
	b.all, b.words = append(b.all, ix), append(b.words, words)
}

// A row is what a page says of a resource.
type row struct {
	rid    int64
	id     string
	values []Value
	links  [][]int64
}

// page runs a statement of p.
func (b *table) page(t testing.TB, p *Page) []row {
	t.Helper()
	s, err := p.Statement(b.tables)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := b.Query(s.SQL, s.Args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.SQL)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		r := row{values: make([]Value, len(p.Arms[0].Keys)), links: make([][]int64, len(p.Links))}
		var generation, typ, ver, codec int
		var updated time.Time
		var body []byte
		var to []any
		if p.Generation {
			to = append(to, &generation)
		}
		to = append(to, &r.rid, &typ, &r.id, &ver, &updated)
		for i := range r.values {
			to = append(to, &r.values[i])
		}
		for i := range r.links {
			to = append(to, pq.Array(&r.links[i]))
		}
		if p.Bodies {
			to = append(to, &codec, &body)
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatalf("%v\n%s", err, s.SQL)
		}
		if typ != 0 {
			all = append(all, r)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%v\n%s", err, s.SQL)
	}
	return all
}

// A document knows words only.
type document []string

func (d document) Words(bool) []string                           { return d }
func (document) Targets(search.Reference, string) []search.Found { return nil }
func (document) Sources(string, *search.Param) []search.Found    { return nil }
func (document) Listed(string) bool                              { return false }

// describe writes a condition for the eye.
func describe(c search.Condition) string {
	switch c := c.(type) {
	case *search.Test:
		return fmt.Sprintf("%s:%d(missing=%t)=%+v", c.Param.Code, c.Modifier, c.Missing, c.Values)
	case search.Not:
		return "not " + describe(c.Condition)
	case search.And:
		return "and" + describeAll(c)
	case search.Or:
		return "or" + describeAll(c)
	}
	return fmt.Sprintf("%+v", c)
}

func describeAll(all []search.Condition) string {
	s := "("
	for _, c := range all {
		s += describe(c) + ", "
	}
	return s + ")"
}

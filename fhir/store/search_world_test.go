package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// A world is a few resources, made of few words so that what is asked is often
// there, in a database and in memory.
type world struct {
	*rand.Rand
	db    *DB
	docs  map[fhir.Key]*doc
	grant access.Grant // who searches
	gifts []access.Gift

	unsearched map[fhir.Key]bool // what is no match

	// plant changes what a resource is indexed by before it is written; nil does
	// not.
	plant func(*search.Index)
}

// A doc is a resource as search.Match is told of it.
type doc struct {
	world *world
	index *search.Index
	root  fhir.Node
	keys  []access.Key // effective
}

func newWorld(db *DB, seed uint64) *world {
	return &world{Rand: rand.New(rand.NewPCG(seed, 11)), db: db, docs: map[fhir.Key]*doc{}, grant: access.Trusted("test")}
}

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

// maybe returns text most of the time.
func (w *world) maybe(format string, args ...any) string {
	if w.IntN(4) == 0 {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// cleaned removes the commas behind which nothing came.
func cleaned(body string) string {
	return strings.ReplaceAll(strings.ReplaceAll(body, ",}", "}"), ",]", "]")
}

// put writes a resource to the database and to memory.
func (w *world) put(t testing.TB, body string) {
	t.Helper()
	body = cleaned(body)
	r := decoded(t, body)
	k := fhir.Key{Type: r.Type(), ID: r.ID()}
	row, err := w.db.Row(k, Update, r)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	// Who sees it is not a matter of what it says here.
	row.Keys, row.Gifts, row.Allowed, row.own, row.sources = nil, nil, nil, nil, nil
	ix, err := w.db.Registry().Index(r.Root(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if w.plant != nil {
		planted := *ix
		planted.Entries = slices.Clone(ix.Entries)
		w.plant(&planted)
		row.columns = sent(w.db.secret.Row(&planted, search.WordsOf(r.Root(), false)), w.db.Registry().Generation)
	}
	written, err := w.db.Put(t.Context(), row, Anything)
	if err != nil {
		t.Fatal(err)
	}
	ix.Updated = written.Updated
	w.docs[k] = &doc{w, ix, r.Root(), nil}
}

func (w *world) remove(t testing.TB, k fhir.Key) {
	t.Helper()
	if _, err := w.db.Delete(t.Context(), k, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	delete(w.docs, k)
}

func (d *doc) Words(narrative bool) []string { return search.WordsOf(d.root, narrative) }

func (d *doc) Targets(ref search.Reference, typ string) []search.Found {
	var all []search.Found
	for _, other := range d.world.docs {
		if other.index.Key.Type == typ && other.isTarget(ref) {
			all = append(all, search.Found{Index: other.index, Document: other})
		}
	}
	return all
}

// isTarget reports whether ref points to d.
func (d *doc) isTarget(ref search.Reference) bool {
	if ref.Key.ID != "" {
		return ref.Key == d.index.Key
	}
	url, version := d.root.Child("url").Text(), d.root.Child("version").Text()
	return ref.URL != "" && ref.URL == url && (ref.Version == "" || ref.Version == version)
}

func (d *doc) Sources(typ string, p *search.Param) []search.Found {
	var all []search.Found
	for _, other := range d.world.docs {
		if other.index.Key.Type == typ && other.refersTo(d, p.Code) {
			all = append(all, search.Found{Index: other.index, Document: other})
		}
	}
	return all
}

// refersTo reports whether d has a reference to other; an empty code is any.
func (d *doc) refersTo(other *doc, code string) bool {
	return slices.ContainsFunc(d.index.Entries, func(e search.Entry) bool {
		ref, ok := e.Value.(search.Reference)
		return ok && e.Param.Type == search.ReferenceType && (code == "" || e.Param.Code == code) && other.isTarget(ref)
	})
}

func (d *doc) Listed(id string) bool {
	list := d.world.docs[fhir.Key{Type: "List", ID: id}]
	return list != nil && list.refersTo(d, "item")
}

// matches returns what a search finds by going through everything, in order.
func (w *world) matches(q *search.Query) []*doc {
	var all []*doc
	for k, d := range w.docs {
		member := !w.unsearched[k] && (q.Within == nil || slices.ContainsFunc(d.index.Members, func(m search.Member) bool { return m.Compartment == *q.Within }))
		if member && (len(q.Types) == 0 || slices.Contains(q.Types, d.index.Key.Type)) && search.Match(search.And(q.Where), d.index, d) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *doc) int {
		tie := cmp.Compare(w.db.secret.RID(a.index.Key), w.db.secret.RID(b.index.Key))
		if len(q.Sort) > 0 && q.Sort[0].Descending {
			tie = -tie
		}
		return cmp.Or(search.Compare(a.index, b.index, q.Sort), tie)
	})
	return all
}

func keysOf(docs []*doc) []string {
	keys := make([]string, len(docs))
	for i, d := range docs {
		keys[i] = d.index.Key.String()
	}
	return keys
}

func (w *world) id(typ string) string {
	n := map[string]int{"Patient": 14, "Practitioner": 4, "Organization": 4, "Questionnaire": 5}[typ]
	return fmt.Sprintf("%s/%s%d", typ, strings.ToLower(typ[:2]), w.IntN(n))
}

func (w *world) date() string {
	return w.pick("2024", "2024-01", "2024-01-31", "2024-02", "2024-02-01", "2024-02-01T10:00:00Z", "2024-02-01T10:00:00.5Z", "2024-02-01T12:00:00+02:00", "2023-12-31T23:30:00-01:00", "1999-07-05")
}

func (w *world) coding() string {
	return fmt.Sprintf(`{%s"code":"%s"%s}`, w.pick(`"system":"http://s1",`, `"system":"http://s2",`, ""), w.pick("a", "b", "B", "c"), w.maybe(`,"display":"%s"`, w.name()))
}

func (w *world) concept() string {
	return fmt.Sprintf(`{"coding":[%s,%s]%s}`, w.coding(), w.coding(), w.maybe(`,"text":"%s"`, w.name()))
}

func (w *world) name() string {
	return w.pick("Müller", "Muller", "Mullersmith-Jones", "Mullersmith", "Åse Berg", "Berg", "O'Neil", "Li", "Headache since monday", "chest pain")
}

func (w *world) identifier() string {
	return fmt.Sprintf(`{%s"value":"%d"%s}`, w.pick(`"system":"http://id",`, `"system":"http://no",`, ""), w.IntN(6), w.maybe(`,"type":{"coding":[{"system":"http://t","code":"%s"}]}`, w.pick("MR", "NI")))
}

func (w *world) quantity() string {
	return w.pick(`{"value":5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}`, `{"value":5000,"unit":"g","system":"http://unitsofmeasure.org","code":"g"}`,
		`{"value":5.4,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}`, `{"value":3,"unit":"tablets"}`, `{"value":140,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}`,
		`{"value":7,"comparator":">","system":"http://unitsofmeasure.org","code":"kg"}`, `{"value":0.005}`)
}

func (w *world) meta() string {
	return w.maybe(`"meta":{"tag":[%s]%s},`, w.coding(), w.maybe(`,"profile":["http://p/%s"]`, w.pick("x", "y")))
}

func (w *world) reference(typ string) string {
	return fmt.Sprintf(`{"reference":"%s"%s}`, w.id(typ), w.maybe(`,"identifier":%s`, w.identifier()))
}

// body returns a random resource of a type.
func (w *world) body(typ string, n int) string {
	head := fmt.Sprintf(`{"resourceType":"%s","id":"%s%d",%s`, typ, strings.ToLower(typ[:2]), n, w.meta())
	switch typ {
	case "Patient":
		return head + w.maybe(`"name":[{"family":"%s","given":["%s","%s"]}],`, w.name(), w.name(), w.name()) + w.maybe(`"birthDate":"%s",`, w.pick("1980", "1980-05", "1980-05-17", "1999-07-05")) +
			w.maybe(`"identifier":[%s,%s],`, w.identifier(), w.identifier()) + w.maybe(`"gender":"%s",`, w.pick("male", "female")) + w.maybe(`"active":%s,`, w.pick("true", "false")) +
			w.maybe(`"managingOrganization":%s,`, w.reference("Organization")) + w.maybe(`"link":[{"other":%s,"type":"seealso"}],`, w.reference("Patient")) +
			w.maybe(`"telecom":[{"system":"phone","value":"%s"}],`, w.pick("123", "+45 123")) + w.maybe(`"address":[{"city":"%s"}],`, w.name()) + "}"
	case "Practitioner", "Organization":
		name := fmt.Sprintf(`"name":"%s",`, w.name())
		if typ == "Practitioner" {
			name = fmt.Sprintf(`"name":[{"family":"%s"}],`, w.name())
		}
		return head + name + w.maybe(`"identifier":[%s],`, w.identifier()) + "}"
	case "Task":
		return head + fmt.Sprintf(`"status":"%s","intent":"order",`, w.pick("requested", "completed", "failed")) + w.maybe(`"priority":"%s",`, w.pick("routine", "asap")) + w.maybe(`"code":%s,`, w.concept()) +
			w.maybe(`"for":%s,`, w.reference("Patient")) + w.maybe(`"owner":%s,`, w.reference(w.pick("Practitioner", "Organization"))) + w.maybe(`"authoredOn":"%s",`, w.date()) +
			w.maybe(`"executionPeriod":{"start":"%s"},`, w.date()) + w.maybe(`"description":"%s",`, w.name()) + "}"
	case "Communication":
		return head + `"status":"completed",` + w.maybe(`"subject":%s,`, w.reference("Patient")) + w.maybe(`"sent":"%s",`, w.date()) + w.maybe(`"received":"%s",`, w.date()) +
			w.maybe(`"recipient":[%s,%s],`, w.reference("Patient"), w.reference("Practitioner")) + w.maybe(`"payload":[{"contentString":"%s"}],`, w.name()) +
			w.maybe(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s</div>"},`, w.name()) + "}"
	case "Observation":
		return head + fmt.Sprintf(`"status":"final","code":%s,`, w.concept()) + w.maybe(`"subject":%s,`, w.reference("Patient")) + w.maybe(`"valueQuantity":%s,`, w.quantity()) +
			w.maybe(`"effectiveDateTime":"%s",`, w.date()) + w.maybe(`"component":[{"code":%s,"valueQuantity":%s},{"code":%s,"valueCodeableConcept":%s}],`, w.concept(), w.quantity(), w.concept(), w.concept()) + "}"
	case "Questionnaire":
		return head + fmt.Sprintf(`"status":"%s","url":"http://q/forms/%s",`, w.pick("active", "draft"), w.pick("a", "a/b", "c")) + w.maybe(`"version":"%s",`, w.pick("1", "2")) + w.maybe(`"title":"%s",`, w.name()) + "}"
	case "QuestionnaireResponse":
		return head + `"status":"completed",` + w.maybe(`"questionnaire":"http://q/forms/%s%s",`, w.pick("a", "a/b", "c"), w.pick("", "|1", "|2")) + w.maybe(`"subject":%s,`, w.reference("Patient")) + w.maybe(`"authored":"%s",`, w.date()) + "}"
	case "RiskAssessment":
		return head + fmt.Sprintf(`"status":"final","subject":%s,`, w.reference("Patient")) + w.maybe(`"prediction":[{"probabilityDecimal":%s},{"probabilityDecimal":%s}],`, w.pick("0.5", "0.51", "1"), w.pick("0.5", "0.2")) + "}"
	case "List":
		return head + fmt.Sprintf(`"status":"current","mode":"working","entry":[{"item":%s},{"item":%s},{"item":{"reference":"Task/ta%d"}}],"subject":%s}`, w.reference("Patient"), w.reference("Patient"), w.IntN(40), w.reference("Patient"))
	}
	panic("no body for " + typ)
}

// fill makes resources of all types.
func (w *world) fill(t testing.TB) {
	t.Helper()
	for _, kind := range []struct {
		typ string
		n   int
	}{{"Practitioner", 4}, {"Organization", 4}, {"Patient", 14}, {"Questionnaire", 5}, {"Task", 40}, {"Communication", 20}, {"Observation", 25}, {"QuestionnaireResponse", 16}, {"RiskAssessment", 6}, {"List", 2}} {
		for n := range kind.n {
			w.put(t, w.body(kind.typ, n))
		}
	}
	w.put(t, w.body("Task", 40))
	w.remove(t, fhir.Key{Type: "Task", ID: "ta40"})
}

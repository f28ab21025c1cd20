package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// prefix returns a comparison before a date or a number.
func (w *world) prefix() string {
	return w.pick("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
}

func (w *world) token() string {
	return w.pick("a", "b", "B", "http://s1|a", "http://s2|", "|a", "http://s1|B", "a,b", "http://s1|a,|c", "zz")
}

func (w *world) text() string {
	return w.pick("mul", "Mullersmith", "mullersmith-j", "berg", "å", "o'n", "headache since", "x")
}

func (w *world) quantityAsked() string {
	return w.prefix() + w.pick("5", "5|http://unitsofmeasure.org|kg", "5000|http://unitsofmeasure.org|g", "5.4||kg", "3||tablets", "140|http://unitsofmeasure.org|mm[Hg]", "6|http://unitsofmeasure.org|kg", "5e0", "0.005")
}

// criterion returns a random name=value for a type.
func (w *world) criterion(typ string) string {
	switch typ {
	case "Patient":
		return w.pick("name=", "family=", "given=", "family:exact=", "name:contains=", "address-city=") + w.pick(w.text(), w.name())
	case "Task":
		return w.pick("status="+w.pick("requested", "completed", "requested,failed"), "status:not=completed", "priority:missing=true", "priority=routine", "code="+w.token(), "code:text="+w.text(), "code:not="+w.token(),
			"patient="+w.id("Patient"), "owner="+w.id("Practitioner"), "owner:Organization="+strings.TrimPrefix(w.id("Organization"), "Organization/"), "subject:identifier=http://id|"+w.pick("1", "2"),
			"authored-on="+w.prefix()+w.date(), "period="+w.prefix()+w.date(), "authored-on:missing="+w.pick("true", "false"), "patient.name="+w.text(), "patient.organization.name="+w.text(),
			"owner:Practitioner.family="+w.text(), "owner.identifier="+w.pick("1", "http://id|2"), "patient:Patient._has:Observation:patient:code="+w.token(), "patient.birthdate="+w.prefix()+"1980-05")
	case "Communication":
		return w.pick("sent="+w.prefix()+w.date(), "received="+w.prefix()+w.date(), "subject="+w.id("Patient"), "recipient="+w.id("Patient"), "_text="+w.pick("headache", "berg", "pain"), "_content="+w.pick("chest", "li", "monday"),
			"subject:missing=true", "recipient:Patient.gender=male", "recipient.family="+w.text(), "sent=ge2024-01-15&sent=lt2024-02-15")
	case "Observation":
		return w.pick("code="+w.token(), "value-quantity="+w.quantityAsked(), "component-value-quantity="+w.quantityAsked(), "code-value-quantity="+w.pick("a", "http://s1|a", "b")+"$"+w.quantityAsked(),
			"component-code-value-quantity="+w.pick("a", "http://s1|a", "b", "c")+"$"+w.pick("gt1", "lt10", "5||kg"), "code-value-quantity="+w.pick("a", "b", "c")+"$"+w.pick("gt1", "lt10000", "ge5000"),
			"component-code-value-concept="+w.pick("a", "http://s1|a", "b", "|c")+"$"+w.pick("a", "http://s1|a"), "date="+w.prefix()+w.date(), "combo-value-quantity="+w.quantityAsked(), "patient.active=true", "value-quantity:missing=true", "_tag="+w.token(), "code:text="+w.text())
	case "Questionnaire":
		return w.pick("url=http://q/forms/a", "url:below=http://q/forms/a", "url:above=http://q/forms/a/b", "url=http://q/forms/a|1", "title="+w.text(), "_has:QuestionnaireResponse:questionnaire:patient="+w.id("Patient"), "version=1", "url:missing=false")
	case "QuestionnaireResponse":
		return w.pick("questionnaire=http://q/forms/a", "questionnaire=http://q/forms/a|1", "questionnaire.title="+w.text(), "questionnaire.status=active", "authored="+w.prefix()+w.date(), "subject:Patient.name="+w.text())
	case "RiskAssessment":
		return w.pick("probability="+w.prefix()+w.pick("0.5", "0.50", "1", "0.2"), "probability:missing=true", "patient="+w.id("Patient"))
	}
	return w.pick("_tag="+w.token(), "_profile=http://p/x", "_lastUpdated=gt2020-01-01", "_tag:not="+w.token(), "_id=pa1,ta2,ta3,ob4", "_content=headache", "_tag:missing=true", "_list=li0")
}

// more returns another criterion that Patients, or all, may be asked for.
func (w *world) more(typ string) string {
	if typ == "Patient" && w.IntN(2) == 0 {
		return w.pick("birthdate="+w.prefix()+w.pick("1980", "1980-05", "1999-07-05"), "identifier="+w.pick("1", "http://id|2", "|3", "http://id|"), "identifier:of-type=http://t|MR|"+w.pick("1", "2"), "gender=male", "gender:not=male",
			"_has:Task:patient:status="+w.pick("requested", "failed"), "_has:Observation:subject:_has:List:item:status=current", "_has:Task:patient:owner.name="+w.text(), "organization.name="+w.text(), "phone=123", "link.name="+w.text(),
			"_has:Observation:patient:value-quantity="+w.quantityAsked(), "_has:Communication:recipient:_content=headache", "general-practitioner:missing=true", "_list=li1")
	}
	if w.IntN(3) == 0 {
		return w.criterion("")
	}
	return w.criterion(typ)
}

// request returns a random search as a client would write it.
func (w *world) request() (typ string, params []search.Parameter) {
	typ = w.pick("Patient", "Task", "Communication", "Observation", "Questionnaire", "QuestionnaireResponse", "RiskAssessment", "", "Patient", "Task")
	text := []string{}
	for range 1 + w.IntN(3) {
		text = append(text, w.more(typ))
	}
	if typ == "" && w.IntN(2) == 0 {
		text = append(text, "_type="+w.pick("Task,Patient", "Observation,Task,Communication"))
	}
	if sort := w.sort(typ); w.IntN(2) == 0 && sort != "" {
		text = append(text, "_sort="+sort)
	}
	text = append(text, fmt.Sprintf("_count=%d", 1+w.IntN(7)))
	for _, p := range strings.Split(strings.Join(text, "&"), "&") {
		name, value, _ := strings.Cut(p, "=")
		params = append(params, search.Parameter{Name: name, Value: value})
	}
	return typ, params
}

func (w *world) sort(typ string) string {
	return map[string]string{
		"Patient":       w.pick("family", "-family", "birthdate", "-birthdate", "gender,-birthdate,_id", "-_lastUpdated", "_lastUpdated", "name,family"),
		"Task":          w.pick("authored-on", "-authored-on", "-_lastUpdated", "_lastUpdated", "status,-priority", "-period", "-code", "-authored-on,status"),
		"Communication": w.pick("sent", "-sent", "received,-sent", "-_id"),
		"Observation":   w.pick("value-quantity", "-value-quantity", "-date,code"), "": w.pick("_lastUpdated", "-_lastUpdated", "_id"),
		"Questionnaire": w.pick("url", "-title"),
	}[typ]
}

// TestSearchMeansMatch searches for random things among random resources, on
// tables that were never analysed and on such as were. What is found, and in what
// order, must be what going through everything finds.
func TestSearchMeansMatch(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{0, 1, 2, 18, 29} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			db, database := openInside(t)
			if seed > 0 {
				db.bounds.few = 2 // so that few resources are many
			}
			w := newWorld(db, seed)
			w.fill(t)
			found := 0
			for n := range 300 {
				if n == 150 {
					if _, err := database.Exec("ANALYZE"); err != nil {
						t.Fatal(err)
					}
					if err := db.readStatistics(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				typ, params := w.request()
				differs, matches := w.compare(t, typ, params)
				if found += matches; differs != "" {
					t.Errorf("search %d: %s?%v: %s", n, typ, params, differs)
				}
			}
			if found < 500 {
				t.Errorf("all searches together found %d: they ask for too little", found)
			}
		})
	}
}

// compare runs a search both ways and says how the answers differ.
func (w *world) compare(t testing.TB, typ string, params []search.Parameter) (differs string, matches int) {
	t.Helper()
	q := w.query(t, typ, params)
	if w.IntN(6) == 0 {
		other := w.query(t, typ, []search.Parameter{w.parameter(typ)})
		q.Where = []search.Condition{search.Or{search.And(q.Where), search.Not{Condition: search.And(other.Where)}}}
	}
	if typ == "" && w.IntN(2) == 0 {
		q.Within = &fhir.Key{Type: "Patient", ID: strings.TrimPrefix(w.id("Patient"), "Patient/")}
	}
	want := keysOf(w.matches(q))
	got, err := w.pages(t, q)
	if err != nil {
		return err.Error(), len(want)
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("\n got %v\nwant %v", got, want), len(want)
	}
	return w.totals(t, q, len(want)), len(want)
}

// query returns a search as parsing reads it.
func (w *world) query(t testing.TB, typ string, params []search.Parameter) *search.Query {
	t.Helper()
	req := search.Request{Params: params, Now: time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)}
	if typ != "" {
		req.Types = []string{typ}
	}
	q, err := w.db.Registry().Parse(req)
	if err != nil {
		t.Fatalf("%s?%v: %v", typ, params, err)
	}
	return q
}

// parameter returns one random criterion.
func (w *world) parameter(typ string) search.Parameter {
	name, value, _ := strings.Cut(strings.Split(w.more(typ), "&")[0], "=")
	return search.Parameter{Name: name, Value: value}
}

// totals says what is wrong with the totals of a search that has n matches.
func (w *world) totals(t testing.TB, q *search.Query, n int) string {
	counted, estimated := *q, *q
	counted.Count, estimated.Total = 0, search.TotalEstimate
	m, err := w.db.Search(t.Context(), w.grant, &counted, "")
	if err != nil {
		return err.Error()
	}
	if m.Total != n || m.Estimated || len(m.Versions) > 0 {
		return fmt.Sprintf("the total is %d, want %d", m.Total, n)
	}
	if m, err = w.db.Search(t.Context(), w.grant, &estimated, ""); err != nil {
		return err.Error()
	}
	if m.Total < 0 || !m.Estimated && m.Total != n {
		return fmt.Sprintf("the total is said to be %d, want %d", m.Total, n)
	}
	return ""
}

// pages returns what all pages of q show together, and looks at each of them
// from the other side too.
func (w *world) pages(t testing.TB, q *search.Query) ([]string, error) {
	var all []string
	for after := ""; ; {
		m, err := w.db.Search(t.Context(), w.grant, q, after)
		if err != nil {
			return nil, err
		}
		page := versionKeys(m.Versions)
		if len(page) > q.Count || len(page) == 0 && after != "" {
			return nil, fmt.Errorf("a page of %d", len(page))
		}
		if m.Prev != "" {
			before, err := w.db.Search(t.Context(), w.grant, q, m.Prev)
			if err != nil {
				return nil, err
			}
			if back := versionKeys(before.Versions); !slices.Equal(back, all[len(all)-q.Count:]) {
				return nil, fmt.Errorf("the page before is %v, and was %v", back, all[len(all)-q.Count:])
			}
			if (before.Prev != "") != (len(all) > q.Count) || before.Next == "" {
				return nil, fmt.Errorf("the page before has wrong neighbours")
			}
		}
		if (m.Prev != "") != (after != "") {
			return nil, fmt.Errorf("a page has no way back")
		}
		all = append(all, page...)
		if after = m.Next; after == "" {
			return all, nil
		}
	}
}

func versionKeys(versions []Version) []string {
	keys := make([]string, len(versions))
	for i, v := range versions {
		keys[i] = v.Key.String()
	}
	return keys
}

// TestPlantedFaults breaks one type of values in what is stored: the comparison
// with going through everything must notice each of them.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	for _, typ := range []search.Type{search.NumberType, search.DateType, search.StringType, search.TokenType, search.ReferenceType, search.CompositeType, search.QuantityType, search.URIType} {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			db, _ := openInside(t)
			w := newWorld(db, 5)
			w.plant = func(ix *search.Index) {
				ix.Entries = slices.DeleteFunc(ix.Entries, func(e search.Entry) bool { return e.Param.Type == typ })
			}
			w.fill(t)
			for range 800 {
				kind, params := w.request()
				if differs, _ := w.compare(t, kind, params); differs != "" {
					return
				}
			}
			t.Errorf("no search misses the values of type %s", typ)
		})
	}
}

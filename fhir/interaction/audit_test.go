package interaction_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// auditing returns an engine that records, and its store.
func auditing(t testing.TB, c interaction.Config) (*interaction.Engine, *store.DB, *pgtest.Database) {
	t.Helper()
	database := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: database.DSN, Conns: 8, Unsafe: true, Audit: true, AuditQueue: 500})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c.Store = db
	return interaction.New(c), db, database
}

func page(query string) interaction.Page {
	return typedPage("AuditEvent", query)
}

func typedPage(typ, query string) interaction.Page {
	params, err := search.Parameters(query)
	if err != nil {
		panic(err)
	}
	return interaction.Page{Request: search.Request{Types: []string{typ}, Params: params, Now: time.Now()}}
}

// auditEvents returns all matches of a search, over all its pages.
func auditEvents(t testing.TB, s *interaction.Session, query string) []store.Version {
	t.Helper()
	var all []store.Version
	p := page(query)
	for {
		found, err := s.Search(t.Context(), p)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		all = append(all, found.Versions...)
		if found.Next == "" {
			return all
		}
		p.After = found.Next
	}
}

// An audited is what the tests look at in an AuditEvent.
type audited struct {
	ID   string
	Meta struct{ Profile []string }
	Type struct{ System, Code string }

	Subtype     []struct{ System, Code string }
	Action      string
	Recorded    time.Time
	Outcome     string
	OutcomeDesc string
	Agent       []struct {
		Type struct {
			Coding []struct{ System, Code string }
		}
		Who       auditedWho
		Requestor *bool
		Network   *struct{ Address, Type string }
	}
	Source struct{ Observer auditedWho }
	Entity []struct {
		What  *auditedWho
		Type  struct{ System, Code string }
		Role  struct{ Code string }
		Query string
	}
}

type auditedWho struct {
	Reference, Display string
	Identifier         struct{ Value string }
}

func readAudited(t testing.TB, v store.Version) audited {
	t.Helper()
	if _, err := fhir.Decode("AuditEvent", v.Resource()); err != nil {
		t.Errorf("not R4: %v: %s", err, v.Resource())
	}
	var a audited
	if err := json.Unmarshal(v.Stored, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// agents counts the agents of a type.
func (a *audited) agents(code string) (n int) {
	for _, g := range a.Agent {
		if g.Type.Coding[0].Code == code {
			n++
		}
	}
	return n
}

// entities returns what the entities of a type and role are, sorted.
func (a *audited) entities(typ, role string) []string {
	var all []string
	for _, e := range a.Entity {
		if e.Type.Code != typ || e.Role.Code != role {
			continue
		}
		switch {
		case e.What != nil && e.What.Reference != "":
			all = append(all, e.What.Reference)
		case e.What != nil:
			all = append(all, e.What.Identifier.Value)
		default:
			query, _ := base64.StdEncoding.DecodeString(e.Query)
			all = append(all, string(query))
		}
	}
	slices.Sort(all)
	return all
}

// TestShapes holds AuditEvents of all kinds against the elements that the Basic
// Audit Log Patterns of IHE require.
func TestShapes(t *testing.T) {
	t.Parallel()
	e, db, _ := auditing(t, interaction.Config{})
	const source, destination = "110153", "110152"
	patterns := map[string]struct{ profile, action, client, server, user string }{
		"read":        {"Read", "R", destination, source, "IRCP"},
		"vread":       {"Read", "R", destination, source, "IRCP"},
		"create":      {"Create", "C", source, destination, "AUT"},
		"update":      {"Update", "U", source, destination, "AUT"},
		"patch":       {"Update", "U", source, destination, "AUT"},
		"delete":      {"Delete", "D", source, destination, "AUT"},
		"search-type": {"Query", "E", source, destination, "IRCP"},
	}
	n := 0
	for _, name := range []string{"read", "vread", "create", "update", "patch", "delete", "search-type", "search-system", "history-instance", "history-type",
		"history-system", "meta", "purge", "login", "logout", "token", "refused", "transition-refused"} {
		for _, patients := range [][]string{nil, {"p1"}, {"p1", "p2", "p3"}} {
			for _, agent := range []string{"", "Practitioner/p", "Client/batch", "no reference at all"} {
				l := store.Trail{Interaction: name, Patients: patients, Agent: agent, Outcome: int16(n % 4 * 4), Request: fmt.Sprint(n)}
				if n%2 == 0 {
					l.Client, l.Origin, l.Organizations = "app", "192.0.2.1", []string{"o1", "o2"}
				}
				if strings.HasPrefix(name, "search") {
					l.Detail = map[string]string{"query": "Task?x=é&b"}
				} else if n%3 > 0 {
					l.Key, l.Version = fhir.Key{Type: "Task", ID: "t"}, n%2*7
				}
				if err := e.Note(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
	}
	stored, err := db.Lines(t.Context(), store.Lines{Limit: 1000})
	if err != nil || len(stored) != n {
		t.Fatal(len(stored), err)
	}
	all := auditEvents(t, e.For(access.Trusted("test"), interaction.Origin{}), "_count=50&subtype:missing=false")
	all = all[len(all)-n:] // what reads them is recorded, too
	for i, v := range all {
		l, a := stored[i], readAudited(t, v)
		complain := func(format string, args ...any) {
			t.Errorf("%s: %s\n%s", l.Interaction, fmt.Sprintf(format, args...), v.Resource())
		}
		p, patterned := patterns[l.Interaction]
		if a.Outcome != fmt.Sprint(l.Outcome) || !a.Recorded.Equal(l.At) || a.Source.Observer.Identifier.Value == "" || a.Type.Code == "" || len(a.Subtype) == 0 {
			complain("an element is wrong or missing")
		}
		if got := a.entities("XrequestId", ""); len(got) != 1 || got[0] != l.Request {
			complain("request id %v", got)
		}
		if got := a.entities("1", "1"); len(got) != len(l.Patients) {
			complain("patients %v", got)
		}
		requestors := 0
		for _, g := range a.Agent {
			if g.Requestor == nil || g.Who == (auditedWho{}) {
				complain("an agent has no who or requestor")
			} else if *g.Requestor {
				requestors++
			}
		}
		if requestors != 1 {
			complain("%d requestors", requestors)
		}
		if !patterned {
			continue
		}
		if a.Type.Code != "rest" || a.Subtype[0].Code != l.Interaction || a.Subtype[0].System != "http://hl7.org/fhir/restful-interaction" || a.Action != p.action {
			complain("type, subtype or action")
		}
		if a.agents(p.client) != 1 || a.agents(p.server) != 1 || a.Agent[0].Network == nil || a.Agent[1].Network == nil {
			complain("client or server")
		}
		if want := map[bool]int{false: 1}[l.Agent == ""]; a.agents(p.user) != want {
			complain("%d users", a.agents(p.user))
		}
		switch {
		case p.profile == "Query":
			if got := a.entities("2", "24"); len(got) != 1 || got[0] != "Task?x=é&b" {
				complain("query %v", got)
			}
		case l.Key.ID != "":
			want := "Task/t"
			if l.Version > 0 {
				want += fmt.Sprintf("/_history/%d", l.Version)
			}
			if got := a.entities("2", "4"); len(got) != 1 || got[0] != want {
				complain("what %v", got)
			}
		}
		want := ""
		if l.Outcome == 0 && (l.Key.ID != "" || p.profile == "Query") {
			want = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit." + map[bool]string{true: "Patient"}[len(l.Patients) == 1] + p.profile
		}
		if got := strings.Join(a.Meta.Profile, " "); got != want {
			complain("claims to follow %q, want %q", got, want)
		}
	}
}

// TestAnyTextIsAnAuditEvent records what no AuditEvent could hold as it is.
func TestAnyTextIsAnAuditEvent(t *testing.T) {
	t.Parallel()
	e, _, _ := auditing(t, interaction.Config{})
	for _, text := range []string{" ", "\x00", "\xff", "\x07\u2028", "a\nb", "<a>&\"", strings.Repeat("é", 3000)} {
		l := store.Trail{Interaction: "read", Request: text, Client: text, Agent: text, Origin: text, Key: fhir.Key{Type: "Patient", ID: text}, Version: 1,
			Organizations: []string{text}, Patients: []string{text}, Detail: map[string]string{text: text, "query": text, "issue": text}}
		if err := e.Note(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	all := auditEvents(t, e.For(access.Trusted("test"), interaction.Origin{}), "_count=100")
	if len(all) != 7 {
		t.Errorf("got %d", len(all))
	}
	for _, v := range all {
		readAudited(t, v)
	}
}

// TestWhatIsRecorded performs each interaction and looks at its line.
func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	e, db, _ := auditing(t, interaction.Config{})
	s := e.For(access.Trusted("app"), interaction.Origin{Request: "rq", Address: "192.0.2.9"})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Update(ctx, "ada", decode(t, `{"resourceType":"Patient","id":"ada"}`), store.Anything)
	must(err)
	observation := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"},"performer":[{"reference":"Patient/eve"}]%s}`
	made, err := s.Create(ctx, decode(t, fmt.Sprintf(observation, "")))
	must(err)
	k := made.Key
	changed := decode(t, fmt.Sprintf(observation, `,"id":"`+k.ID+`","issued":"2026-01-01T00:00:00Z"`))
	_, err = s.Update(ctx, k.ID, changed, store.Anything)
	must(err)
	_, err = s.Update(ctx, k.ID, changed, store.Anything) // changes nothing
	must(err)
	if _, err = s.Update(ctx, k.ID, changed, 7); err == nil {
		t.Fatal("a stale update was made")
	}
	_, err = s.Read(ctx, k)
	must(err)
	_, err = s.VRead(ctx, k, 1)
	must(err)
	_, err = s.Search(ctx, typedPage("Observation", "patient=Patient/bob"))
	must(err)
	_, err = s.Search(ctx, typedPage("Observation", "code:text=x"))
	must(err)
	_, err = s.History(ctx, store.History{Type: k.Type, ID: k.ID, Count: 10})
	must(err)
	_, err = s.Delete(ctx, k, store.Anything)
	must(err)
	if _, err = s.Read(ctx, k); err == nil {
		t.Fatal("a deleted resource was read")
	}
	if _, err = e.For(access.Grant{}, interaction.Origin{Request: "rq"}).Read(ctx, k); err == nil {
		t.Fatal("nobody may read")
	}
	lines, err := db.Lines(ctx, store.Lines{Ascending: true, Limit: 100})
	must(err)
	want := []string{
		"update Patient/ada 1 0 [ada]",
		"create Observation/x 1 0 [ada eve]",
		"update Observation/x 2 0 [ada eve]",
		"update Observation/x 2 0 []",
		"update Observation/x 0 4 []",
		"read Observation/x 2 0 [ada eve]",
		"vread Observation/x 1 0 [ada eve]",
		"search-type Observation/ 0 0 [bob]",
		"search-type Observation/ 0 0 [ada eve]",
		"history-instance Observation/x 0 0 [ada eve]",
		"delete Observation/x 3 0 [ada eve]",
		"read Observation/x 3 4 []",
		"read Observation/x 0 8 []",
	}
	var got []string
	for _, l := range lines {
		patients := slices.Sorted(slices.Values(l.Patients))
		got = append(got, strings.ReplaceAll(fmt.Sprintf("%s %s %d %d %v", l.Interaction, l.Key, l.Version, l.Outcome, patients), k.ID, "x"))
		if l.Request != "rq" || l.Client != "app" && l.Outcome != 8 {
			t.Errorf("%+v", l)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestSearchAuditExactly holds what searches find against all that there is.
func TestSearchAuditExactly(t *testing.T) {
	t.Parallel()
	e, db, _ := auditing(t, interaction.Config{})
	s := e.For(access.Trusted("test"), interaction.Origin{})
	_, err := s.Update(t.Context(), "p1", decode(t, `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:nhs","value":"9"}]}`), store.Anything)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		l := store.Trail{Request: fmt.Sprint(i), Interaction: []string{"read", "create", "search-type", "login", "odd"}[i%5], Outcome: int16(i % 3 * 4), Origin: "192.0.2." + fmt.Sprint(i%3),
			Agent: []string{"Practitioner/p", "Patient/p1", "", "RelatedPerson/r"}[i/2%4]}
		for p := range i % 4 {
			l.Patients = append(l.Patients, fmt.Sprintf("p%d", (i+p)%7))
		}
		if i%5 < 2 {
			l.Key = fhir.Key{Type: []string{"Patient", "Task", "Organization"}[i/5%3], ID: fmt.Sprintf("p%d", i%3)}
			l.Version = i % 2
		}
		if i%7 == 0 {
			l.Organizations = []string{"o1"}
		}
		if err := e.Note(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	all, err := db.Lines(t.Context(), store.Lines{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	until := all[0].At
	middle := all[60].At.UTC()
	everything := auditEvents(t, s, "_count=1000")
	registry := db.Registry()
	for _, query := range []string{
		"patient=Patient/p1", "patient=p1", "patient=Patient/p1,Patient/p2", "patient=Patient/nobody", "patient=Patient/p1&patient=Patient/p2",
		"entity=Patient/p1", "entity=Task/p2", "entity=Organization/p2,Patient/p3", "agent=Practitioner/p", "agent=Patient/p1", "agent=Organization/o1", "agent=RelatedPerson/r,Practitioner/p",
		"type=rest", "type=110114", "subtype=read", "subtype=odd", "subtype=read,create", "subtype:not=read", "action=C", "action=E&patient=p2", "outcome=4", "outcome:not=0",
		"type=http://dicom.nema.org/resources/ontology/DCM|", "address=192.0.2.1", "entity-type=1", "entity-role=24", "source:identifier=urn:openconsult:server", "site:missing=true",
		"date=" + middle.Format("2006-01-02"), "date=ge" + middle.Format(time.RFC3339Nano), "date=lt" + middle.Format(time.RFC3339Nano), "date=" + middle.Format(time.RFC3339Nano),
		"date=lt" + middle.Format(time.RFC3339Nano) + "&patient=p1", "date=ne" + middle.Format(time.RFC3339Nano), "date=lt2020", "date=sa2020&date=eb2100",
		"_lastUpdated=ge" + middle.Format("2006-01-02T15:04:05.000Z"), "_id=" + all[7].ID() + "," + all[9].ID(), "_content=Login", "patient:missing=true", "entity:missing=false",
	} {
		conditions, err := registry.Criteria("AuditEvent", strings.ReplaceAll(query, "+", "%2B"))
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var want []string
		for _, v := range everything {
			r := decode(t, string(v.Resource()))
			ix, err := registry.Index(r.Root(), v.Key.ID)
			if err != nil {
				t.Fatal(err)
			}
			ix.Updated = v.Updated
			if search.Match(search.And(conditions), ix, words{r.Root()}) {
				want = append(want, v.Key.ID)
			}
		}
		for _, rest := range []string{"&_count=1000", "&_count=50&_sort=date", "&_count=17"} {
			var got []string
			for _, v := range auditEvents(t, s, strings.ReplaceAll(query, "+", "%2B")+rest) {
				// The searches of this test are recorded while it runs.
				if !v.Updated.After(until) {
					got = append(got, v.Key.ID)
				}
			}
			if strings.Contains(rest, "_sort") {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s%s finds %d, want %d", query, rest, len(got), len(want))
			}
		}
		if len(want) == 0 && !strings.Contains(query, "nobody") && !strings.Contains(query, "2020") && !strings.Contains(query, "entity-role=24") {
			t.Errorf("%s finds nothing, so it proves nothing", query)
		}
	}
	chained := auditEvents(t, s, "patient.identifier=urn:nhs|9&_count=1000&subtype=create")
	if plain := auditEvents(t, s, "patient=p1&_count=1000&subtype=create"); len(chained) == 0 || len(chained) != len(plain) {
		t.Errorf("a chain finds %d, want %d", len(chained), len(plain))
	}
	if got := auditEvents(t, s, "patient.identifier=none"); len(got) != 0 {
		t.Errorf("a chain to nobody finds %d", len(got))
	}
}

// words answers for what is in a resource.
type words struct{ root fhir.Node }

func (w words) Words(narrative bool) []string                   { return search.WordsOf(w.root, narrative) }
func (w words) Targets(search.Reference, string) []search.Found { return nil }
func (w words) Sources(string, *search.Param) []search.Found    { return nil }
func (w words) Listed(string) bool                              { return false }

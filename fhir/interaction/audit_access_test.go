package interaction_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// caller returns a grant to read and search everything, of who has some keys.
func caller(user fhir.Key, organizations []string, roles access.Role, standing access.Standing) access.Grant {
	return access.NewGrant(access.Terms{
		Client: "app", User: user, Organizations: organizations, Roles: roles,
		Scopes:    []access.Scope{{Context: access.ForUser, Type: "*", Allows: access.MayRead | access.MaySearch | access.MayCreate | access.MayUpdate | access.MayDelete}},
		Standings: map[access.Context]access.Standing{access.ForUser: standing},
	})
}

func parties(kind access.Kind, of ...string) access.Standing {
	var s access.Standing
	for _, o := range of {
		s.Parties = append(s.Parties, access.Key{Kind: kind, Of: o})
	}
	return s
}

// TestWhoSeesWhichLine tells the lines by their request ids. ada's record is with
// organisation o1, bob's with o2, and the one of carl is hidden from most.
func TestWhoSeesWhichLine(t *testing.T) {
	t.Parallel()
	for _, hide := range []bool{false, true} {
		t.Run(fmt.Sprintf("hide=%t", hide), func(t *testing.T) {
			t.Parallel()
			e, db, _ := auditing(t, interaction.Config{HideStaff: hide})
			system := e.For(access.Trusted("test"), interaction.Origin{})
			for id, more := range map[string]string{"ada": `"managingOrganization":{"reference":"Organization/o1"}`, "bob": `"managingOrganization":{"reference":"Organization/o2"}`,
				"carl": `"managingOrganization":{"reference":"Organization/o1"},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}`} {
				if _, err := system.Update(t.Context(), id, decode(t, `{"resourceType":"Patient","id":"`+id+`",`+more+`}`), store.Anything); err != nil {
					t.Fatal(err)
				}
			}
			staff := store.Trail{Interaction: "read", Agent: "Practitioner/p2", Organizations: []string{"o2"}, Client: "app", Detail: map[string]string{"query": "x"}}
			note := func(request string, change func(*store.Trail)) {
				l := staff
				l.Request = request
				change(&l)
				if err := e.Note(t.Context(), l); err != nil {
					t.Fatal(err)
				}
			}
			note("ada", func(l *store.Trail) { l.Patients = []string{"ada"} })
			note("bob", func(l *store.Trail) { l.Patients = []string{"bob"} })
			note("both", func(l *store.Trail) { l.Patients = []string{"ada", "bob"} })
			note("carl", func(l *store.Trail) { l.Patients = []string{"carl"} })
			note("o1", func(l *store.Trail) { l.Organizations = []string{"o1"} })
			note("o2", func(*store.Trail) {})
			note("byAda", func(l *store.Trail) { l.Agent, l.Organizations = "Patient/ada", nil })
			note("refused", func(l *store.Trail) { l.Key, l.Outcome = ada, 4 })
			note("hidden", func(l *store.Trail) {
				l.Patients, l.Key = []string{"ada", "carl"}, fhir.Key{Type: "Patient", ID: "carl"}
			})
			hidden := []access.Key{{Kind: access.Label, Of: "V"}}
			with := func(s access.Standing) access.Standing { s.Denied = hidden; return s }
			patient := parties(access.Patient, "Patient/ada")
			opened := func(by string) access.Standing {
				s := with(patient)
				s.Within = parties(access.Party, "Organization/"+by).Parties
				return s
			}
			all := "ada bob both carl o1 o2 byAda refused hidden"
			for _, c := range []struct {
				name  string
				grant access.Grant
				want  string
			}{
				{"nobody in particular", caller(fhir.Key{}, nil, 0, access.Standing{}), ""},
				{"everyone", caller(fhir.Key{}, nil, 0, parties(access.Open, "")), ""},
				{"the patient", caller(ada, nil, 0, with(patient)), "ada both byAda refused"},
				{"the patient, nothing hidden", caller(ada, nil, 0, patient), "ada both byAda refused hidden"},
				{"a proxy", caller(fhir.Key{Type: "RelatedPerson", ID: "r"}, nil, 0, with(patient)), "ada both byAda refused"},
				{"who acted", caller(fhir.Key{Type: "Practitioner", ID: "p2"}, nil, 0, with(access.Standing{})), "ada bob both carl o1 o2 refused hidden"},
				{"the organisation with the record", caller(fhir.Key{}, []string{"o1"}, 0, with(parties(access.Party, "Organization/o1"))), "ada both o1"},
				{"the organisation that acted", caller(fhir.Key{}, []string{"o2"}, 0, with(parties(access.Party, "Organization/o2"))), "ada bob both carl o2 refused"},
				{"an app opened for a patient by who has the record", caller(fhir.Key{Type: "Practitioner", ID: "p1"}, []string{"o1"}, 0, opened("o1")), "ada both"},
				{"an app opened for a patient by who has not", caller(fhir.Key{Type: "Practitioner", ID: "p2"}, []string{"o2"}, access.Operate, opened("o2")), ""},
				{"an operator", caller(fhir.Key{}, nil, access.Operate, access.Standing{}), all},
				{"an administrator", caller(fhir.Key{}, nil, access.Administer, access.Standing{}), all},
				{"all", caller(fhir.Key{}, nil, 0, access.Standing{All: true}), all},
			} {
				s := e.For(c.grant, interaction.Origin{Request: "looking"})
				var got []string
				for _, v := range auditEvents(t, s, "_count=1000&_sort=date") {
					a := readAudited(t, v)
					if id := a.entities("XrequestId", "")[0]; id != "none" && id != "looking" && id != "reading" {
						got = append(got, id)
					}
				}
				want := strings.Fields(c.want)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s sees %v, want %v", c.name, got, want)
				}
				readsLines(t, e, db, c.grant, want)
			}
			checkNarrowed(t, e.For(caller(ada, nil, 0, with(patient)), interaction.Origin{}), hide)
		})
	}
}

// readsLines holds reading by id against searching.
func readsLines(t *testing.T, e *interaction.Engine, db *store.DB, g access.Grant, want []string) {
	t.Helper()
	lines, err := db.Lines(t.Context(), store.Lines{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Request == "" || l.Request == "looking" || l.Request == "reading" {
			continue
		}
		s := e.For(g, interaction.Origin{Request: "reading"})
		k := fhir.Key{Type: "AuditEvent", ID: l.ID()}
		for name, read := range map[string]func() (*store.Version, error){
			"read":  func() (*store.Version, error) { return s.Read(t.Context(), k) },
			"vread": func() (*store.Version, error) { return s.VRead(t.Context(), k, 1) },
			"history": func() (*store.Version, error) {
				p, err := s.History(t.Context(), store.History{Type: k.Type, ID: k.ID, Count: 2})
				if err != nil {
					return nil, err
				}
				return &p.Versions[0], nil
			},
		} {
			v, err := read()
			if slices.Contains(want, l.Request) != (err == nil && v != nil && v.Key == k) {
				t.Errorf("%s of %s: %v", name, l.Request, err)
			}
			if o := fhir.AsOutcome(err); err != nil && (o == nil || o.Class != fhir.Unknown) {
				t.Errorf("%s of %s: %v", name, l.Request, err)
			}
		}
	}
}

// checkNarrowed looks at what the patient ada sees of a line of staff that was
// about others, too.
func checkNarrowed(t *testing.T, s *interaction.Session, hide bool) {
	t.Helper()
	for _, v := range auditEvents(t, s, "_count=1000") {
		a := readAudited(t, v)
		if a.entities("XrequestId", "")[0] != "both" {
			continue
		}
		if got := a.entities("1", "1"); len(got) != 1 || got[0] != "Patient/ada" {
			t.Errorf("ada sees the patients %v", got)
		}
		if strings.Contains(string(v.Stored), "bob") || len(a.entities("2", "24")) != 0 {
			t.Errorf("ada sees %s", v.Stored)
		}
		if named := strings.Contains(string(v.Stored), "Practitioner/p2"); named == hide {
			t.Errorf("hide staff %t: %s", hide, v.Stored)
		}
		if !strings.Contains(string(v.Stored), "Organization/o2") {
			t.Errorf("the organisation is missing: %s", v.Stored)
		}
	}
	if got := auditEvents(t, s, "agent=Practitioner/p2"); (len(got) == 0) != hide {
		t.Errorf("hide staff %t: %d lines are found by the person", hide, len(got))
	}
}

func TestAuditIsTheServersOwn(t *testing.T) {
	t.Parallel()
	e, _, _ := auditing(t, interaction.Config{})
	body := `{"resourceType":"AuditEvent","id":"a","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"x"}}}`
	s := e.For(access.Trusted("test"), interaction.Origin{})
	k := fhir.Key{Type: "AuditEvent", ID: "a"}
	for name, write := range map[string]func() error{
		"create": func() error { _, err := s.Create(t.Context(), decode(t, body)); return err },
		"update": func() error { _, err := s.Update(t.Context(), "a", decode(t, body), store.Anything); return err },
		"delete": func() error { _, err := s.Delete(t.Context(), k, store.Anything); return err },
		"patch": func() error {
			_, err := s.Patch(t.Context(), k, interaction.Change{JSON: []byte(`[]`)}, store.Anything)
			return err
		},
		"conditional create": func() error { _, err := s.CreateIf(t.Context(), decode(t, body), "type=rest"); return err },
		"conditional delete": func() error {
			_, err := s.DeleteIf(t.Context(), interaction.Target{Type: "AuditEvent", Criteria: "type=rest"})
			return err
		},
	} {
		if o := fhir.AsOutcome(write()); o == nil || o.Class != fhir.Denied || !strings.Contains(o.Error(), "recorded by the server") {
			t.Errorf("%s: %v", name, o)
		}
	}
	for typ, queries := range map[string][]string{
		"AuditEvent": {"_include=AuditEvent:entity", "_sort=agent", "_sort=date,type", "_has:Provenance:target:agent=x", "_list=l", "_revinclude=Provenance:target"},
		"Patient":    {"_revinclude=AuditEvent:entity", "_has:AuditEvent:entity:type=rest"},
	} {
		for _, query := range queries {
			_, err := s.Search(t.Context(), typedPage(typ, query))
			if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.BadRequest {
				t.Errorf("%s?%s: %v", typ, query, err)
			}
		}
	}
	if _, err := s.History(t.Context(), store.History{Type: "AuditEvent", Count: 1}); fhir.AsOutcome(err) == nil {
		t.Errorf("a history of all AuditEvents: %v", err)
	}
	p := page("")
	p.After = "nonsense"
	if _, err := s.Search(t.Context(), p); fhir.AsOutcome(err) == nil {
		t.Errorf("a position that is none: %v", err)
	}
	plain := engine(t).For(access.Trusted("test"), interaction.Origin{})
	if _, err := plain.Update(t.Context(), "a", decode(t, body), store.Anything); err != nil {
		t.Errorf("without an audit: %v", err)
	}
	if found, err := plain.Search(t.Context(), page("type=rest")); err != nil || len(found.Versions) != 1 {
		t.Errorf("without an audit: %v", err)
	}
}

func TestCountOfAuditEvents(t *testing.T) {
	t.Parallel()
	e, _, _ := auditing(t, interaction.Config{})
	for i := range 40 {
		if err := e.Note(t.Context(), store.Trail{Interaction: "read", Request: fmt.Sprint(i), Patients: []string{fmt.Sprint("p", i%4)}}); err != nil {
			t.Fatal(err)
		}
	}
	s := e.For(access.Trusted("test"), interaction.Origin{})
	for query, want := range map[string]int{
		"patient=p1&_count=3&_total=accurate&subtype=read": 10, "patient=p1&_summary=count&subtype=read": 10, "patient=p1&_count=0&subtype=read": 10,
		"patient=p1&_count=10&subtype=read": 10, "patient=p1&_count=3&subtype=read": -1, "patient=p1&_count=3&_total=estimate&subtype=read": 10,
	} {
		found, err := s.Search(t.Context(), page(query))
		if err != nil || found.Total != want {
			t.Errorf("%s: %d in total (%v), want %d", query, found.Total, err, want)
		}
	}
}

// TestNothingIsReadUnrecorded keeps lines from being stored until no more are
// taken.
func TestNothingIsReadUnrecorded(t *testing.T) {
	t.Parallel()
	e, db, database := auditing(t, interaction.Config{})
	s := e.For(access.Trusted("test"), interaction.Origin{Request: "r"})
	if _, err := s.Update(t.Context(), "ada", decode(t, `{"resourceType":"Patient","id":"ada"}`), store.Anything); err != nil {
		t.Fatal(err)
	}
	tx, err := database.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("LOCK TABLE audit IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	done := 0
	for ; done < 10_000; done++ {
		if _, err = s.Read(t.Context(), ada); err != nil {
			break
		}
	}
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unavailable || done != 500 {
		t.Fatalf("read %d times, then %v", done, err)
	}
	for name, read := range map[string]func() (any, error){
		"vread": func() (any, error) { v, err := s.VRead(t.Context(), ada, 1); return v != nil, err },
		"search": func() (any, error) {
			f, err := s.Search(t.Context(), typedPage("Patient", ""))
			return f.Matches != nil, err
		},
		"history": func() (any, error) {
			p, err := s.History(t.Context(), store.History{Count: 5})
			return p.Versions != nil, err
		},
	} {
		if got, err := read(); got != false || fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unavailable {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	lines, err := db.Lines(t.Context(), store.Lines{Limit: 1000})
	if err != nil || len(lines) != done+1 {
		t.Errorf("%d lines for %d reads and a write (%v)", len(lines), done, err)
	}
}

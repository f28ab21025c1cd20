package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// given are the gifts that stand in the world of these tests: Patient/1 and 2 are
// registered with the organisation a, and b was sent a referral about Patient/1.
func given() []Gift {
	return []Gift{
		{Key{Record, "Patient/1"}, Key{Party, "Organization/a"}},
		{Key{Record, "Patient/2"}, Key{Party, "Organization/a"}},
		{Key{Itself, "Patient/1"}, Key{Party, "Organization/b"}},
		{Key{Itself, "Practitioner/colleague"}, Key{Party, "Organization/a"}},
		{Key{Itself, "Practitioner/gp"}, Key{Party, "Organization/a"}},
	}
}

// effective returns what keys come to by gifts.
func effective(keys []Key, gifts []Gift) []Key {
	all := slices.Clone(keys)
	for range 3 {
		for _, g := range gifts {
			if slices.Contains(all, g.Target) && !slices.Contains(all, g.Key) {
				all = append(all, g.Key)
			}
		}
	}
	return all
}

func staff(id, organization string, roles Role) Terms {
	return Terms{
		Client: "app", User: fhir.Key{Type: "Practitioner", ID: id}, Organizations: []string{organization}, Roles: roles,
		Scopes: []Scope{{ForUser, "*", mayAll, nil}},
		Standings: map[Context]Standing{ForUser: {Denied: DeniedLabels(nil, false), Parties: []Key{
			{Kind: Open}, {Party, "Organization/" + organization}, {Author, "Organization/" + organization}, {Party, "Practitioner/" + id}, {Party, "PractitionerRole/" + id},
		}}},
	}
}

func client(organization string, roles Role) Terms {
	t := staff("", organization, roles)
	t.User, t.Client = fhir.Key{}, "system"
	t.Scopes = []Scope{{ForSystem, "*", mayAll, nil}}
	t.Standings = map[Context]Standing{ForSystem: {Denied: DeniedLabels(nil, false), Parties: []Key{
		{Kind: Open}, {Party, "Organization/" + organization}, {Author, "Organization/" + organization}, {Author, "Client/system"}}}}
	return t
}

func ofPatient(user fhir.Key) Terms {
	parties := []Key{{Kind: Open}, {Patient, "Patient/1"}, {Author, "Patient/1"}}
	if user.Type == "RelatedPerson" {
		parties = append(parties, Key{Party, user.String()})
	}
	return Terms{
		Client: "app", User: user, Patient: fhir.Key{Type: "Patient", ID: "1"}, Scopes: []Scope{{ForPatient, "*", mayAll, nil}},
		Standings: map[Context]Standing{ForPatient: {Parties: parties, Denied: DeniedLabels(nil, true)}},
	}
}

// callers are who writes in these tests.
func callers() map[string]Grant {
	importer := client("none", 0)
	importer.Organizations = nil
	importer.Standings = map[Context]Standing{ForSystem: {All: true, Denied: DeniedLabels(nil, false)}}
	lone := client("none", 0)
	lone.Organizations = nil
	lone.Standings = map[Context]Standing{ForSystem: {Parties: []Key{{Kind: Open}, {Author, "Client/system"}}}}
	reader := staff("gp", "a", Administer)
	reader.Scopes = []Scope{{ForUser, "*", MayRead | MaySearch, nil}}
	laboratory := staff("gp", "a", 0)
	laboratory.Scopes = []Scope{{ForUser, "Observation", mayAll, []Argument{{"category", "laboratory"}}}}
	unknown := ofPatient(fhir.Key{Type: "Person", ID: "1"})
	strange := ofPatient(fhir.Key{})
	return map[string]Grant{
		"nobody": {}, "trusted": Trusted("t"), "gp": NewGrant(staff("gp", "a", 0)), "specialist": NewGrant(staff("sp", "b", 0)),
		"admin": NewGrant(staff("gp", "a", Administer)), "labeller": NewGrant(staff("gp", "a", Labels)), "secretary": NewGrant(staff("gp", "a", AssertAuthor|AssertPatient)),
		"client": NewGrant(client("a", 0)), "portal": NewGrant(client("a", AssertPatient)), "importer": NewGrant(importer), "lone": NewGrant(lone),
		"patient": NewGrant(ofPatient(fhir.Key{Type: "Patient", ID: "1"})), "proxy": NewGrant(ofPatient(fhir.Key{Type: "RelatedPerson", ID: "r"})),
		"reader": NewGrant(reader), "laboratory": NewGrant(laboratory), "person": NewGrant(unknown), "token": NewGrant(strange),
	}
}

// writing makes the Write of a caller who follows old, "" for none, with next, ""
// for a delete, as interaction does.
func writing(tb testing.TB, r *search.Registry, g Grant, old, next string) Write {
	tb.Helper()
	w := Write{Interaction: Update, Patients: map[string]bool{}, Records: map[string]bool{}, Authors: map[fhir.Key]bool{}}
	content := func(src string) *Content {
		ix, root := indexed(tb, r, src)
		c := NewContent(ix, root)
		w.Type = ix.Key.Type
		c.Given = func(any []Key) bool { return intersects(effective(c.Keys, given())[len(c.Keys):], any) }
		c.Matches = func(where []Argument) bool {
			return !slices.ContainsFunc(where, func(a Argument) bool { return !strings.Contains(src, `"`+a.Value+`"`) })
		}
		return c
	}
	if old == "" {
		w.Interaction = Create
	} else {
		w.Old = content(old)
	}
	if next == "" {
		w.Interaction = Delete
	} else {
		w.New = content(next)
	}
	tell(g, &w)
	return w
}

// tell answers what w asks, in the world of these tests.
func tell(g Grant, w *Write) {
	patients, authors := w.Asks()
	see, any := g.View(needed(w.Interaction), w.Type), func([]Argument) bool { return true }
	for _, of := range patients {
		if of != "Patient/1" && of != "Patient/2" {
			continue
		}
		w.Patients[of] = see.Shows("", effective([]Key{{Patient, of}, {Record, of}, {Itself, of}}, given()), any)
		w.Records[of] = see.Shows("", effective([]Key{{Record, of}}, given()), any)
	}
	var own []Key
	for _, id := range g.terms.Organizations {
		own = append(own, Key{Party, "Organization/" + id})
	}
	for _, k := range authors {
		w.Authors[k] = w.Patients[k.String()] || intersects(effective([]Key{{Itself, k.String()}, {Party, k.String()}}, given()), own)
	}
}

const (
	message  = `{"resourceType":"Communication","id":"c","status":"%s","sender":{"reference":"%s"},"recipient":[{"reference":"%s"}]}`
	finding  = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"%s"}}`
	reported = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"%s"},"performer":[{"reference":"%s"}]}`
	job      = `{"resourceType":"Task","id":"t","status":"%s","intent":"order","for":{"reference":"Patient/1"},"requester":{"reference":"%s"},"owner":{"reference":"%s"}}`
	answers  = `{"resourceType":"QuestionnaireResponse","id":"q","status":"%s","subject":{"reference":"Patient/1"},"author":{"reference":"%s"}}`
	team     = `{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/1"},"participant":[{"member":{"reference":"%s"}}]}`
	file     = `{"resourceType":"Binary","id":"b","contentType":"text/plain"}`
	person   = `{"resourceType":"Patient","id":"%s","generalPractitioner":[{"reference":"%s"}]%s}`
	hidden   = `{"resourceType":"Observation","id":"o","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"%s"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"},"performer":[{"reference":"%s"}]}`
)

func TestMayWrite(t *testing.T) {
	t.Parallel()
	f := fmt.Sprintf
	r, who := registry(t), callers()
	const ok, denied, refused = fhir.Class(255), fhir.Denied, fhir.Unprocessable
	for _, tt := range []struct {
		who, what, old, next string
		want                 fhir.Class
	}{
		{"nobody", "creates", "", f(finding, "Patient/1"), denied},
		{"trusted", "creates", "", f(finding, "Patient/9"), ok},
		{"reader", "creates", "", f(finding, "Patient/1"), denied},
		{"reader", "deletes", f(finding, "Patient/1"), "", denied},

		{"patient", "sends a message", "", f(message, "completed", "Patient/1", "Organization/a"), ok},
		{"patient", "sends one as somebody else", "", f(message, "completed", "Patient/2", "Patient/1"), denied},
		{"patient", "sends one as the practice", "", f(message, "completed", "Organization/a", "Patient/1"), denied},
		{"patient", "sends one as somebody who is not here", "", `{"resourceType":"Communication","id":"c","status":"completed","sender":{"display":"Dr House"},"recipient":[{"reference":"Patient/1"}]}`, denied},
		{"patient", "sends one to another patient", "", f(message, "completed", "Patient/1", "Patient/2"), denied},
		{"patient", "sends one that names nobody", "", `{"resourceType":"Communication","id":"c","status":"completed","subject":{"reference":"Patient/1"}}`, denied},
		{"patient", "changes a draft", f(message, "preparation", "Patient/1", "Organization/a"), f(message, "completed", "Patient/1", "Organization/a"), ok},
		{"patient", "changes what was sent", f(message, "completed", "Patient/1", "Organization/a"), f(message, "preparation", "Patient/1", "Organization/a"), denied},
		{"patient", "deletes what was sent", f(message, "completed", "Patient/1", "Organization/a"), "", denied},
		{"patient", "deletes a draft", f(message, "preparation", "Patient/1", "Organization/a"), "", ok},
		{"patient", "deletes a message of the practice", f(message, "preparation", "Organization/a", "Patient/1"), "", denied},
		{"patient", "changes whom it is to", f(message, "preparation", "Patient/1", "Organization/a"), f(message, "preparation", "Patient/1", "Organization/b"), denied},
		{"patient", "changes a message of the practice", f(message, "preparation", "Organization/a", "Patient/1"), f(message, "completed", "Organization/a", "Patient/1"), denied},
		{"patient", "makes a message of the practice their own", f(message, "preparation", "Organization/a", "Patient/1"), f(message, "preparation", "Patient/1", "Organization/a"), denied},
		{"patient", "answers", "", f(answers, "in-progress", "Patient/1"), ok},
		{"patient", "goes on answering", f(answers, "in-progress", "Patient/1"), f(answers, "completed", "Patient/1"), ok},
		{"patient", "changes answers that were sent", f(answers, "completed", "Patient/1"), f(answers, "amended", "Patient/1"), denied},
		{"patient", "answers as the practice", "", f(answers, "completed", "Organization/a"), denied},
		{"patient", "changes answers of the practice", f(answers, "in-progress", "Organization/a"), f(answers, "completed", "Organization/a"), denied},
		{"patient", "reports", "", f(reported, "Patient/1", "Patient/1"), ok},
		{"patient", "reports as a doctor", "", f(reported, "Patient/1", "Practitioner/gp"), denied},
		{"patient", "reports of somebody else", "", f(reported, "Patient/2", "Patient/1"), denied},
		{"patient", "changes what a doctor found", f(reported, "Patient/1", "Practitioner/gp"), f(reported, "Patient/1", "Practitioner/gp"), denied},
		{"patient", "changes what was found", f(finding, "Patient/1"), f(finding, "Patient/1"), denied},
		{"patient", "deletes what was found", f(finding, "Patient/1"), "", denied},
		{"patient", "deletes what they reported", f(reported, "Patient/1", "Patient/1"), "", ok},
		{"patient", "labels what they reported", f(reported, "Patient/1", "Patient/1"), f(hidden, "PSY", "Patient/1"), denied},
		{"patient", "asks for something", "", f(job, "requested", "Patient/1", "Organization/a"), ok},
		{"patient", "asks as the practice", "", f(job, "requested", "Organization/a", "Patient/1"), denied},
		{"patient", "does what was asked", f(job, "requested", "Organization/a", "Patient/1"), f(job, "completed", "Organization/a", "Patient/1"), ok},
		{"patient", "hands over what was asked", f(job, "requested", "Organization/a", "Patient/1"), f(job, "requested", "Organization/a", "Organization/b"), denied},
		{"patient", "changes who asked", f(job, "requested", "Organization/a", "Patient/1"), f(job, "requested", "Organization/b", "Patient/1"), denied},
		{"patient", "changes what others do", f(job, "requested", "Organization/a", "Organization/b"), f(job, "completed", "Organization/a", "Organization/b"), denied},
		{"patient", "deletes what was asked", f(job, "requested", "Organization/a", "Patient/1"), "", denied},
		{"patient", "sends a file", "", file, ok},
		{"patient", "changes a file", file, file, denied},
		{"patient", "writes a diagnosis", "", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/1"},"asserter":{"reference":"Patient/1"}}`, denied},
		{"patient", "consents", "", `{"resourceType":"Consent","id":"c","status":"active","scope":{"text":"x"},"category":[{"text":"x"}],"patient":{"reference":"Patient/1"}}`, denied},
		{"patient", "registers", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/b", ""), denied},
		{"patient", "makes a relative", "", `{"resourceType":"RelatedPerson","id":"x","patient":{"reference":"Patient/1"}}`, denied},
		{"patient", "makes a care team", "", f(team, "Organization/b"), denied},
		{"proxy", "sends a message", "", f(message, "completed", "RelatedPerson/r", "Patient/1"), ok},
		{"proxy", "sends one that the patient does not see", "", f(message, "completed", "RelatedPerson/r", "Organization/a"), denied},
		{"proxy", "sends one of the patient", "", f(message, "completed", "Patient/1", "Organization/a"), ok},
		{"proxy", "sends one of another relative", "", f(message, "completed", "RelatedPerson/s", "Patient/1"), denied},
		{"person", "makes a relative", "", `{"resourceType":"RelatedPerson","id":"x","patient":{"reference":"Patient/1"}}`, denied},
		{"token", "reports", "", f(reported, "Patient/1", "Patient/1"), ok},
		{"token", "makes a care team", "", f(team, "Organization/b"), denied},

		{"gp", "finds something", "", f(finding, "Patient/1"), ok},
		{"gp", "finds something of a stranger", "", f(finding, "Patient/9"), denied},
		{"specialist", "finds something of a patient that was referred", "", f(reported, "Patient/1", "Organization/b"), ok},
		{"specialist", "finds something of another", "", f(reported, "Patient/2", "Organization/b"), denied},
		{"specialist", "goes on with another", f(reported, "Patient/2", "Organization/b"), f(reported, "Patient/2", "Organization/b"), ok},
		{"specialist", "goes on with a stranger that names them now only", f(reported, "Patient/2", "Organization/a"), f(reported, "Patient/2", "Organization/b"), denied},
		{"gp", "moves it to another patient", f(finding, "Patient/1"), f(finding, "Patient/2"), refused},
		{"gp", "moves it to a stranger", f(finding, "Patient/1"), f(finding, "Patient/9"), refused},
		{"admin", "moves it to another patient", f(finding, "Patient/1"), f(finding, "Patient/2"), ok},
		{"admin", "moves it to a stranger", f(finding, "Patient/1"), f(finding, "Patient/9"), denied},
		{"gp", "writes", "", f(message, "completed", "Practitioner/gp", "Patient/1"), ok},
		{"gp", "writes in a role", "", f(message, "completed", "PractitionerRole/gp", "Patient/1"), ok},
		{"gp", "writes for the practice", "", f(message, "completed", "Organization/a", "Patient/1"), ok},
		{"gp", "writes as a colleague", "", f(message, "completed", "Practitioner/colleague", "Patient/1"), denied},
		{"gp", "writes as somebody elsewhere", "", f(message, "completed", "Practitioner/sp", "Patient/1"), denied},
		{"gp", "writes as the patient", "", f(message, "completed", "Patient/1", "Organization/a"), denied},
		{"gp", "takes a message over", f(message, "preparation", "Organization/b", "Organization/a"), f(message, "preparation", "Organization/a", "Organization/b"), denied},
		{"secretary", "writes as a colleague", "", f(message, "completed", "Practitioner/colleague", "Patient/1"), ok},
		{"secretary", "writes as somebody elsewhere", "", f(message, "completed", "Practitioner/sp", "Patient/1"), denied},
		{"secretary", "writes as the patient", "", f(message, "completed", "Patient/1", "Organization/a"), ok},
		{"client", "writes for somebody of theirs", "", f(message, "completed", "Practitioner/colleague", "Patient/1"), ok},
		{"client", "writes as somebody elsewhere", "", f(message, "completed", "Practitioner/sp", "Patient/1"), denied},
		{"client", "writes as the patient", "", f(message, "completed", "Patient/1", "Organization/a"), denied},
		{"portal", "writes as the patient", "", f(message, "completed", "Patient/1", "Organization/a"), ok},
		{"portal", "writes as a stranger", "", f(message, "completed", "Patient/9", "Organization/a"), denied},
		{"importer", "writes about anybody", "", f(message, "completed", "Practitioner/sp", "Patient/9"), ok},
		{"importer", "makes a care team", "", f(team, "Organization/b"), ok},
		{"importer", "writes the directory", "", `{"resourceType":"Organization","id":"x","name":"x"}`, denied},
		{"lone", "keeps something", "", `{"resourceType":"Basic","id":"b","code":{"text":"x"}}`, ok},
		{"gp", "does what they were asked", f(job, "requested", "Organization/b", "Organization/a"), f(job, "completed", "Organization/b", "Organization/a"), ok},
		{"specialist", "sends a message nobody of theirs sees", "", `{"resourceType":"Communication","id":"c","status":"completed","recipient":[{"reference":"Patient/1"}]}`, ok}, // they keep it as its author
		{"gp", "sends a file", "", file, ok},

		{"gp", "makes a care team", "", f(team, "Organization/b"), ok},
		{"specialist", "joins the care team of a patient that was referred", "", f(team, "Organization/b"), denied},
		{"specialist", "deletes a care team", f(team, "Organization/b"), "", denied},
		{"gp", "groups patients", "", `{"resourceType":"Group","id":"g","type":"person","actual":true,"managingEntity":{"reference":"Organization/a"},"member":[{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/2"}}]}`, ok},
		{"gp", "groups strangers", "", `{"resourceType":"Group","id":"g","type":"person","actual":true,"managingEntity":{"reference":"Organization/a"},"member":[{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/9"}}]}`, denied},
		{"gp", "registers a patient", "", f(person, "7", "Organization/a", ""), ok},
		{"gp", "registers one elsewhere", "", f(person, "7", "Organization/b", ""), denied},
		{"gp", "hands a patient over", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/b", ""), denied},
		{"specialist", "takes a patient over", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/b", ""), denied},
		{"admin", "hands a patient over", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/b", ""), ok},
		{"gp", "links a patient", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/a", `,"link":[{"type":"seealso","other":{"reference":"Patient/2"}}]`), denied},
		{"gp", "keeps a link", f(person, "1", "Organization/a", `,"link":[{"type":"seealso","other":{"reference":"Patient/2"}}]`), f(person, "1", "Organization/a", `,"link":[ {"type": "seealso","other":{"reference":"Patient/2"}}]`), ok},
		{"admin", "links a patient", f(person, "1", "Organization/a", ""), f(person, "1", "Organization/a", `,"link":[{"type":"seealso","other":{"reference":"Patient/2"}}]`), ok},
		{"gp", "writes the directory", "", `{"resourceType":"PractitionerRole","id":"x","practitioner":{"reference":"Practitioner/gp"},"organization":{"reference":"Organization/b"}}`, denied},
		{"admin", "writes the directory", "", `{"resourceType":"PractitionerRole","id":"x","practitioner":{"reference":"Practitioner/gp"},"organization":{"reference":"Organization/b"}}`, ok},
		{"gp", "writes a form", "", `{"resourceType":"Questionnaire","id":"x","status":"active"}`, denied},
		{"admin", "writes an audit event", "", `{"resourceType":"AuditEvent","id":"e","type":{"code":"rest"},"recorded":"2024-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"reference":"Organization/a"}}}`, denied},

		{"gp", "labels what patients are not to see", f(reported, "Patient/1", "Organization/a"), f(hidden, "NOPAT", "Organization/a"), ok},
		{"gp", "labels what they may not see themselves", f(reported, "Patient/1", "Organization/a"), f(hidden, "PSY", "Organization/a"), denied},
		{"gp", "takes a label away", f(hidden, "NOPAT", "Organization/a"), f(reported, "Patient/1", "Organization/a"), denied},
		{"labeller", "takes a label away", f(hidden, "NOPAT", "Organization/a"), f(reported, "Patient/1", "Organization/a"), ok},

		{"laboratory", "writes a finding that its scope is not for", "", f(finding, "Patient/1"), denied},
		{"laboratory", "writes one that it is for", "", strings.Replace(f(finding, "Patient/1"), `"status"`, `"category":[{"coding":[{"code":"laboratory"}]}],"status"`, 1), ok},
		{"laboratory", "writes another type", "", f(job, "requested", "Organization/a", "Organization/a"), denied},
	} {
		g := who[tt.who]
		w := writing(t, r, g, tt.old, tt.next)
		got := ok
		err := g.MayWrite(w)
		if o := fhir.AsOutcome(err); o != nil {
			got = o.Class
		}
		if got != tt.want {
			t.Errorf("%s %s: class %d, %v; want class %d", tt.who, tt.what, got, err, tt.want)
		}
	}
}

// TestRefusalsSayNothingOfPatients: writing about a patient who is hidden is
// refused in the same words as about one who is not there.
// TestAmends lets patients change what they have sent where the rules of conversations do, and
// nothing else by that.
func TestAmends(t *testing.T) {
	t.Parallel()
	r, who := registry(t), callers()
	for _, tt := range []struct {
		who, old, next string
		amends, want   bool
	}{
		{"patient", "Patient/1", "Patient/1", true, true},
		{"patient", "Patient/1", "Patient/1", false, false},
		{"patient", "Organization/a", "Organization/a", true, false},
		{"patient", "Patient/1", "Organization/a", true, false},
		{"nobody", "Patient/1", "Patient/1", true, false},
	} {
		w := writing(t, r, who[tt.who], fmt.Sprintf(answers, "completed", tt.old), fmt.Sprintf(answers, "amended", tt.next))
		w.Amends = tt.amends
		if err := who[tt.who].MayWrite(w); (err == nil) != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestRefusalsSayNothingOfPatients(t *testing.T) {
	t.Parallel()
	r, g := registry(t), callers()["specialist"]
	refuse := func(old, next string) string {
		err := g.MayWrite(writing(t, r, g, old, next))
		if err == nil {
			t.Fatalf("%s after %s is allowed", next, old)
		}
		return string(fhir.AsOutcome(err).JSON())
	}
	if a, b := refuse("", fmt.Sprintf(finding, "Patient/2")), refuse("", fmt.Sprintf(finding, "Patient/none")); a != b {
		t.Errorf("%s and %s", a, b)
	}
	old := fmt.Sprintf(reported, "Patient/1", "Organization/b")
	if a, b := refuse(old, fmt.Sprintf(finding, "Patient/2")), refuse(old, fmt.Sprintf(finding, "Patient/none")); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestAuthorKeys(t *testing.T) {
	t.Parallel()
	f := fmt.Sprintf
	r, who := registry(t), callers()
	const thing = `{"resourceType":"Basic","id":"b","code":{"text":"x"}}`
	for _, tt := range []struct{ who, old, next, want string }{
		{"gp", "", thing, "author Organization/a"},
		{"gp", "", f(finding, "Patient/1"), "author Organization/a"},
		{"gp", "", f(reported, "Patient/1", "Organization/b"), "author Organization/a"},
		{"gp", "", f(reported, "Patient/1", "PractitionerRole/gp"), ""},
		{"gp", thing, thing, ""},
		{"gp", thing, "", ""},
		{"gp", "", `{"resourceType":"Questionnaire","id":"q","status":"draft"}`, ""},
		{"client", "", file, "author Organization/a"},
		{"lone", "", thing, "author Client/system"},
		{"importer", "", thing, ""},
		{"trusted", "", thing, ""},
		{"nobody", "", thing, ""},
		{"patient", "", file, "author Patient/1"},
		{"proxy", "", file, "author Patient/1"},
		{"patient", "", f(finding, "Patient/1"), ""},
		{"patient", "", f(finding, "Patient/2"), ""},
	} {
		g := who[tt.who]
		if got := letters(g.AuthorKeys(writing(t, r, g, tt.old, tt.next))); got != tt.want {
			t.Errorf("%s writes %s: %q, want %q", tt.who, tt.next, got, tt.want)
		}
	}
}

func TestGives(t *testing.T) {
	t.Parallel()
	f := fmt.Sprintf
	r, who := registry(t), callers()
	referral := `{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order","subject":{"reference":"Patient/1"},"performer":[{"reference":"Organization/b"}],"supportingInfo":[{"reference":"Observation/seen"},{"reference":"Observation/hidden"}]}`
	role := `{"resourceType":"PractitionerRole","id":"x","practitioner":{"reference":"Practitioner/seen"},"organization":{"reference":"Organization/b"}}`
	record, package1 := "record Patient/1 <- party Organization/b", "itself Observation/seen <- party Organization/b"
	sees := func(k Key) bool { return k.Kind == Itself && strings.HasSuffix(k.Of, "/seen") }
	has := func(k Key) bool { return k == Key{Record, "Patient/1"} }
	for name, tt := range map[string]struct {
		who, old, next string
		visible        func(Key) bool
		want           string
	}{
		"what is seen":                       {"gp", "", referral, sees, package1},
		"nothing is seen":                    {"gp", "", referral, nil, ""},
		"a record that one has":              {"gp", "", f(team, "Organization/b"), has, record},
		"a record that one has not":          {"gp", "", f(team, "Organization/b"), sees, ""},
		"a record, by role":                  {"admin", "", f(team, "Organization/b"), nil, record},
		"one's own patient":                  {"gp", "", f(person, "7", "Organization/a", ""), nil, "record Patient/7 <- party Organization/a"},
		"somebody else's":                    {"gp", "", f(person, "1", "Organization/b", ""), nil, ""},
		"one's own patient, later":           {"gp", f(person, "1", "Organization/b", ""), f(person, "1", "Organization/a", ""), nil, ""},
		"a patient's own":                    {"patient", "", f(person, "1", "Organization/a", ""), nil, ""},
		"the directory":                      {"gp", "", role, nil, ""},
		"the directory, by role":             {"admin", "", role, sees, "party PractitionerRole/x <- party Organization/b | itself Practitioner/seen <- party Organization/b"},
		"without a scope":                    {"reader", "", f(team, "Organization/b"), has, ""},
		"the zero grant":                     {"nobody", "", f(team, "Organization/b"), has, ""},
		"trusted":                            {"trusted", "", f(team, "Organization/b"), nil, record},
		"nothing by what is taken away":      {"trusted", f(team, "Organization/b"), "", has, ""},
		"an attachment that the sender sees": {"patient", "", `{"resourceType":"Communication","id":"c","status":"completed","sender":{"reference":"Patient/1"},"payload":[{"contentAttachment":{"url":"Binary/seen"}},{"contentAttachment":{"url":"Binary/hidden"}}]}`, sees, "itself Binary/seen <- sees Patient/1 | itself Binary/seen <- itself Communication/c"},
	} {
		g := who[tt.who]
		var words []string
		for _, gift := range g.Gives(writing(t, r, g, tt.old, tt.next), tt.visible) {
			words = append(words, letter(gift.Target)+" <- "+letter(gift.Key))
		}
		if got := strings.Join(words, " | "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// drawn draws a resource that names people in an order of its own, and returns it
// in two orders of its elements and repetitions.
func drawn(t *rapid.T) (one, other string) {
	patients, parties := []string{"Patient/1", "Patient/2", "Patient/9"}, []string{"Organization/a", "Organization/b", "Practitioner/gp", "Practitioner/colleague", "Patient/1", "Patient/2", "RelatedPerson/r"}
	label := rapid.SampledFrom([]string{"", `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]}`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}`}).Draw(t, "label")
	refs := func(all []string, wrap string) (string, string) {
		drawn := rapid.SliceOfN(rapid.SampledFrom(all), 1, 4).Draw(t, "named")
		words := make([]string, len(drawn))
		for i, d := range drawn {
			words[i] = fmt.Sprintf(wrap, d)
		}
		ahead := strings.Join(words, ",")
		slices.Reverse(words)
		return ahead, strings.Join(words, ",")
	}
	patient, author := rapid.SampledFrom(patients).Draw(t, "patient"), rapid.SampledFrom(parties).Draw(t, "author")
	var elements, mirrored []string
	add := func(a string) { elements, mirrored = append(elements, a), append(mirrored, a) }
	addBoth := func(form string, all []string, wrap string) {
		a, b := refs(all, wrap)
		elements, mirrored = append(elements, fmt.Sprintf(form, a)), append(mirrored, fmt.Sprintf(form, b))
	}
	const ref = `{"reference":"%s"}`
	switch rapid.IntRange(0, 4).Draw(t, "type") {
	case 0:
		add(`"resourceType":"Communication","status":"` + rapid.SampledFrom([]string{"preparation", "completed"}).Draw(t, "status") + `","sender":{"reference":"` + author + `"}`)
		addBoth(`"recipient":[%s]`, parties, ref)
		addBoth(`"payload":[%s]`, []string{"Binary/1", "Binary/2"}, `{"contentAttachment":{"url":"%s"}}`)
	case 1:
		add(`"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"` + patient + `"}`)
		addBoth(`"performer":[%s]`, parties, ref)
	case 2:
		add(`"resourceType":"CareTeam","status":"active","subject":{"reference":"` + patient + `"}`)
		addBoth(`"participant":[%s]`, parties, `{"member":{"reference":"%s"}}`)
	case 3:
		add(`"resourceType":"Task","status":"ready","intent":"order","for":{"reference":"` + patient + `"},"requester":{"reference":"` + author + `"},"owner":{"reference":"Organization/b"},"focus":{"reference":"Observation/x"}`)
	case 4:
		add(`"resourceType":"Patient"`)
		addBoth(`"generalPractitioner":[%s]`, []string{"Organization/a", "Organization/b", "Practitioner/gp"}, ref)
	}
	add(`"id":"` + strings.TrimPrefix(patient, "Patient/") + `"`)
	if label != "" {
		add(label)
	}
	slices.Reverse(mirrored)
	return "{" + strings.Join(elements, ",") + "}", "{" + strings.Join(mirrored, ",") + "}"
}

// TestOrderDoesNotMatter: keys and gifts are the same however the elements of a
// resource are ordered, in order, and none twice.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(p *rapid.T) {
		one, other := drawn(p)
		a, rootA := indexed(t, r, one)
		b, rootB := indexed(t, r, other)
		keys, gifts := Keys(a, rootA), Gifts(a, rootA, Keys(a, rootA))
		if d := cmp.Diff(keys, Keys(b, rootB)); d != "" {
			p.Fatalf("keys of %s and %s: %s", one, other, d)
		}
		if d := cmp.Diff(gifts, Gifts(b, rootB, keys)); d != "" {
			p.Fatalf("gifts of %s and %s: %s", one, other, d)
		}
		if len(slices.Compact(slices.Clone(keys))) != len(keys) || !slices.IsSortedFunc(keys, compareKeys) || !slices.IsSortedFunc(gifts, compareGifts) || len(slices.Compact(slices.Clone(gifts))) != len(gifts) {
			p.Fatalf("%s: keys %v, gifts %v", one, keys, gifts)
		}
	})
}

// TestWhatIsWrittenIsSeen: who may write a version sees it afterwards, it is about
// nobody new to them, and nobody gives what they have not.
func TestWhatIsWrittenIsSeen(t *testing.T) {
	t.Parallel()
	r, who := registry(t), callers()
	names := []string{"gp", "specialist", "admin", "labeller", "secretary", "client", "portal", "importer", "lone", "patient", "proxy", "person", "token", "reader", "nobody"}
	allowed := 0
	rapid.Check(t, func(p *rapid.T) {
		name := rapid.SampledFrom(names).Draw(p, "who")
		g := who[name]
		next, _ := drawn(p)
		old := ""
		if rapid.Bool().Draw(p, "follows") {
			old, _ = drawn(p)
		}
		if old != "" && decode(t, old).Type() != decode(t, next).Type() {
			old = ""
		}
		w := writing(t, r, g, old, next)
		visible := func(k Key) bool {
			return g.View(mayAll, "Patient").Shows("Patient", effective([]Key{k}, given()), nil)
		}
		gives := g.Gives(w, visible)
		for _, gift := range gives {
			if gift.Target.Kind == Record && !visible(gift.Target) && !g.Has(Administer) && (w.Type != "Patient" || w.Old != nil) {
				p.Fatalf("%s gives %v by %s", name, gift, next)
			}
		}
		if g.MayWrite(w) != nil {
			return
		}
		allowed++
		keys := effective(slices.Concat(w.New.Keys, g.AuthorKeys(w)), append(given(), gives...))
		if !g.View(needed(w.Interaction), w.Type).Shows(w.Type, keys, w.New.Matches) {
			p.Fatalf("%s writes %s after %s and does not see it", name, next, old)
		}
		for _, of := range Subjects(w.New.Keys) {
			known := w.Patients[of] || w.Old != nil && slices.Contains(Subjects(w.Old.Keys), of) || w.Type == "Patient"
			if !known && name != "importer" && !(g.writer(w).isPatient() && of == "Patient/1") {
				p.Fatalf("%s writes about %s, whom they do not see: %s", name, of, next)
			}
		}
	})
	if allowed == 0 {
		t.Error("nobody could write anything")
	}
}

package auth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// keysOf makes keys of a kind for a test.
func keysOf(kind access.Kind, of ...string) []access.Key {
	var keys []access.Key
	for _, o := range of {
		keys = append(keys, access.Key{Kind: kind, Of: o})
	}
	return keys
}

func TestTermsOf(t *testing.T) {
	t.Parallel()
	own := auth.Claims{OwnIssuer: true, Client: "app", Grant: "g", Subject: "s"}
	with := func(change func(*auth.Claims)) auth.Claims { c := own; change(&c); return c }
	inPatient := with(func(c *auth.Claims) { c.Patient = "1" })
	every := access.Administer | access.Labels | access.AssertAuthor | access.AssertPatient | access.Operate
	staff := auth.Profile{Active: true, User: fhir.Key{Type: "Practitioner", ID: "p"}, Organizations: []string{"a"}, Roles: every,
		Parties: keysOf(access.Party, "Practitioner/p", "PractitionerRole/r", "Organization/a")}
	patient := auth.Profile{Active: true, User: fhir.Key{Type: "Patient", ID: "1"}, Patients: []string{"2"}, Roles: every, Organizations: []string{"a"}}
	relative := auth.Profile{Active: true, User: fhir.Key{Type: "RelatedPerson", ID: "r"}, Patients: []string{"1"}}
	client := auth.Profile{Active: true, Organizations: []string{"a", "b"}, Parties: keysOf(access.Party, "HealthcareService/h"), Roles: every}
	whole := auth.Profile{Active: true, All: true}

	const sees1 = "open, sees Patient/1"
	for name, tt := range map[string]struct {
		claims  auth.Claims
		profile auth.Profile
		scopes  string
		want    string // of each context its standing
		kept    string // scopes
	}{
		"no scope":                   {own, staff, "", "", ""},
		"identity only":              {own, staff, "openid fhirUser", "", ""},
		"staff":                      {own, staff, "user/*.rs", "user: open, party Practitioner/p, party PractitionerRole/r, party Organization/a, author Organization/a", "user/*.rs"},
		"staff, patient in context":  {inPatient, staff, "patient/*.rs user/Task.r", "patient: " + sees1 + ", within 5; user: open, party Practitioner/p, party PractitionerRole/r, party Organization/a, author Organization/a", "patient/*.rs user/Task.r"},
		"staff, no patient":          {own, staff, "patient/*.rs", "", ""},
		"staff, scope of the system": {own, staff, "system/*.rs", "", ""},
		"patient":                    {inPatient, patient, "patient/*.rs", "patient: " + sees1 + ", author Patient/1", "patient/*.rs"},
		"patient for another":        {with(func(c *auth.Claims) { c.Patient = "2" }), patient, "patient/*.rs", "patient: open, sees Patient/2, author Patient/2", "patient/*.rs"},
		"patient for a stranger":     {with(func(c *auth.Claims) { c.Patient = "3" }), patient, "patient/*.rs", "", ""},
		"patient, nobody in context": {own, patient, "patient/*.rs", "", ""},
		"patient as a user":          {own, patient, "user/*.rs", "user: " + sees1 + ", author Patient/1, sees Patient/2, author Patient/2", "user/*.rs"},
		"relative":                   {inPatient, relative, "patient/*.rs", "patient: " + sees1 + ", author Patient/1, party RelatedPerson/r", "patient/*.rs"},
		"relative as a user":         {own, relative, "user/*.rs", "user: " + sees1 + ", author Patient/1, party RelatedPerson/r", "user/*.rs"},
		"relative who may no more":   {inPatient, auth.Profile{Active: true, User: relative.User}, "patient/*.rs user/*.rs", "user: open", "user/*.rs"},
		"patient of a strange name":  {with(func(c *auth.Claims) { c.Patient = "1/../2" }), staff, "patient/*.rs", "", ""},
		"client":                     {own, client, "system/*.rs", "system: open, party HealthcareService/h, author Client/app, party Organization/a, author Organization/a, party Organization/b, author Organization/b", "system/*.rs"},
		"client for one":             {with(func(c *auth.Claims) { c.Organizations = []string{"b", "z"} }), client, "system/*.rs", "system: open, author Client/app, party Organization/b, author Organization/b", "system/*.rs"},
		"client for none of its own": {with(func(c *auth.Claims) { c.Organizations = []string{"z"} }), client, "system/*.rs", "system: open, author Client/app", "system/*.rs"},
		"client of none":             {own, auth.Profile{Active: true}, "system/*.rs", "system: open, author Client/app", "system/*.rs"},
		"client of all":              {own, whole, "system/*.rs", "system: all ", "system/*.rs"},
		"client of all, for one":     {with(func(c *auth.Claims) { c.Organizations = []string{"z"} }), whole, "system/*.rs", "system: open, author Client/app, party Organization/z, author Organization/z", "system/*.rs"},
		"client, scope of a user":    {own, client, "user/*.rs", "", ""},
		"staff of all":               {own, auth.Profile{Active: true, All: true, User: staff.User}, "user/*.rs", "user: open", "user/*.rs"},
		"another issuer's patient":   {auth.Claims{Issuer: "https://i", Client: "app", Patient: "1"}, auth.Profile{Active: true}, "patient/*.rs", "patient: " + sees1 + ", author Patient/1", "patient/*.rs"},
		"another issuer's client":    {auth.Claims{Issuer: "https://i", Client: "app"}, client, "system/*.rs", "system: open, party HealthcareService/h, author Client/https://i#app, party Organization/a, author Organization/a, party Organization/b, author Organization/b", "system/*.rs"},
	} {
		s, _ := auth.ParseScopes(tt.scopes, known)
		terms, err := auth.TermsOf(tt.claims, tt.profile, s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var kept []string
		for _, r := range terms.Scopes {
			kept = append(kept, auth.Scope{Scope: r}.String())
		}
		if got := strings.Join(kept, " "); standing(terms) != tt.want || got != tt.kept {
			t.Errorf("%s:\ngot  %s with %s\nwant %s with %s", name, standing(terms), got, tt.want, tt.kept)
		}
	}
}

// standing writes what terms stand for.
func standing(t access.Terms) string {
	var contexts []string
	for i, c := range []access.Context{access.ForPatient, access.ForUser, access.ForSystem} {
		at, ok := t.Standings[c]
		if !ok {
			continue
		}
		var words []string
		for _, k := range at.Parties {
			words = append(words, strings.TrimSpace([]string{"", "open", "sees", "record", "party", "author", "label", "itself"}[k.Kind]+" "+k.Of))
		}
		all := ""
		if at.All {
			all = "all "
		}
		text := []string{"patient", "user", "system"}[i] + ": " + all + strings.Join(words, ", ")
		if at.Within != nil {
			text += fmt.Sprint(", within ", len(at.Within))
		}
		contexts = append(contexts, text)
	}
	return strings.Join(contexts, "; ")
}

func TestTermsOfInactive(t *testing.T) {
	t.Parallel()
	s, _ := auth.ParseScopes("user/*.cruds", known)
	_, err := auth.TermsOf(auth.Claims{OwnIssuer: true, Client: "app"}, auth.Profile{User: fhir.Key{Type: "Practitioner", ID: "p"}}, s)
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unauthorized {
		t.Errorf("error %v", err)
	}
}

// TestTermsOfMixed: scopes of the system beside others, which ParseScopes never
// returns, grant nothing to a user.
func TestTermsOfMixed(t *testing.T) {
	t.Parallel()
	s := auth.Scopes{Resource: []auth.Scope{
		{Scope: access.Scope{Context: access.ForUser, Type: "Task", Allows: access.MayRead}}, {Scope: access.Scope{Context: access.ForSystem, Type: "*", Allows: all}}}}
	terms, err := auth.TermsOf(auth.Claims{OwnIssuer: true, Client: "app"}, auth.Profile{Active: true, All: true, User: fhir.Key{Type: "Practitioner", ID: "p"}}, s)
	if g := access.NewGrant(terms); err != nil || g.Allow(access.Read, "Patient") == nil || g.Allow(access.Read, "Task") != nil {
		t.Errorf("%+v, %v", terms.Scopes, err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	const every = access.Administer | access.Labels | access.AssertAuthor | access.AssertPatient | access.Operate
	staff, patient := fhir.Key{Type: "Practitioner", ID: "p"}, fhir.Key{Type: "Patient", ID: "1"}
	for name, tt := range map[string]struct {
		user   fhir.Key
		scopes string
		want   access.Role
	}{
		"staff":                      {staff, "user/Task.rs", every &^ access.Operate},
		"staff with all":             {staff, "user/*.cruds", every},
		"staff, SMART 1":             {staff, "user/*.*", every},
		"staff with all but one":     {staff, "user/*.crus", every &^ access.Operate},
		"staff, an app for patients": {staff, "patient/*.cruds", 0},
		"staff, identity":            {staff, "openid fhirUser", 0},
		"client":                     {fhir.Key{}, "system/*.cruds", every},
		"patient":                    {patient, "user/*.cruds patient/*.cruds", 0},
		"relative":                   {fhir.Key{Type: "RelatedPerson", ID: "r"}, "user/*.cruds", 0},
	} {
		claims := auth.Claims{OwnIssuer: true, Client: "app", Patient: "1"}
		if tt.user.ID == "" {
			claims.Patient = ""
		}
		s, _ := auth.ParseScopes(tt.scopes, known)
		terms, err := auth.TermsOf(claims, auth.Profile{Active: true, User: tt.user, Roles: every, Organizations: []string{"a"}}, s)
		if err != nil || terms.Roles != tt.want {
			t.Errorf("%s: roles %b, %v", name, terms.Roles, err)
		}
		if tt.user.Type == "Patient" && terms.Organizations != nil {
			t.Errorf("%s: organisations %v", name, terms.Organizations)
		}
	}
}

func TestLabelsDenied(t *testing.T) {
	t.Parallel()
	denied := func(user fhir.Key, scopes string, c access.Context) []access.Key {
		s, _ := auth.ParseScopes(scopes, known)
		terms, err := auth.TermsOf(auth.Claims{OwnIssuer: true, Client: "app", Patient: "1"}, auth.Profile{Active: true, User: user, Clearance: []string{"R"}}, s)
		if err != nil {
			t.Fatal(err)
		}
		return terms.Standings[c].Denied
	}
	staff := fhir.Key{Type: "Practitioner", ID: "p"}
	for name, tt := range map[string]struct {
		denied []access.Key
		noPat  bool
	}{
		"patient":                  {denied(fhir.Key{Type: "Patient", ID: "1"}, "patient/*.rs", access.ForPatient), true},
		"patient as a user":        {denied(fhir.Key{Type: "Patient", ID: "1"}, "user/*.rs", access.ForUser), true},
		"staff":                    {denied(staff, "user/*.rs", access.ForUser), false},
		"staff, an app of patient": {denied(staff, "patient/*.rs", access.ForPatient), true},
	} {
		has := func(l string) bool { return slices.Contains(tt.denied, access.Key{Kind: access.Label, Of: l}) }
		if has(access.NoPatient) != tt.noPat || !has("V") || !has("PSY") || has("R") {
			t.Errorf("%s: denied %v", name, tt.denied)
		}
	}
}

// TestWhoActs: pages and the audit are bound to who acts, and never to a client of
// another issuer with the same id.
func TestWhoActs(t *testing.T) {
	t.Parallel()
	staff := auth.Profile{Active: true, User: fhir.Key{Type: "Practitioner", ID: "p"}}
	machine := auth.Profile{Active: true}
	for name, tt := range map[string]struct {
		claims            auth.Claims
		profile           auth.Profile
		client, id, agent string
	}{
		"user":                {auth.Claims{OwnIssuer: true, Client: "app", Grant: "g"}, staff, "app", "g", "Practitioner/p"},
		"client":              {auth.Claims{OwnIssuer: true, Client: "app", Grant: "g"}, machine, "app", "app", "Client/app"},
		"user elsewhere":      {auth.Claims{Issuer: "https://i", Client: "app", Grant: "g", Subject: "s"}, staff, "https://i#app", "https://i#app s Practitioner/p /", "Practitioner/p"},
		"client elsewhere":    {auth.Claims{Issuer: "https://i", Client: "app"}, machine, "https://i#app", "https://i#app", "Client/https://i#app"},
		"patient, no account": {auth.Claims{Issuer: "https://i", Client: "app", Subject: "s", Patient: "1"}, machine, "https://i#app", "https://i#app s / Patient/1", "Client/https://i#app"},
	} {
		s, _ := auth.ParseScopes("patient/*.rs fhirUser", known)
		terms, err := auth.TermsOf(tt.claims, tt.profile, s)
		g := access.NewGrant(terms)
		if err != nil || g.Client() != tt.client || g.ID() != tt.id || terms.RequestAgent != tt.agent {
			t.Errorf("%s: client %q, id %q, agent %q, %v", name, g.Client(), g.ID(), terms.RequestAgent, err)
		}
		if self := tt.profile.User; g.ReadsSelf(self) != (self.ID != "") {
			t.Errorf("%s: reads self: %v", name, g.ReadsSelf(self))
		}
	}
}

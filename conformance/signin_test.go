package conformance_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// An actor is somebody by whose token requests are sent.
type actor struct {
	text    string            // as a script says it: "practitioner grace clearance=R user/*.cruds"
	role    string            // the first word
	id      string            // of the person or the client
	options map[string]string // what else is true of them
	scopes  string
}

// actorOptions returns what can be said of a role, and whether it has an id.
func actorOptions(role string) (options []string, named, known bool) {
	switch role {
	case "nobody":
		return nil, false, true
	case "administrator", "operator":
		return nil, false, true
	case "patient":
		return []string{"clearance"}, true, true
	case "relative":
		return []string{"patient", "clearance"}, true, true
	case "practitioner":
		return []string{"patient", "clearance", "roles"}, true, true
	case "client":
		return []string{"organizations", "only", "all", "clearance", "roles"}, true, true
	}
	return nil, false, false
}

// parseActor reads what follows "as " in a script.
func parseActor(text string) (actor, error) {
	words := strings.Fields(text)
	c := actor{text: text, options: map[string]string{}}
	if len(words) == 0 {
		return c, errors.New("say who")
	}
	c.role, words = words[0], words[1:]
	allowed, named, known := actorOptions(c.role)
	if !known {
		return c, fmt.Errorf("nobody is a %q", c.role)
	}
	if named {
		if len(words) == 0 || !fhir.ValidID(words[0]) {
			return c, errors.New("say which, by an id")
		}
		c.id, words = words[0], words[1:]
	}
	for len(words) > 0 && strings.Contains(words[0], "=") && !strings.Contains(words[0], "/") {
		name, value, _ := strings.Cut(words[0], "=")
		if !slices.Contains(allowed, name) {
			return c, fmt.Errorf("%s is none of %v", name, allowed)
		}
		c.options[name], words = value, words[1:]
	}
	c.scopes = strings.Join(words, " ")
	if (c.scopes == "") == named {
		return c, errors.New("say with which scopes; an administrator, an operator and nobody have their own")
	}
	return c, nil
}

// list returns an option that has several values.
func (c actor) list(name string) []string {
	if c.options[name] == "" {
		return nil
	}
	return strings.Split(c.options[name], ",")
}

func (c actor) roles() (roles access.Role, err error) {
	known := map[string]access.Role{
		"administer": access.Administer, "labels": access.Labels, "assert-author": access.AssertAuthor, "assert-patient": access.AssertPatient, "operate": access.Operate,
	}
	for _, name := range c.list("roles") {
		if known[name] == 0 {
			return 0, fmt.Errorf("there is no role %s", name)
		}
		roles |= known[name]
	}
	return roles, nil
}

// A door lets callers in: the sign-in of a server under test.
type door struct {
	db        *sql.DB
	accounts  *login.Login
	authority *oauth.Server
	signIn    *api.SignIn
	engine    *interaction.Engine
}

// openDoor puts sign-in together as the program does, and has c ask it.
func openDoor(t *testing.T, db *sql.DB, c *api.Config) *door {
	t.Helper()
	origin := strings.TrimSuffix(c.BaseURL, "/fhir")
	client := bearer.NewClient(bearer.Guard{})
	d := &door{db: db, engine: c.Engine}
	var err error
	d.accounts, err = login.Open(context.Background(), db, login.Config{Issuer: origin, Find: c.Engine.Identified, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	engine := c.Engine
	var signIn *api.SignIn
	d.authority, err = oauth.Open(context.Background(), db, oauth.Config{
		Issuer: origin, FHIRBase: c.BaseURL, HTTP: client, Local: true, Known: engine.ScopeParameter, Session: d.accounts.Alive, Log: c.Log,
		Sees: func(ctx context.Context, user fhir.Key, patient string) (bool, error) {
			return opens(ctx, engine, user, patient)
		},
		Revoked: func(grant string) { signIn.Forget(grant) },
	})
	if err != nil {
		t.Fatal(err)
	}
	signIn = api.NewSignIn(api.SignInConfig{Engine: engine, Accounts: d.accounts, Authority: d.authority, HTTP: client, Log: c.Log})
	signIn.Configure(c)
	d.signIn = signIn
	return d
}

// opens reports whether a person may have a patient in context.
func opens(ctx context.Context, engine *interaction.Engine, user fhir.Key, patient string) (bool, error) {
	standing, err := engine.Standing(ctx, user)
	if err != nil || user.Type != "Practitioner" {
		return slices.Contains(standing.Patients, patient), err
	}
	return engine.SeesPatient(ctx, standing, patient)
}

// trustAll has c trust everybody, as a server without sign-in does.
func trustAll(c *api.Config, _ *errands) {
	c.Caller = func(*http.Request) (access.Grant, error) { return access.Trusted("test"), nil }
}

const tokenLife = 10 * time.Minute

// token returns a new token for who: what is known of them is looked up anew when
// it is used. Nobody has none.
func (d *door) token(ctx context.Context, who actor) (string, error) {
	roles, err := who.roles()
	if err != nil {
		return "", err
	}
	switch who.role {
	case "nobody":
		return "", nil
	case "administrator":
		all := access.Administer | access.Labels | access.AssertAuthor | access.AssertPatient
		return d.clientToken(ctx, oauth.Client{ID: "administrator", All: true, Roles: all, Clearance: []string{access.AnyLabel}}, oauth.Subject{}, everything)
	case "operator":
		return d.clientToken(ctx, oauth.Client{ID: "operator", Roles: access.Operate}, oauth.Subject{}, everything)
	case "client":
		c := oauth.Client{ID: who.id, Organizations: who.list("organizations"), All: who.options["all"] == "true", Roles: roles, Clearance: who.list("clearance")}
		return d.clientToken(ctx, c, oauth.Subject{Organizations: who.list("only")}, who.scopes)
	}
	return d.personToken(ctx, who, roles)
}

// everything is what clients of the test may be granted.
const everything = "system/*.cruds"

// clientToken returns a token of a client, which it makes or changes so.
func (d *door) clientToken(ctx context.Context, c oauth.Client, to oauth.Subject, scopes string) (string, error) {
	c.Name, c.Scopes, c.Active = c.ID, everything, true
	_, err := d.authority.Client(ctx, c.ID)
	switch {
	case errors.Is(err, oauth.ErrNoClient):
		_, _, err = d.authority.AddClient(ctx, c)
	case err == nil:
		err = d.authority.UpdateClient(ctx, c)
	}
	if err != nil {
		return "", err
	}
	to.Client = c.ID
	return d.authority.Issue(ctx, to, scopes, tokenLife)
}

// personToken returns a token of a person, whose account it makes. Who has another
// clearance or other roles has another account.
func (d *door) personToken(ctx context.Context, who actor, roles access.Role) (string, error) {
	a := login.Account{Display: who.role + "-" + who.id, Clearance: who.list("clearance"), Roles: roles, Staff: who.role == "practitioner"}
	if a.Name = a.Display; len(a.Clearance) > 0 || roles != 0 {
		a.Name = fmt.Sprint(a.Display, a.Clearance, a.Roles)
	}
	patient := who.options["patient"]
	switch who.role {
	case "patient":
		a.User, patient = fhir.Key{Type: "Patient", ID: who.id}, who.id
	case "relative":
		a.User = fhir.Key{Type: "RelatedPerson", ID: who.id}
	case "practitioner":
		a.User = fhir.Key{Type: "Practitioner", ID: who.id}
	}
	had, err := d.accounts.Account(ctx, a.Name)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unknown {
		had, err = d.accounts.AddAccount(ctx, a, "")
	}
	if err != nil {
		return "", err
	}
	return d.authority.Issue(ctx, oauth.Subject{Account: had.ID, User: a.User, Patient: patient}, who.scopes, tokenLife)
}

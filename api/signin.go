package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/api/web"
	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// SignInConfig is what SMART on FHIR is put together from. The first three are
// needed.
type SignInConfig struct {
	Engine    *interaction.Engine
	Accounts  *login.Login
	Authority *oauth.Server

	Issuers []bearer.Issuer // others whose tokens are good here
	HTTP    *http.Client    // that asks them for their keys: one of [bearer.NewClient]
	Log     *slog.Logger    // nil is slog.Default
	Proxies Proxies         // in front of the server
	Demo    *web.Demo       // what its pages tell of a server that is there to be tried; nil for others
}

// A SignIn knows who sends a request, by its token, and serves the pages and
// endpoints by which tokens are had.
type SignIn struct {
	config SignInConfig
	tokens *bearer.Verifier
}

// NewSignIn returns a SignIn.
func NewSignIn(c SignInConfig) *SignIn {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &SignIn{config: c}
	s.tokens = bearer.New(bearer.Config{
		Audiences: []string{c.Authority.FHIRBase()},
		Issuer:    c.Authority.Issuer(),
		Keys:      c.Authority.JWKS,
		Live:      c.Authority.Live,
		Profile:   s.profile,
		Known:     c.Engine.ScopeParameter,
		External:  c.Issuers,
		HTTP:      c.HTTP,
	})
	return s
}

// Configure has c ask s who sends a request, and serve what belongs to signing
// in.
func (s *SignIn) Configure(c *Config) {
	c.Caller = s.tokens.Request
	pages := s.pages()
	c.Auth = Smart(SmartConfig{Server: s.config.Authority, Pages: web.New(pages), Log: s.config.Log, Caller: s.tokens.Request, Sees: s.sees, Note: s.noteToken})
	c.Pages = map[string]http.Handler{}
	for _, path := range web.Paths(pages) {
		c.Pages[path] = c.Auth
	}
	issuer := s.config.Authority.Issuer()
	c.Security = &conformance.Security{
		Authorize: issuer + oauth.AuthorizePath, Token: issuer + oauth.TokenPath, Introspect: issuer + oauth.IntrospectPath,
		Revoke: issuer + oauth.RevokePath, Register: issuer + oauth.RegisterPath, Manage: issuer + oauth.ManagePath,
	}
	c.GrantOf = s.grantOf
}

// Forget has what hangs on a grant that was revoked refused at once on this
// server. Others find out within five seconds.
func (s *SignIn) Forget(grant string) { s.tokens.Forget(grant) }

// pages configures the pages for signing in.
func (s *SignIn) pages() web.Config {
	return web.Config{
		Issuer: s.config.Authority.Issuer(), Login: s.config.Accounts, Server: s.config.Authority, Log: s.config.Log,
		Patient: s.patient, Patients: s.patients, Search: s.search, Note: s.noteSession, Address: s.config.Proxies.Address, Demo: s.config.Demo,
	}
}

// noteSession records a sign-in or a sign-out.
func (s *SignIn) noteSession(ctx context.Context, e web.Event) error {
	t := store.Trail{Interaction: string(interaction.SignIn), Detail: map[string]string{}}
	if e.Out {
		t.Interaction = string(interaction.SignOut)
	}
	if e.Failed {
		t.Outcome = auditFailed
	}
	if e.User.ID != "" {
		t.Agent = e.User.String()
	}
	if e.Address.IsValid() {
		t.Origin = e.Address.String()
	}
	for name, value := range map[string]string{"account": e.Account, "provider": e.Provider} {
		if value != "" {
			t.Detail[name] = value
		}
	}
	return s.config.Engine.Note(ctx, t)
}

// auditFailed is the outcome of something that its sender may mend.
// https://hl7.org/fhir/R4/valueset-audit-event-outcome.html
const auditFailed = 4

// noteToken records that a token was issued.
func (s *SignIn) noteToken(ctx context.Context, t oauth.TokenResponse) error {
	line := store.Trail{Interaction: string(interaction.TokenIssued), Client: t.Client, Detail: map[string]string{"grant": t.Grant, "scope": t.Scope}}
	if t.Patient != "" {
		line.Patients = []string{t.Patient}
	}
	return s.config.Engine.Note(ctx, line)
}

// sees reports whether who has a grant may read a patient.
func (s *SignIn) sees(ctx context.Context, g access.Grant, patient string) (bool, error) {
	if !fhir.ValidID(patient) {
		return false, nil
	}
	_, err := s.config.Engine.For(g, interaction.Origin{}).Read(ctx, fhir.Key{Type: "Patient", ID: patient})
	if fhir.AsOutcome(err) != nil {
		return false, nil
	}
	return err == nil, err
}

// profile returns what is known of who a token names, now.
func (s *SignIn) profile(ctx context.Context, c auth.Claims) (auth.Profile, error) {
	user, ok := s.userOf(c.FHIRUser)
	if !ok {
		return auth.Profile{}, nil
	}
	if !c.OwnIssuer {
		return s.guest(ctx, c, user)
	}
	client, err := s.config.Authority.Client(ctx, c.Client)
	switch {
	case errors.Is(err, oauth.ErrNoClient) || err == nil && !client.Active:
		return auth.Profile{}, nil
	case err != nil:
		return auth.Profile{}, err
	case user == (fhir.Key{}) && c.Subject == c.Client:
		return backend(c, client), nil
	}
	p, err := s.person(ctx, c, user)
	if err != nil || !p.Active || c.Subject == c.Client {
		return p, err
	}
	a, err := s.config.Accounts.Account(ctx, c.Subject)
	if o := fhir.AsOutcome(err); o != nil {
		return auth.Profile{}, nil
	}
	if err != nil {
		return auth.Profile{}, err
	}
	// Signing in elsewhere may have linked the account to somebody else, or to nobody.
	p.Active, p.Clearance, p.Roles = !a.Disabled && a.User == user, a.Clearance, a.Roles
	return p, nil
}

// userOf returns whom fhirUser names; the zero Key for nobody, and false for
// somebody of another server.
func (s *SignIn) userOf(name string) (fhir.Key, bool) {
	if name == "" {
		return fhir.Key{}, true
	}
	r, ok := fhir.ParseReference(name)
	if !ok || r.Base != "" && r.Base != s.config.Authority.FHIRBase() {
		return fhir.Key{}, false
	}
	return r.Key, true
}

// guest returns what is known of who a token of another issuer names. It brings
// neither roles nor clearance: those are this server's to give.
func (s *SignIn) guest(ctx context.Context, c auth.Claims, user fhir.Key) (auth.Profile, error) {
	if user == (fhir.Key{}) {
		return auth.Profile{Active: len(c.Organizations) > 0, Organizations: c.Organizations, Parties: partiesOf(c.Organizations)}, nil
	}
	return s.person(ctx, c, user)
}

// person returns what is known of a person from the records.
func (s *SignIn) person(ctx context.Context, c auth.Claims, user fhir.Key) (auth.Profile, error) {
	standing, err := s.config.Engine.Standing(ctx, user)
	if err != nil {
		return auth.Profile{}, err
	}
	p := auth.Profile{User: user, Parties: standing.Parties, Patients: standing.Patients, Active: len(standing.Parties) > 0}
	p.Lapsed = user.Type == "RelatedPerson" && !p.Active
	for _, o := range standing.Organizations {
		p.Organizations = append(p.Organizations, o.ID)
	}
	if c.Patient == "" || user.Type != "Practitioner" || !p.Active {
		return p, nil
	}
	// Whoever may not see a patient any more may not go on as for that patient.
	p.Active, err = s.config.Engine.SeesPatient(ctx, standing, c.Patient)
	return p, err
}

// backend returns what is known of a client that acts for itself.
func backend(c auth.Claims, client *oauth.Client) auth.Profile {
	p := auth.Profile{Active: true, Clearance: client.Clearance, Roles: client.Roles, Organizations: client.Organizations}
	p.All = client.All && len(client.Organizations) == 0
	switch {
	case len(c.Organizations) == 0:
	case p.All:
		p.Organizations = c.Organizations
	default:
		p.Organizations = common(c.Organizations, client.Organizations)
		p.Active = len(p.Organizations) == len(c.Organizations)
	}
	p.Parties = append(partiesOf(p.Organizations), access.Key{Kind: access.Author, Of: "Client/" + client.ID})
	return p
}

// common returns what is in both lists.
func common(a, b []string) []string {
	in := map[string]bool{}
	for _, s := range b {
		in[s] = true
	}
	var both []string
	for _, s := range a {
		if in[s] {
			both = append(both, s)
		}
	}
	return both
}

// partiesOf returns what is among the keys of what organisations see.
func partiesOf(organizations []string) []access.Key {
	keys := []access.Key{{Kind: access.Open}}
	for _, id := range organizations {
		name := "Organization/" + id
		keys = append(keys, access.Key{Kind: access.Party, Of: name}, access.Key{Kind: access.Author, Of: name})
	}
	return keys
}

// grantOf returns the Grant that $access-explain is asked about: that of a token,
// or of somebody described, whether or not there is such a token.
func (s *SignIn) grantOf(ctx context.Context, a Asked) (access.Grant, error) {
	if a.Token != "" {
		return s.tokens.Grant(ctx, []string{"Bearer " + a.Token})
	}
	c := auth.Claims{OwnIssuer: true, Client: a.Client, Subject: a.Client, FHIRUser: a.User, Scope: a.Scope}
	c.Patient = strings.TrimPrefix(a.Patient, "Patient/")
	p, err := s.described(ctx, c)
	if err != nil {
		return access.Grant{}, err
	}
	scopes, _ := auth.ParseScopes(a.Scope, s.config.Engine.ScopeParameter)
	terms, err := auth.TermsOf(c, p, scopes)
	return access.NewGrant(terms), err
}

// described returns what is known of whom c names without there being a token. A
// person has what their account gives, if they have one account; which client they
// come by matters only if c says so.
func (s *SignIn) described(ctx context.Context, c auth.Claims) (auth.Profile, error) {
	user, ok := s.userOf(c.FHIRUser)
	if !ok || user == (fhir.Key{}) {
		return s.profile(ctx, c)
	}
	account, err := s.accountOf(ctx, user)
	if err != nil {
		return auth.Profile{}, err
	}
	if account.ID != "" {
		c.Subject = account.ID
	}
	if c.Client != "" {
		return s.profile(ctx, c)
	}
	p, err := s.person(ctx, c, user)
	p.Active = p.Active && !account.Disabled
	p.Clearance, p.Roles = account.Clearance, account.Roles
	return p, err
}

// accountOf returns the one account of a person; the zero Account if there is none,
// or several.
func (s *SignIn) accountOf(ctx context.Context, user fhir.Key) (login.Account, error) {
	all, err := s.config.Accounts.Accounts(ctx)
	if err != nil {
		return login.Account{}, err
	}
	all = slices.DeleteFunc(all, func(a login.Account) bool { return a.User != user })
	if len(all) != 1 {
		return login.Account{}, nil
	}
	return all[0], nil
}

package web

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// Config configures the pages for signing in and for allowing apps. Issuer,
// Login and Server are needed.
type Config struct {
	// Issuer is the public origin of the server without a last slash:
	// "https://fhir.example.org". With https cookies are Secure.
	Issuer string

	Login  *login.Login
	Server *oauth.Server

	// Patient returns how people tell a patient apart from others, as the person of
	// the session may see it. A patient that the person may not act for or see is an
	// Outcome of class Unknown. With nil no patient can be in context.
	Patient func(ctx context.Context, s *login.Session, id string) (Patient, error)

	// Patients returns the patients that a Patient or RelatedPerson may act for.
	// Nil means a Patient acts for itself, and a RelatedPerson for nobody.
	Patients func(ctx context.Context, s *login.Session) ([]Patient, error)

	// Search finds patients as the person of the session, a Practitioner, sees them,
	// at most q.Limit. Nil finds none.
	Search func(ctx context.Context, s *login.Session, q Query) ([]Patient, error)

	// Address returns the network address that a request comes from. Nil takes the
	// connection's.
	Address func(*http.Request) netip.Addr

	// Note is told of each sign-in, each try, and each sign-out. What it returns an
	// error for does not happen. It may be nil.
	Note func(context.Context, Event) error

	// Demo is what the pages tell of a server that is there to be tried. Nil is that
	// it is none.
	Demo *Demo

	Service string           // how the pages call the service; empty means OpenConsult
	Log     *slog.Logger     // told of faults; nil is slog.Default
	Now     func() time.Time // time.Now
}

// A Patient is what tells one patient from another. All but ID may be empty.
type Patient struct {
	ID        string
	Name      string
	BirthDate string // as FHIR writes it: 1980, 1980-03 or 1980-03-31
	Number    string // an identifier that people know; pages show its last four characters
}

// An Event is a sign-in or a sign-out.
type Event struct {
	Out      bool       // sign-out
	Failed   bool       // the sign-in was refused
	Account  string     // id of the account, or, of a try, the empty string
	User     fhir.Key   // for whom the session speaks; zero for nobody
	Provider string     // name of the provider where the person signed in; empty: here
	Address  netip.Addr // where the request comes from
}

// A Query is what a clinician looks for. At least one of its texts is not empty,
// and a patient has to match all of them that are not.
type Query struct {
	Name      string // any part of a name, or several
	BirthDate string // 1980-03-31, 1980-03 or 1980
	Number    string // NHS number, without spaces
	Limit     int
}

func (c Config) withDefaults() Config {
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	c.Service = cmp.Or(c.Service, "OpenConsult")
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Address == nil {
		c.Address = connection
	}
	if c.Note == nil {
		c.Note = func(context.Context, Event) error { return nil }
	}
	if c.Patient == nil {
		c.Patient = func(context.Context, *login.Session, string) (Patient, error) {
			return Patient{}, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such patient.")
		}
	}
	if c.Search == nil {
		c.Search = func(context.Context, *login.Session, Query) ([]Patient, error) { return nil, nil }
	}
	return c
}

// connection is the address at the other end of a request's connection.
func connection(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return address
}

// authPath is what the paths of all these pages begin with.
const authPath = "/auth"

// desk serves the pages.
type desk struct {
	Config
	secure bool
}

// Patterns lists what [New] serves, as patterns of [http.ServeMux].
func Patterns() []string {
	return []string{
		"GET /auth/authorize", "POST /auth/authorize", "GET /auth/continue", "GET /auth/sign-in", "POST /auth/sign-in",
		"GET /auth/upstream/{provider}", "GET /auth/upstream/{provider}/callback", "GET /auth/choose-patient", "POST /auth/choose-patient",
		"GET /auth/consent", "POST /auth/consent", "POST /auth/refuse", "GET /auth/apps", "POST /auth/apps", "GET /auth/sign-out", "POST /auth/sign-out",
	}
}

// New returns the handler of the pages at [Patterns] and [Paths]. They work without
// JavaScript, and refuse what another site sends but POST /auth/authorize.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
func New(c Config) http.Handler {
	d := &desk{Config: c.withDefaults(), secure: strings.HasPrefix(c.Issuer, "https://")}
	mux := http.NewServeMux()
	for _, pattern := range Patterns() {
		mux.HandleFunc(pattern, d.handler(pattern))
	}
	mux.HandleFunc("/", d.missing)
	for _, path := range Paths(d.Config) {
		mux.HandleFunc(pattern(path), d.plain(path))
	}
	return d.guarded(mux)
}

func (d *desk) handler(pattern string) http.HandlerFunc {
	switch pattern {
	case "GET /auth/authorize", "POST /auth/authorize":
		return d.authorize
	case "GET /auth/continue":
		return d.next
	case "GET /auth/sign-in":
		return d.signInForm
	case "POST /auth/sign-in":
		return d.signIn
	case "GET /auth/upstream/{provider}":
		return d.depart
	case "GET /auth/upstream/{provider}/callback":
		return d.arrive
	case "GET /auth/choose-patient":
		return d.patientForm
	case "POST /auth/choose-patient":
		return d.choosePatient
	case "GET /auth/consent":
		return d.consentForm
	case "POST /auth/consent":
		return d.consent
	case "POST /auth/refuse":
		return d.refuse
	case "GET /auth/apps":
		return d.apps
	case "POST /auth/apps":
		return d.revoke
	case "GET /auth/sign-out":
		return d.signOutForm
	case "POST /auth/sign-out":
		return d.signOut
	}
	return d.missing
}

// pattern returns the pattern of one of [Paths]: for [http.ServeMux], one that
// ends with a slash is everything below it.
func pattern(path string) string {
	if strings.HasSuffix(path, "/") {
		path += "{$}"
	}
	return "GET " + path
}

// plain returns what is served at one of [Paths].
func (d *desk) plain(path string) http.HandlerFunc {
	switch path {
	case FrontPath:
		return d.front
	case DemoPath:
		return d.replied
	}
	return d.missing
}

// formLimit is how long a form may be, in bytes.
const formLimit = 64 << 10

// guarded refuses requests of other sites.
func (d *desk) guarded(next http.Handler) http.Handler {
	sites := http.NewCrossOriginProtection()
	sites.AddInsecureBypassPattern("POST " + oauth.AuthorizePath)
	sites.SetDenyHandler(http.HandlerFunc(d.foreign))
	// Behind a proxy the Host that this server sees may not be the one of the browser.
	if err := sites.AddTrustedOrigin(d.Issuer); err != nil {
		d.Log.Error("the pages for signing in have an issuer that is no origin, and trust no proxy", "error", err)
	}
	return dressed(sites.Handler(next))
}

// dressed bounds requests, and has browsers keep the pages to themselves.
func dressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		w.Header().Set("Content-Security-Policy", formPolicy(""))
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)
		next.ServeHTTP(w, r)
	})
}

func (d *desk) foreign(w http.ResponseWriter, r *http.Request) {
	d.show(w, r, sheet{Title: "This page was not asked for here", Status: http.StatusForbidden, Body: trouble{Lead: "Another site tried to send this form in your name. Nothing was done."}}, "error")
}

func (d *desk) missing(w http.ResponseWriter, r *http.Request) {
	d.show(w, r, sheet{Title: "There is no such page", Status: http.StatusNotFound, Body: trouble{Lead: "Check the address, or go back to the app that you came from."}}, "error")
}

// to sends the browser on to one of the pages, always by GET.
func (d *desk) to(w http.ResponseWriter, r *http.Request, page string, query url.Values) {
	address := authPath + page
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// asked is the query that names a request.
func asked(request string) url.Values {
	if request == "" {
		return nil
	}
	return url.Values{"request": {request}}
}

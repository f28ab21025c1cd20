package conformance_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// twinsBase is the address that both twins believe to have.
const twinsBase = "https://twins.example/fhir"

// A twin is a server of which there are two, with equal databases to begin with.
type twin struct {
	dsn    string
	db     *sql.DB
	heard  http.Handler // answers the caller, and records it
	quiet  http.Handler // answers a trusted system, and records nothing
	stores []*store.DB
	grant  access.Grant // of the caller
	engine *interaction.Engine
	label  string // what resources that are created now are called
	made   int    // how many there are for this label
}

// openTwin starts servers for a database.
func openTwin(t *testing.T, dsn string) *twin {
	t.Helper()
	w := &twin{dsn: dsn}
	var err error
	if w.db, err = sql.Open("postgres", dsn); err != nil {
		t.Fatal(err)
	}
	w.db.SetMaxOpenConns(1)
	w.start(t)
	return w
}

// start opens the stores.
func (w *twin) start(t *testing.T) {
	t.Helper()
	w.heard, w.engine = w.serve(t, true, func(*http.Request) (access.Grant, error) { return w.grant, nil })
	w.quiet, _ = w.serve(t, false, func(*http.Request) (access.Grant, error) { return access.Trusted("root"), nil })
}

func (w *twin) serve(t *testing.T, audit bool, caller func(*http.Request) (access.Grant, error)) (http.Handler, *interaction.Engine) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	data, err := store.Open(context.Background(), store.Config{DSN: w.dsn, Conns: 2, Unsafe: true, BaseURL: twinsBase, Log: log, Audit: audit})
	if err != nil {
		t.Fatal(err)
	}
	w.stores = append(w.stores, data)
	checks := interaction.NewChecks(data, terminology.Config{DB: w.db}, nil)
	storeUnknown(checks)
	engine := interaction.New(interaction.Config{Store: data, NewID: w.newID, Checks: checks})
	s, err := api.New(api.Config{Engine: engine, BaseURL: twinsBase, Version: "test", Log: log, Purge: true, Caller: caller})
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler(), engine
}

// newID names what is created in both twins alike.
func (w *twin) newID() string {
	w.made++
	return fmt.Sprintf("%s-%d", w.label, w.made)
}

// stop closes the stores, which leaves the database without sessions.
func (w *twin) stop(t *testing.T) {
	t.Helper()
	for _, s := range w.stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	w.stores = nil
}

func (w *twin) close(t *testing.T) {
	w.stop(t)
	if err := w.db.Close(); err != nil {
		t.Error(err)
	}
}

// An inquired is a request, of which the same is sent to both twins.
type inquired struct {
	kind         string
	method, path string // the path begins with /fhir
	headers      []string
	body         string
}

func (a inquired) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %q\n%s", a.method, a.path, a.headers, a.body))
}

// An answer is what came of it.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask has a server answer without a network.
func (a inquired) ask(h http.Handler) answer {
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	r := httptest.NewRequest(a.method, a.path, body)
	r.Header.Set("X-Request-Id", "same")
	for _, text := range a.headers {
		name, value, _ := strings.Cut(text, ": ")
		r.Header.Set(name, value)
	}
	if a.body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

var (
	cursorText  = regexp.MustCompile(`(_cursor|_page)=[\w%.~-]+`)
	bundleTime  = regexp.MustCompile(`^(\{\s*"resourceType":\s*"Bundle",(?:\s*"id":\s*"[^"]*",)?\s*"meta":\s*\{\s*"lastUpdated":\s*)"[^"]*"`)
	bundleXML   = regexp.MustCompile(`(<Bundle[^>]*><meta><lastUpdated value=)"[^"]*"`)
	updatedText = regexp.MustCompile(`("lastUpdated":\s*|lastUpdated value=)"[^"]*"`)
	eventText   = regexp.MustCompile(`("recorded":\s*|"lastUpdated":\s*|"id":\s*|<(?:recorded|lastUpdated|id) value=)"[^"]*"|AuditEvent/[\w.-]+`)
)

// comparable writes an answer down without what may differ: when it was given,
// when the caller's own write was stored, and the text of cursors.
func (x answer) comparable(a inquired) string {
	body := cursorText.ReplaceAllString(x.body, "$1=")
	body = bundleXML.ReplaceAllString(bundleTime.ReplaceAllString(body, "$1"), "$1")
	h := x.header.Clone()
	if a.writes() && x.status < 300 {
		body = updatedText.ReplaceAllString(body, "$1")
		h.Del("Last-Modified")
	}
	if strings.Contains(a.path, "AuditEvent") {
		body = eventText.ReplaceAllString(body, "$1")
		h.Del("Last-Modified")
	}
	// What was taken out of the body counts there.
	h.Del("Content-Length")
	var b strings.Builder
	fmt.Fprintln(&b, x.status)
	if err := h.Write(&b); err != nil {
		panic(err) // a Builder takes everything
	}
	return b.String() + body
}

func (a inquired) writes() bool {
	return a.method != http.MethodGet && a.method != http.MethodHead && !strings.Contains(a.path, "_search")
}

// A seedbed is a database that twins are copied from.
type seedbed struct {
	dsn   string
	name  string
	admin *pgtest.Database
	shelf *shelf
}

// newSeedbed fills a database by lot.
func newSeedbed(t *testing.T, l lot) *seedbed {
	t.Helper()
	b := &seedbed{dsn: pgtest.New(t).DSN, admin: pgtest.New(t)}
	w := openTwin(t, b.dsn)
	if err := w.db.QueryRow("SELECT current_database()").Scan(&b.name); err != nil {
		t.Fatal(err)
	}
	b.shelf = newShelf(t, w.stores[0].Registry())
	b.plant(l, w)
	b.haunt(t, l, w)
	w.close(t)
	return b
}

// copied returns the connection string of a copy.
func (b *seedbed) copied(t *testing.T, suffix string) string {
	t.Helper()
	name := b.name + "_" + suffix
	if _, err := b.admin.Exec(fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, b.name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := b.admin.Exec(fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Error(err)
		}
	})
	return strings.ReplaceAll(b.dsn, b.name, name)
}

// plant fills the database: some things more than once, so that they have a past
// of which others may see less, and some of them are deleted.
func (b *seedbed) plant(l lot, w *twin) {
	put := func(o object, fixed bool) {
		b.put(w, encode(o))
		b.shelf.sheets[keyOf(b.shelf.t, []byte(encode(o)))].fixed = fixed
	}
	for _, name := range fixedNames() {
		put(l.fixture(name), true)
	}
	for _, of := range ids() {
		for n := 1; n <= of.n; n++ {
			name := some(of.typ, n)
			if l.isFixed(name) || l.oneIn(4) {
				continue
			}
			if l.oneIn(3) {
				put(l.body(name), false)
			}
			put(l.body(name), false)
			if l.oneIn(10) {
				b.remove(w, name)
			}
		}
	}
}

// haunt has others ask for things, so that there are lines of audit about these.
// Whoever has been given a record, and colleagues, are told of what was done with
// it, also with what they do not see of it, unless a label hides it: what they are
// told of stays as it is.
func (b *seedbed) haunt(t *testing.T, l lot, w *twin) {
	t.Helper()
	var keys []fhir.Key
	for _, k := range b.shelf.keys() {
		if k.Type != "Binary" && !strings.Contains(known.ReplaceAllString(b.shelf.sheets[k].text, ""), "Patient/") {
			keys = append(keys, k)
		}
	}
	for _, who := range []listener{
		{name: "colleague", user: fhir.Key{Type: "Practitioner", ID: "practitioner-5"}, scopes: "user/*.cruds", profile: auth.Profile{Clearance: []string{access.AnyLabel}}},
		{name: "stranger", user: fhir.Key{Type: "Practitioner", ID: "practitioner-4"}, scopes: "user/*.cruds"},
		{name: "laboratory", scopes: "system/*.cruds", profile: auth.Profile{All: true, Clearance: []string{access.AnyLabel}}},
	} {
		w.grant = w.admit(t, who)
		for range 12 {
			k := keys[l.IntN(len(keys))]
			b.shelf.sheets[k].fixed = true
			inquired{method: "GET", path: "/fhir/" + k.String()}.ask(w.heard)
			inquired{method: "GET", path: "/fhir/" + k.Type + "?_id=" + k.ID}.ask(w.heard)
		}
	}
}

// known are the patients of whom others have asked for something. They are fixed.
var known = regexp.MustCompile(`Patient/patient-[123]\b`)

func (b *seedbed) put(w *twin, text string) {
	k := keyOf(b.shelf.t, []byte(text))
	a := inquired{method: "PUT", path: "/fhir/" + k.String(), body: text}
	if x := a.ask(w.quiet); x.status >= 300 {
		b.shelf.t.Fatalf("%s: %d %s", a, x.status, x.body)
	}
	if old := b.shelf.sheets[k]; old != nil && old.text == text && !old.deleted {
		return // it made no version
	}
	b.shelf.sheets[k] = b.shelf.sheet(text)
	b.shelf.past[k] = append(b.shelf.past[k], b.shelf.sheets[k])
}

func (b *seedbed) remove(w *twin, name string) {
	a := inquired{method: "DELETE", path: "/fhir/" + name}
	if x := a.ask(w.quiet); x.status >= 300 {
		b.shelf.t.Fatalf("%s: %d %s", a, x.status, x.body)
	}
	for k, d := range b.shelf.sheets {
		if k.String() == name {
			d.deleted = true
			b.shelf.past[k] = append(b.shelf.past[k], d)
		}
	}
}

// fixedNames are those on whom the callers rest.
func fixedNames() []string {
	var all []string
	for _, of := range []string{"Organization 4", "Practitioner 5", "PractitionerRole 5", "HealthcareService 2", "Patient 3", "RelatedPerson 1", "Consent 1", "List 1"} {
		typ, count, _ := strings.Cut(of, " ")
		for n := range int(count[0] - '0') {
			all = append(all, some(typ, n+1))
		}
	}
	return all
}

func (l lot) isFixed(name string) bool {
	for _, fixed := range fixedNames() {
		if fixed == name {
			return true
		}
	}
	return false
}

// fixture is what all else leans on: two practices, two hospitals, who works
// there, and a patient with a relative who may act for her.
func (l lot) fixture(name string) object {
	o := l.body(name)
	delete(o, "meta")
	typ, id, _ := strings.Cut(name, "/")
	n := int(id[len(id)-1] - '0')
	ref := func(typ string, n int) object { return object{"reference": some(typ, n)} }
	switch typ {
	case "PractitionerRole":
		o["practitioner"], o["organization"], o["active"] = ref("Practitioner", n), ref("Organization", (n-1)%4+1), true
	case "HealthcareService":
		o["providedBy"] = ref("Organization", n+2)
	case "Patient":
		o["managingOrganization"], o["generalPractitioner"] = ref("Organization", (n-1)%2+1), []object{ref("PractitionerRole", n)}
	case "RelatedPerson":
		o["patient"] = ref("Patient", 1)
	case "List":
		o["subject"] = ref("Patient", 1)
	case "Consent":
		o["patient"] = ref("Patient", 1)
		o["scope"] = object{"coding": []object{{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}}}
		o["provision"] = object{"type": "permit", "actor": []object{{"role": l.code("x"), "reference": ref("RelatedPerson", 1)}}}
	}
	return o
}

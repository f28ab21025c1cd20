package bulk_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// load begins an import of a body.
func (w *world) load(g access.Grant, body string) string {
	w.Helper()
	id, err := w.bulk.Import(w.Context(), g, interaction.Origin{Request: "test"}, bulk.Import{Request: "http://here/$import"}, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// number returns the number of the current version of a resource; 0 for none.
func (w *world) number(typ, id string) int {
	w.Helper()
	v, err := w.session().Read(w.Context(), fhir.Key{Type: typ, ID: id})
	if err != nil {
		return 0
	}
	return v.Number
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	const body = `{"resourceType":"Patient","id":"a"}

{"resourceType":"Patient","id":"b","colour":"red"}
{"resourceType":"Observation","status":"final","code":{"text":"without id"}}
no json
{"resourceType":"Patient","id":"a","active":true}
{"resourceType":"Patient","id":"c"}`
	j := w.await(w.trusted(), w.load(w.trusted(), body))
	if w.number("Patient", "a") != 2 || w.number("Patient", "b") != 0 || w.number("Patient", "c") != 1 {
		t.Error("other resources are stored than were sent")
	}
	if len(j.Inputs) != 1 || j.Inputs[0].Stored != 4 || len(j.Files) != 2 {
		t.Fatalf("%+v", j)
	}
	outcomes, rejected := w.fetch(w.trusted(), j.ID, "outcomes.ndjson"), w.fetch(w.trusted(), j.ID, "rejected.ndjson")
	if !strings.Contains(outcomes, `"valuePositiveInt":3}`) || !strings.Contains(outcomes, "colour") || !strings.Contains(outcomes, `"valuePositiveInt":5}`) {
		t.Error(outcomes)
	}
	for line := range strings.Lines(outcomes) {
		if _, err := fhir.Decode("OperationOutcome", []byte(line)); err != nil {
			t.Error(err)
		}
	}
	if want := "{\"resourceType\":\"Patient\",\"id\":\"b\",\"colour\":\"red\"}\nno json\n"; rejected != want {
		t.Errorf("%q, want %q", rejected, want)
	}
	if c := w.exported(w.trusted(), bulk.Export{}); len(c.versions) != 3 {
		t.Errorf("there is %s", c)
	}
	// What was corrected is sent again.
	j = w.await(w.trusted(), w.load(w.trusted(), strings.Replace(strings.SplitAfter(rejected, "\n")[0], `,"colour":"red"`, "", 1)))
	if w.number("Patient", "b") != 1 || len(j.Files) != 0 {
		t.Errorf("%+v", j)
	}
}

// ranges serves texts in ranges, as a bucket does.
func ranges(t *testing.T, texts map[string]string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := texts[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestImportFromAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{HTTP: http.DefaultClient})
	var patients strings.Builder
	for n := range 1500 {
		fmt.Fprintf(&patients, `{"resourceType":"Patient","id":"p%d","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s</div>"}}`+"\n", n, strings.Repeat("x", 1000))
	}
	base := ranges(t, map[string]string{"/patients": patients.String(), "/others": `{"resourceType":"Patient","id":"wrong"}` + "\n"})
	ask := bulk.Import{Sources: []bulk.Source{{URL: base + "/patients", Type: "Patient"}, {URL: base + "/others", Type: "Observation"}}}
	id, err := w.bulk.Import(t.Context(), w.trusted(), interaction.Origin{Request: "test"}, ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := w.await(w.trusted(), id)
	if len(j.Inputs) != 2 || j.Inputs[0].Stored != 1500 || j.Inputs[1].Stored != 0 || w.number("Patient", "wrong") != 0 {
		t.Errorf("%+v", j.Inputs)
	}
	if text := w.fetch(w.trusted(), id, "outcomes.ndjson"); !strings.Contains(text, base+"/others") {
		t.Error(text)
	}
	ask.Sources = []bulk.Source{{URL: base + "/missing"}}
	if id, err = w.bulk.Import(t.Context(), w.trusted(), interaction.Origin{}, ask, nil); err != nil {
		t.Fatal(err)
	}
	if j := w.ended(w.trusted(), id); !bytes.Contains(j.Failed, []byte("404")) {
		t.Errorf("%s", j.Failed)
	}
}

func TestImportRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	all := access.Standing{All: true}
	scope := func(c access.Context, typ string, allows access.Permission) []access.Scope {
		return []access.Scope{{Context: c, Type: typ, Allows: allows}}
	}
	const cud = access.MayCreate | access.MayUpdate | access.MayDelete
	admin := func(scopes []access.Scope) access.Grant {
		return access.NewGrant(access.Terms{Client: "x", Holder: "x", Roles: access.Administer, Scopes: scopes, Standings: map[access.Context]access.Standing{access.ForSystem: all, access.ForUser: all}})
	}
	for name, g := range map[string]access.Grant{
		"nobody":      {},
		"no role":     w.backend("c", scope(access.ForSystem, "*", cud), all),
		"one type":    admin(scope(access.ForSystem, "Patient", cud)),
		"user":        admin(scope(access.ForUser, "*", cud)),
		"only create": admin(scope(access.ForSystem, "*", access.MayCreate)),
	} {
		if _, err := w.bulk.Import(t.Context(), g, interaction.Origin{}, bulk.Import{}, strings.NewReader("")); err == nil {
			t.Errorf("%s is not refused", name)
		} else {
			refused(t, err, fhir.Denied, "")
		}
	}
	_, err := w.bulk.Import(t.Context(), w.trusted(), interaction.Origin{}, bulk.Import{Sources: []bulk.Source{{URL: "http://127.0.0.1/"}}}, nil)
	refused(t, err, fhir.Unprocessable, "no addresses")
	// A body that breaks off leaves nothing.
	if _, err := w.bulk.Import(t.Context(), w.trusted(), interaction.Origin{}, bulk.Import{}, broken{}); err == nil {
		t.Error("a body that breaks off is taken")
	}
	var jobs int
	if err := w.database.QueryRow(`SELECT count(*) FROM bulk_job`).Scan(&jobs); err != nil || jobs != 0 {
		t.Error(jobs, err)
	}
}

// broken is a body that breaks off.
type broken struct{}

func (broken) Read(p []byte) (int, error) { return 0, fmt.Errorf("the connection is lost") }

// TestImportEnds revokes what an import was begun with.
func TestImportEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	g := access.NewGrant(access.Terms{
		Client: "loader", Holder: "revoked", Roles: access.Administer, Scopes: []access.Scope{{Context: access.ForSystem, Type: "*", Allows: access.MayCreate | access.MayUpdate | access.MayDelete}},
		Standings: map[access.Context]access.Standing{access.ForSystem: {All: true}},
	})
	if j := w.ended(g, w.load(g, `{"resourceType":"Patient","id":"a"}`)); !bytes.Contains(j.Failed, []byte("ended")) || w.number("Patient", "a") != 0 {
		t.Errorf("%s", j.Failed)
	}
}

// TestImportKeeps makes sure that a line that is imported twice changes nothing.
func TestImportKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	w.await(w.trusted(), w.load(w.trusted(), `{"resourceType":"Patient","id":"a"}`))
	w.await(w.trusted(), w.load(w.trusted(), `{"resourceType":"Patient","id":"a"}`))
	if n := w.number("Patient", "a"); n != 1 {
		t.Error(n)
	}
}

package conformance_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
)

// A diary is a log that is kept in memory.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds a line.
func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

// String returns all lines.
func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// until wants something to become true soon.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

// TestB14Stale takes away what a token hangs on while it is in use. A revocation
// and a label are felt at once, the rest within seconds.
func TestB14Stale(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	token := func(who actor) string {
		t.Helper()
		text, err := p.door.token(context.Background(), who)
		if err != nil {
			t.Fatal(err)
		}
		p.shows(t, text, map[string]int{"Observation/pulse": 200})
		return text
	}
	grace, ada := actor{role: "practitioner", id: "grace", scopes: "user/*.cruds"}, actor{role: "patient", id: "ada", scopes: "patient/*.cruds"}
	status := func(token string) int { return p.read(token, "Observation/pulse").StatusCode }

	first, doctor := token(ada), token(grace)
	p.put(`{"resourceType":"Observation","id":"pulse","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]}}`)
	if got := status(first); got != 404 {
		t.Errorf("at once after a label: %d", got)
	}
	if got := status(doctor); got != 200 {
		t.Errorf("who may see the label: %d", got)
	}
	account, err := p.door.accounts.Account(context.Background(), "practitioner-grace")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.door.authority.RevokeAccount(context.Background(), account.ID); err != nil {
		t.Fatal(err)
	}
	if got := status(doctor); got != 401 {
		t.Errorf("at once after a revocation: %d", got)
	}
	doctor = token(grace)
	x, err := p.by(actor{role: "administrator"}, request{method: http.MethodDelete, path: "/fhir/PractitionerRole/grace"})
	if err != nil || x.status >= 300 {
		t.Fatalf("%v\n%s", err, x)
	}
	until(t, "after the role has gone", func() bool { return status(doctor) != 200 })
	p.put(`{"resourceType":"PractitionerRole","id":"grace","practitioner":{"reference":"Practitioner/grace"},"organization":{"reference":"Organization/practice"}}`)
	until(t, "with the role again", func() bool { return status(doctor) == 200 })
	if err := p.door.accounts.Disable(context.Background(), account.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "after the account was disabled", func() bool { return status(doctor) == 401 })
}

// TestD17Canaries signs in, reads and writes with words that are found again
// anywhere: they are in no line of the log, however much it says.
func TestD17Canaries(t *testing.T) {
	t.Parallel()
	const canary = "zyxcanary"
	log := &diary{}
	p := newClinic(t, api.Config{Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	p.put(`{"resourceType":"Patient","id":"` + canary + `","name":[{"family":"` + canary + `"}],"birthDate":"1931-07-13","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765870"}],"managingOrganization":{"reference":"Organization/practice"}}`)
	if _, err := p.door.accounts.AddAccount(t.Context(), login.Account{Name: canary + "@example.org", Display: canary, User: fhir.Key{Type: "Patient", ID: canary}}, "word of "+canary); err != nil {
		t.Fatal(err)
	}
	person := newGuest(t, p.base, canary+"@example.org", "word of "+canary)
	begun := person.send(http.MethodGet, "/auth/sign-in", nil)
	person.send(http.MethodPost, "/auth/sign-in", begun.form("name", canary, "password", canary))
	person.send(http.MethodGet, "/auth/authorize?"+person.asking(canary, canary).Encode(), nil)
	asked := person.asking("app", "openid fhirUser offline_access launch/patient patient/*.cruds "+canary)
	asked.Set("state", canary)
	asked.Set("login_hint", canary)
	asked.Set("nonce", canary)
	back := person.allow(http.MethodGet, asked, canary)
	got := person.send(http.MethodPost, "/auth/token", redeem("app", back.Get("code")))
	secrets := []string{canary, "1931-07-13", "9434765870", back.Get("code"), got.field("access_token"), got.field("refresh_token"), got.field("id_token"), appProof}
	if got.StatusCode != http.StatusOK || back.Get("state") != canary {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	bearer := "Authorization: Bearer " + got.field("access_token")
	for _, path := range []string{"Patient/" + canary, "Patient?family=" + canary + "&birthdate=1931-07-13", "Patient?identifier=9434765870", canary, "Patient/" + canary + "/_history", "Observation?subject=Patient/" + canary, "Patient?" + canary + "=x", "Patient?_id=" + canary + "&access_token=" + got.field("access_token")} {
		person.send(http.MethodGet, p.base+"/"+path, nil, bearer)
		person.send(http.MethodGet, p.base+"/"+path, nil, "Authorization: Bearer "+canary)
	}
	person.send(http.MethodPost, p.base+"/Patient/_search", url.Values{"family": {canary}}, bearer)
	for _, form := range []url.Values{
		{"token": {got.field("access_token")}, "client_id": {"app"}, "client_secret": {canary}}, {"token": {canary}, "client_id": {canary}}, redeem(canary, canary), redeem("app", back.Get("code")),
		{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {got.field("refresh_token")}}, {"grant_type": {canary}}, {"grant_type": {"client_credentials"}, "client_assertion": {canary}, "client_assertion_type": {canary}},
	} {
		for _, path := range []string{"/auth/token", "/auth/introspect", "/auth/revoke", "/auth/register", "/auth/consent", "/auth/choose-patient", "/smart/launch"} {
			person.send(http.MethodPost, path, form, bearer)
		}
	}
	for value := range person.cookies {
		secrets = append(secrets, value)
	}
	if n := strings.Count(log.String(), `"msg":"request"`); n < 50 {
		t.Errorf("only %d requests are in the log", n)
	}
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		if at := strings.Index(strings.ToLower(log.String()), strings.ToLower(secret)); at >= 0 {
			t.Errorf("the log says %q: %s", secret, log.String()[max(0, at-300):min(log.text.Len(), at+100)])
		}
	}
}

// TestD18Debugging asks the public address for what is for those who run the
// server.
func TestD18Debugging(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	token, err := p.door.token(context.Background(), actor{role: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/livez", "/readyz", "/health", "/admin", "/fhir/metrics", "/fhir/debug/pprof/", "/auth/debug/pprof/", "/smart/metrics", "/.well-known/metrics", "/.env", "/.git/config"} {
		if got := p.ada.send(http.MethodGet, path, nil, "Authorization: Bearer "+token); got.StatusCode != 404 || strings.Contains(got.text, "goroutine") {
			t.Errorf("%s: %d %.200s", path, got.StatusCode, got.text)
		}
	}
}

// TestD23SecretsInTheDatabase signs in and gets tokens, and looks for them in every
// table: whoever steals the database can use none of them.
func TestD23SecretsInTheDatabase(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	back := p.ada.allow(http.MethodGet, p.ada.asking("portal", "openid fhirUser offline_access launch/patient patient/*.rs"), "")
	form := redeem("portal", back.Get("code"))
	form.Set("client_secret", p.secrets["portal"])
	got := p.ada.send(http.MethodPost, "/auth/token", form)
	ehr := p.tokens(p.grace, "portal", "openid fhirUser offline_access user/*.cruds")
	public := p.tokens(p.ada, "app", "offline_access launch/patient patient/*.rs")
	rotated := p.ada.send(http.MethodPost, "/auth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {public.field("refresh_token")}})
	secrets := map[string]string{
		"password": signInWord, "code": back.Get("code"), "access token": got.field("access_token"), "refresh token": got.field("refresh_token"), "client secret": p.secrets["portal"],
		"launch": p.launch(ehr, `{"client_id":"app","patient":"ada"}`), "identity token": got.field("id_token"), "rotated token": rotated.field("refresh_token"), "token before it": public.field("refresh_token"),
	}
	i := 0
	for value := range p.ada.cookies {
		i++
		secrets[fmt.Sprint("cookie ", i)] = value
	}
	if i == 0 {
		t.Error("there are no cookies")
	}
	all := everyRow(t, p.door.db)
	for name, secret := range secrets {
		forms := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))}
		if raw, err := base64.RawURLEncoding.DecodeString(secret); err == nil && len(raw) >= 16 {
			forms = append(forms, hex.EncodeToString(raw))
		}
		for _, form := range forms {
			if secret == "" || strings.Contains(all, form) {
				t.Errorf("the %s is in the database, or there was none: %q", name, form)
			}
		}
	}
	if !strings.Contains(all, ",Patient,ada,") || !strings.Contains(all, "portal") {
		t.Error("the tables were not read")
	}
}

// everyRow returns all rows of all tables as text.
func everyRow(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil || len(names) < 20 {
		t.Fatalf("%d tables, %v", len(names), err)
	}
	var all strings.Builder
	for _, name := range names {
		var text sql.NullString
		if err := db.QueryRowContext(t.Context(), `SELECT string_agg(t::text, ' ') FROM `+pq.QuoteIdentifier(name)+` t`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		all.WriteString(text.String)
	}
	return all.String()
}

package conformance_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A backend is a system without people, which signs its assertions.
type backend struct {
	*station
	id  string
	key jose.JSONWebKey
}

// assertion returns what b proves itself with: as Inferno does, without iat.
func (b *backend) assertion(t *testing.T, others map[string]any) string {
	t.Helper()
	return signed(t, b.key, "JWT", with(map[string]any{"iss": b.id, "sub": b.id, "aud": b.origin + "/auth/token", "jti": rand.Text(), "exp": minutes(5)}, others))
}

// request asks for a token.
func (b *backend) request(assertion, scope string, organizations ...string) answered {
	b.t.Helper()
	return b.tokens(url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "organization": organizations,
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
}

// granted returns an access token.
func (b *backend) granted(t *testing.T, scope string, organizations ...string) string {
	t.Helper()
	a := b.request(b.assertion(t, nil), scope, organizations...)
	if a.status != http.StatusOK || a.text("token_type") != "Bearer" || a.tree["expires_in"] != 300.0 || a.text("scope") != scope || a.tree["refresh_token"] != nil {
		t.Fatalf("%s asks for %s and gets %d %s", b.id, scope, a.status, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("the token comes with %v", a.header)
	}
	return a.text("access_token")
}

// TestBackendClients has systems ask for tokens by SMART Backend Services, and work
// with them.
func TestBackendClients(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	rs, es := newKey(t, jose.RS384), newKey(t, jose.ES384)
	keys := newKeyring(t, rs, es)
	s.command("client", "add", "--id", "by-url", "--name", "Practice system", "--jwks-url", keys.URL, "--org", "demo-practice", "--scope", "system/*.cruds")
	inline := newKey(t, jose.ES384)
	s.command("client", "add", "--id", "inline", "--name", "Hospital group", "--jwks", writeFile(t, "keys.json", string(publicSet(inline))),
		"--org", "demo-practice,demo-hospital", "--scope", "system/Task.rs system/Patient.rs system/Communication.crs system/Organization.rs")
	t.Run("by URL", func(t *testing.T) {
		for _, k := range []jose.JSONWebKey{rs, es} {
			worksAsPractice(t, &backend{s, "by-url", k})
		}
		if n := keys.requests(); n != 1 {
			t.Errorf("keys that are good for an hour are asked for %d times", n)
		}
		fresh := newKey(t, jose.RS384)
		keys.rotate(es, fresh)
		(&backend{s, "by-url", fresh}).granted(t, "system/Task.rs")
	})
	t.Run("refusals", func(t *testing.T) { refusedBackends(t, &backend{s, "by-url", es}) })
	t.Run("organizations", func(t *testing.T) { organizations(t, &backend{s, "inline", inline}) })
	t.Run("disabled", func(t *testing.T) { disabledBackend(t, &backend{s, "inline", inline}) })
}

const practiceMessage = `{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/demo-sore-throat"}],"subject":{"reference":"Patient/demo-ada"},
	"sender":{"reference":"Organization/%s"},"recipient":[{"reference":"Patient/demo-ada"}],"payload":[{"contentString":"Please come in."}]}`

// worksAsPractice reads, searches and writes as an organisation.
func worksAsPractice(t *testing.T, b *backend) {
	token := b.granted(t, "system/*.cruds")
	b.expect(200, token, "GET Patient/demo-ada", "")
	found := b.expect(200, token, "GET Task?owner=Organization/demo-practice&_include=Task:patient", "").ids()
	if !slices.Equal(found, []string{"Task/demo-sore-throat", "Patient/demo-ada"}) {
		t.Errorf("it finds %v", found)
	}
	written := b.expect(201, token, "POST Communication", fmt.Sprintf(practiceMessage, "demo-practice"))
	b.expect(200, token, "GET Communication/"+written.text("id"), "")
	if a := b.ask(token, "POST Communication", fmt.Sprintf(practiceMessage, "demo-hospital")); a.status != http.StatusForbidden {
		t.Errorf("it writes in the name of another organisation: %d %s", a.status, a.body)
	}
	ada := b.token("--patient", "demo-ada", "--scope", "patient/*.rs")
	b.expect(200, ada, "GET Communication/"+written.text("id"), "")
	ben := b.token("--patient", "demo-ben", "--scope", "patient/*.rs")
	b.expect(404, ben, "GET Communication/"+written.text("id"), "")
}

// refusedBackends asks for tokens in ways that are wrong.
func refusedBackends(t *testing.T, b *backend) {
	used := b.assertion(t, nil)
	if a := b.request(used, "system/Task.rs"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	stranger := &backend{b.station, b.id, newKey(t, jose.ES384)}
	stranger.key.KeyID = b.key.KeyID
	for name, tt := range map[string]struct {
		assertion, scope, code string
		status                 int
	}{
		"used before":         {used, "system/Task.rs", "invalid_client", 401},
		"another key":         {stranger.assertion(t, nil), "system/Task.rs", "invalid_client", 401},
		"expired":             {b.assertion(t, map[string]any{"exp": minutes(-5)}), "system/Task.rs", "invalid_client", 401},
		"good for too long":   {b.assertion(t, map[string]any{"exp": minutes(20)}), "system/Task.rs", "invalid_client", 401},
		"for another server":  {b.assertion(t, map[string]any{"aud": "https://elsewhere.example/token"}), "system/Task.rs", "invalid_client", 401},
		"for two servers":     {b.assertion(t, map[string]any{"aud": []string{b.origin + "/auth/token", "https://elsewhere.example"}}), "system/Task.rs", "invalid_client", 401},
		"without jti":         {b.assertion(t, map[string]any{"jti": nil}), "system/Task.rs", "invalid_client", 401},
		"of another client":   {b.assertion(t, map[string]any{"iss": "inline", "sub": "inline"}), "system/Task.rs", "invalid_client", 401},
		"without scope":       {b.assertion(t, nil), "", "invalid_scope", 400},
		"with a user's scope": {b.assertion(t, nil), "user/Task.rs", "invalid_scope", 400},
	} {
		a := b.request(tt.assertion, tt.scope)
		if a.status != tt.status || a.text("error") != tt.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := b.tokens(url.Values{"grant_type": {"not_a_grant_type"}, "scope": {"system/Task.rs"}, "client_assertion": {b.assertion(t, nil)}}); a.status != 400 {
		t.Errorf("another grant type: %d %s", a.status, a.body)
	}
	if a := b.ask("", "GET Patient/demo-ada", ""); a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("no token: %d %v", a.status, a.header)
	}
}

// organizations works for two organisations, and with a token for one of them.
func organizations(t *testing.T, b *backend) {
	both := b.granted(t, "system/Task.rs system/Patient.rs system/Communication.crs")
	b.expect(200, both, "GET Patient/demo-ada", "")
	b.expect(201, both, "POST Communication", fmt.Sprintf(practiceMessage, "demo-practice"))
	hospital := b.granted(t, "system/Task.rs system/Patient.rs system/Communication.crs", "demo-hospital")
	b.expect(404, hospital, "GET Patient/demo-ada", "")
	if found := b.expect(200, hospital, "GET Task", "").ids(); len(found) != 0 {
		t.Errorf("the hospital finds %v", found)
	}
	if a := b.ask(hospital, "POST Communication", fmt.Sprintf(practiceMessage, "demo-practice")); a.status != http.StatusNotFound {
		t.Errorf("the hospital writes for the practice: %d %s", a.status, a.body)
	}
	practice := b.granted(t, "system/Task.rs", "demo-practice")
	if found := b.expect(200, practice, "GET Task", "").ids(); !slices.Equal(found, []string{"Task/demo-sore-throat"}) {
		t.Errorf("the practice finds %v", found)
	}
	b.expect(403, practice, "GET Patient/demo-ada", "") // outside of its scopes
	if a := b.request(b.assertion(t, nil), "system/Task.rs", "elsewhere"); a.status != 400 {
		t.Errorf("an organisation that is not its own: %d %s", a.status, a.body)
	}
}

// disabledBackend takes a client's access away by the command, which is another
// process than the server.
func disabledBackend(t *testing.T, b *backend) {
	token := b.granted(t, "system/Task.rs")
	b.expect(200, token, "GET Task", "")
	b.command("client", "disable", b.id)
	refusedSoon(t, b.base, token, "Task")
	if a := b.request(b.assertion(t, nil), "system/Task.rs"); a.status != 401 || a.text("error") != "invalid_client" {
		t.Errorf("it asks again: %d %s", a.status, a.body)
	}
	b.command("client", "enable", b.id)
	b.granted(t, "system/Task.rs")
}

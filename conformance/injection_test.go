package conformance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/oauth"
)

// breaking is what turns into more than text where texts are put together, and
// what no text can be.
var breaking = []string{
	`'`, `'; DROP TABLE oauth_client; --`, `' OR '1'='1`, `\'`, `$1`, `%' OR 1=1 --`, `")`, "\x00", "a\x00b", "\xff", "\xc0\x80", "\xed\xa0\x80", "\u202e", `{{.}}`, `${jndi:x}`, `<script>alert(1)</script>`, "a\r\nSet-Cookie: a=b", "\n", "../../etc/passwd", "|id", "`id`", "%00", "%0d%0a",
	strings.Repeat("a", 5000), `{"a":1}`, `[]`, `-1`, `99999999999999999999`, `1e999`,
}

// TestD11SignIn puts texts that break statements into every parameter of every
// page and endpoint of signing in. Nothing fails, and nothing is let in.
func TestD11SignIn(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	v := newGuest(t, p.base, "ada", signInWord)
	token := p.tokens(p.grace, "portal", "fhirUser user/*.cruds").field("access_token")
	try := func(text, method, path, name string, form url.Values, headers ...string) {
		t.Helper()
		form.Set(name, text)
		var got view
		if method == http.MethodGet {
			got = v.send(method, path+"?"+form.Encode(), nil, headers...)
		} else {
			got = v.send(method, path, form, headers...)
		}
		if got.StatusCode >= 500 || got.StatusCode == http.StatusTooManyRequests && path != "/auth/sign-in" && !strings.HasPrefix(path, "/auth/upstream") || got.fields["access_token"] != nil || got.fields["active"] == true || strings.Contains(got.text, "pq:") || strings.Contains(got.text, "<script>alert") || got.Header.Get("Set-Cookie") == "a=b" {
			t.Errorf("%s %s with %s=%.40q: %d %.300s", method, path, name, text, got.StatusCode, got.text)
		}
	}
	for _, text := range breaking {
		for name := range v.asking("app", "") {
			p.asks(t, name, text)
		}
		for _, name := range []string{"launch", "nonce", "prompt", "max_age", "login_hint", "response_mode", "resource"} {
			p.asks(t, name, text)
		}
		for name := range redeem("app", "x") {
			try(text, http.MethodPost, "/auth/token", name, redeem("app", "x"))
		}
		for _, form := range []url.Values{
			{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {"x"}}, {"grant_type": {"client_credentials"}, "client_assertion": {p.assertion()}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "scope": {"x"}, "organization": {"x"}},
			{"grant_type": {"authorization_code"}, "client_id": {"portal"}, "client_secret": {"x"}},
		} {
			for name, value := range form {
				was := value[0]
				try(text, http.MethodPost, "/auth/token", name, form)
				form.Set(name, was)
			}
		}
		for _, path := range []string{"/auth/introspect", "/auth/revoke"} {
			for _, name := range []string{"token", "token_type_hint", "client_id", "client_secret"} {
				try(text, http.MethodPost, path, name, url.Values{"token": {"x"}, "client_id": {"portal"}, "client_secret": {p.secrets["portal"]}})
			}
		}
		for _, path := range []string{"/auth/sign-in", "/auth/consent", "/auth/choose-patient", "/auth/apps", "/auth/sign-out", "/auth/refuse"} {
			begun := v.send(http.MethodGet, "/auth/sign-in", nil)
			for _, name := range []string{"name", "password", "code", "request", "token", "patient", "revoke", "decision", "scope", "birth-date", "number"} {
				form := begun.form("name", "x", "password", "y")
				try(text, http.MethodPost, path, name, form)
			}
		}
		for _, path := range []string{"/auth/continue", "/auth/consent", "/auth/sign-in", "/auth/upstream/x", "/auth/upstream/x/callback", "/auth/choose-patient"} {
			for _, name := range []string{"request", "state", "code", "patient"} {
				try(text, http.MethodGet, path, name, url.Values{})
			}
		}
		if !strings.ContainsAny(text, "\x00\r\n") {
			for _, scheme := range []string{"Basic ", "Bearer ", ""} {
				try(text, http.MethodPost, "/auth/token", "x", url.Values{"grant_type": {"client_credentials"}}, "Authorization: "+scheme+text)
				try(text, http.MethodPost, "/auth/introspect", "x", url.Values{"token": {"x"}}, "Authorization: "+scheme+text)
				try(text, http.MethodPost, "/auth/register", "x", url.Values{}, "Authorization: "+scheme+text)
			}
		}
		p.launchesWith(t, token, text)
	}
	p.shows(t, token, map[string]int{"Patient/ada": 200, "Patient/ben": 404})
	if _, err := p.door.authority.Client(t.Context(), "app"); err != nil {
		t.Error(err)
	}
}

// asks makes an authorization request that says a text, by itself: how often a
// browser may begin to sign in is bounded.
func (p *clinic) asks(t *testing.T, name, text string) {
	t.Helper()
	form := p.ada.asking("app", "launch launch/patient patient/*.rs")
	form.Set(name, text)
	_, err := p.door.authority.Ask(t.Context(), form)
	_, onPage := errors.AsType[*oauth.PageError](err)
	_, back := errors.AsType[*oauth.RedirectError](err)
	if err != nil && !onPage && !back {
		t.Errorf("authorize with %s=%.40q: %v", name, text, err)
	}
}

// launchesWith mints launches that say a text everywhere.
func (p *clinic) launchesWith(t *testing.T, token, text string) {
	t.Helper()
	value, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"client_id", "patient", "encounter", "intent", "user", "account", "launch_url"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.ada.origin+"/smart/launch", strings.NewReader(`{"client_id":"app","`+name+`":`+string(value)+`}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		if got := p.ada.do(r); got.StatusCode >= 500 || got.StatusCode == 401 || got.StatusCode == 403 && name != "patient" && name != "user" && name != "account" {
			t.Errorf("launch with %s=%.40q: %d %s", name, text, got.StatusCode, got.text)
		}
	}
}

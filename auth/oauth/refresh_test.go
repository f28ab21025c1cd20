package oauth_test

import (
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/oauth"
)

const day = 24 * time.Hour

// TestRefreshConfidential holds refreshing against RFC 6749 section 6,
// smart_token_refresh_stu2 and A12, A13: the token stays, for three months after
// its last use.
func TestRefreshConfidential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(map[string]string{"client_id": "web", "scope": "openid fhirUser launch/patient offline_access patient/Patient.read patient/Observation.rs"})
	for range 3 {
		w.clock.pass(92 * day)
		got, err := w.refresh("web", first.RefreshToken, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.RefreshToken != first.RefreshToken || got.Scope != first.Scope || got.Patient != "p1" || got.ExpiresIn != 600 || got.TokenType != "Bearer" || !w.live(got.AccessToken) {
			t.Errorf("got %+v", got)
		}
	}
	for scope, want := range map[string]string{
		first.Scope:                                first.Scope,
		"patient/Patient.read":                     "patient/Patient.read",
		"patient/Observation.r openid":             "openid patient/Observation.r",
		"patient/Patient.cruds":                    "",
		"patient/*.rs":                             "",
		"patient/Patient.read patient/Encounter.r": "",
		"patient/Patient.read nonsense":            "",
		"offline_access":                           "",
		"user/Patient.r":                           "",
	} {
		got, err := w.refresh("web", first.RefreshToken, map[string]string{"scope": scope})
		if want == "" {
			wants(t, err, "invalid_scope")
		} else if err != nil || len(scopeSet(got.Scope)) != len(scopeSet(want)) {
			t.Errorf("%s: %q, %v", scope, got.Scope, err)
		}
	}
	// g10_invalid_token_refresh; another client; no client.
	_, err := w.refresh("web", "6a1b4ae6-5f3f-4c52-a3cf-0d0b7ce8a7d2", nil)
	wants(t, err, "invalid_grant")
	_, err = w.refresh("spa", first.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	_, err = w.refresh("nobody", first.RefreshToken, nil)
	wants(t, err, "invalid_client")
	_, err = w.refresh("web", "", nil)
	wants(t, err, "invalid_request")
	if got, err := w.refresh("web", first.RefreshToken, nil); err != nil || got.Scope != first.Scope {
		t.Errorf("after all that: %+v, %v", got, err)
	}
	w.clock.pass(101 * day)
	_, err = w.refresh("web", first.RefreshToken, nil)
	wants(t, err, "invalid_grant")
}

// TestRefreshRotates is RFC 9700 section 4.14.2 and attack C9.
func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(nil)
	second, err := w.refresh("spa", first.RefreshToken, nil)
	if err != nil || second.RefreshToken == first.RefreshToken {
		t.Fatalf("%+v, %v", second, err)
	}
	// The answer was lost: the same again, within ten seconds.
	w.clock.pass(10 * time.Second)
	again, err := w.refresh("spa", first.RefreshToken, nil)
	if err != nil || mustJSON(t, again) != mustJSON(t, second) {
		t.Errorf("again: %+v, %v", again, err)
	}
	third, err := w.refresh("spa", second.RefreshToken, nil)
	if err != nil || !w.live(third.AccessToken) {
		t.Fatal(err)
	}
	// Its successor was used: this is somebody else.
	_, err = w.refresh("spa", first.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if w.live(third.AccessToken) {
		t.Error("C9: the new token is good after the old one was used")
	}
	_, err = w.refresh("spa", third.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	// Too late, or for other scopes.
	for name, reuse := range map[string]func(string) error{
		"late": func(token string) error {
			w.clock.pass(11 * time.Second)
			return answerOf(w.refresh("spa", token, nil))
		},
		"other scopes": func(token string) error {
			return answerOf(w.refresh("spa", token, map[string]string{"scope": "patient/*.rs"}))
		},
	} {
		first := w.tokens(nil)
		second, err := w.refresh("spa", first.RefreshToken, nil)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, reuse(first.RefreshToken), "invalid_grant")
		if w.live(second.AccessToken) {
			t.Errorf("%s: the family lives on", name)
		}
	}
	// Another client that has found the token cannot even end it.
	first = w.tokens(nil)
	_, err = w.refresh("other", first.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if _, err = w.refresh("spa", first.RefreshToken, nil); err != nil {
		t.Error(err)
	}
}

// TestRefreshUnnamed is a public client that does not name itself, as the parameters
// of RFC 6749 section 6 and of SMART have it, and fhirclient does.
func TestRefreshUnnamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(nil)
	refresh := func(token string) (oauth.TokenResponse, error) {
		return w.Token(t.Context(), url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, "")
	}
	second, err := refresh(first.RefreshToken)
	if err != nil || second.RefreshToken == first.RefreshToken || second.Client != "spa" || !w.live(second.AccessToken) {
		t.Fatalf("%+v, %v", second, err)
	}
	third, err := refresh(second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = refresh(first.RefreshToken)
	wants(t, err, "invalid_grant")
	if w.live(third.AccessToken) {
		t.Error("the new token is good after the old one was used")
	}
	_, err = refresh("6a1b4ae6-5f3f-4c52-a3cf-0d0b7ce8a7d2")
	wants(t, err, "invalid_grant")
	_, err = refresh("")
	wants(t, err, "invalid_request")
	web := w.tokens(map[string]string{"client_id": "web", "scope": "launch/patient offline_access patient/Patient.read"})
	_, err = refresh(web.RefreshToken)
	wants(t, err, "invalid_client")
}

func answerOf(_ oauth.TokenResponse, err error) error { return err }

// TestRefreshRace uses one token of a public client many times at once, again and
// again: all get the same answer.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 10 {
		w.refreshTogether(w.tokens(nil).RefreshToken)
	}
}

func (w *world) refreshTogether(token string) {
	w.t.Helper()
	var answers sync.Map
	var failed atomic.Int32
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 8 {
		all.Go(func() {
			<-begin
			got, err := w.refresh("spa", token, nil)
			if err != nil {
				failed.Add(1)
				return
			}
			answers.Store(got.RefreshToken, true)
		})
	}
	close(begin)
	all.Wait()
	different := 0
	answers.Range(func(any, any) bool { different++; return true })
	if failed.Load() != 0 || different != 1 {
		w.t.Errorf("%d failed, %d different refresh tokens", failed.Load(), different)
	}
}

// TestRefreshOnline ends with the browser session.
func TestRefreshOnline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := func() oauth.TokenResponse {
		r, err := w.Ask(t.Context(), request(map[string]string{"client_id": "web", "scope": "online_access patient/*.rs"}))
		if err != nil {
			t.Fatal(err)
		}
		q := w.agree(r, oauth.Decision{Patient: "p1", Session: "s1"})
		got, err := w.Token(t.Context(), redemption(q.Get("code"), map[string]string{"client_id": ""}), w.basic())
		if err != nil || got.RefreshToken == "" {
			t.Fatalf("%+v, %v", got, err)
		}
		return got
	}
	got := start()
	for range 3 {
		w.clock.pass(11 * time.Hour)
		if _, err := w.refresh("web", got.RefreshToken, nil); err != nil {
			t.Fatalf("while the session lasts: %v", err)
		}
	}
	w.mu.Lock()
	w.gone["s1"] = true
	w.mu.Unlock()
	_, err := w.refresh("web", got.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if w.live(got.AccessToken) {
		t.Error("the grant lives on")
	}
	w.gone = map[string]bool{}
	got = start()
	if err := w.EndSession(t.Context(), "s1"); err != nil || w.live(got.AccessToken) {
		t.Errorf("after the session has ended: %v", err)
	}
	_, err = w.refresh("web", got.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if err := w.EndSession(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// TestEndSession is somebody who signs out: what was not asked for the time after
// ends, whether or not it could be renewed.
func TestEndSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for scope, lives := range map[string]bool{"launch/patient patient/*.rs": false, "launch/patient online_access patient/*.rs": false, "launch/patient offline_access patient/*.rs": true} {
		r, err := w.Ask(t.Context(), request(map[string]string{"client_id": "web", "scope": scope}))
		if err != nil {
			t.Fatal(err)
		}
		q := w.agree(r, oauth.Decision{Patient: "p1", Session: "s2"})
		got, err := w.Token(t.Context(), redemption(q.Get("code"), map[string]string{"client_id": ""}), w.basic())
		if err != nil || !w.live(got.AccessToken) {
			t.Fatalf("%s: %+v, %v", scope, got, err)
		}
		if err := w.EndSession(t.Context(), "s2"); err != nil || w.live(got.AccessToken) != lives {
			t.Errorf("%s: %v; it lives on: %t", scope, err, !lives)
		}
	}
}

// TestRefreshKeepsUp takes away what the client may no longer have.
func TestRefreshKeepsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(map[string]string{"client_id": "web", "scope": "offline_access patient/Patient.rs user/Patient.rs"})
	c, err := w.Client(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	c.Scopes = "offline_access patient/*.r"
	c.SecretHash = nil
	if err := w.UpdateClient(t.Context(), *c); err != nil {
		t.Fatal(err)
	}
	got, err := w.refresh("web", first.RefreshToken, nil)
	if err != nil || got.Scope != "offline_access patient/Patient.r" {
		t.Errorf("%q, %v", got.Scope, err)
	}
	c.Active = false
	if err := w.UpdateClient(t.Context(), *c); err != nil {
		t.Fatal(err)
	}
	_, err = w.refresh("web", first.RefreshToken, nil)
	wants(t, err, "invalid_client")
	if w.live(first.AccessToken) {
		t.Error("the tokens of a client that was switched off are good")
	}
}

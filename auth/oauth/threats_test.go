package oauth_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/oauth"
)

// TestC11Issuer: every answer to an authorization request says who gives it, so
// that a client takes it to no other server.
// https://www.rfc-editor.org/rfc/rfc9207
func TestC11Issuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if !w.Configuration().IssuerParameter || !w.OpenIDConfiguration().IssuerParameter {
		t.Error("it is not announced")
	}
	if q := w.code(nil); q.Get("iss") != issuer || q.Get("code") == "" {
		t.Errorf("granted: %v", q)
	}
	r, err := w.Ask(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	to, err := w.Refuse(t.Context(), r.ID, oauth.AccessDenied)
	if q := queryOf(t, to); err != nil || q.Get("iss") != issuer || q.Get("error") != "access_denied" {
		t.Errorf("refused: %v, %v", q, err)
	}
	for name, value := range map[string]string{"aud": "https://evil.example", "response_type": "token", "scope": "", "code_challenge": "", "state": ""} {
		_, err := w.Ask(t.Context(), request(map[string]string{name: value}))
		back, ok := errors.AsType[*oauth.RedirectError](err)
		if !ok || queryOf(t, back.URL).Get("iss") != issuer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestD12NotText sends what is no text, or text that the database cannot take,
// wherever something is kept or looked for: it is refused as any other nonsense,
// and the server does not fail.
func TestD12NotText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, err := w.AddRegistration(t.Context(), oauth.Registration{Scopes: "openid", Uses: 1000, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\x00", "a\x00b", "\xff", "\xc0\x80", "\xed\xa0\x80"} {
		for _, name := range []string{"state", "nonce", "scope", "prompt", "login_hint", "aud", "launch", "code_challenge"} {
			_, err := w.Ask(t.Context(), request(map[string]string{name: text}))
			back, ok := errors.AsType[*oauth.RedirectError](err)
			if !ok || name == "state" && queryOf(t, back.URL).Get("state") != text {
				t.Errorf("authorize with %s=%q: %v", name, text, err)
			}
		}
		code := w.code(nil).Get("code")
		_, err := w.Token(t.Context(), redemption(code, map[string]string{"redirect_uri": text}), "")
		wants(t, err, "invalid_grant")
		_, err = w.Token(t.Context(), redemption(code, nil), "")
		wants(t, err, "invalid_grant")
		for name, l := range map[string]oauth.Launch{
			"client": {Client: text, Account: "acc1"}, "account": {Client: "spa", Account: text}, "patient": {Client: "spa", Account: "acc1", Patient: text}, "intent": {Client: "spa", Account: "acc1", Intent: text},
			"reference": {Client: "spa", Account: "acc1", Context: []oauth.ContextItem{{Reference: text}}}, "canonical": {Client: "spa", Account: "acc1", Context: []oauth.ContextItem{{Canonical: text}}},
			"identifier": {Client: "spa", Account: "acc1", Context: []oauth.ContextItem{{Identifier: map[string]any{"value": text}}}}, "role": {Client: "spa", Account: "acc1", Context: []oauth.ContextItem{{Reference: "Task/1", Role: text}}},
		} {
			_, err := w.MintLaunch(t.Context(), l)
			if code, _ := codeOf(err); code != "invalid_request" {
				t.Errorf("launch with %s %q: %v", name, text, err)
			}
		}
		for _, name := range []string{"client_name", "scope", "jwks_uri", "initiate_login_uri", "token_endpoint_auth_method", "application_type", "software_statement"} {
			body, err := json.Marshal(map[string]any{"client_name": "New", "redirect_uris": []string{callback}, "scope": "openid", name: text})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Register(t.Context(), "Bearer "+token, body)
			if _, ok := errors.AsType[*oauth.Error](err); err != nil && !ok {
				t.Errorf("registration with %s %q: %v", name, text, err)
			}
		}
	}
}

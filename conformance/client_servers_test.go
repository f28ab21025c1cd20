package conformance_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A phone is an app of a person, with what it was granted.
type phone struct {
	*station
	person   *visitor
	verifier string
	answered
}

const phoneRedirect = "http://127.0.0.1:9/callback"

// newPhone signs somebody in and allows the demo's app.
func newPhone(t *testing.T, s *station, name, scope string) *phone {
	t.Helper()
	p := &phone{station: s, person: newVisitor(t, phoneRedirect), verifier: oauth2.GenerateVerifier()}
	p.person.open(s.phoneRequest(scope, oauth2.S256ChallengeFromVerifier(p.verifier)))
	p.person.signIn(name, "demo-password")
	p.person.press("allow", nil)
	p.answered = p.redeem(p.person.returned().Get("code"))
	if p.status != http.StatusOK {
		t.Fatalf("the app gets %d %s", p.status, p.body)
	}
	return p
}

// phoneRequest is the address that asks for scopes for the demo's app.
func (s *station) phoneRequest(scope, challenge string) string {
	return s.origin + "/auth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"demo-app"}, "redirect_uri": {phoneRedirect}, "scope": {scope}, "state": {"a state"}, "aud": {s.base},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}.Encode()
}

func (p *phone) redeem(code string) answered {
	return p.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {phoneRedirect}, "client_id": {"demo-app"}, "code_verifier": {p.verifier}})
}

func (p *phone) refresh() answered {
	return p.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {p.text("refresh_token")}, "client_id": {"demo-app"}})
}

// TestTwoServers has two servers share a database: what one has issued is good at
// the other, and what one has taken back is refused by the other.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	database := cluster(t)
	s := &station{t: t, program: build(t), database: []string{"--dsn=" + database.DSN(), "--data-dir=" + t.TempDir()}}
	s.serve()
	other := startProgram(t, s.program, append([]string{"--demo", "--addr=127.0.0.1:0", "--base-url=" + s.base}, s.database...)...)
	app := newPhone(t, s, "demo-ada", "openid fhirUser launch/patient offline_access patient/*.rs")
	token := app.text("access_token")
	for _, base := range []string{s.base, other.base} {
		if a := askAt(t, base, token, "GET Patient/demo-ada", ""); a.status != http.StatusOK {
			t.Errorf("%s answers %d %s", base, a.status, a.body)
		}
	}
	renewed := app.refresh()
	if a := askAt(t, other.base, renewed.text("access_token"), "GET Patient/demo-ada", ""); a.status != http.StatusOK {
		t.Errorf("the other server answers %d %s to a token that was refreshed", a.status, a.body)
	}
	app.person.open(s.origin + "/auth/apps")
	app.person.press(app.person.begins("revoke-"), nil)
	if a := s.ask(token, "GET Patient/demo-ada", ""); a.status != http.StatusUnauthorized {
		t.Errorf("the server that took it back answers %d", a.status)
	}
	refusedSoon(t, other.base, renewed.text("access_token"), "Patient/demo-ada")

	doctor := newPhone(t, s, "demo-grace", "user/Patient.rs offline_access")
	if a := askAt(t, other.base, doctor.text("access_token"), "GET Patient/demo-ben", ""); a.status != http.StatusOK {
		t.Errorf("the other server answers %d %s", a.status, a.body)
	}
	s.command("user", "disable", "demo-grace")
	for _, base := range []string{s.base, other.base} {
		refusedSoon(t, base, doctor.text("access_token"), "Patient/demo-ben")
	}
	if a := doctor.refresh(); a.status != http.StatusBadRequest || a.text("error") != "invalid_grant" {
		t.Errorf("an account that was disabled refreshes: %d %s", a.status, a.body)
	}
}

// TestRestart stops a server: what was granted and who was signed in is there
// afterwards, and the commands work meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	app := newPhone(t, s, "demo-ada", "openid fhirUser launch/patient offline_access patient/*.rs")
	beside := s.token("--patient", "demo-ada", "--scope", "patient/*.rs")
	s.expect(200, beside, "GET Patient/demo-ada", "")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	stopped := s.token("--patient", "demo-ben", "--scope", "patient/*.rs")
	backend := s.token("--client", "demo-backend")
	s.serve()
	s.expect(200, stopped, "GET Patient/demo-ben", "")
	s.expect(404, stopped, "GET Patient/demo-ada", "")
	s.expect(200, backend, "GET Task/demo-sore-throat", "")
	s.expect(200, beside, "GET Patient/demo-ada", "")
	s.expect(200, app.text("access_token"), "GET Patient/demo-ada", "")
	a := app.refresh()
	if a.status != http.StatusOK {
		t.Errorf("after the restart it refreshes: %d %s", a.status, a.body)
	}
	s.expect(200, a.text("access_token"), "GET Patient/demo-ada", "")
	app.person.open(s.origin + "/auth/apps")
	if app.person.begins("revoke-") == "" || !strings.Contains(app.person.says(), "Demo app") {
		t.Errorf("after the restart %s says %s", app.person.at, app.person.says())
	}
}

// TestDemoStaysDemo refuses to serve for real what the demo has opened.
func TestDemoStaysDemo(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	text := failed(t, s.program, append([]string{"serve", "--addr=127.0.0.1:0"}, s.database...)...)
	if !strings.Contains(text, "demo") || !strings.Contains(text, "openconsult user disable") {
		t.Errorf("it says %s", text)
	}
	for _, name := range []string{"grace", "omar", "ada", "ben", "cleo"} {
		s.command("user", "disable", "demo-"+name)
	}
	real := startProgram(t, s.program, append([]string{"--addr=127.0.0.1:0"}, s.database...)...)
	if a := askAt(t, real.base, "", "GET metadata", ""); a.status != http.StatusOK {
		t.Errorf("it answers %d", a.status)
	}
	if a := askAt(t, real.base, "", "GET Patient", ""); a.status != http.StatusUnauthorized {
		t.Errorf("without a token it answers %d", a.status)
	}
}

// TestWithoutSignIn is --auth=none: whoever reaches the server may do everything,
// and there is nothing to sign in at.
func TestWithoutSignIn(t *testing.T) {
	t.Parallel()
	p := launch(t, build(t), "--dsn="+pgtest.New(t).DSN, "--unsafe")
	if a := askAt(t, p.base, "", "PUT Patient/jane", jane); a.status != http.StatusCreated {
		t.Errorf("it answers %d %s", a.status, a.body)
	}
	if a := askAt(t, p.base, "nonsense", "GET Patient/jane", ""); a.status != http.StatusOK {
		t.Errorf("with a token that means nothing it answers %d %s", a.status, a.body)
	}
	origin := strings.TrimSuffix(p.base, "/fhir")
	for _, path := range []string{"auth/authorize", "auth/token", "auth/sign-in", ".well-known/openid-configuration", "fhir/.well-known/smart-configuration"} {
		if a := askAt(t, origin, "", "GET "+path, ""); a.status != http.StatusNotFound {
			t.Errorf("/%s is answered with %d", path, a.status)
		}
	}
}

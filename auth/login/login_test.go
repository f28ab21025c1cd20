package login_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A clock stands still until it is told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func cheap() login.Cost { return login.Cost{MiB: 1, Passes: 1, Lanes: 1} }

const password = "correct horse battery"

func home() netip.Addr { return netip.MustParseAddr("192.0.2.7") }

// open returns a Login on a database of its own, with the account ada.
func open(t *testing.T) (*login.Login, *clock, login.Account) {
	t.Helper()
	c := newClock()
	l := reopen(t, pgtest.New(t), login.Config{Cost: cheap(), Now: c.Now})
	return l, c, add(t, l, "Ada")
}

func reopen(t *testing.T, db *pgtest.Database, c login.Config) *login.Login {
	t.Helper()
	l, err := login.Open(t.Context(), db.DB, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t *testing.T, l *login.Login, name string) login.Account {
	t.Helper()
	a, err := l.AddAccount(t.Context(), login.Account{Name: name, User: fhir.Key{Type: "Patient", ID: "ada"}}, password)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func class(err error) string {
	switch o := fhir.AsOutcome(err); {
	case err == nil:
		return ""
	case o == nil:
		return "fault: " + err.Error()
	default:
		return map[fhir.Class]string{fhir.Unauthorized: "unauthorized", fhir.Busy: "busy", fhir.Unknown: "unknown", fhir.Clash: "clash", fhir.BadRequest: "bad", fhir.Unavailable: "unavailable"}[o.Class]
	}
}

func signIn(ctx context.Context, l *login.Login, name, password string) error {
	_, err := l.SignIn(ctx, login.Credentials{Name: name, Password: password}, home())
	return err
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	l, _, ada := open(t)
	ctx := t.Context()
	for _, tt := range []struct{ name, password, want string }{
		{"ADA ", password, "clash"},
		{"", password, "bad"},
		{"bob\n", password, ""}, // white space around a name is no part of it
		{"b\x00b", password, "bad"},
		{"carol", "short", "bad"},
		{"carol", "carol12345", "bad"},
		{"carol", strings.Repeat("x", 513), "bad"},
		{"carol", "", ""},
	} {
		if _, err := l.AddAccount(ctx, login.Account{Name: tt.name}, tt.password); class(err) != tt.want {
			t.Errorf("%q, %q: %v, want %q", tt.name, tt.password, err, tt.want)
		}
	}
	if _, err := l.AddAccount(ctx, login.Account{Name: "d", User: fhir.Key{Type: "Organization", ID: "1"}}, password); class(err) != "bad" {
		t.Errorf("an organization signs in: %v", err)
	}
	if err := signIn(ctx, l, "carol", ""); class(err) != "unauthorized" {
		t.Errorf("an account without a password takes none: %v", err)
	}
	want := login.Account{Name: "Dora", Display: "Dora L", Staff: true, User: fhir.Key{Type: "Practitioner", ID: "p"}, Clearance: []string{"R"}, Roles: access.Labels}
	if _, err := l.AddAccount(ctx, want, password); err != nil {
		t.Fatal(err)
	}
	got, err := l.Account(ctx, "dORA")
	if err != nil || got.Name != "dora" || got.Display != "Dora L" || !got.Staff || got.User != want.User || got.Roles != access.Labels || len(got.Clearance) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	all, err := l.Accounts(ctx)
	if err != nil || len(all) != 4 || all[0].ID != ada.ID {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := l.Account(ctx, "nobody"); class(err) != "unknown" {
		t.Error(err)
	}
	if err := l.Disable(ctx, "nobody"); class(err) != "unknown" {
		t.Error(err)
	}
	for _, name := range noTexts() {
		if _, err := l.Account(ctx, name); class(err) != "unknown" {
			t.Errorf("an account %q: %v", name, err)
		}
		if _, err := l.AddAccount(ctx, login.Account{Name: name}, password); class(err) != "bad" {
			t.Errorf("an account %q is added: %v", name, err)
		}
	}
}

// noTexts returns names that the database cannot be asked for.
func noTexts() []string { return []string{"\x00", "a\x00b", "\xff", "\xc0\x80", "\xed\xa0\x80"} }

func TestSignInWithWhatIsNoText(t *testing.T) {
	t.Parallel()
	l, _, _ := open(t)
	for _, name := range noTexts() {
		if err := signIn(t.Context(), l, name, password); class(err) != "unauthorized" {
			t.Errorf("%q: %v", name, err)
		}
		if err := signIn(t.Context(), l, "bob", name); class(err) != "unauthorized" {
			t.Errorf("password %q: %v", name, err)
		}
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	l, _, ada := open(t)
	ctx := t.Context()
	got, err := l.SignIn(ctx, login.Credentials{Name: " aDa", Password: password}, home())
	if err != nil || got.ID != ada.ID || got.User != ada.User {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := l.SetPassword(ctx, ada.ID, "another long one"); err != nil {
		t.Fatal(err)
	}
	if err := signIn(ctx, l, "ada", password); class(err) != "unauthorized" {
		t.Errorf("the old password: %v", err)
	}
	if err := signIn(ctx, l, "ada", "another long one"); err != nil {
		t.Error(err)
	}
	if err := l.Disable(ctx, ada.ID); err != nil {
		t.Fatal(err)
	}
	if err := signIn(ctx, l, "ada", "another long one"); class(err) != "unauthorized" {
		t.Errorf("a disabled account: %v", err)
	}
	if err := l.Enable(ctx, ada.ID); err != nil {
		t.Fatal(err)
	}
	if err := signIn(ctx, l, "ada", "another long one"); err != nil {
		t.Error(err)
	}
}

// C17: an answer does not tell whether there is such an account.
func TestC17UnknownAccountsGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	l, _, ada := open(t)
	ctx := t.Context()
	known, unknown := signIn(ctx, l, "ada", "wrong password"), signIn(ctx, l, "nobody", "wrong password")
	if known == nil || unknown == nil || known.Error() != unknown.Error() {
		t.Errorf("known: %v; unknown: %v", known, unknown)
	}
	if _, err := l.EnableTOTP(ctx, ada.ID); err != nil {
		t.Fatal(err)
	}
	if codeless := signIn(ctx, l, "ada", password); codeless == nil || codeless.Error() != unknown.Error() {
		t.Errorf("the right password without a code: %v", codeless)
	}
}

// C17: many tries at once are no way around the waiting time.
func TestC17GuessingHasToWait(t *testing.T) {
	t.Parallel()
	l, c, _ := open(t)
	ctx := t.Context()
	for _, name := range []string{"ada", "nobody"} {
		var busy, wrong int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
				_, err := l.SignIn(ctx, login.Credentials{Name: name, Password: "a guess too many"}, from)
				mu.Lock()
				defer mu.Unlock()
				switch class(err) {
				case "busy":
					busy++
				case "unauthorized":
					wrong++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wrong != 6 || busy != 34 {
			t.Errorf("%s: %d guesses were looked at and %d refused", name, wrong, busy)
		}
	}
	if err := signIn(ctx, l, "ada", password); class(err) != "busy" {
		t.Errorf("the right password in the waiting time: %v", err)
	}
	c.pass(2 * time.Second)
	if err := signIn(ctx, l, "ada", password); err != nil {
		t.Errorf("the right password after it: %v", err)
	}
	if err := signIn(ctx, l, "ada", "wrong"); class(err) != "unauthorized" {
		t.Errorf("success has not been forgiven: %v", err)
	}
}

// C17: a thousand tries spread over a day.
func TestC17AThousandTries(t *testing.T) {
	t.Parallel()
	l, c, _ := open(t)
	looked := 0
	for i := range 1000 {
		from := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		_, err := l.SignIn(t.Context(), login.Credentials{Name: "ada", Password: "a guess"}, from)
		if class(err) == "unauthorized" {
			looked++
		}
		c.pass(86 * time.Second)
	}
	if looked < 20 || looked > 170 {
		t.Errorf("%d of 1000 guesses in a day were looked at", looked)
	}
}

// C17: spraying one password over many accounts.
func TestC17SprayingIsBoundByNetwork(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	servers := []*login.Login{
		reopen(t, db, login.Config{Cost: cheap(), Now: c.Now}),
		reopen(t, db, login.Config{Cost: cheap(), Now: c.Now}),
	}
	for _, network := range []struct{ of, like string }{
		{"2001:db8:1:2::%x", "2001:db8:1:3::1"},
		{"::ffff:203.0.113.9", "203.0.113.10"},
	} {
		looked := 0
		for i := range 60 {
			from := netip.MustParseAddr(strings.ReplaceAll(network.of, "%x", string("123456789abcdef"[i%15])))
			_, err := servers[i%2].SignIn(t.Context(), login.Credentials{Name: strings.Repeat("x", i+1), Password: "Summer2026!"}, from)
			if class(err) == "unauthorized" {
				looked++
			}
		}
		if looked != 31 {
			t.Errorf("%s: %d of 60 guesses were looked at", network.of, looked)
		}
		_, err := servers[0].SignIn(t.Context(), login.Credentials{Name: "neighbour" + network.like, Password: "Summer2026!"}, netip.MustParseAddr(network.like))
		if class(err) != "unauthorized" {
			t.Errorf("%s waits for its neighbour: %v", network.like, err)
		}
	}
}

package login_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/openconsult/openconsult/auth/login"
)

// enable returns what makes the codes of ada.
func enable(t *testing.T, l *login.Login, id string) func(time.Time) string {
	t.Helper()
	uri, err := l.EnableTOTP(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(uri); err != nil || u.Scheme != "otpauth" || key.Issuer() != "OpenConsult" || key.AccountName() != "ada" {
		t.Errorf("%s: %v", uri, err)
	}
	return func(at time.Time) string {
		code, err := totp.GenerateCode(key.Secret(), at)
		if err != nil {
			t.Error(err)
		}
		return code
	}
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	l, c, ada := open(t)
	code := enable(t, l, ada.ID)
	try := func(password, code string) string {
		_, err := l.SignIn(t.Context(), login.Credentials{Name: "ada", Password: password, Code: code}, home())
		c.pass(time.Nanosecond)
		return class(err)
	}
	now := c.Now
	for _, tt := range []struct{ what, password, code, want string }{
		{"no code", password, "", "unauthorized"},
		{"a code with a wrong password", "wrong", code(now()), "unauthorized"},
		{"a code of a minute ago", password, code(now().Add(-time.Minute)), "unauthorized"},
		{"the code before", password, code(now().Add(-30 * time.Second)), ""},
		{"the same once more", password, code(now().Add(-30 * time.Second)), "unauthorized"},
		{"with a space", password, code(now())[:3] + " " + code(now())[3:], ""},
		{"the next code", password, code(now().Add(30 * time.Second)), ""},
		{"one that is older than the last", password, code(now()), "unauthorized"},
	} {
		if got := try(tt.password, tt.code); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

// C17: a code is good once, also when it comes several times at once.
func TestC17CodesAreGoodOnce(t *testing.T) {
	t.Parallel()
	l, c, ada := open(t)
	code := enable(t, l, ada.ID)(c.Now())
	results := make(chan string, 5)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			_, err := l.SignIn(t.Context(), login.Credentials{Name: "ada", Password: password, Code: code}, home())
			results <- class(err)
		})
	}
	wg.Wait()
	close(results)
	count := map[string]int{}
	for r := range results {
		count[r]++
	}
	if count[""] != 1 || count["unauthorized"] != 4 {
		t.Errorf("%v", count)
	}
}

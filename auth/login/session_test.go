package login_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func begin(t *testing.T, l *login.Login, a login.Account) string {
	t.Helper()
	cookie, err := l.Begin(t.Context(), login.Proved(a))
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func TestSession(t *testing.T) {
	t.Parallel()
	l, c, ada := open(t)
	ctx := t.Context()
	cookie := begin(t, l, ada)
	s, err := l.Session(ctx, cookie)
	if err != nil || s.Account.ID != ada.ID || s.User != ada.User || !s.Began.Equal(c.Now()) || fmt.Sprint(s.Methods) != "[pwd]" || s.ID == cookie {
		t.Fatalf("%+v, %v", s, err)
	}
	if alive, err := l.Alive(ctx, s.ID); !alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
	for _, forged := range []string{"", s.ID, cookie + "=", strings.ToLower(cookie) + "x"} {
		if _, err := l.Session(ctx, forged); class(err) != "unauthorized" {
			t.Errorf("%q is a session: %v", forged, err)
		}
	}
	if err := l.End(ctx, cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Session(ctx, cookie); class(err) != "unauthorized" {
		t.Errorf("after its end: %v", err)
	}
	if alive, err := l.Alive(ctx, s.ID); alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
}

// C14: a session ends by itself.
func TestC14SessionsEnd(t *testing.T) {
	t.Parallel()
	l, c, ada := open(t)
	ctx := t.Context()
	idle := begin(t, l, ada)
	c.pass(14 * time.Minute)
	if _, err := l.Session(ctx, idle); err != nil {
		t.Fatal(err)
	}
	c.pass(14 * time.Minute)
	s, err := l.Session(ctx, idle)
	if err != nil {
		t.Fatalf("use has not kept it alive: %v", err)
	}
	c.pass(15 * time.Minute)
	if _, err := l.Session(ctx, idle); class(err) != "unauthorized" {
		t.Errorf("after 15 idle minutes: %v", err)
	}
	if alive, _ := l.Alive(ctx, s.ID); alive {
		t.Error("it is alive")
	}
	busy := begin(t, l, ada)
	for range 71 {
		c.pass(10 * time.Minute)
		if _, err := l.Session(ctx, busy); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(10 * time.Minute)
	if _, err := l.Session(ctx, busy); class(err) != "unauthorized" {
		t.Errorf("after 12 busy hours: %v", err)
	}
}

// C14: what changes an account ends its sessions.
func TestC14ChangesEndSessions(t *testing.T) {
	t.Parallel()
	l, _, ada := open(t)
	ctx := t.Context()
	for name, change := range map[string]func() error{
		"password": func() error { return l.SetPassword(ctx, ada.ID, "another long one") },
		"code":     func() error { _, err := l.EnableTOTP(ctx, ada.ID); return err },
		"disable":  func() error { return l.Disable(ctx, ada.ID) },
	} {
		if err := l.Enable(ctx, ada.ID); err != nil {
			t.Fatal(err)
		}
		cookie := begin(t, l, ada)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Session(ctx, cookie); class(err) != "unauthorized" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// C14: the database holds no cookie.
func TestC14OnlyHashesAreStored(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	l := reopen(t, db, login.Config{Cost: cheap()})
	a, b := begin(t, l, add(t, l, "ada")), begin(t, l, add(t, l, "bob"))
	if a == b || len(a) != 43 {
		t.Fatalf("cookies %q and %q", a, b)
	}
	var stored string
	if err := db.QueryRow(`SELECT string_agg(s::text, ' ') FROM login_session s`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, a) || strings.Contains(stored, hex.EncodeToString([]byte(a))) || len(stored) < 128 {
		t.Errorf("a cookie is in %s", stored)
	}
	if err := db.QueryRow(`SELECT password FROM login_account WHERE name = 'ada'`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=1024,t=1,p=1$") {
		t.Errorf("the password is stored as %s", stored)
	}
}

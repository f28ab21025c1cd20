package oauth_test

import (
	"net/url"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/auth/oauth"
)

// A family is what a test knows of one grant.
type family struct {
	client  string
	rotates bool
	code    string
	made    time.Time
	used    bool // the code
	dead    bool // revoked
	ends    time.Time
	access  []accessModel
	refresh []refreshModel // the newest last
}

type accessModel struct {
	token   string
	expires time.Time
}

type refreshModel struct {
	token    string
	replaced time.Time // zero: it is the newest
	answer   string    // the token that replaced it
}

// A machine does anything in any order, and knows what must come of it.
type machine struct {
	*world
	inspector string // Authorization of a resource server
	families  []*family
}

func (m *machine) alive(f *family) bool { return !f.dead && m.clock.Now().Before(f.ends) }

func (m *machine) pick(t *rapid.T, fits func(*family) bool) *family {
	var some []*family
	for _, f := range m.families {
		if fits(f) {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(some).Draw(t, "family")
}

func (m *machine) authorize(t *rapid.T) {
	if len(m.families) == 3 {
		t.Skip("that is enough")
	}
	f := &family{client: rapid.SampledFrom([]string{"spa", "web"}).Draw(t, "client"), made: m.clock.Now()}
	f.rotates, f.ends = f.client == "spa", f.made.Add(time.Minute)
	f.code = m.code(map[string]string{"client_id": f.client}).Get("code")
	m.families = append(m.families, f)
}

// exchange redeems the code of f.
func (m *machine) exchange(f *family, verifier string) (oauth.TokenResponse, error) {
	form := redemption(f.code, map[string]string{"client_id": f.client, "code_verifier": verifier})
	authorization := ""
	if f.client == "web" {
		authorization = m.basic()
	}
	return m.Token(m.t.Context(), form, authorization)
}

func (m *machine) redeem(t *rapid.T) {
	f := m.pick(t, func(f *family) bool { return true })
	good := rapid.IntRange(0, 4).Draw(t, "verifier") > 0
	v := verifier
	if !good {
		v = "x" + verifier[1:]
	}
	fresh := !f.used && !f.dead && good && m.clock.Now().Before(f.made.Add(time.Minute))
	f.used = true
	got, err := m.exchange(f, v)
	if (err == nil) != fresh {
		t.Fatalf("redeem: %v, the code was good: %t", err, fresh)
	}
	if !fresh {
		f.dead = true
		return
	}
	m.gained(f, got)
}

// gained notes what f has got.
func (m *machine) gained(f *family, got oauth.TokenResponse) {
	now := m.clock.Now()
	f.ends = now.Add(100 * day)
	f.access = append(f.access, accessModel{got.AccessToken, now.Add(10 * time.Minute)})
	if f.rotates || len(f.refresh) == 0 {
		f.refresh = append(f.refresh, refreshModel{token: got.RefreshToken})
	}
}

func (m *machine) use(t *rapid.T) {
	f := m.pick(t, func(f *family) bool { return len(f.refresh) > 0 })
	last := &f.refresh[len(f.refresh)-1]
	got, err := m.world.refresh(f.client, last.token, nil)
	if (err == nil) != m.alive(f) {
		t.Fatalf("refresh: %v, the grant is good: %t", err, m.alive(f))
	}
	if err != nil {
		return
	}
	if (got.RefreshToken != last.token) != f.rotates {
		t.Fatalf("the token has changed: %t", got.RefreshToken != last.token)
	}
	if f.rotates {
		last.replaced, last.answer = m.clock.Now(), got.AccessToken
	}
	m.gained(f, got)
}

func (m *machine) reuse(t *rapid.T) {
	f := m.pick(t, func(f *family) bool { return len(f.refresh) > 1 })
	i := rapid.IntRange(0, len(f.refresh)-2).Draw(t, "token")
	old := f.refresh[i]
	lost := m.alive(f) && i == len(f.refresh)-2 && m.clock.Now().Sub(old.replaced) <= 10*time.Second
	got, err := m.world.refresh(f.client, old.token, nil)
	switch {
	case lost && (err != nil || got.AccessToken != old.answer):
		t.Fatalf("again: %v", err)
	case !lost && err == nil:
		t.Fatal("a replaced token was taken")
	case !lost && m.alive(f):
		f.dead = true
	}
}

func (m *machine) revoke(t *rapid.T) {
	f := m.pick(t, func(f *family) bool { return len(f.access) > 0 })
	token := rapid.SampledFrom(f.access).Draw(t, "access").token
	if rapid.Bool().Draw(t, "by the refresh token") {
		token = rapid.SampledFrom(f.refresh).Draw(t, "refresh").token
	}
	form, authorization := url.Values{"token": {token}, "client_id": {f.client}}, ""
	if f.client == "web" {
		authorization = m.basic()
	}
	if err := m.Revoke(m.t.Context(), form, authorization); err != nil {
		t.Fatal(err)
	}
	f.dead = true
}

func (m *machine) expire(t *rapid.T) {
	m.clock.pass(rapid.SampledFrom([]time.Duration{time.Second, 11 * time.Second, time.Minute, 10 * time.Minute, 50 * day, 100 * day}).Draw(t, "time"))
}

// check compares every token with what is known of it: it is usable if its grant
// lives, it has not expired, and nothing has replaced it.
func (m *machine) check(t *rapid.T) {
	usable := func(token string) bool {
		i, err := m.introspect(token, m.inspector, nil)
		if err != nil {
			t.Fatal(err)
		}
		return i.Active
	}
	for _, f := range m.families {
		for _, a := range f.access {
			if want := m.alive(f) && m.clock.Now().Before(a.expires); usable(a.token) != want || m.live(a.token) != want {
				t.Fatalf("%s: an access token is usable: %t", f.client, !want)
			}
		}
		for _, r := range f.refresh {
			if want := m.alive(f) && r.replaced.IsZero(); usable(r.token) != want {
				t.Fatalf("%s: a refresh token is usable: %t", f.client, !want)
			}
		}
	}
}

// TestMachine is a property of all that can happen to grants.
func TestMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inspector := basicAuth("rs", w.add(oauth.Client{ID: "rs", Name: "Resource server", Introspects: true, Active: true}))
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{world: w, inspector: inspector}
		t.Repeat(map[string]func(*rapid.T){
			"authorize": m.authorize, "redeem": m.redeem, "refresh": m.use, "reuse": m.reuse, "revoke": m.revoke, "expire": m.expire, "": m.check,
		})
	})
}

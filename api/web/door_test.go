package web

import (
	"net/http"
	"net/netip"
	"testing"
)

// C17: who opens the door too often is told to wait, on both ways in, and nothing is
// kept for them.
func TestC17DoorIsBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	// A new minute may begin in between.
	busy := func(ask func() *page) (p *page) {
		for range 3 {
			for w.login.Enter(netip.MustParseAddr("127.0.0.1")) == nil {
			}
			if p = ask(); p.StatusCode == http.StatusTooManyRequests {
				break
			}
		}
		return p
	}
	for _, path := range []string{"/auth/authorize?" + w.request("launch/patient patient/*.rs").Encode(), "/auth/upstream/" + w.idp.config().Name} {
		p := busy(func() *page { return b.get(path) })
		p.wants(t, http.StatusTooManyRequests, "Wait a minute")
		if after := p.Header.Get("Retry-After"); after != "60" {
			t.Errorf("%s: Retry-After %q", path, after)
		}
	}
	busy(func() *page { return b.post("/auth/authorize", w.request("launch/patient patient/*.rs")) }).wants(t, http.StatusTooManyRequests, "Wait a minute")
	b.get("/auth/sign-in").wants(t, http.StatusOK, "Sign in")
}

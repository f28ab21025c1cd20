package login_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// C17: who begins to sign in again and again has to wait, and nobody else.
func TestC17BeginningIsBoundByNetwork(t *testing.T) {
	t.Parallel()
	l, c, _ := open(t)
	var let atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				switch err := l.Enter(home()); class(err) {
				case "busy":
				case "":
					let.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := let.Load(); n != 200 {
		t.Errorf("%d of 480 were let in", n)
	}
	if err := l.Enter(netip.MustParseAddr("192.0.2.8")); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	c.pass(time.Minute)
	if err := l.Enter(home()); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// C17: addresses of one network are one, and many networks do not fill the memory.
func TestC17BeginningIsBoundInAll(t *testing.T) {
	t.Parallel()
	l, c, _ := open(t)
	for i := range 220 {
		from := netip.MustParseAddr("2001:db8::").As16()
		from[15] = byte(i)
		if err := l.Enter(netip.AddrFrom16(from)); (err != nil) != (i >= 200) {
			t.Fatalf("address %d of a /64: %v", i, err)
		}
	}
	c.pass(time.Minute)
	var first netip.Addr
	for i := range 10_001 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i == 0 {
			first = from
		}
		if err := l.Enter(from); (err != nil) != (i >= 10_000) {
			t.Fatalf("network %d: %v", i, err)
		}
	}
	if err := l.Enter(first); err != nil {
		t.Errorf("a network that was there already: %v", err)
	}
}

// C17: those who leave for a provider and do not come back are bounded.
func TestC17LeavingIsBound(t *testing.T) {
	t.Parallel()
	l, i, db := upstream(t, nil)
	depart(t, l)
	const fill = `INSERT INTO login_upstream (state, browser, provider, nonce, verifier, back, began)
		SELECT sha256(n::text::bytea), sha256('b'), 'nhs', '', '', '', $1 FROM generate_series(2, 10000) AS n`
	if _, err := db.ExecContext(t.Context(), fill, i.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Depart(t.Context(), "nhs", browser, ""); class(err) != "busy" {
		t.Errorf("the 10001st: %v", err)
	}
	i.clock.pass(10*time.Minute + time.Second)
	depart(t, l)
	var left int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM login_upstream`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d are left after ten minutes, %v", left, err)
	}
}

package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// remote returns the keys of a server that publishes those of the tests.
func remote(t *testing.T) (*published, *RemoteKeys, *clock) {
	t.Helper()
	p, c := newPublished(t), newClock()
	p.publish("/keys", testKeysJSON(t))
	return p, NewRemoteKeys(p.URL+"/keys", NewClient(Guard{AllowLoopback: true}), c.now), c
}

// has fails the test unless the key k1 is found.
func has(t *testing.T, r *RemoteKeys) {
	t.Helper()
	k, err := r.Key(t.Context(), "k1", "ES256")
	if err != nil || k.KeyID != "k1" {
		t.Fatalf("key %v, error %v", k.KeyID, err)
	}
}

func TestRemoteKeys(t *testing.T) {
	t.Parallel()
	_, r, _ := remote(t)
	has(t, r)
	for kid, alg := range map[string]string{"k1": "ES384", "k2": "ES256", "r1": "ES256", "": "HS256", "K1": "ES256"} {
		if _, err := r.Key(t.Context(), kid, alg); !errors.Is(err, ErrNoKey) {
			t.Errorf("%s for %s: %v", kid, alg, err)
		}
	}
	for kid, alg := range map[string]string{"": "ES256", "r1": "PS256"} {
		if _, err := r.Key(t.Context(), kid, alg); err != nil {
			t.Errorf("%q for %s: %v", kid, alg, err)
		}
	}
}

// TestCacheControl asks again when the keys are no longer fresh, and not
// before.
func TestCacheControl(t *testing.T) {
	t.Parallel()
	for say, fresh := range map[string]time.Duration{
		"":                          5 * time.Minute,
		"public":                    5 * time.Minute,
		"max-age=60":                time.Minute,
		"public, max-age=3600":      time.Hour,
		"Max-Age=30":                30 * time.Second,
		`max-age="30"`:              30 * time.Second,
		"max-age=2000000000":        24 * time.Hour,
		"max-age=0":                 0,
		"no-store":                  0,
		"no-cache":                  0,
		"max-age=60, no-store":      0,
		"max-age=x":                 0,
		"max-age=-1":                0,
		"max-age=60, max-age=86400": 0,
	} {
		t.Run(say, func(t *testing.T) {
			t.Parallel()
			p, r, c := remote(t)
			p.say(say)
			has(t, r)
			if fresh > 0 {
				c.advance(fresh - time.Second)
				has(t, r)
				if n := p.asked.Load(); n != 1 {
					t.Errorf("%d requests before it is stale", n)
				}
				c.advance(time.Second)
			}
			has(t, r)
			if n := p.asked.Load(); n != 2 {
				t.Errorf("%d requests when it is stale", n)
			}
		})
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	h := http.Header{"Cache-Control": {"public", "max-age=60"}, "Age": {"50"}}
	if got := freshFor(h); got != 10*time.Second {
		t.Errorf("fresh for %v", got)
	}
}

// TestC5Storm asks for a hundred keys that there are not.
func TestC5Storm(t *testing.T) {
	t.Parallel()
	for _, say := range []string{"", "max-age=3600", "max-age=0", "no-store"} {
		p, r, c := remote(t)
		p.say(say)
		has(t, r)
		c.advance(2 * time.Minute)
		before := p.asked.Load()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := r.Key(context.Background(), fmt.Sprint("junk", i), "ES256"); !errors.Is(err, ErrNoKey) {
					t.Errorf("junk: %v", err)
				}
			})
		}
		wg.Wait()
		if n := p.asked.Load() - before; n != 1 {
			t.Errorf("Cache-Control %q: %d requests for a hundred unknown kids", say, n)
		}
		has(t, r)
	}
}

// TestC5Rotation is the positive twin: a key that is new is found at once, the next
// one after a minute.
func TestC5Rotation(t *testing.T) {
	t.Parallel()
	p, r, c := remote(t)
	p.say("max-age=3600")
	has(t, r)
	p.publish("/keys", strings.ReplaceAll(testKeysJSON(t), `"k1"`, `"k2"`))
	if _, err := r.Key(t.Context(), "k2", "ES256"); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if _, err := r.Key(t.Context(), "k1", "ES256"); !errors.Is(err, ErrNoKey) {
		t.Errorf("the key that was withdrawn: %v", err)
	}
	p.publish("/keys", strings.ReplaceAll(testKeysJSON(t), `"k1"`, `"k3"`))
	if _, err := r.Key(t.Context(), "k3", "ES256"); !errors.Is(err, ErrNoKey) {
		t.Errorf("within a minute: %v", err)
	}
	c.advance(time.Minute)
	if _, err := r.Key(t.Context(), "k3", "ES256"); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	if n := p.asked.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestC5Together has many ask at the same time.
func TestC5Together(t *testing.T) {
	t.Parallel()
	p, r, _ := remote(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.Key(context.Background(), "k1", "ES256"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestKeysAway loses the server: what is fresh stays good, what is stale does
// not, and one request in five seconds is made.
func TestKeysAway(t *testing.T) {
	t.Parallel()
	p, r, c := remote(t)
	p.say("max-age=600")
	has(t, r)
	p.publish("/keys", "<html>")
	c.advance(2 * time.Minute)
	for range 10 {
		if _, err := r.Key(t.Context(), "new", "ES256"); err == nil || errors.Is(err, ErrNoKey) {
			t.Errorf("a new key: %v", err)
		}
	}
	has(t, r)
	if n := p.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	c.advance(10 * time.Minute)
	if _, err := r.Key(t.Context(), "k1", "ES256"); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("a stale key: %v", err)
	}
	p.publish("/keys", testKeysJSON(t))
	c.advance(5 * time.Second)
	has(t, r)
}

// TestC6KeySets serves sets that are too long, redirected or of another status.
func TestC6KeySets(t *testing.T) {
	t.Parallel()
	set := testKeysJSON(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			_, _ = w.Write([]byte(set + strings.Repeat(" ", 64<<10-len(set))))
		case "/huge":
			_, _ = w.Write([]byte(set + strings.Repeat(" ", 64<<10-len(set)+1)))
		case "/redirect":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/status":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(set))
		}
	}))
	t.Cleanup(s.Close)
	for path, ok := range map[string]bool{"/good": true, "/huge": false, "/redirect": false, "/status": false, "/none": false} {
		r := NewRemoteKeys(s.URL+path, NewClient(Guard{AllowLoopback: true}), time.Now)
		if _, err := r.Key(t.Context(), "k1", "ES256"); (err == nil) != ok || errors.Is(err, ErrNoKey) {
			t.Errorf("%s: %v", path, err)
		}
	}
	r := NewRemoteKeys(s.URL+"/good", NewClient(Guard{}), time.Now)
	if _, err := r.Key(t.Context(), "k1", "ES256"); !errors.Is(err, ErrDestination) {
		t.Errorf("keys on this machine: %v", err)
	}
}

// TestC6SlowKeySet has a caller leave while the keys are being read: the next
// one still gets them.
func TestC6SlowKeySet(t *testing.T) {
	t.Parallel()
	set, began, goOn := testKeysJSON(t), make(chan struct{}), make(chan struct{})
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			close(began)
		}
		<-goOn
		_, _ = w.Write([]byte(set))
	}))
	t.Cleanup(s.Close)
	r := NewRemoteKeys(s.URL, NewClient(Guard{AllowLoopback: true}), time.Now)
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-began; leave() }()
	if _, err := r.Key(ctx, "k1", "ES256"); !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v", err)
	}
	close(goOn)
	has(t, r)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

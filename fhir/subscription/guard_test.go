package subscription_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/subscription"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// guarded returns an engine that calls endpoints through a guard.
func guarded(t *testing.T, g bearer.Guard) (*subscription.Engine, *interaction.Session) {
	t.Helper()
	db := pgtest.New(t)
	s, err := store.Open(t.Context(), store.Config{DSN: db.DSN, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	client := bearer.NewClient(g)
	var e *subscription.Engine
	engine := interaction.New(interaction.Config{Store: s, Subscribe: func(ctx context.Context, in interaction.Subscribing) (*fhir.Resource, error) { return e.Check(ctx, in) }})
	trusted := access.Trusted("test")
	e, err = subscription.New(subscription.Config{
		Store: s, Engine: engine, DSN: db.DSN, Base: "https://fhir.example.org/fhir", HTTP: client, Refuses: g.CheckURL,
		Grants: func(context.Context, string) (access.Grant, error) { return trusted, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, engine.For(trusted, interaction.Origin{})
}

func hook(t *testing.T, endpoint string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", fmt.Appendf(nil, `{"resourceType":"Subscription","status":"requested","reason":"x","criteria":"https://fhir.openconsult.example/SubscriptionTopic/task-changed","channel":{"type":"rest-hook","endpoint":%q}}`, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEndpointsThatMayNotBeCalled makes sure that every spelling of an address in
// the network of the server is refused, and all with the same words.
func TestEndpointsThatMayNotBeCalled(t *testing.T) {
	t.Parallel()
	e, s := guarded(t, bearer.Guard{})
	said := ""
	for _, endpoint := range []string{
		"http://example.org/", "ftp://example.org/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://0/",
		"https://localhost/", "https://localhost./", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
		"https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/",
		"https://user:password@example.org/", "https://example.org:8443/", "https://example.org@127.0.0.1/", "https://example.org#@127.0.0.1/", "https://metadata.internal/", "https://db.local/", "https://intranet/", "https:example.org", "//example.org/",
	} {
		_, err := s.Create(t.Context(), hook(t, endpoint))
		if err == nil {
			// Some are refused only when their address is known.
			if host := strings.TrimPrefix(endpoint, "https://"); host[0] >= '0' && host[0] <= '9' || host[0] == '[' {
				if resp, err := e.HTTP.Get(endpoint); err == nil {
					resp.Body.Close()
					t.Errorf("%s was called", endpoint)
				}
				continue
			}
			t.Errorf("%s was taken", endpoint)
			continue
		}
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.Unprocessable {
			t.Errorf("%s: %v", endpoint, err)
			continue
		}
		if said == "" {
			said = o.Issues[0].Text
		}
		if o.Issues[0].Text != said || strings.Contains(said, "127") {
			t.Errorf("%s: %q, want the same words as for the others", endpoint, o.Issues[0].Text)
		}
	}
}

// TestGuardIsAskedWhenItIsCalled stores what leads to this machine with a guard
// that allows it, as in development, and delivers with one that does not.
func TestGuardIsAskedWhenItIsCalled(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { called.Add(1) }))
	t.Cleanup(at.Close)
	e, s := guarded(t, bearer.Guard{AllowLoopback: true})
	if _, err := s.Create(t.Context(), hook(t, at.URL)); err != nil {
		t.Fatalf("with the flag for development: %v", err)
	}
	e.HTTP = bearer.NewClient(bearer.Guard{})
	done, err := s.Create(t.Context(), hook(t, at.URL+"/x"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for {
		states, err := e.States(ctx, s, []string{done.Key.ID})
		if err != nil {
			t.Fatal(err)
		}
		if states[0].Attempts > 0 {
			if states[0].Error != "The endpoint cannot be reached, or is none that this server may call." {
				t.Errorf("it says %q", states[0].Error)
			}
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if called.Load() > 0 {
		t.Error("it was called")
	}
}

// TestRedirectsAreNotFollowed answers with one.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var led atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { led.Add(1) }))
	t.Cleanup(inside.Close)
	at := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect))
	t.Cleanup(at.Close)
	e, s := guarded(t, bearer.Guard{AllowLoopback: true})
	done, err := s.Create(t.Context(), hook(t, at.URL))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for {
		states, err := e.States(ctx, s, []string{done.Key.ID})
		if err != nil {
			t.Fatal(err)
		}
		if states[0].Attempts > 0 {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if led.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// administered runs an admin listener over a database until the test ends.
func administered(t *testing.T, data *store.DB) *admin {
	t.Helper()
	a, err := newAdmin(&settings{AdminAddr: "127.0.0.1:0"}, data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.run(ctx, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

// fetch returns the status and body at an address of a.
func (a *admin) fetch(t *testing.T, path string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + a.address() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func openStore(t *testing.T, dsn string) *store.DB {
	t.Helper()
	data, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 2, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	return data
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	data := openStore(t, pgtest.New(t).DSN)
	a := administered(t, data)
	a.observe(api.Observation{Method: "GET", Route: "/:type/:id", Status: 404, Took: 3 * time.Millisecond})
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/health": 200, "/metrics": 200,
		"/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/cmdline": 404, // it would show --dsn
		"/debug/pprof/symbol":  404,
		"/":                    404,
		"/fhir/metadata":       404,
	} {
		if got, body := a.fetch(t, path); got != want {
			t.Errorf("%s: %d, want %d: %.200s", path, got, want, body)
		}
	}
	_, metrics := a.fetch(t, "/metrics")
	for _, want := range []string{
		`openconsult_request_seconds_count{method="GET",route="/:type/:id",status="404"} 1`,
		"openconsult_database_connections ", "openconsult_database_waits_total 0", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	a.notReady()
	if got, body := a.fetch(t, "/readyz"); got != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("while stopping: %d %s", got, body)
	}
	if got, _ := a.fetch(t, "/livez"); got != 200 {
		t.Errorf("while stopping it is no longer alive: %d", got)
	}
}

func TestReadyWithoutDatabase(t *testing.T) {
	t.Parallel()
	data := openStore(t, pgtest.New(t).DSN)
	a := administered(t, data)
	if got, _ := a.fetch(t, "/readyz"); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
	if got, body := a.fetch(t, "/readyz"); got != 503 || !strings.Contains(body, "database") {
		t.Errorf("without a database: %d %s", got, body)
	}
	if got, _ := a.fetch(t, "/livez"); got != 200 {
		t.Errorf("without a database it is not alive: %d", got)
	}
}

func TestAdminOff(t *testing.T) {
	t.Parallel()
	a, err := newAdmin(&settings{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.run(ctx, slog.New(slog.DiscardHandler)); err != nil || a.address() != "" {
		t.Errorf("%q, %v", a.address(), err)
	}
	if _, err := newAdmin(&settings{AdminAddr: "nowhere"}, nil); err == nil || !strings.Contains(err.Error(), "--admin-addr") {
		t.Errorf("a wrong address: %v", err)
	}
}

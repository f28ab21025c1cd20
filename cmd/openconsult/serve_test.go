package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A served is what the server says in its log about where it serves.
type served struct{ FHIR, Admin string }

// A lines passes on the line that says where the server serves.
type lines chan served

// Write looks at one line of a log.
func (l lines) Write(b []byte) (int, error) {
	var line struct{ Msg, FHIR, Admin string }
	if err := json.Unmarshal(b, &line); err == nil && line.Msg == "serving" {
		l <- served{line.FHIR, line.Admin}
	}
	return len(b), nil
}

// TestServe runs the whole server over TLS, takes its database away, and stops
// it.
func TestServe(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Cluster(t)
	ctx, stop := context.WithCancel(context.Background())
	where, done := make(lines, 1), make(chan error, 1)
	s, err := completed(t, []string{"--auth=none", "--addr=127.0.0.1:0", "--tls=dev", "--dsn=" + cluster.DSN()}, nil, "conns: 4\nbase-url: https://fhir.example.org/fhir/\n")
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve(ctx, s, slog.New(slog.NewJSONHandler(where, nil))) }()
	var at served
	select {
	case at = <-where:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("it does not begin to serve")
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	status, header, body := exchange(t, client, "PUT", "https://"+at.FHIR+"/fhir/Patient/p", "")
	if status != 201 || header.Get("Location") != "https://fhir.example.org/fhir/Patient/p/_history/1" {
		t.Errorf("PUT: %d %v %s", status, header, body)
	}
	if status, _, body := exchange(t, client, "PUT", "https://"+at.FHIR+"/fhir/Patient/q", "https://evil.example"); status != 403 {
		t.Errorf("PUT from a page of another site: %d %s", status, body)
	}
	withoutDatabase(t, client, cluster, at)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + at.Admin + "/livez"); err == nil {
		t.Error("it still serves")
	}
}

func withoutDatabase(t *testing.T, client *http.Client, cluster *pgserver.Server, at served) {
	t.Helper()
	if status, _, body := exchange(t, client, "GET", "http://"+at.Admin+"/readyz", ""); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if status, _, body := exchange(t, client, "GET", "http://"+at.Admin+"/readyz", ""); status != 503 {
		t.Errorf("readyz without a database: %d %s", status, body)
	}
	for _, method := range []string{"GET", "PUT"} {
		status, header, body := exchange(t, client, method, "https://"+at.FHIR+"/fhir/Patient/p", "")
		if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "OperationOutcome") {
			t.Errorf("%s without a database: %d %v %s", method, status, header, body)
		}
	}
	_, _, metrics := exchange(t, client, "GET", "http://"+at.Admin+"/metrics", "")
	for _, want := range []string{`method="PUT",route="/:type/:id",status="201"} 1`, `method="GET",route="/:type/:id",status="503"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
}

// exchange sends a request, with a patient if it is a PUT.
func exchange(t *testing.T, client *http.Client, method, url, origin string) (int, http.Header, string) {
	t.Helper()
	id := url[strings.LastIndex(url, "/")+1:]
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if method == "PUT" {
		r.Body = io.NopCloser(strings.NewReader(`{"resourceType":"Patient","id":"` + id + `"}`))
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

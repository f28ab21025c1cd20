package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRenewal(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
	}
	for token, want := range map[string]time.Duration{
		"opaque":                        5 * time.Minute,
		"a.b.c":                         5 * time.Minute,
		jwt(`{}`):                       5 * time.Minute,
		jwt(`{"exp":1800000600}`):       570 * time.Second,
		jwt(`{"exp":1800000010}`):       15 * time.Second,
		jwt(`{"exp":1700000000}`):       15 * time.Second,
		jwt(`{"exp":"no number"}`):      5 * time.Minute,
		jwt(`{"exp":1800086400.5}`):     86370 * time.Second,
		jwt(`{"exp":1800000600}`) + ".": 5 * time.Minute,
	} {
		if got := renewal(token, now).Sub(now); got != want {
			t.Errorf("%s is good for %s, want %s", token, got, want)
		}
	}
}

// TestTokenCommand: a token that the server refuses is replaced by a new one, once.
func TestTokenCommand(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	dir := t.TempDir()
	count := filepath.Join(dir, "n")
	target := s.target(t)
	target.tokens = &tokens{command: fmt.Sprintf("echo x >> %s; echo token-$(wc -l < %[1]s)", count)}
	s.refuse = func(w http.ResponseWriter, _ []byte) bool {
		if s.requests[len(s.requests)-1].Header.Get("Authorization") == "Bearer token-2" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if err := load(t.Context(), options(dir), target, []string{tree(t, map[string]string{"a.ndjson": patientLine("1")})}); err != nil {
		t.Fatal(err)
	}
	if got := readLines(t, count); len(s.names()) != 1 || len(got) != 2 {
		t.Errorf("%v stored, %d tokens", s.names(), len(got))
	}
	for _, wrong := range []string{"exit 1", "true", "echo a b"} {
		if token, err := (&tokens{command: wrong}).get(t.Context()); err == nil {
			t.Errorf("%s gives %s", wrong, token)
		}
	}
}

func TestOurs(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("http://127.0.0.1:8080/fhir")
	if err != nil {
		t.Fatal(err)
	}
	target := &target{base: base}
	for given, want := range map[string]string{
		"https://fhir.example.org/fhir/$changes?cursor=1": "http://127.0.0.1:8080/fhir/$changes?cursor=1 true",
		"/fhir/$export-status/1":                          "http://127.0.0.1:8080/fhir/$export-status/1 true",
		"https://files.example.org/a.ndjson":              "https://files.example.org/a.ndjson false",
		"https://files.example.org/fhirs/a.ndjson":        "https://files.example.org/fhirs/a.ndjson false",
		"http://127.0.0.1:8080/other":                     "http://127.0.0.1:8080/other true",
	} {
		got, own := target.ours(given)
		if text := fmt.Sprint(got, " ", own); text != want {
			t.Errorf("%s is %s, want %s", given, text, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "soon": 0,
		"Thu, 01 Jan 2026 00:00:20 GMT": 20 * time.Second, "Thu, 01 Jan 2025 00:00:20 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestMeterLine(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := &meter{verb: "loading", from: measure{resources: 1000, at: 100}, began: now.Add(-10 * time.Second)}
	for want, is := range map[string]measure{
		"loading: 50 %, 3000 resources, 200/s, 1 rejected, 13s left": {resources: 3000, rejected: 1, at: 500, of: 1000},
		"loading: 1000 resources, 0/s":                               {resources: 1000, at: 100},
		"loading: 100 %, 2000 resources, 100/s":                      {resources: 2000, at: 1100, of: 1000},
	} {
		if got := m.line(is, now); got != want {
			t.Errorf("%+v is %q, want %q", is, got, want)
		}
	}
}

// TestMeterBar: a bar that is drawn ends.
func TestMeterBar(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := &meter{verb: "loading", read: func() measure { return measure{at: 3, of: 5} }, began: time.Now(), done: make(chan struct{})}
	m.ended.Add(1)
	close(m.done)
	m.draw(&out)
}

func TestReach(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                             "say where to",
		"--base ftp://x":               "--base is the address",
		"--base http://x?a=b":          "--base is the address",
		"--base http://x --dsn y":      "one of them",
		"--base http://x --data-dir y": "one of them",
		"--base http://x --token a --token-command b": "not both",
		"--base http://x/fhir/":                       "",
	} {
		s, r := &settings{}, &reach{}
		f := s.flags()
		r.declare(f)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		target, err := r.open(t.Context(), s, f)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
		if err == nil && target.at("/metadata") != "http://x/fhir/metadata" {
			t.Errorf("%s leads to %s", args, target.at("/metadata"))
		}
	}
}

// TestInProcess: an answer is passed on while it is written, and as a whole.
func TestInProcess(t *testing.T) {
	t.Parallel()
	p := &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.RequestURI != "/fhir/x?a=b" || r.RemoteAddr == "" || r.Host != "localhost" {
			t.Errorf("%v %s %s %s", err, r.RequestURI, r.RemoteAddr, r.Host)
		}
		if len(body) == 0 {
			return
		}
		w.Header().Set("X-Seen", "yes")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("X-Late", "yes")
		for range 3 {
			_, _ = w.Write(body)
		}
	})}
	client := &http.Client{Transport: p}
	r, err := client.Post("http://localhost/fhir/x?a=b", mediaType, strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != "abcabcabc" || r.StatusCode != http.StatusAccepted || r.Header.Get("X-Seen") != "yes" || r.Header.Get("X-Late") != "" {
		t.Errorf("%d %v %s %v", r.StatusCode, r.Header, body, err)
	}
	if r, err = client.Get("http://localhost/fhir/x?a=b"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("%v %v", r, err)
	}
}

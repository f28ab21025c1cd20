package main

import (
	"net/http/httptest"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
)

func TestCheckAuth(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"127.0.0.1:8080":           true,
		"127.8.9.10:8080":          true,
		"[::1]:8080":               true,
		"localhost:0":              true,
		"[::ffff:127.0.0.1]:8080":  true,
		"0.0.0.0:8080":             false,
		"[::]:8080":                false,
		":8080":                    false,
		"192.168.1.5:8080":         false,
		"10.0.0.1:8080":            false,
		"localhost.example.org:80": false,
		"fhir.example.org:443":     false,
		"127.0.0.1.nip.io:80":      false,
		"127.0.0.1":                false,
		"[::1%lo]:8080":            false,
		"2130706433:80":            false,
		"":                         false,
	} {
		if err := checkAuth(&settings{Auth: "none", Addr: addr}); (err == nil) != ok {
			t.Errorf("--auth=none --addr %s: %v", addr, err)
		}
	}
	for _, auth := range []string{"", "None", "token"} {
		if err := checkAuth(&settings{Auth: auth, Addr: "127.0.0.1:8080"}); err == nil {
			t.Errorf("--auth=%s is accepted", auth)
		}
	}
}

func TestTrustLocal(t *testing.T) {
	t.Parallel()
	caller := trustLocal("https://fhir.example.org/fhir")
	for _, tt := range []struct {
		host, origin string
		ok           bool
	}{
		{"127.0.0.1:8080", "", true},
		{"localhost:8080", "", true},
		{"LOCALHOST", "", true},
		{"[::1]:8080", "", true},
		{"fhir.example.org", "", true},
		{"fhir.example.org:443", "https://fhir.example.org", true},
		{"localhost:8080", "http://localhost:3000", true},
		{"localhost:8080", "http://127.0.0.1:3000", true},
		{"localhost:8080", "https://evil.example", false},
		{"localhost:8080", "https://localhost.evil.example", false},
		{"localhost:8080", "null", false},
		{"localhost:8080", "file://", false},
		{"localhost:8080", "http://localhost@evil.example", false},
		{"localhost:8080", "://", false},
		{"evil.example:8080", "", false}, // its name leads to this address
		{"evil.example:8080", "http://evil.example:8080", false},
		{"", "", false},
	} {
		r := httptest.NewRequest("GET", "/fhir/Patient/p", nil)
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		g, err := caller(r)
		if allowed := g.Allow(access.Read, "Patient") == nil; allowed != tt.ok || (err == nil) != tt.ok {
			t.Errorf("Host: %s, Origin: %s: %v, %v", tt.host, tt.origin, allowed, err)
		}
	}
	r := httptest.NewRequest("GET", "/fhir/Patient/p", nil)
	r.Host = ""
	if _, err := trustLocal("")(r); err == nil {
		t.Error("without --base-url, no Host is as good as any")
	}
}

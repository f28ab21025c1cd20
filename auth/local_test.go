package auth_test

import (
	"testing"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host, origin string
		ok           bool
	}{
		{"127.0.0.1:8080", "", true},
		{"localhost:8080", "", true},
		{"LOCALHOST", "", true},
		{"[::1]:8080", "", true},
		{"[::1]", "", true},
		{"::1", "", false},
		{"localhost:80@evil.example", "", false},
		{"evil.example@localhost:80", "", false},
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
		g, err := auth.Local("https://fhir.example.org/fhir", tt.host, tt.origin)
		if allowed := g.Allow(access.Read, "Patient") == nil; allowed != tt.ok || (err == nil) != tt.ok {
			t.Errorf("Host: %s, Origin: %s: %v, %v", tt.host, tt.origin, allowed, err)
		}
	}
	if _, err := auth.Local("", "", ""); err == nil {
		t.Error("without --base-url, no Host is as good as any")
	}
}

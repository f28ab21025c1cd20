package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

func TestKeyed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method      string
		interaction access.Interaction
		headers     string
		status      int
	}{
		{"POST", access.Create, "", 0},
		{"POST", access.Create, "Idempotency-Key: k", 0},
		{"POST", bundled, "Idempotency-Key: k", 0},
		{"DELETE", access.Delete, "Idempotency-Key: " + strings.Repeat("~", 255), 0},
		{"POST", access.Create, "Idempotency-Key: ", 400},
		{"POST", access.Create, "Idempotency-Key: a b", 400},
		{"POST", access.Create, "Idempotency-Key: ä", 400},
		{"POST", access.Create, "Idempotency-Key: a\x7f", 400},
		{"POST", access.Create, "Idempotency-Key: " + strings.Repeat("~", 256), 400},
		{"POST", access.Create, "Idempotency-Key: a\nIdempotency-Key: a", 400},
		{"POST", access.Create, "Idempotency-Key: a\nPrefer: dry-run", 400},
		{"POST", access.Reindex, "Idempotency-Key: k", 400},
		{"POST", access.SearchType, "Idempotency-Key: k", 400},
		{"POST", access.Reindex, "Prefer: dry-run", 400},
		{"POST", access.Reindex, "X-History: true", 400},
		{"PUT", access.Update, "Prefer: dry-run", 0},
		{"PUT", access.Update, "X-History: true", 0},
		{"PUT", access.Update, "X-History: yes", 400},
		{"GET", access.Read, "Idempotency-Key: k", 0},
	} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest(tt.method, "/fhir/Patient", nil)
		for line := range strings.SplitSeq(tt.headers, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			if name != "" {
				c.Request.Header.Add(name, value)
			}
		}
		status := 0
		if err := keyed(c, route{interaction: tt.interaction, writes: true}); err != nil {
			status, _ = translate(err)
		}
		if status != tt.status {
			t.Errorf("%s %s %q: %d, want %d", tt.method, tt.interaction, tt.headers, status, tt.status)
		}
	}
}

// TestDigests makes sure that requests that differ have different digests.
func TestDigests(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	sum := func(method, target, body, header string) []byte {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		var n note
		c.Request = noted(httptest.NewRequest(method, target, strings.NewReader(body)), &n)
		c.Request.Header.Set(idempotencyKey, "k")
		name, value, _ := strings.Cut(header, ": ")
		c.Request.Header.Set(name, value)
		if err := keyed(c, route{interaction: access.Create}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.readBody(c, 1000); err != nil {
			t.Fatal(err)
		}
		return n.digestSum()
	}
	first := sum("POST", "/fhir/Patient?a=b", "{}", "Accept: a")
	for _, other := range [][4]string{
		{"PUT", "/fhir/Patient?a=b", "{}", "Accept: a"},
		{"POST", "/fhir/Patien?a=b", "{}", "Accept: a"},
		{"POST", "/fhir/Patient?a=c", "{}", "Accept: a"},
		{"POST", "/fhir/Patient?a=b", "{} ", "Accept: a"},
		{"POST", "/fhir/Patient?a=b", "{}", "If-Match: a"},
		{"POST", "/fhir/Patient?a=b", "{}", "If-None-Exist: a"},
	} {
		if bytes.Equal(first, sum(other[0], other[1], other[2], other[3])) {
			t.Errorf("%q has the same digest", other)
		}
	}
	for _, same := range [][4]string{
		{"POST", "/fhir/Patient?a=b", "{}", "Accept: b"},
		{"POST", "/fhir/Patient/?a=b", "{}", "Prefer: return=minimal"},
	} {
		if !bytes.Equal(first, sum(same[0], same[1], same[2], same[3])) {
			t.Errorf("%q has another digest", same)
		}
	}
}

// TestUnknownOutcome makes sure that who has a key is told that it is safe to send the
// request again.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	doubts := 0
	s := newServer(t, Config{Doubted: func() { doubts++ }})
	for key, want := range map[string]string{"k": "same Idempotency-Key", "": "look before you send it again"} {
		w := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(w)
		c.Request = noted(httptest.NewRequest("POST", "/fhir/Patient", nil), &note{key: key})
		s.fail(c, &store.Unavailable{Err: errors.New("gone"), Unknown: true})
		if w.Code != 503 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "outcome-unknown") || w.Header().Get("Retry-After") == "" {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
		s.fail(c, &store.Unavailable{Err: errors.New("nobody there")})
	}
	if doubts != 2 {
		t.Errorf("%d doubts, want 2", doubts)
	}
}

// noted returns r with what the middleware knows of it.
func noted(r *http.Request, n *note) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// searchServer stores what is put and answers every search with two matches and one include.
type searchServer struct {
	mu       sync.Mutex
	stored   map[string]bool
	searches map[string]int // by path
	pages    int
}

func (s *searchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/fhir/"), "/")
	switch {
	case r.Method == http.MethodPut:
		io.Copy(io.Discard, r.Body)
		s.stored[r.URL.Path] = true
		w.WriteHeader(http.StatusCreated)
	case len(parts) == 2:
		if !s.stored[r.URL.Path] {
			w.WriteHeader(http.StatusNotFound)
		}
	default:
		s.searches[r.URL.Path]++
		if r.URL.Query().Has("page") {
			s.pages++
		}
		fmt.Fprintf(w, `{"resourceType":"Bundle","link":[{"relation":"next","url":"http://%s/fhir/Task?page=%d"}],
			"entry":[{"search":{"mode":"match"}},{"search":{"mode":"match"}},{"search":{"mode":"include"}}]}`, r.Host, s.pages)
	}
}

func TestSearchWorkload(t *testing.T) {
	t.Parallel()
	s := &searchServer{stored: map[string]bool{}, searches: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	args := []string{"-base", server.URL + "/fhir", "-workload", "search", "-resources", "100", "-d", "5ms", "-c", "2", "-json"}
	for range 2 {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), args, &stdout, &stderr); got != exitOK {
			t.Fatalf("exit status %d; it said: %s", got, stderr.String())
		}
		var r searchReport
		decode(t, stdout.Bytes(), &r)
		if len(r.Rows) != len(searchQueries)+1 {
			t.Errorf("%d searches were measured, want %d", len(r.Rows), len(searchQueries)+1)
		}
		for _, row := range r.Rows {
			if len(row.Measured) != 2 || row.Measured[1].Clients != 2 || row.Measured[0].Matches != 2 {
				t.Errorf("%s: %+v, want 2 matches each for 1 and 2 clients", row.Name, row.Measured)
			}
		}
	}
	if want := corpusForms + 100; len(s.stored) != want || s.pages < 2*(deepPage-2) {
		t.Errorf("%d resources and %d further pages, want %d and %d at least", len(s.stored), s.pages, want, 2*(deepPage-2))
	}
}

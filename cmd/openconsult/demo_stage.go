package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A stage is what all flows of one run of the demo share.
type stage struct {
	out     io.Writer
	verbose bool
	base    string // address of the server
	run     string // begins every id of this run: "demo-k3f9c2-"
	secret  []byte // of the gateway
	client  *http.Client
	ear     *ear
	actors  cast
	names   map[string]string // what {name} stands for in what is sent, without {run}
	said    map[string]string // what gateways have called back, by key
	left    string            // the file with the address of the gateway
	steps   int
}

func newStage(s *settings, o *demoOptions, out io.Writer) (*stage, error) {
	secret, err := os.ReadFile(filepath.Join(s.DataDir, gatewaySecretFile))
	if err != nil {
		return nil, fmt.Errorf("no server has run with --demo, and without --channel, on this --data-dir (that of make run is .data): %w", err)
	}
	st := &stage{
		out: out, verbose: o.verbose, base: strings.TrimSuffix(o.base, "/"), secret: secret,
		run:    demoPrefix + strings.ToLower(rand.Text()[:6]) + "-",
		client: &http.Client{Timeout: 30 * time.Second},
		names:  map[string]string{},
		said:   map[string]string{},
		left:   filepath.Join(s.DataDir, gatewayAddressFile),
	}
	st.names["run"] = st.run
	if st.ear, err = listenLocally(secret); err != nil {
		return nil, err
	}
	if err := os.WriteFile(st.left, []byte(st.ear.base+gatewayPath), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("leave the address of the gateway: %w", err), st.ear.close())
	}
	return st, nil
}

// close takes away what the server would call in vain.
func (st *stage) close() {
	if err := errors.Join(os.Remove(st.left), st.ear.close()); err != nil {
		fmt.Fprintln(st.out, "What was listened at could not be closed:", err)
	}
}

// fill puts the names of the stage in a text, and some more: a name and a value each.
func (st *stage) fill(text string, more ...string) string {
	var pairs []string
	for i := 0; i+1 < len(more); i += 2 {
		pairs = append(pairs, "{"+more[i]+"}", more[i+1])
	}
	for name, value := range st.names {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// address returns where a path leads: from the base of the API, or with a slash from the root of
// the server. What is an address already, as links are, stays one.
func (st *stage) address(path string) string {
	switch {
	case strings.HasPrefix(path, "http"):
		return path
	case strings.HasPrefix(path, "/"):
		return originOf(st.base) + path
	}
	return st.base + "/" + path
}

// send asks the server for something once.
func (st *stage) send(ctx context.Context, s step) (heard, error) {
	method, path, _ := strings.Cut(s.ask, " ")
	r, err := http.NewRequestWithContext(ctx, method, st.address(path), strings.NewReader(s.body))
	if err != nil {
		return heard{}, fmt.Errorf("ask %s: %w", s.ask, err)
	}
	if s.who != nil && s.who.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.who.token)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/json-patch+json")
	}
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	resp, err := st.client.Do(r)
	if err != nil {
		return heard{}, fmt.Errorf("ask %s: %w", s.ask, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return heard{}, fmt.Errorf("read the answer to %s: %w", s.ask, err)
	}
	return newHeard(resp, body), nil
}

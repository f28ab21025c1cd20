// Package conformance_test proves over HTTP what the server claims. Each file
// testdata/*.txtar is a script: a claim in its first line, and the requests
// that prove it against a server with a database of its own. The language of
// the scripts is described in testdata/README.md.
//
// The package knows HTTP and the scripts. It knows the server only by [serve].
package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/openconsult/openconsult/api"
)

// A script is a claim and the steps that prove it.
type script struct {
	name  string // of the file, for messages
	claim string
	steps []step

	actors []actor // who sends requests; none on a server without sign-in
}

// A step is one command of a script, at a line of its file.
type step struct {
	line int
	text string
	do   func(*session) error

	request *request // that it sends; nil for a step that sends none
}

// operator begins the names of scripts for a server on which the operator has
// switched on what is off by default.
const operator = "operator-"

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, s := range scripts(t) {
		t.Run(strings.TrimSuffix(s.name, ".txtar"), func(t *testing.T) {
			t.Parallel()
			t.Log(s.claim)
			config := api.Config{Purge: strings.HasPrefix(s.name, operator)}
			for _, err := range s.run(s.serve(t, config)) {
				t.Error(err)
			}
		})
	}
}

// TestClaims prints, with -v, what the scripts prove.
func TestClaims(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range scripts(t) {
		if other := seen[s.claim]; other != "" {
			t.Errorf("%s claims what %s claims: %s", s.name, other, s.claim)
		}
		seen[s.claim] = s.name
		t.Logf("%-28s %s", s.name, s.claim)
	}
	if len(seen) == 0 {
		t.Error("there are no scripts")
	}
}

// scripts reads and parses all scripts, and fails the test if one is malformed.
func scripts(t *testing.T) []*script {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var list []*script
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(filepath.Base(name), data)
		if err != nil {
			t.Error(err)
			continue
		}
		list = append(list, s)
	}
	return list
}

// parse reads a script. Nothing is sent before the whole of it is understood.
func parse(name string, data []byte) (*script, error) {
	archive := txtar.Parse(data)
	p := parser{name: name, lines: strings.Split(string(archive.Comment), "\n"), files: map[string]string{}}
	for _, f := range archive.Files {
		p.files[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
	}
	claim, ok := strings.CutPrefix(p.lines[0], "# ")
	if !ok || !strings.HasSuffix(claim, ".") || len(claim) > 150 {
		return nil, fmt.Errorf("%s:1: the first line must be the claim, # and one sentence of at most 150 letters with a full stop", name)
	}
	for p.next = 1; p.next < len(p.lines); {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	if err := p.settled(); err != nil {
		return nil, err
	}
	return &script{name: name, claim: claim, steps: p.steps, actors: p.actors}, nil
}

// serve starts a server for s, with sign-in if s says who sends what.
func (s *script) serve(t *testing.T, c api.Config) *subject {
	t.Helper()
	if len(s.actors) > 0 {
		return serveSignIn(t, c)
	}
	return serveWith(t, c)
}

// run takes the steps in turn and returns everything that is not as expected.
// It goes on after a failed expectation, and stops at a step that later ones
// may need.
func (s *script) run(target *subject) []error {
	return s.runWith(target, func(c *session, st step) error { return st.do(c) })
}

// runWith takes the steps as run does, each by take.
func (s *script) runWith(target *subject, take func(*session, step) error) []error {
	c := newSession(target)
	defer c.client.CloseIdleConnections()
	var errs []error
	for _, st := range s.steps {
		err := take(c, st)
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("%s:%d: %s\n%w", s.name, st.line, st.text, err))
		if !strings.HasPrefix(st.text, "= ") {
			break
		}
	}
	return errs
}

package conformance_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestBackup copies a database while it is written to, and serves the copy. What
// was acknowledged before the backup began is in it; what came later is in it
// wholly or not. Places in the histories of the old server mean nothing there.
func TestBackup(t *testing.T) {
	t.Parallel()
	program, dir, restored := build(t), dataDir(t), dataDir(t)
	to := filepath.Join(pgtest.Dir(t), "backup")
	old := launch(t, program, "--data-dir="+dir)
	l := newLedger(t, old)
	end := l.begin()
	defer end()
	if !await(t, "writes before the backup", func() bool { n, _ := l.acknowledged(); return n >= 300 }) {
		return
	}
	sure := l.markers(stored)
	run(t, program, "backup", to, "--data-dir="+dir)
	during := l.count(stored) - len(sure)
	c := newCaller(t, old.base)
	link := nextLink(c)
	end()
	c.send(request{method: "GET", path: link}, 200)
	l.doubtAllBut(sure)

	run(t, program, "restore", to, "--data-dir="+restored)
	fresh := launch(t, program, "--data-dir="+restored)
	lost, appeared := l.verify(fresh.base)
	checkTables(t, restored)
	c = newCaller(t, fresh.base)
	x := c.send(request{method: "GET", path: strings.Replace(link, old.base, fresh.base, 1)}, 400)
	if codes, err := find(x.tree, "issue[*].code"); err != nil || len(codes) != 1 || codes[0] != "value" {
		t.Errorf("a place in the history of the old server is refused for %v, %v\n%s", codes, err, x)
	}
	c.send(request{method: "GET", path: nextLink(c)}, 200)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	if during == 0 {
		t.Error("nothing was written during the backup, so it was not tested under load")
	}
	t.Logf("%d acknowledged before the backup, %d lost; %d during it, %d of these and later in it", len(sure), lost, during, appeared)
}

// nextLink returns the address of the second page of a history.
func nextLink(c *caller) string {
	c.t.Helper()
	x := c.send(request{method: "GET", path: "/fhir/Communication/_history?_count=5"}, 200)
	links, err := find(x.tree, "link[relation=next].url")
	if err != nil || len(links) != 1 {
		c.t.Fatalf("the history has %d next pages, %v\n%s", len(links), err, x)
	}
	url, _ := links[0].(string)
	return url
}

// markers returns the writes of the given fate.
func (l *ledger) markers(f fate) map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]bool{}
	for marker, s := range l.sent {
		if s.fate == f {
			found[marker] = true
		}
	}
	return found
}

// doubtAllBut makes all acknowledged writes doubtful but some.
func (l *ledger) doubtAllBut(sure map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for marker, s := range l.sent {
		if s.fate == stored && !sure[marker] {
			s.fate = doubtful
		}
	}
}

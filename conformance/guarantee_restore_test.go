package conformance_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestGuaranteeRestoreIsTold follows the feed over a restart of the server, which changes
// nothing, and into a copy that was restored from a backup, which is told: the cursor has
// ended, and a client that begins anew has what is there.
func TestGuaranteeRestoreIsTold(t *testing.T) {
	t.Parallel()
	program, dir, restored := build(t), dataDir(t), dataDir(t)
	to := filepath.Join(pgtest.Dir(t), "backup")
	p := launch(t, program, "--data-dir="+dir)
	c := newCaller(t, p.base)
	put := func(n int) {
		t.Helper()
		c.send(request{method: "PUT", path: fmt.Sprintf("/fhir/Basic/b%d", n), body: fmt.Sprintf(`{"resourceType":"Basic","id":"b%d","code":{"text":"x"}}`, n)}, 201)
	}
	// read follows the feed to its end.
	read := func(next string) (ids, after string) {
		t.Helper()
		for {
			x := c.send(request{method: "GET", path: next}, 200)
			found, err := find(x.tree, "entry[*].resource.id")
			link := text(x.tree, "link[relation=next].url")
			if err != nil || link == "" {
				t.Fatalf("a page of the feed leads nowhere: %v\n%s", err, x)
			}
			_, path, _ := strings.Cut(link, "/fhir/")
			next = "/fhir/" + path
			if len(found) == 0 {
				return strings.TrimSpace(ids), next
			}
			for _, id := range found {
				ids += " " + plain(id)
			}
		}
	}
	put(1)
	ids, cursor := read("/fhir/$changes?_type=Basic")
	if ids != "b1" {
		t.Fatalf("the first state is %q", ids)
	}
	put(2)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = launch(t, program, "--data-dir="+dir)
	c = newCaller(t, p.base)
	put(3)
	ids, cursor = read(cursor)
	if ids != "b2 b3" {
		t.Errorf("over a restart it is told of %q", ids)
	}
	run(t, program, "backup", to, "--data-dir="+dir)
	put(4)
	run(t, program, "restore", to, "--data-dir="+restored)
	c = newCaller(t, launch(t, program, "--data-dir="+restored).base)
	x := c.send(request{method: "GET", path: cursor}, 410)
	if text(x.tree, "issue[0].details.coding[0].code") != "cursor-expired" || !strings.Contains(x.answer, "Start again without a cursor") {
		t.Errorf("it is told otherwise\n%s", x)
	}
	if ids, _ = read("/fhir/$changes?_type=Basic"); len(strings.Fields(ids)) != 3 {
		t.Errorf("who begins anew is told of %q", ids)
	}
}

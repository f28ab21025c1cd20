package conformance_test

import (
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestUpgrade starts the server on search rows that an older program has made. No
// search is answered before they are built anew, and then every one is complete.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	program, dsn := build(t), testDSN(t)
	const size = 400
	p := launch(t, program, "--dsn="+dsn, "--unsafe")
	c := newCaller(t, p.base)
	for n := range size {
		c.send(request{method: "PUT", path: fmt.Sprintf("/fhir/Basic/b%d", n), body: fmt.Sprintf(`{"resourceType":"Basic","id":"b%d","identifier":[{"value":"there"}],"code":{"text":"x"}}`, n)}, 201)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// The keys of another layout mean nothing to this one.
	for _, statement := range []string{`UPDATE search_generation SET layout = 0`, `UPDATE res SET keys = '{1,2,3}', sorts = 'x'`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	p = launch(t, program, "--dsn="+dsn, "--unsafe")
	c = newCaller(t, p.base)
	refusals := 0
	await(t, "the rows to be built", func() bool {
		x := c.send(request{method: "GET", path: "/fhir/Basic?identifier=there&_count=0"}, 200, 503)
		if x.status == 503 {
			refusals++
			if !regexp.MustCompile(`being rebuilt, \d+ % of them are done`).MatchString(x.answer) || x.header.Get("Retry-After") == "" {
				t.Errorf("it does not say how far it is\n%s", x)
			}
			return false
		}
		if got := text(x.tree, "total"); got != fmt.Sprint(size) {
			t.Errorf("a search finds %s, want %d", got, size)
		}
		return true
	})
	checkRows(t, dsn, "")
	t.Logf("%d searches were refused meanwhile", refusals)
	out, err := exec.Command(program, "reindex", "--dsn="+dsn, "--unsafe").CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("reindexed %d resources in ", size)) {
		t.Errorf("openconsult reindex: %v\n%s", err, out)
	}

	// An older program leaves rows alone that it does not understand.
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE search_generation SET layout = 1000`); err != nil {
		t.Fatal(err)
	}
	out, err = exec.Command(program, "serve", "--auth=none", "--addr=127.0.0.1:0", "--dsn="+dsn, "--unsafe").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "newer version") {
		t.Errorf("an older program starts: %v\n%s", err, out)
	}
}

// TestSearchAfterRestore searches in a copy that was restored from a backup: it
// finds what the old server found. Places on pages of the old one mean nothing in
// it.
func TestSearchAfterRestore(t *testing.T) {
	t.Parallel()
	program, dir, restored := build(t), dataDir(t), dataDir(t)
	to := filepath.Join(pgtest.Dir(t), "backup")
	old := launch(t, program, "--data-dir="+dir)
	c := newCaller(t, old.base)
	for n := range 60 {
		typ, body := seed(n)
		c.send(request{method: "PUT", path: fmt.Sprintf("/fhir/%s/s%d", typ, n), body: body}, 201)
	}
	parameter := customs[0]
	c.send(request{method: "PUT", path: "/fhir/SearchParameter/" + parameter.code, body: parameter.definition()}, 201)
	await(t, "the parameter", func() bool {
		return c.send(request{method: "GET", path: parameter.ask("")}, 200, 400).status == 200
	})
	searches := []string{parameter.ask(""), "/fhir/Patient?family=family10", "/fhir/Patient?_sort=-family&_count=4", "/fhir/Observation?code=urn:code|c3&_sort=_lastUpdated&_count=1", "/fhir/Patient?_has:Patient:link:family=x"}
	var answers [][]string
	var links []string
	for _, path := range searches {
		answers = append(answers, c.shown(path))
		if link := text(c.send(request{method: "GET", path: path}, 200).tree, "link[relation=next].url"); link != "" {
			links = append(links, link)
		}
	}
	run(t, program, "backup", to, "--data-dir="+dir)
	for _, link := range links {
		c.send(request{method: "GET", path: link}, 200)
	}
	run(t, program, "restore", to, "--data-dir="+restored)
	fresh := launch(t, program, "--data-dir="+restored)
	c = newCaller(t, fresh.base)
	for i, path := range searches {
		if got := c.shown(path); fmt.Sprint(got) != fmt.Sprint(answers[i]) {
			t.Errorf("%s finds %v, found %v before", path, got, answers[i])
		}
	}
	for _, link := range links {
		x := c.send(request{method: "GET", path: strings.Replace(link, old.base, fresh.base, 1)}, 400)
		if !strings.Contains(x.answer, "start again from the first page") {
			t.Errorf("a place on a page of the old server is refused for another reason\n%s", x)
		}
	}
	if len(links) != 2 || len(answers[0]) == 0 {
		t.Errorf("%d pages were left, %v were found", len(links), answers)
	}
	checkRows(t, privateDSN(restored), "")
}

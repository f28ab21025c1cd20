package conformance_test

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write smart.md, threats.md and hazards.md anew")

// A row says how one thing that is wanted of the server is proved.
type row struct {
	id, level, link, topic string
	proof                  proof
}

// A proof is tests, or why there are none. Either tests or why is set.
type proof struct {
	tests  []string // "auth/oauth.TestLaunch", "auth/oauth.TestLaunch/name of a part", "conformance.TestScripts/name of a script"
	remark string   // beside tests: what they leave open
	why    string   // "not claimed: …" or "for …: …"
}

const notClaimed = "not claimed: "

// parseProof reads "TEST, TEST; remark", "not claimed: why" or "for others: what".
func parseProof(text string) (proof, error) {
	if strings.HasPrefix(text, notClaimed) || strings.HasPrefix(text, "for ") && strings.Contains(text, ": ") {
		return proof{why: text}, nil
	}
	var p proof
	tests, remark, _ := strings.Cut(text, "; ")
	p.remark = remark
	for test := range strings.SplitSeq(tests, ", ") {
		if !regexp.MustCompile(`^[a-z/0-9]+\.(Test|Fuzz)\w+(/.+)?$`).MatchString(test) {
			return p, fmt.Errorf("%q is no test, and no reason", test)
		}
		p.tests = append(p.tests, test)
	}
	return p, nil
}

// String returns p as it stands in a table of Markdown.
func (p proof) String() string {
	if p.why != "" {
		return p.why
	}
	text := "`" + strings.Join(p.tests, "` `") + "`"
	if p.remark != "" {
		text += "; " + p.remark
	}
	return text
}

// readRows reads a table of rows: id, level, link, topic and proof, or with three
// columns id, topic and proof, with a tab between them.
func readRows(t *testing.T, path string) []row {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []row
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) == 3 {
			cells = slices.Insert(cells, 1, "", "")
		}
		if len(cells) != 5 || slices.Contains(cells[3:], "") || cells[0] == "" || seen[cells[0]] {
			t.Fatalf("%s:%d: %q", path, i+2, line)
		}
		p, err := parseProof(cells[4])
		if err != nil {
			t.Errorf("%s:%d: %v", path, i+2, err)
		}
		seen[cells[0]] = true
		all = append(all, row{cells[0], cells[1], cells[2], cells[3], p})
	}
	return all
}

// written makes sure that a file says what was made, or writes it.
func written(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what its table says (%v): run go test ./conformance -run 'TestSmartTable|TestThreatTable|TestHazards' -update", path, err)
	}
}

// smartPage is where the version of SMART App Launch is that the table is about.
const smartPage = "https://hl7.org/fhir/smart-app-launch/STU2.2/"

// TestSmartTable holds smart.md against its table, and the table against the
// tests that there are.
func TestSmartTable(t *testing.T) {
	t.Parallel()
	rows, tests := readRows(t, "testdata/smart22.tsv"), testsOf(t, "..")
	var table strings.Builder
	count := map[string][3]int{}
	for _, r := range rows {
		tests.check(t, r)
		if words := len(strings.Fields(r.topic)); words > 12 {
			t.Errorf("%s: a topic of %d words", r.id, words)
		}
		c := count[r.level]
		c[r.proof.kind()]++
		count[r.level] = c
		fmt.Fprintf(&table, "| [%s](%s%s) | %s | %s | %s |\n", r.id, smartPage, r.link, r.level, r.topic, r.proof)
	}
	var b strings.Builder
	b.WriteString("# What SMART App Launch 2.2 wants of servers, and the tests that prove it\n\n" +
		"Made from [testdata/smart22.tsv](testdata/smart22.tsv) by `go test ./conformance -run TestSmartTable -update`. The ids are those of the [list of requirements](" +
		"https://github.com/inferno-framework/smart-app-launch-test-kit) that Inferno's test kit keeps; each leads to the page that says what is wanted.\n\n" +
		"| | proved by tests | not claimed | for others |\n|---|---|---|---|\n")
	total := [3]int{}
	for _, level := range []string{"SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY"} {
		c := count[level]
		delete(count, level)
		for i := range c {
			total[i] += c[i]
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", level, c[0], c[1], c[2])
	}
	fmt.Fprintf(&b, "| all %d | %d | %d | %d |\n\n| id | level | topic | proof |\n|---|---|---|---|\n", len(rows), total[0], total[1], total[2])
	if len(count) > 0 {
		t.Errorf("unknown levels %v", count)
	}
	written(t, "smart.md", b.String()+table.String())
}

// kind returns 0 for what is proved, 1 for what is not claimed, 2 for what others
// do.
func (p proof) kind() int {
	switch {
	case p.why == "":
		return 0
	case strings.HasPrefix(p.why, notClaimed):
		return 1
	}
	return 2
}

// TestSmartTableIsComplete holds the ids, levels and pages of the table against
// the list that it is about.
func TestSmartTableIsComplete(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../shared/smart22_server_requirements.csv")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the list of requirements is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	list, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := readRows(t, "testdata/smart22.tsv")
	if len(rows) != len(list)-1 {
		t.Fatalf("%d rows for %d requirements", len(rows), len(list)-1)
	}
	for i, want := range list[1:] {
		if r := rows[i]; r.id != want[0] || r.level != want[1] || smartPage+r.link != want[3] {
			t.Errorf("row %s %s %s, want %s", r.id, r.level, r.link, want[:4])
		}
	}
}

// TestThreatTable holds threats.md against its table. Each row is named by a test
// that proves it.
func TestThreatTable(t *testing.T) {
	t.Parallel()
	rows, tests := readRows(t, "testdata/threats.tsv"), testsOf(t, "..")
	var want []string
	for _, group := range []struct {
		letter string
		size   int
	}{{"B", 19}, {"C", 22}, {"D", 23}} {
		for i := range group.size {
			want = append(want, fmt.Sprint(group.letter, i+1))
		}
	}
	want = append(want, "E")
	var b strings.Builder
	b.WriteString("# Attacks, and the tests that hold the server against them\n\nMade from [testdata/threats.tsv](testdata/threats.tsv) by " +
		"`go test ./conformance -run TestThreatTable -update`. B is access control, C tokens and OAuth, D input and exhaustion, E requests that the server sends.\n\n" +
		"| id | attack | proof |\n|---|---|---|\n")
	var got []string
	for _, r := range rows {
		tests.check(t, r)
		got = append(got, r.id)
		if r.proof.why == "" && !tests.name(r) {
			t.Errorf("%s: none of %v says that it is about it", r.id, r.proof.tests)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.topic, r.proof)
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	written(t, "threats.md", b.String())
}

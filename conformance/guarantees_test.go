package conformance_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// guaranteesHead is how guarantees.md begins.
const guaranteesHead = `# What the server promises, and the tests that would fail if it did not keep it

Made from [testdata/guarantees.tsv](testdata/guarantees.tsv) by ` + "`go test ./conformance -run TestGuarantees -update`" + `. Each promise says how it is kept, which tests
would fail if it were broken, and where it ends. A test named ` + "`conformance.TestScripts/NAME`" + ` is the script [testdata/NAME.txtar](testdata). Beside this page stand
[hazards.md](hazards.md), [threats.md](threats.md) and [smart.md](smart.md). What is not promised at all is at the end.

`

// notPromised is the group of what is not promised.
const notPromised = "What is not promised"

// TestGuarantees holds guarantees.md against its table, and the table against the tests that
// there are: each promise has tests, and each test that was written for this page is named.
func TestGuarantees(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/guarantees.tsv")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOf(t, "..")
	b, named, group, counted := &strings.Builder{}, map[string]bool{}, "", map[byte]int{}
	b.WriteString(guaranteesHead)
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 6 || slices.Contains(cells, "") || (cells[0][0] == 'N') != (cells[1] == notPromised) {
			t.Fatalf("guarantees.tsv:%d: %q", i+2, cells)
		}
		kind := cells[0][0]
		if counted[kind]++; cells[0] != fmt.Sprintf("%c%d", kind, counted[kind]) || !strings.Contains("GN", string(kind)) || kind == 'G' && counted['N'] > 0 {
			t.Errorf("guarantees.tsv:%d: the id %s is out of order", i+2, cells[0])
		}
		if cells[1] != group {
			group = cells[1]
			fmt.Fprintf(b, "## %s\n\n", group)
		}
		if kind == 'N' {
			fmt.Fprintf(b, "- %s **%s.** %s.\n", cells[0], cells[2], cells[3])
			continue
		}
		p, err := parseProof(cells[4])
		if err != nil || p.why != "" || p.remark != "" {
			t.Errorf("%s is proved by no test: %v", cells[0], err)
		}
		tests.check(t, row{id: cells[0], topic: cells[2], proof: p})
		for _, name := range p.tests {
			named[name] = true
		}
		fmt.Fprintf(b, "### %s %s.\n\n- How: %s.\n- Tests: %s.\n- What this does not say: %s.\n\n", cells[0], cells[2], cells[3], p, cells[5])
	}
	for name, one := range tests {
		if one.isTest && strings.HasPrefix(name, "conformance.TestGuarantee") && name != "conformance.TestGuarantees" && name != "conformance.TestGuaranteedChances" && !named[name] {
			t.Errorf("%s proves no promise", name)
		}
	}
	if counted['G'] < 50 || counted['N'] < 15 {
		t.Errorf("there are %d promises, and %d that are not made", counted['G'], counted['N'])
	}
	written(t, "guarantees.md", b.String())
}

// TestGuaranteedChances works out what the page says about hashed keys.
func TestGuaranteedChances(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("testdata/guarantees.tsv")
	if err != nil {
		t.Fatal(err)
	}
	const values = 1e8
	for what, chance := range map[string]float64{
		"a foreign value has the key that is searched for":  values / math.Exp2(64),
		"a foreign party has the key that decides":          values / math.Exp2(61),
		"any two values share a key":                        values * (values - 1) / 2 / math.Exp2(64),
		"any two parties share a key":                       values * (values - 1) / 2 / math.Exp2(61),
		"a changed resource has the hash of the stored one": 1 / math.Exp2(64),
	} {
		if text := strings.NewReplacer("e-0", "e-").Replace(fmt.Sprintf("%.1e", chance)); !strings.Contains(string(page), text) {
			t.Errorf("the page does not say that the chance that %s is %s", what, text)
		}
	}
	if values/math.Exp2(64) >= 1e-11 {
		t.Error("the chance is not under 1e-11")
	}
}

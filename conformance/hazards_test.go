package conformance_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// hazardsHead is how hazards.md begins.
const hazardsHead = `# Hazards of the conversation, and the tests that control them

Made from [testdata/hazards.tsv](testdata/hazards.tsv) by ` + "`go test ./conformance -run TestHazards -update`" + `. The form is that of a hazard log after DCB0129.

Severity (minor, significant, considerable, major, catastrophic) and likelihood (very low, low, medium, high, very high) are the developers' judgement, before the control and
with it; no clinical safety officer has signed them. Who deploys the server has to judge them anew for the place where it is used, after DCB0160.

`

// TestHazards holds hazards.md against its table, and the table against the tests that there are.
func TestHazards(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/hazards.tsv")
	if err != nil {
		t.Fatal(err)
	}
	severities, likelihoods := []string{"minor", "significant", "considerable", "major", "catastrophic"}, []string{"very low", "low", "medium", "high", "very high"}
	tests := testsOf(t, "..")
	b := &strings.Builder{}
	b.WriteString(hazardsHead)
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 9 || slices.Contains(cells, "") || cells[0] != fmt.Sprint("H", i+1) {
			t.Fatalf("hazards.tsv:%d: %q", i+2, cells)
		}
		p, err := parseProof(cells[8])
		if err != nil || p.why != "" {
			t.Errorf("%s is controlled by no test: %v", cells[0], err)
		}
		tests.check(t, row{id: cells[0], topic: cells[1], proof: p})
		for _, risk := range []string{cells[4], cells[6]} {
			severity, likelihood, _ := strings.Cut(risk, " × ")
			if !slices.Contains(severities, severity) || !slices.Contains(likelihoods, likelihood) {
				t.Errorf("%s: %q is no risk", cells[0], risk)
			}
		}
		fmt.Fprintf(b, "## %s %s\n\n- Cause: %s.\n- Effect: %s.\n- Risk: %s; with the control %s.\n- Control: %s.\n- Tests: %s.\n- What remains: %s.\n\n", cells[0], cells[1], cells[2], cells[3], cells[4], cells[6], cells[5], p, cells[7])
	}
	if n := strings.Count(b.String(), "\n## "); n != 15 {
		t.Errorf("%d hazards", n)
	}
	written(t, "hazards.md", strings.TrimSuffix(b.String(), "\n"))
}

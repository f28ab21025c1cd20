package patch_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

// pathCase is a case of the FHIRPath Patch suite of
// https://github.com/FHIR/fhir-test-cases. Without Output there must be an
// error.
type pathCase struct {
	Name          string
	Input, Output map[string]any
	Patch         json.RawMessage
}

// The JSON of the suite leaves narratives out, so that one case replaces a div
// that is not there. They are put back: any before, the replacement after.
const narrative = `<div xmlns="http://www.w3.org/1999/xhtml"><p>Jim</p></div>`

func (c pathCase) narrate() {
	if text, ok := c.Input["text"].(map[string]any); ok {
		text["div"] = narrative
	}
	text, ok := c.Output["text"].(map[string]any)
	if !ok {
		return
	}
	var p struct {
		Parameter []struct {
			Part []struct{ Name, ValueString string }
		}
	}
	if json.Unmarshal(c.Patch, &p) != nil {
		return
	}
	for _, o := range p.Parameter {
		if len(o.Part) == 3 && o.Part[1].ValueString == "Patient.text.div" {
			text["div"] = o.Part[2].ValueString
		}
	}
}

func TestFHIRPathSuite(t *testing.T) {
	t.Parallel()
	passed, total := 0, 0
	for _, c := range pathSuite(t) {
		total++
		if problem := c.run(t); problem != "" {
			t.Errorf("%s: %s", c.Name, problem)
			continue
		}
		passed++
	}
	t.Logf("%d of %d cases passed", passed, total)
	if total != 33 {
		t.Errorf("the suite has %d cases, want 33", total)
	}
}

// run returns what is wrong with the outcome of the case.
func (c pathCase) run(t *testing.T) string {
	c.narrate()
	input, err := json.Marshal(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.FHIRPath(decode(t, string(input)), decode(t, string(c.Patch)))
	switch {
	case c.Output == nil && err == nil:
		return "accepted, should fail"
	case c.Output == nil && fhir.AsOutcome(err) == nil:
		return "not an error for the caller: " + err.Error()
	case c.Output == nil:
		return ""
	case err != nil:
		return err.Error()
	}
	want, err := json.Marshal(c.Output)
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(out, want) {
		return "got " + string(out) + ", want " + string(want)
	}
	decode(t, string(out))
	return ""
}

func decode(t testing.TB, src string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return r
}

func pathSuite(t *testing.T) []pathCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sharedDir(t), "..", "fhirpath-patch-r4.jsonl"))
	if err != nil {
		t.Skipf("the FHIRPath Patch suite is not there: %v", err)
	}
	var cases []pathCase
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var c pathCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

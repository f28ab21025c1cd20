package validate

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// handlings returns a line for each invariant of R4: how it is held, and the reason
// where that is not by its own expression.
func handlings() map[string]string {
	lines := map[string]string{}
	note := func(source string, i spec.Invariant) {
		h := handlingOf(source, i)
		line := string(h.kind)
		if h.note != "" {
			line += ": its expression " + h.note
		}
		if i.Warning {
			line += " (warning)"
		}
		lines[source+"#"+i.Key] = line
	}
	for _, t := range spec.R4().Types() {
		for _, i := range t.Invariants {
			source, _, _ := strings.Cut(origin(t, i).Name, ".")
			note(source, i)
		}
		for _, e := range t.Elements {
			for _, i := range e.Invariants {
				source, _, _ := strings.Cut(e.Path, ".")
				if i.Key == "sqty-1" {
					source = "SimpleQuantity"
				}
				note(source, i)
			}
		}
	}
	return lines
}

// TestHandlings holds the list of all invariants of R4, with how each is held, to what
// the code does. go test -update writes it.
func TestHandlings(t *testing.T) {
	t.Parallel()
	lines := handlings()
	var b strings.Builder
	b.WriteString("// Every invariant of R4 and how it is held: by the decoder (structure), in Go (native), by its expression (fhirpath), or\n// by another expression (mended), with the reason.\n")
	for _, name := range sorted(lines) {
		fmt.Fprintf(&b, "%s %s\n", name, lines[name])
	}
	path := filepath.Join("testdata", "invariants.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s says otherwise; look at what has changed and write it anew by -update", path)
	}
	for _, name := range published(t) {
		if lines[name] == "" {
			t.Errorf("%s of R4 is not held", name)
		}
	}
}

// published returns the invariants of the types of R4, as its definitions have them.
func published(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(shared(t, "r4/StructureDefinition.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		for _, name := range constraints(t, lines.Bytes()) {
			all[name] = true
		}
	}
	if len(all) < 230 {
		t.Fatalf("the definitions have %d invariants", len(all))
	}
	return sorted(all)
}

func constraints(t *testing.T, line []byte) []string {
	t.Helper()
	var d struct {
		Name, Kind, Derivation string
		Differential           struct {
			Element []struct {
				Path       string
				Constraint []struct{ Key string }
			}
		}
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatal(err)
	}
	if d.Kind == "logical" || d.Derivation == "constraint" {
		return nil
	}
	var names []string
	for _, e := range d.Differential.Element {
		source, _, _ := strings.Cut(e.Path, ".")
		for _, c := range e.Constraint {
			names = append(names, source+"#"+c.Key)
		}
	}
	return names
}

// TestStructure proves that the decoder refuses what the invariants forbid that are left
// to it.
func TestStructure(t *testing.T) {
	t.Parallel()
	violations := map[string][]string{
		"Narrative#txt-1": {`<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>`, `<div xmlns=\"http://www.w3.org/1999/xhtml\"><p onclick=\"x\">x</p></div>`, `<p>x</p>`},
		"Narrative#txt-2": {`<div xmlns=\"http://www.w3.org/1999/xhtml\"> \n </div>`, `<div xmlns=\"http://www.w3.org/1999/xhtml\"/>`},
	}
	for name, handling := range handlings() {
		if handling != string(structure) {
			continue
		}
		if len(violations[name]) == 0 {
			t.Errorf("no violation of %s is tried", name)
		}
		for _, div := range violations[name] {
			src := `{"resourceType":"Patient","text":{"status":"generated","div":"` + div + `"}}`
			if _, err := fhir.Decode("", []byte(src)); err == nil {
				t.Errorf("%s: %s is decoded", name, div)
			}
		}
	}
}

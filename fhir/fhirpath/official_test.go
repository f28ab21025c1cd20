package fhirpath_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// shared returns the path of a file in the folder of public definitions and
// suites, and skips the test when it is not there.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("there is no %s: put the public data there or set OPENCONSULT_SHARED", path)
	}
	return path
}

// An officialCase is one line of the official suite.
type officialCase struct {
	ID        string
	Expr      string
	Input     string
	Expect    string // ok or error
	ErrorKind string // syntax, semantic or execution
	Mode      string // strict, or empty
	Predicate bool
	Ordered   bool
	Output    [][2]string // type, which may be empty, and text
}

// TestOfficial holds the engine against the official suite. What is listed in
// testdata/official-exceptions.txt must differ, and nothing else may.
func TestOfficial(t *testing.T) {
	t.Parallel()
	cases := officialCases(t)
	exceptions := exceptions(t)
	inputs := map[string]fhir.Node{"": {}}
	refused := map[string]error{}
	passed := 0
	for _, c := range cases {
		if _, ok := inputs[c.Input]; !ok {
			inputs[c.Input], refused[c.Input] = decodeFile(t, shared(t, "suites/fhirpath-inputs/"+c.Input))
		}
		problem := ""
		if err := refused[c.Input]; err != nil {
			problem = "its input is refused: " + err.Error()
		} else {
			problem = c.run(inputs[c.Input])
		}
		reason, listed := exceptions[c.ID]
		switch {
		case problem == "":
			passed++
			if listed {
				t.Errorf("%s passes now: take it off the list of exceptions", c.ID)
			}
		case listed:
			t.Logf("exception %s: %s (%s)", c.ID, problem, reason)
		default:
			t.Errorf("%s: %s\n\t%s", c.ID, problem, c.Expr)
		}
		delete(exceptions, c.ID)
	}
	for id := range exceptions {
		t.Errorf("%s is on the list of exceptions, but no case", id)
	}
	t.Logf("passed %d of %d", passed, len(cases))
	if passed*100 < 98*len(cases) {
		t.Errorf("less than 98 %% of the cases pass")
	}
}

func officialCases(t *testing.T) []officialCase {
	src, err := os.ReadFile(shared(t, "suites/fhirpath-r4.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []officialCase
	for line := range bytes.Lines(src) {
		var c officialCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// exceptions reads the list of cases that the engine decides otherwise: id, tab,
// reason.
func exceptions(t *testing.T) map[string]string {
	f, err := os.Open("testdata/official-exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listed := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if id, reason, ok := strings.Cut(s.Text(), "\t"); ok && !strings.HasPrefix(id, "#") {
			listed[id] = reason
		}
	}
	return listed
}

func decodeFile(t testing.TB, path string) (fhir.Node, error) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decode := fhir.Decode
	if filepath.Ext(path) == ".xml" {
		decode = fhir.DecodeXML
	}
	r, err := decode("", src)
	if err != nil {
		return fhir.Node{}, err
	}
	return r.Root(), nil
}

// run returns what is wrong with the result, "" for nothing.
func (c *officialCase) run(focus fhir.Node) string {
	e, err := fhirpath.Compile(c.Expr)
	var got fhirpath.Collection
	if err == nil {
		// A semantic error is one that shows when the expression is held against
		// the definitions, which only a strict environment does.
		env := &fhirpath.Env{Strict: c.Mode == "strict" || c.ErrorKind == "semantic"}
		got, err = e.EvaluateNode(focus, env)
	}
	switch {
	case err != nil && c.Expect == "error":
		return ""
	case err != nil:
		return err.Error()
	case c.Expect == "error":
		return fmt.Sprintf("gives %v instead of an error", texts(got))
	}
	if c.Predicate {
		got = fhirpath.Collection{fhirpath.Bool(len(got) > 0)}
	}
	return c.compare(got)
}

func (c *officialCase) compare(got fhirpath.Collection) string {
	var want []string
	for _, o := range c.Output {
		want = append(want, o[0]+" "+strings.TrimPrefix(o[1], "@"))
	}
	have := texts(got)
	for n := range have {
		if n < len(c.Output) && c.Output[n][0] == "" {
			_, text, _ := strings.Cut(have[n], " ")
			have[n] = " " + text
		}
	}
	if !c.Ordered {
		slices.Sort(want)
		slices.Sort(have)
	}
	for n := range want {
		// Of a time the suite writes the mark too.
		want[n] = strings.Replace(want[n], " T1", " 1", 1)
	}
	if !slices.Equal(have, want) {
		return fmt.Sprintf("gives %q instead of %q", have, want)
	}
	return ""
}

// texts returns the items as the suite writes them: the type as FHIR calls it,
// and the text.
func texts(c fhirpath.Collection) []string {
	var out []string
	for _, i := range c {
		typ, system := strings.CutPrefix(i.Type(), "System.")
		if system && typ != "Quantity" {
			typ = strings.ToLower(typ[:1]) + typ[1:]
		}
		out = append(out, typ+" "+i.Text())
	}
	return out
}

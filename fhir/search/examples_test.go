package search

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

const base = "https://fhir.example.org/r4"

// registry returns one without custom parameters.
func registry(t testing.TB) *Registry {
	t.Helper()
	r, err := NewRegistry(spec.R4(), base+"/", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// examples returns those official R4 examples that can be decoded.
func examples(t testing.TB) []*fhir.Resource {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "r4", "examples.ndjson.gz"))
	if err != nil {
		t.Skipf("needs r4/examples.ndjson.gz, the official R4 examples: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 64<<20)
	var all []*fhir.Resource
	for s.Scan() {
		if r, err := fhir.Decode("", []byte(s.Text())); err == nil {
			all = append(all, r)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return all
}

// sample returns a resource of fhir/testdata.
func sample(t testing.TB, name string) *fhir.Resource {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, string(src))
}

func decoded(t testing.TB, src string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	return r
}

func indexed(t testing.TB, r *Registry, res *fhir.Resource) *Index {
	t.Helper()
	ix, err := r.Index(res.Root(), res.ID())
	if err != nil {
		t.Fatalf("%s/%s: %v", res.Type(), res.ID(), err)
	}
	return ix
}

// lines returns an index as text, a line for each entry and member.
func lines(ix *Index) []string {
	var all []string
	for _, e := range ix.Entries {
		all = append(all, e.Param.Code+" "+show(e.Param, e.Value))
	}
	for _, m := range ix.Members {
		all = append(all, "in "+m.Compartment.String())
	}
	return all
}

// values returns what one parameter finds, as text.
func values(ix *Index, code string) []string {
	var all []string
	for _, e := range ix.Entries {
		if e.Param.Code == code {
			all = append(all, show(e.Param, e.Value))
		}
	}
	return all
}

func show(p *Param, v Value) string {
	switch v := v.(type) {
	case Token:
		return "token " + showToken(v)
	case String:
		return fmt.Sprintf("string %q %q", v.Text, v.Folded)
	case Reference:
		return "reference " + showReference(v)
	case Range:
		if p.Type == DateType {
			return "date " + showTime(v.Lo) + " " + showTime(v.Hi)
		}
		return fmt.Sprintf("number %v %v", v.Lo, v.Hi)
	case Quantity:
		text := fmt.Sprintf("quantity %v %v %s|%s %q", v.Lo, v.Hi, v.System, v.Code, v.Unit)
		if v.Base != "" {
			text += fmt.Sprintf(" = %v %v %s", v.Canonical.Lo, v.Canonical.Hi, v.Base)
		}
		return text
	case URI:
		return strings.TrimSpace("uri " + v.Text + " " + v.Version)
	case Composite:
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = show(p.Parts[i].Param, part)
		}
		return "composite (" + strings.Join(parts, ") (") + ")"
	}
	return fmt.Sprintf("no value %T", v)
}

func showToken(t Token) string {
	text := t.System + "|" + t.Code
	if t.Folded {
		text += " folded"
	}
	if len(t.Texts) > 0 {
		text += fmt.Sprintf(" %q", t.Texts)
	}
	for _, k := range t.Kinds {
		text += " kind " + showToken(k)
	}
	return text
}

func showReference(r Reference) string {
	text := r.URL
	if r.Key.ID != "" {
		text = r.Key.String()
	}
	if r.Version != "" {
		text += " version " + r.Version
	}
	if r.Type != r.Key.Type {
		text += " type " + r.Type
	}
	if r.Identifier != nil {
		text += " identifier " + showToken(*r.Identifier)
	}
	return strings.TrimSpace(text)
}

func showTime(us float64) string {
	if us > 1e18 || us < -1e18 {
		return "open"
	}
	return time.UnixMicro(int64(us)).UTC().Format("2006-01-02T15:04:05.999999")
}

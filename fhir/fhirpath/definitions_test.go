package fhirpath_test

import (
	"bufio"
	"compress/gzip"
	"maps"
	"os"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// examples returns the published examples of R4 that are well-formed.
func examples(t testing.TB) []fhir.Node {
	t.Helper()
	f, err := os.Open(shared(t, "r4/examples.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var roots []fhir.Node
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 64<<20)
	refused := 0
	for lines.Scan() {
		r, err := fhir.Decode("", append([]byte(nil), lines.Bytes()...))
		if err != nil {
			refused++
			continue
		}
		roots = append(roots, r.Root())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d examples, and %d that are no valid R4", len(roots), refused)
	return roots
}

// compiler compiles each expression once.
type compiler map[string]*fhirpath.Expression

func (c compiler) compile(t testing.TB, src string) *fhirpath.Expression {
	t.Helper()
	e, ok := c[src]
	if !ok {
		var err error
		if e, err = fhirpath.Compile(src); err != nil {
			t.Errorf("%v\n\t%s", err, src)
		}
		c[src] = e
	}
	return e
}

// TestInvariants evaluates every invariant of R4 on every element of the
// examples that has it.
func TestInvariants(t *testing.T) {
	t.Parallel()
	c := compiler{}
	for _, typ := range spec.R4().Types() {
		for _, i := range typ.Invariants {
			c.compile(t, i.Expression)
		}
	}
	evaluated, violated := 0, map[string]int{}
	check := func(n fhir.Node, invariants []spec.Invariant) {
		for _, i := range invariants {
			e := c.compile(t, i.Expression)
			if e == nil {
				continue
			}
			evaluated++
			value, known, err := e.Truth(n, nil)
			switch {
			case err != nil:
				t.Errorf("%s on %s: %v\n\t%s", i.Key, n.Path(), err, i.Expression)
			case known && !value && !i.Warning:
				violated[i.Key]++
			}
		}
	}
	for _, root := range examples(t) {
		each(root, func(n fhir.Node) {
			check(n, n.Type().Invariants)
			if n.Element() != nil {
				check(n, n.Element().Invariants)
			}
		})
	}
	t.Logf("%d evaluations of %d expressions", evaluated, len(c))
	if evaluated < 200_000 {
		t.Errorf("only %d evaluations", evaluated)
	}
	// que-7 says Boolean where it means boolean, which the official suite tells apart.
	if want := map[string]int{"que-7": 1}; !maps.Equal(violated, want) {
		t.Errorf("violated are %v, which should be %v", violated, want)
	}
}

func each(n fhir.Node, use func(fhir.Node)) {
	use(n)
	for c := range n.Children() {
		each(c, use)
	}
}

// TestSearchParameters evaluates every search parameter of R4 on every example
// of the types that it is for.
func TestSearchParameters(t *testing.T) {
	t.Parallel()
	c := compiler{}
	roots := examples(t)
	evaluated, found := 0, 0
	for _, p := range spec.R4().SearchParameters {
		if p.Expression == "" {
			continue
		}
		e := c.compile(t, p.Expression)
		if e == nil {
			continue
		}
		for _, root := range roots {
			if !isFor(p, root.Type()) {
				continue
			}
			got, err := e.EvaluateNode(root, nil)
			if err != nil {
				t.Errorf("%s on %s: %v\n\t%s", p.URL, root.Path(), err, p.Expression)
			}
			evaluated++
			found += len(got)
			for _, part := range p.Components {
				for _, i := range got {
					values, err := c.compile(t, part.Expression).Evaluate(fhirpath.Collection{i}, nil)
					if err != nil {
						t.Errorf("%s, part %s: %v", p.URL, part.Expression, err)
					}
					found += len(values)
				}
			}
		}
	}
	t.Logf("%d evaluations, %d expressions, %d values", evaluated, len(c), found)
	if evaluated < 15_000 || found < 9_000 {
		t.Errorf("only %d evaluations found %d values", evaluated, found)
	}
}

func isFor(p *spec.SearchParameter, t *spec.Type) bool {
	for _, base := range p.Base {
		if t.Is(base) {
			return true
		}
	}
	return false
}

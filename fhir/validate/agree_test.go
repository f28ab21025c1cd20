package validate

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// generated returns how many random resources of each type are tried.
const generated = 30

// mutated returns how many mutants of each example are tried.
const mutated = 3

// subjects calls use for the examples, for mutants of them, and for random resources of
// every type.
func subjects(t *testing.T, use func(fhir.Node)) {
	t.Helper()
	mutants := 0
	for _, line := range examples(t) {
		if r, err := fhir.Decode("", line); err == nil {
			use(r.Root())
		}
		if len(line) < 60_000 {
			mutants += mutate(t, line, use)
		}
	}
	if mutants < 800 {
		t.Errorf("only %d mutants could be decoded", mutants)
	}
	for _, typ := range spec.R4().Resources() {
		seeds := generated
		if slices.Contains([]string{"Bundle", "Observation", "Patient"}, typ.Name) {
			seeds *= 10
		}
		for seed := range uint64(seeds) {
			use(generate(t, typ, seed))
		}
	}
}

// A tally counts what a rule said.
type tally struct {
	native                         bool
	holds, breaks, differs, errors int
}

// TestNative holds every Go function to the expression that it stands for, and the
// short cut of every rule to the rule, on the examples and on random resources of every
// type.
func TestNative(t *testing.T) {
	t.Parallel()
	counts := map[string]*tally{}
	v := validator()
	subjects(t, func(root fhir.Node) {
		c := newChecker(context.Background(), v, root, Options{})
		each(root, func(n fhir.Node) {
			if n.Type().Kind == spec.KindPrimitive {
				return
			}
			c.scope = scopeOf(n)
			p := v.rules.types[n.Type()]
			rules := append(append([]*rule(nil), p.rules...), p.advice...)
			if e := n.Element(); e != nil && v.rules.elements[e] != nil {
				rules = append(rules, v.rules.elements[e].rules...)
			}
			for _, r := range rules {
				compare(t, c, n, r, counts)
			}
			if p.element {
				compareContent(t, n)
			}
		})
	})
	never := 0
	for _, name := range sorted(counts) {
		got := counts[name]
		if got.breaks > 0 {
			continue
		}
		never++
		if got.native {
			t.Errorf("%s was held %d times and never broken: try more", name, got.holds)
		}
	}
	if len(counts) < 230 || never > 25 {
		t.Errorf("%d rules were tried, and %d never broken", len(counts), never)
	}
}

// scopeOf returns the scope of the resource that n is in.
func scopeOf(n fhir.Node) *scope {
	for n.Type().Kind != spec.KindResource {
		n = n.Parent()
	}
	s := &scope{container: n}
	if e := n.Element(); e != nil && e.Name == "contained" {
		for up := n.Parent(); ; up = up.Parent() {
			if up.Type().Kind == spec.KindResource {
				s.container = up
				break
			}
		}
	}
	return s
}

func compare(t *testing.T, c *checker, n fhir.Node, r *rule, counts map[string]*tally) {
	t.Helper()
	count := counts[r.source+"#"+r.key]
	if count == nil {
		count = &tally{native: r.native != nil}
		counts[r.source+"#"+r.key] = count
	}
	value, known, err := r.expr.Truth(n, c.environment())
	want := verdictOf(value || !known)
	if err != nil {
		if count.errors++; count.errors == 1 {
			t.Errorf("%s#%s on %s: %v: %s", r.source, r.key, n.Path(), err, n.Raw())
		}
		return
	}
	if want == holds {
		count.holds++
	} else {
		count.breaks++
	}
	if !r.needs.isZero() && !r.needs.meets(present(n)) && want == broken {
		t.Errorf("%s#%s is broken by %s, which has none of the elements that it speaks of", r.source, r.key, n.Path())
	}
	if r.native == nil {
		return
	}
	got := r.native(c, n)
	if got != ask && got != want {
		if count.differs++; count.differs < 3 {
			t.Errorf("%s#%s says %d of %s, its expression %d: %s", r.source, r.key, got, n.Path(), want, n.Raw())
		}
	}
	if got == broken && r.blame != nil && len(r.blame(c, n)) == 0 {
		t.Errorf("%s#%s is broken by %s, but no element is to blame", r.source, r.key, n.Path())
	}
}

// compareContent holds what stands for ele-1 to its expression.
func compareContent(t *testing.T, n fhir.Node) {
	t.Helper()
	for _, i := range n.Type().Invariants {
		if i.Key != "ele-1" {
			continue
		}
		value, _, err := elementExpression(t).Truth(n, nil)
		if err != nil || value != hasContent(n) {
			t.Errorf("ele-1 says %v of %s (%v)", value, n.Path(), err)
		}
	}
}

func elementExpression(t *testing.T) *fhirpath.Expression {
	t.Helper()
	e, err := fhirpath.Compile("hasValue() or (children().count() > id.count())")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// mutate calls use for mutants of an example, each without some of its members, that
// are right in structure, and returns how many.
func mutate(t *testing.T, line []byte, use func(fhir.Node)) int {
	t.Helper()
	count := 0
	for seed := range uint64(mutated) {
		var resource map[string]any
		if err := json.Unmarshal(line, &resource); err != nil {
			t.Fatal(err)
		}
		thin(resource, rand.New(rand.NewPCG(seed, uint64(len(line)))))
		src, err := json.Marshal(resource)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := fhir.Decode("", src); err == nil {
			use(r.Root())
			count++
		}
	}
	return count
}

// thin removes a member here and there.
func thin(value any, r *rand.Rand) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range sorted(value) {
			if key != "resourceType" && r.IntN(12) == 0 {
				delete(value, key)
				continue
			}
			thin(value[key], r)
		}
	case []any:
		for _, item := range value {
			thin(item, r)
		}
	}
}

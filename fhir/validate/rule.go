package validate

import (
	"fmt"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

const definitions = "http://hl7.org/fhir/StructureDefinition/"

// A verdict is what a rule says of an element.
type verdict uint8

// The verdicts. ask is that of a native check that leaves it to the expression.
const (
	ask verdict = iota
	holds
	broken
)

func verdictOf(ok bool) verdict {
	if ok {
		return holds
	}
	return broken
}

// A rule is one invariant of R4, ready to be checked.
type rule struct {
	key     string // "pat-1"
	source  string // the definition that it comes from: "Patient"
	warning bool
	text    string // the sentence for the caller

	native native                                // nil when there is only the expression
	expr   *fhirpath.Expression                  // nil when the decoder sees to it
	blame  func(*checker, fhir.Node) []fhir.Node // the elements to be named, of one that breaks the rule; nil is the element itself
	needs  mask                                  // a rule that holds on an element that has none of these; zero is always checked
}

// id returns what Issue.Rule says of r.
func (r *rule) id() string { return definitions + r.source + "#" + r.key }

// A program is all that is to be checked, by type and element.
type program struct {
	types    map[*spec.Type]*plan
	elements map[*spec.Element]*site
}

// A plan is what is checked of every element of a type.
type plan struct {
	element  bool    // ele-1
	rules    []*rule // that refuse
	advice   []*rule // that warn
	more     func(*checker, fhir.Node)
	maxUnits string // the value set that the code of an Age, Duration or Distance has to be from
}

// A site is what is checked of an element because of where it stands.
type site struct {
	rules   []*rule
	binding *binding
}

// r4 compiles the rules of R4, which takes some milliseconds the first time.
var r4 = sync.OnceValue(func() *program {
	p := &program{types: map[*spec.Type]*plan{}, elements: map[*spec.Element]*site{}}
	b := builder{made: map[string]*rule{}, compiled: map[string]*fhirpath.Expression{}}
	for _, t := range spec.R4().Types() {
		if t.Kind == spec.KindPrimitive {
			continue
		}
		p.types[t] = b.plan(t)
		for _, e := range t.Elements {
			if s := b.site(e); s != nil {
				p.elements[e] = s
			}
		}
	}
	return p
})

// A builder makes rules and compiles expressions, each once.
type builder struct {
	made     map[string]*rule
	compiled map[string]*fhirpath.Expression
}

func (b builder) plan(t *spec.Type) *plan {
	p := &plan{more: demands(t), maxUnits: maxUnits(t)}
	for _, i := range t.Invariants {
		if i.Key == "ele-1" {
			p.element = true
			continue
		}
		switch r := b.rule(t, i); {
		case r.structural():
		case r.warning:
			p.advice = append(p.advice, r)
		default:
			p.rules = append(p.rules, r)
		}
	}
	return p
}

// structural reports whether the decoder sees to r.
func (r *rule) structural() bool { return r.native == nil && r.expr == nil }

func (b builder) site(e *spec.Element) *site {
	s := &site{binding: newBinding(e)}
	for _, i := range e.Invariants {
		if r := b.elementRule(e, i); !r.structural() {
			s.rules = append(s.rules, r)
		}
	}
	if s.binding == nil && len(s.rules) == 0 {
		return nil
	}
	return s
}

// rule returns the rule for an invariant of t.
func (b builder) rule(t *spec.Type, i spec.Invariant) *rule {
	source, _, _ := strings.Cut(origin(t, i).Name, ".")
	name := t.Name + "#" + i.Key
	if b.made[name] == nil {
		r := b.newRule(source, i)
		if r.expr != nil {
			r.needs = needs(t, handlingOf(source, i))
		}
		b.made[name] = r
	}
	return b.made[name]
}

// elementRule returns the rule for an invariant that only stands on e.
func (b builder) elementRule(e *spec.Element, i spec.Invariant) *rule {
	source, _, _ := strings.Cut(e.Path, ".")
	if i.Key == "sqty-1" {
		source = "SimpleQuantity"
	}
	name := source + "#" + i.Key
	if b.made[name] == nil {
		b.made[name] = b.newRule(source, i)
	}
	return b.made[name]
}

// origin returns the type at which an invariant of t is defined.
func origin(t *spec.Type, i spec.Invariant) *spec.Type {
	for up := t.Base; up != nil; up = up.Base {
		for _, j := range up.Invariants {
			if j.Key == i.Key && j.Expression == i.Expression {
				t = up
			}
		}
	}
	return t
}

func (b builder) newRule(source string, i spec.Invariant) *rule {
	r := &rule{key: i.Key, source: source, warning: i.Warning, text: sentence(source, i)}
	if h := handlingOf(source, i); h.kind != structure {
		r.native, r.blame, r.expr = h.native, h.blame, b.compile(h.expression)
	}
	return r
}

func (b builder) compile(src string) *fhirpath.Expression {
	if e := b.compiled[src]; e != nil {
		return e
	}
	e, err := fhirpath.Compile(src)
	if err != nil {
		// Every expression of R4 compiles, which a test sees to.
		panic(fmt.Errorf("compile the invariant %s: %w", src, err))
	}
	b.compiled[src] = e
	return e
}

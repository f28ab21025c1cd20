package search

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Index returns what the resource at root is found by when it has the given
// logical id. What is in contained resources does not count, nor do _id and
// _lastUpdated: the Key and, once it is known, Updated say the same. A resource
// with more combinations of values of R4's own parameters than can be kept is an
// Unprocessable [*fhir.Outcome].
func (r *Registry) Index(root fhir.Node, id string) (*Index, error) {
	typ := root.Type().Name
	t := r.table(typ)
	if t == nil {
		return nil, fmt.Errorf("index %s: it is no resource type of R4", typ)
	}
	h := harvest{registry: r, root: root, entries: make([]Entry, 0, 32)}
	h.walk(root, t.plan)
	for _, p := range t.odd {
		h.combined = 0
		h.evaluate(root, p, p.compiled)
	}
	if h.err != nil {
		return nil, h.err
	}
	if len(h.failed) > 0 {
		h.entries = slices.DeleteFunc(h.entries, func(e Entry) bool { return e.Param.Custom && slices.Contains(h.failed, e.Param) })
	}
	slices.SortStableFunc(h.entries, func(a, b Entry) int { return cmp.Compare(a.Param.Position, b.Param.Position) })
	key := fhir.Key{Type: typ, ID: id}
	return &Index{Key: key, Base: r.Base, Entries: h.entries, Members: members(key, h.entries), Mentions: r.mentions(root, h.entries), Failed: h.failed}, nil
}

// A harvest gathers the values of one resource.
type harvest struct {
	registry *Registry
	root     fhir.Node
	entries  []Entry
	texts    []string // shared by the tokens
	combined int      // composites of the resource so far
	failed   []*Param // whose expression is in error here
	err      error    // the first

	combinedCustom int // composites of custom parameters so far
}

// fail notes that p cannot be had of this resource.
func (h *harvest) fail(p *Param) {
	if !slices.Contains(h.failed, p) {
		h.failed = append(h.failed, p)
	}
}

func (h *harvest) add(p *Param, v Value) { h.entries = append(h.entries, Entry{p, v}) }

// evaluate adds what FHIRPath finds from n.
func (h *harvest) evaluate(n fhir.Node, p *Param, e *fhirpath.Expression) {
	items, err := e.EvaluateNode(n, &fhirpath.Env{Resource: h.root, RootResource: h.root})
	if err != nil {
		h.fail(p)
		return
	}
	for _, item := range items {
		if found, ok := item.Node(); ok {
			h.takeOdd(found, p)
		} else {
			h.addComputed(p, item)
		}
	}
}

// takeOdd takes an element that no walk leads to, so that its definition is
// looked at only now.
func (h *harvest) takeOdd(n fhir.Node, p *Param) {
	f := find{param: p}
	f.system, f.systems = impliedSystems(&place{typ: n.Type(), elem: n.Element()})
	for _, part := range p.Parts {
		f.parts = append(f.parts, extractPart{odd: part.compiled})
	}
	h.take(n, &f)
}

// addComputed adds a value that is no element, as that of a function.
func (h *harvest) addComputed(p *Param, item fhirpath.Item) {
	text := item.Text()
	switch p.Type {
	case TokenType:
		if _, is := item.Bool(); is {
			h.addToken(p, booleanSystem, text)
		} else {
			h.addToken(p, "", text)
		}
	case StringType:
		h.addString(p, text)
	case NumberType:
		if v, ok := number(text); ok {
			h.add(p, Range{v, v})
		}
	case DateType:
		if r, ok := dateRange(text); ok {
			h.add(p, r)
		}
	case URIType:
		h.addURI(p, text)
	case ReferenceType:
		h.addLiteral(p, text, p.Canonical)
	}
}

// take adds what one element gives for a parameter, which may be nothing.
func (h *harvest) take(n fhir.Node, f *find) {
	if n.Type().Name == "Extension" {
		if n = n.Child("value"); n.IsZero() {
			return
		}
	}
	switch f.param.Type {
	case TokenType:
		h.tokens(n, f)
	case StringType:
		h.strings(n, f.param)
	case ReferenceType:
		h.references(n, f)
	case DateType:
		if r, ok := dateValue(n); ok {
			h.add(f.param, r)
		}
	case NumberType:
		if r, ok := numberValue(n); ok {
			h.add(f.param, r)
		}
	case QuantityType:
		if q, ok := quantityValue(n); ok {
			h.add(f.param, q)
		}
	case URIType:
		h.uris(n, f.param)
	case CompositeType:
		h.composites(n, f)
	}
}

// takeTruth adds whether the child named f.truth is there and not false, as
// deceased of a Patient. https://hl7.org/fhir/R4/patient.html#search
func (h *harvest) takeTruth(n fhir.Node, f *find) {
	c := n.Child(f.truth)
	switch {
	case c.IsZero():
		h.addToken(f.param, booleanSystem, "false")
	case c.Type().Primitive == spec.Boolean:
		if c.HasValue() {
			h.addToken(f.param, booleanSystem, c.Text())
		}
	default:
		h.addToken(f.param, booleanSystem, "true")
	}
}

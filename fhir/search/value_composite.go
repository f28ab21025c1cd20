package search

import (
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// maxComposites is how many combinations of one composite parameter a resource
// may have.
const maxComposites = 10_000

// An extractPart finds the values of one part of a composite, relative to an
// element that the composite finds.
type extractPart struct {
	here *place // below the element; nil for nothing
	root *place // below the resource, of %resource; nil for nothing
	odd  *fhirpath.Expression
}

// nameParts gives the composite its parts.
func (b *builder) nameParts() error {
	if len(b.def.Components) < 2 {
		return fmt.Errorf("a composite has two components at least, not %d", len(b.def.Components))
	}
	for _, c := range uncrossed(b.def) {
		def := b.registry.byURL[c.Definition]
		if def == nil {
			return fmt.Errorf("component %s is not known", c.Definition)
		}
		if Type(def.Type) == CompositeType || Type(def.Type) == SpecialType {
			return fmt.Errorf("component %s is of type %s", c.Definition, def.Type)
		}
		p := &Param{Code: def.Code, Type: Type(def.Type), URL: def.URL, Base: b.param.Base, Position: b.param.Position}
		b.param.Parts = append(b.param.Parts, Part{Param: p, source: c.Expression})
	}
	return nil
}

// uncrossed returns the components of a composite. R4 has one that names the
// parameters of its two parts crosswise: code as relatesto, target as relation.
// https://hl7.org/fhir/R4/documentreference.html#search
func uncrossed(def *spec.SearchParameter) []spec.Component {
	c := def.Components
	if def.URL != "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship" || len(c) != 2 {
		return c
	}
	return []spec.Component{
		{Definition: c[1].Definition, Expression: c[0].Expression},
		{Definition: c[0].Definition, Expression: c[1].Expression},
	}
}

// parts returns how the parts are found from an element at base.
func (b *builder) parts(base *place) ([]extractPart, error) {
	parts := make([]extractPart, len(b.param.Parts))
	for i, part := range b.param.Parts {
		def := b.registry.byURL[part.Param.URL]
		sub := builder{registry: b.registry, table: b.table, param: part.Param, def: def}
		found, err := sub.part(base, part.source)
		if err != nil {
			return nil, fmt.Errorf("component %s: %w", def.URL, err)
		}
		parts[i] = found
	}
	return parts, nil
}

func (b *builder) part(base *place, source string) (extractPart, error) {
	paths, simple := parsePaths(source)
	found := extractPart{}
	for _, p := range paths {
		if !simple || p.truth {
			simple = false
			break
		}
		from := &found.here
		typ := base.typ
		switch p.from {
		case "":
		case "%resource":
			from, typ = &found.root, b.table.typ
		default:
			simple = false
			continue
		}
		if *from == nil {
			*from = &place{typ: typ}
		}
		places, ok := (*from).follow(p.hops)
		simple = simple && ok
		for _, at := range places {
			b.leaves = append(b.leaves, leaf{at, p.is})
		}
	}
	if !simple {
		e, err := fhirpath.Compile(source)
		return extractPart{odd: e}, err
	}
	if len(b.leaves) == 0 {
		return found, fmt.Errorf("%s has no such element: %s", base.typ.Name, source)
	}
	if !b.fits() {
		return found, fmt.Errorf("what %s finds has no value for a %s parameter", source, b.param.Type)
	}
	b.describe()
	return found, b.plant()
}

// composites adds the values of a composite at n: every combination of the
// values of its parts. A part without a value makes none.
func (h *harvest) composites(n fhir.Node, f *find) {
	values := make([][]Value, len(f.parts))
	total := 1
	for i := range f.parts {
		values[i] = h.partValues(n, f, i)
		total *= len(values[i])
		if total == 0 {
			return
		}
		if total > maxComposites {
			h.tooMany(f.param)
			return
		}
	}
	if !h.combine(f.param, total) {
		h.tooMany(f.param)
		return
	}
	for k := range total {
		one := make(Composite, len(values))
		for i := len(values) - 1; i >= 0; i-- {
			one[i] = values[i][k%len(values[i])]
			k /= len(values[i])
		}
		h.add(f.param, one)
	}
}

// partValues returns the values of part i of a composite.
func (h *harvest) partValues(n fhir.Node, f *find, i int) []Value {
	part := &f.parts[i]
	sub := harvest{registry: h.registry, root: h.root}
	if part.here != nil {
		sub.walk(n, part.here)
	}
	if part.root != nil {
		sub.walk(h.root, part.root)
	}
	if part.odd != nil {
		sub.evaluate(n, f.param.Parts[i].Param, part.odd)
	}
	if h.err == nil {
		h.err = sub.err
	}
	if len(sub.failed) > 0 {
		h.fail(f.param)
	}
	values := make([]Value, len(sub.entries))
	for i, e := range sub.entries {
		values[i] = e.Value
	}
	return values
}

// combine counts n combinations of p and reports whether there is room for them.
// Custom parameters take none of what R4's own have.
func (h *harvest) combine(p *Param, n int) bool {
	count := &h.combined
	if p.Custom {
		count = &h.combinedCustom
	}
	if *count+n > maxComposites {
		return false
	}
	*count += n
	return true
}

// tooMany gives up on p, if it is a custom parameter, and otherwise on the
// resource: what somebody has added must not keep resources from being written
// and found by everything else.
func (h *harvest) tooMany(p *Param) {
	if p.Custom {
		h.fail(p)
		return
	}
	if h.err == nil {
		h.err = fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, h.root.Type().Name,
			"The search parameter %s finds more than %d combinations of values in this resource; split it into several.", p.Code, maxComposites)
	}
}

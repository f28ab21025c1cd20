package search

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A Custom is a search parameter that was added at run time, for one resource
// type.
type Custom struct {
	Definition *spec.SearchParameter
	Type       string
	Position   int
	State      State
	Percent    int
}

// A Registry holds the search parameters that are known. It does not change:
// what adds a parameter makes a new one. It may be used concurrently.
type Registry struct {
	Generation int    // of the custom parameters
	Base       string // the server's own base URL, without a last slash; URLs below it are relative references
	Missing    int    // percent of all resources whose rows are still to be built before anything can be searched; 0 for none

	spec   *spec.Definitions
	byURL  map[string]*spec.SearchParameter
	byBase map[string][]*spec.SearchParameter
	custom map[string][]Custom
	tables map[string]*table
}

// A table holds the parameters of one resource type, made when it is first asked
// for.
type table struct {
	once   sync.Once
	typ    *spec.Type
	params []*Param // in order of Position
	byCode map[string]*Param
	plan   *place   // where the values are
	odd    []*Param // those that only FHIRPath finds
	err    error
}

// everyType stands for a search over all types: its parameters are those that
// all types have.
const everyType = ""

// NewRegistry returns the search parameters of d, and the custom ones beside
// them. A custom parameter whose definition cannot be used is an error that says
// which; [Registry.CompileDefinition] says why before it comes to that.
func NewRegistry(d *spec.Definitions, base string, generation int, custom []Custom) (*Registry, error) {
	r := &Registry{
		Generation: generation,
		Base:       strings.TrimRight(base, "/"),
		spec:       d,
		byURL:      make(map[string]*spec.SearchParameter, len(d.SearchParameters)),
		byBase:     make(map[string][]*spec.SearchParameter, len(d.Resources())+2),
		custom:     map[string][]Custom{},
		tables:     make(map[string]*table, len(d.Resources())+1),
	}
	for _, p := range d.SearchParameters {
		r.byURL[p.URL] = p
		for _, base := range p.Base {
			r.byBase[base] = append(r.byBase[base], p)
		}
	}
	for _, t := range d.Resources() {
		r.tables[t.Name] = &table{typ: t}
	}
	r.tables[everyType] = &table{typ: d.Type("DomainResource")}
	return r, r.addCustom(custom)
}

func (r *Registry) addCustom(custom []Custom) error {
	for _, c := range custom {
		if r.spec.Resource(c.Type) == nil {
			return fmt.Errorf("add search parameter %s: there is no resource type %q", c.Definition.URL, c.Type)
		}
		r.byURL[c.Definition.URL] = c.Definition
		r.custom[c.Type] = append(r.custom[c.Type], c)
	}
	for typ := range r.custom {
		if t := r.table(typ); t.err != nil {
			return t.err
		}
	}
	return nil
}

// Defines reports whether def is what a custom parameter of a type is defined as.
func (r *Registry) Defines(typ string, def *spec.SearchParameter) bool {
	return slices.ContainsFunc(r.custom[typ], func(c Custom) bool {
		return c.Definition.URL == def.URL && c.Definition.Code == def.Code && c.Definition.Type == def.Type &&
			c.Definition.Expression == def.Expression && slices.Equal(c.Definition.Base, def.Base) && slices.Equal(c.Definition.Targets, def.Targets)
	})
}

// Param returns the parameter of that code, such as "birthdate" or "_tag", or nil
// when the type has none that can be searched by. The type "" has those that all
// types have.
func (r *Registry) Param(typ, code string) *Param {
	if t := r.table(typ); t != nil {
		return t.byCode[code]
	}
	return nil
}

// Params returns the parameters of a type that can be searched by, in order of
// Position; nil for what is no resource type.
func (r *Registry) Params(typ string) []*Param {
	if t := r.table(typ); t != nil {
		return t.params
	}
	return nil
}

// table returns nil for an unknown type.
func (r *Registry) table(typ string) *table {
	t := r.tables[typ]
	if t != nil {
		t.once.Do(func() { t.err = r.fill(typ, t) })
	}
	return t
}

// fill makes the table of a type. R4's own parameters never fail; tests see to
// that.
func (r *Registry) fill(typ string, t *table) error {
	t.byCode = map[string]*Param{}
	t.plan = &place{typ: t.typ}
	for i, def := range r.official(t.typ) {
		if isUnsupported(def) {
			continue
		}
		p := &Param{Position: i}
		if err := r.define(t, p, def); err != nil {
			return fmt.Errorf("define search parameter %s for %s: %w", def.URL, typ, err)
		}
	}
	for _, c := range r.custom[typ] {
		p := &Param{Position: c.Position, Custom: true, Own: isOwn(c.Definition.URL), State: c.State, Percent: c.Percent}
		if err := r.define(t, p, c.Definition); err != nil {
			return fmt.Errorf("define custom search parameter %s for %s: %w", c.Definition.URL, typ, err)
		}
	}
	slices.SortFunc(t.params, func(a, b *Param) int { return cmp.Compare(a.Position, b.Position) })
	r.addCompartments(typ, t)
	return nil
}

// official returns R4's parameters of a type, those of its bases included, in
// alphabetical order of their codes.
func (r *Registry) official(t *spec.Type) []*spec.SearchParameter {
	var defs []*spec.SearchParameter
	for ; t != nil; t = t.Base {
		defs = append(defs, r.byBase[t.Name]...)
	}
	slices.SortStableFunc(defs, func(a, b *spec.SearchParameter) int { return strings.Compare(a.Code, b.Code) })
	return defs
}

// isUnsupported reports whether R4 defines a parameter without saying how its
// values are found, and we do not know either. _text, _content and _filter have
// no values but a meaning of their own.
func isUnsupported(def *spec.SearchParameter) bool {
	switch def.Code {
	case "_text", "_content", "_filter":
		return false
	}
	return def.Expression == "" || Type(def.Type) == SpecialType
}

// define makes p the parameter that def says, for the type of t.
func (r *Registry) define(t *table, p *Param, def *spec.SearchParameter) error {
	p.Code, p.Type, p.URL, p.Base = def.Code, Type(def.Type), def.URL, t.typ.Name
	for _, base := range []string{"Resource", "DomainResource"} {
		if slices.Contains(def.Base, base) && !slices.Contains(def.Base, t.typ.Name) {
			p.Base = base
		}
	}
	if t.byCode[p.Code] != nil {
		return fmt.Errorf("%s has a parameter %s", t.typ.Name, def.Code)
	}
	t.params = append(t.params, p)
	t.byCode[p.Code] = p
	if def.Expression == "" {
		return nil
	}
	b := builder{registry: r, table: t, param: p, def: def}
	return b.build()
}

package search

import (
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A builder puts one parameter into the table of a type.
type builder struct {
	registry *Registry
	table    *table
	param    *Param
	def      *spec.SearchParameter
	leaves   []leaf
}

// A leaf is one place that a parameter finds values at.
type leaf struct {
	at *place
	is string
}

func (b *builder) build() error {
	if isIntrinsic(b.param.Code) {
		return nil
	}
	if b.param.Type == CompositeType {
		if err := b.nameParts(); err != nil {
			return err
		}
	}
	paths, simple := parsePaths(b.def.Expression)
	if simple {
		var err error
		if simple, err = b.place(b.ofType(paths)); err != nil {
			return err
		}
	}
	if !simple {
		return b.compile()
	}
	b.describe()
	return nil
}

// isIntrinsic reports whether a resource has the values of a parameter beside
// its index.
func isIntrinsic(code string) bool { return code == "_id" || code == "_lastUpdated" }

// ofType leaves the paths that start at the type of the table, or that do not
// say where, as one of R4's own.
func (b *builder) ofType(paths []path) []path {
	return slices.DeleteFunc(paths, func(p path) bool { return p.from != "" && !b.table.typ.Is(p.from) })
}

// place puts the parameter where the paths lead. It is not ok when FHIRPath has
// to find its values.
func (b *builder) place(paths []path) (ok bool, err error) {
	for _, p := range paths {
		if p.truth {
			b.table.plan.finds = append(b.table.plan.finds, find{param: b.param, truth: p.hops[0].name})
			b.param.Bare, b.param.System = true, booleanSystem
			continue
		}
		places, ok := b.table.plan.follow(p.hops)
		if !ok {
			return false, nil
		}
		for _, at := range places {
			b.leaves = append(b.leaves, leaf{at, p.is})
		}
	}
	if len(b.leaves) == 0 && !b.param.Bare {
		return true, fmt.Errorf("%s has no such element: %s", b.table.typ.Name, b.def.Expression)
	}
	if len(b.leaves) > 0 && !b.fits() {
		return true, fmt.Errorf("what %s finds has no value for a %s parameter", b.def.Expression, b.param.Type)
	}
	return true, b.plant()
}

func (b *builder) plant() error {
	for _, l := range b.leaves {
		f := find{param: b.param, is: l.is}
		f.system, f.systems = impliedSystems(l.at)
		if b.param.Type == CompositeType {
			parts, err := b.parts(l.at)
			if err != nil {
				return err
			}
			f.parts = parts
		}
		l.at.finds = append(l.at.finds, f)
	}
	return nil
}

func (b *builder) compile() error {
	e, err := fhirpath.Compile(b.def.Expression)
	if err != nil {
		return err
	}
	for i := range b.param.Parts {
		part := &b.param.Parts[i]
		if part.compiled, err = fhirpath.Compile(part.source); err != nil {
			return fmt.Errorf("component %s: %w", part.Param.URL, err)
		}
	}
	b.param.compiled = e
	b.param.Targets = b.targets()
	b.table.odd = append(b.table.odd, b.param)
	return nil
}

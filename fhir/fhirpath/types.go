package fhirpath

import (
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A wanted is the type that is, as and ofType look for.
type wanted struct {
	namespace string // "System", "FHIR", or "" for either
	name      string
	fhir      *spec.Type // nil if FHIR has no type of that name
}

// typeSpecifier reads the name of a type.
func (p *parser) typeSpecifier() (wanted, error) {
	at := p.at
	var names []string
	for {
		if p.kind != nameToken {
			return wanted{}, p.unexpected("the name of a type")
		}
		names = append(names, p.token.text)
		if err := p.advance(); err != nil {
			return wanted{}, err
		}
		more, err := p.accept(".")
		if err != nil {
			return wanted{}, err
		}
		if !more {
			return newWanted(at, names)
		}
	}
}

func newWanted(at int, names []string) (wanted, error) {
	w := wanted{name: strings.Join(names, ".")}
	if len(names) > 1 && (names[0] == "System" || names[0] == "FHIR") {
		w.namespace, w.name = names[0], strings.Join(names[1:], ".")
	}
	if w.namespace != "System" {
		w.fhir = spec.R4().Type(w.name)
	}
	if w.fhir == nil && w.namespace != "System" && (w.namespace == "FHIR" || !isSystemType(w.name)) {
		return w, errorf(Unknown, at, "There is no type %s.", clip(strings.Join(names, ".")))
	}
	return w, nil
}

func isSystemType(name string) bool {
	switch name {
	case "Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity":
		return true
	}
	return false
}

// matches reports whether i is of the type w or of one that specializes it.
func (w wanted) matches(i Item) bool {
	switch v := i.value.(type) {
	case nil:
		return w.covers(i.node.Type())
	case stub:
		return w.covers(spec.R4().Resource(string(v)))
	}
	return w.namespace != "FHIR" && (i.typeName().name == w.name || w.name == "Any")
}

func (w wanted) covers(t *spec.Type) bool {
	for ; t != nil && w.fhir != nil; t = t.Base {
		if t == w.fhir {
			return true
		}
	}
	return false
}

// selects reports whether as and ofType keep i: of primitives only those that are
// just of the type. The name of FHIRPath's own type stands for FHIR's too, since
// search parameters of R4 are written so.
func (w wanted) selects(i Item) bool {
	if i.value == nil && i.node.Type().Kind == spec.KindPrimitive {
		t := i.node.Type()
		return t == w.fhir || w.fhir == nil && w.namespace == "" && t.Name == strings.ToLower(w.name[:1])+w.name[1:]
	}
	return w.matches(i)
}

// lacks reports whether no value of the type has an element of that name.
func (w wanted) lacks(name string) bool {
	return w.fhir != nil && !w.fhir.Abstract && w.fhir.Element(name) == nil
}

// isType is the operator and the function is.
type isType struct {
	at    int
	input expr // nil is the focus
	want  wanted
}

func (t *isType) eval(r *run, f frame, dst Collection) (Collection, error) {
	v, err := t.truth(r, f)
	return appendTruth(dst, v), err
}

func (t *isType) truth(r *run, f frame) (tri, error) {
	in, err := operand(r, f, t.input)
	defer r.give(in)
	switch {
	case err != nil || len(in) == 0:
		return unknown, err
	case len(in) > 1:
		return unknown, errorf(Cardinality, t.at, "The type of one item can be asked for, not of %d: use where($this is …) or all($this is …).", len(in))
	}
	return truthOf(t.want.matches(in[0])), nil
}

// castType is the operator as, and the functions as and ofType.
type castType struct {
	at     int
	input  expr // nil is the focus
	want   wanted
	filter bool // ofType, which takes any number of items
}

// eval keeps what is of the type. N1 has as refuse several items, but the
// invariants and search parameters of R4 count on it to filter, so only a Strict
// Env is told.
func (t *castType) eval(r *run, f frame, dst Collection) (Collection, error) {
	in, err := operand(r, f, t.input)
	defer r.give(in)
	if err != nil {
		return dst, err
	}
	if len(in) > 1 && !t.filter && r.env.Strict {
		return dst, errorf(Cardinality, t.at, "One item can be cast by as, not %d: use ofType.", len(in))
	}
	for _, i := range in {
		if t.want.selects(i) {
			dst = append(dst, i)
		}
	}
	return dst, r.step(len(in))
}

// operand returns what e, or the focus if e is nil, gives in a buffer.
func operand(r *run, f frame, e expr) (Collection, error) {
	if e == nil {
		return this{}.eval(r, f, r.take())
	}
	return e.eval(r, f, r.take())
}

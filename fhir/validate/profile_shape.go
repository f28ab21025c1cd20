package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A shape is a profile or an extension definition, ready to hold elements against: what
// its differential and those of the profiles below it say, laid over each other. It
// does not change.
type shape struct {
	url       string          // canonical, without a version
	typ       *spec.Type      // that it constrains; nil when R4 has none of that name
	root      *constraint     //
	flaws     []flaw          // what is wrong with the definition
	links     []link          // the profiles below it
	extension *extensionShape // of a definition of an extension; nil otherwise
}

// A link is one step from a profile to the one that it is based on.
type link struct {
	canonical string
	found     *definition.Definition // nil when there was none
}

// A flaw is a problem of a definition.
type flaw struct {
	at     fhir.Node // in the definition
	detail string
	text   string
	mild   bool // only advice: the profile says what it says without it
}

// unset is the min or max of a constraint that does not say.
const unset = -2

// A constraint is what a profile says of an element, or of one slice of it.
// https://hl7.org/fhir/R4/elementdefinition.html
type constraint struct {
	id    string       // "Patient.identifier:nhsNumber.system"
	rule  string       // canonical#id, for Issue.Rule
	name  string       // of the element in its type: "value" for value[x]
	slice string       // the whole name of a slice, "a" or "a/b"; empty for the element itself
	kinds []*spec.Type // that the element can have, by which paths are understood

	min, max       int // unset, or with spec.Unbounded
	types          []typeRule
	fixed, pattern fhir.Node
	least, most    fhir.Node // minValue and maxValue
	length         int       // maxLength; 0 is none
	binding        *profileBinding
	invariants     []*criterion
	slicing        *slicing
	slices         []*constraint
	children       []*constraint
	up             *constraint // the element that it is in, or that it is a slice of; nil for the root
	spelled        bool        // a slice by type that only the spelling of its path made: Observation.valueQuantity
	shape          *shape
	modifier       bool      // isModifier
	telling        bool      // values in it tell a slice apart from others
	from           fhir.Node // the last element of a definition about it; zero when only those in it are
}

// A typeRule is one type that an element may have.
type typeRule struct {
	name     string // "Quantity"; empty is any
	profiles []string
	targets  []string // profiles of what a Reference or canonical points to
}

// A criterion is an invariant that a profile adds.
type criterion struct {
	key     string
	warning bool
	human   string
	expr    *fhirpath.Expression
}

// child returns the constraint on the element of k named name, nil without one.
func (k *constraint) child(name string) *constraint {
	for _, c := range k.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// part returns the slice of k with that whole name, nil without one.
func (k *constraint) part(slice string) *constraint {
	for _, s := range k.slices {
		if s.slice == slice {
			return s
		}
	}
	return nil
}

// whole returns the element that k is a slice of, k itself if it is none.
func (k *constraint) whole() *constraint {
	for k.slice != "" {
		k = k.up
	}
	return k
}

// label is what a sentence calls k: "identifier:nhsNumber".
func (k *constraint) label() string {
	if k.slice == "" {
		return k.name
	}
	return k.name + ":" + k.slice
}

// element returns the definition of the element of k in its type, and whether there is
// one or it cannot be known, because k can be any resource.
func (k *constraint) element(name string) (*spec.Element, bool) {
	for _, t := range k.kinds {
		if e := t.Element(name); e != nil {
			return e, true
		}
	}
	for _, t := range k.kinds {
		if t.Abstract && t.Kind == spec.KindResource {
			return nil, true
		}
	}
	return nil, false
}

// variant returns the property that name means as one type of a choice,
// "valueQuantity", nil when it means none.
func (k *constraint) variant(name string) *spec.Property {
	for _, t := range k.kinds {
		if p := t.Property([]byte(name)); p != nil && p.Element.Choice && !p.Companion {
			return p
		}
	}
	return nil
}

// baseType returns the type of R4 whose definition has that canonical URL, nil when it
// is not one of those.
func baseType(canonical string) *spec.Type {
	name, ok := strings.CutPrefix(canonical, definitions)
	if !ok {
		return nil
	}
	name, version, _ := strings.Cut(name, "|")
	t := spec.R4().Type(name)
	if t == nil || t.Name != name || t.Kind == spec.KindBackbone || version != "" && !strings.HasPrefix("4.0.1", version) {
		return nil
	}
	return t
}

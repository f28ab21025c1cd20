package fhirpath

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The functions that R4 adds. https://hl7.org/fhir/R4/fhirpath.html#functions

// hasExtension is in no edition, but a search parameter of R4 uses it.
func hasExtension(v invocation, dst Collection) (Collection, error) {
	found, err := extension(v, v.take())
	defer v.give(found)
	return append(dst, Bool(len(found) > 0)), err
}

func extension(v invocation, dst Collection) (Collection, error) {
	url, ok, err := v.text(0)
	if err != nil || !ok {
		return dst, err
	}
	for _, i := range v.in {
		for e := range i.node.Each("extension") {
			if err := v.step(1); err != nil {
				return dst, err
			}
			if isText(e.Child("url"), url) {
				dst = append(dst, NodeItem(e))
			}
		}
	}
	return dst, nil
}

// isText reports whether n is a string with the value s.
func isText(n fhir.Node, s string) bool {
	if t := equalText(NodeItem(n), String(s)); t != unknown {
		return t == yes
	}
	return n.Text() == s
}

// hasValue is true for one primitive that has a value.
func hasValue(v invocation, dst Collection) (Collection, error) {
	return append(dst, Bool(len(v.in) == 1 && primitiveValue(v.in[0]) != nil)), nil
}

func getValue(v invocation, dst Collection) (Collection, error) {
	if len(v.in) == 1 {
		if value := primitiveValue(v.in[0]); value != nil {
			dst = append(dst, Item{value: value})
		}
	}
	return dst, nil
}

func primitiveValue(i Item) any {
	if i.value == nil && i.node.Type().Kind != spec.KindPrimitive || i.IsStub() {
		return nil
	}
	return i.system()
}

// memberOf says whether one code, Coding or CodeableConcept is in a value set.
func memberOf(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	url, ok, err := v.text(0)
	if err != nil || !ok {
		return dst, err
	}
	if v.env.MemberOf != nil {
		member, err := v.env.MemberOf(url, *i)
		return append(dst, Bool(member)), err
	}
	for _, set := range spec.R4().ValueSets {
		if set.URL == url || set.URL+"|"+set.Version == url {
			return append(dst, Bool(isMember(set, *i))), v.step(len(spec.R4().ValueSets))
		}
	}
	return dst, errorf(Unsupported, v.at, "There is no terminology here that knows the value set of memberOf.")
}

func isMember(set *spec.ValueSet, i Item) bool {
	if i.value != nil || isStringLike(i.node) {
		return set.HasCode([]byte(i.Text()))
	}
	for c := range i.node.Each("coding") {
		if isMember(set, NodeItem(c)) {
			return true
		}
	}
	code, system := i.node.Child("code").Text(), i.node.Child("system").Text()
	for _, c := range set.Codes {
		if c.Code == code && c.System == system {
			return true
		}
	}
	return false
}

// subsumes is also subsumedBy.
func subsumes(v invocation, dst Collection) (Collection, error) {
	a, err := v.one(v.in)
	if err != nil || a == nil {
		return dst, err
	}
	arg, err := v.collection(0)
	defer v.give(arg)
	if err != nil {
		return dst, err
	}
	b, err := v.one(arg)
	if err != nil || b == nil {
		return dst, err
	}
	if v.name == "subsumedBy" {
		a, b = b, a
	}
	if v.env.Subsumes != nil {
		is, err := v.env.Subsumes(*a, *b)
		return append(dst, Bool(is)), err
	}
	if t, err := v.equal(*a, *b); err != nil || t == yes {
		return append(dst, Bool(true)), err
	}
	return dst, errorf(Unsupported, v.at, "There is no terminology here that knows which concept subsumes which.")
}

// conformsTo knows the base definitions, and asks the Env for profiles.
func conformsTo(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	url, ok, err := v.text(0)
	if err != nil || !ok || i.node.IsZero() {
		return dst, err
	}
	if v.env.ConformsTo != nil {
		conforms, err := v.env.ConformsTo(i.node, url)
		return append(dst, Bool(conforms)), err
	}
	name, base := strings.CutPrefix(url, "http://hl7.org/fhir/StructureDefinition/")
	if t := spec.R4().Type(name); base && t != nil {
		return append(dst, Bool(i.node.Type().Is(name))), nil
	}
	return dst, errorf(Unsupported, v.at, "The profile of conformsTo is not known here.")
}

// htmlChecks is true: a narrative that breaks the rules of XHTML in FHIR is
// refused when its resource is decoded.
func htmlChecks(v invocation, dst Collection) (Collection, error) {
	if len(v.in) == 0 {
		return dst, nil
	}
	return append(dst, Bool(true)), nil
}

// checkModifiers lets pass what has no modifier extensions but those it names.
func checkModifiers(v invocation, dst Collection) (Collection, error) {
	known := map[string]bool{}
	for k := range v.args {
		url, _, err := v.text(k)
		if err != nil {
			return dst, err
		}
		known[url] = true
	}
	for _, i := range v.in {
		for e := range i.node.Each("modifierExtension") {
			if !known[e.Child("url").Text()] {
				return dst, errorf(Unsupported, v.at, "An element has a modifier extension that checkModifiers does not name.")
			}
		}
	}
	return append(dst, v.in...), v.step(len(v.in))
}

// undefined is elementDefinition and slice, which need the profile that an
// element is validated against.
func undefined(v invocation, dst Collection) (Collection, error) {
	return dst, errorf(Unsupported, v.at, "%s needs a profile, and an expression is evaluated without one.", v.name)
}

package validate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

const maxValueSet = definitions + "elementdefinition-maxValueSet"

// read lays what an ElementDefinition says over what k demands already.
func (c *compiler) read(k *constraint, e fhir.Node) {
	for f := range e.Children() {
		switch f.Name() {
		case "min":
			k.min, _ = strconv.Atoi(f.Text())
		case "max":
			c.readMax(k, f)
		case "fixed":
			k.fixed = f
		case "pattern":
			k.pattern = f
		case "minValue":
			k.least = f
		case "maxValue":
			k.most = f
		case "maxLength":
			k.length, _ = strconv.Atoi(f.Text())
		case "binding":
			k.readBinding(f)
		case "constraint":
			c.readInvariant(k, f)
		case "slicing":
			c.readSlicing(k, f)
		case "isModifier":
			k.modifier = f.Text() == "true"
		}
	}
	if k.up != nil {
		c.readTypes(k, e)
	}
}

func (c *compiler) readMax(k *constraint, n fhir.Node) {
	if n.Text() == "*" {
		k.max = spec.Unbounded
		return
	}
	limit, err := strconv.ParseUint(n.Text(), 10, 31)
	if err != nil {
		c.flaw(n, "profile-max-invalid", "Give a number or * as max.")
		return
	}
	k.max = int(limit)
}

// readTypes restricts k to the types that e lists.
func (c *compiler) readTypes(k *constraint, e fhir.Node) {
	var types []typeRule
	var kinds []*spec.Type
	for t := range e.Each("type") {
		name := strings.TrimPrefix(t.Child("code").Text(), definitions)
		known := spec.R4().Type(name)
		if strings.HasPrefix(name, "http://hl7.org/fhirpath/") || known == nil {
			if known == nil && !strings.Contains(name, "/") {
				c.flaw(t, "profile-type-unknown", "Name a type of R4: "+clip(name)+" is none.")
			}
			return
		}
		kinds = append(kinds, known)
		types = append(types, typeRule{known.Name, textsOf(t, "profile"), textsOf(t, "targetProfile")})
	}
	if len(types) == 0 {
		return
	}
	k.types = types
	if !isComponent(k.kinds) {
		k.kinds = kinds
	}
}

// isComponent reports whether kinds are an inline component, whose elements its
// BackboneElement or Element does not have.
func isComponent(kinds []*spec.Type) bool {
	return len(kinds) == 1 && kinds[0].Kind == spec.KindBackbone
}

func textsOf(n fhir.Node, name string) []string {
	var all []string
	for c := range n.Each(name) {
		if c.HasValue() {
			all = append(all, c.Text())
		}
	}
	return all
}

// readBinding takes over a binding. A profile may change the strength alone.
func (k *constraint) readBinding(n fhir.Node) {
	b := profileBinding{}
	if k.binding != nil {
		b = *k.binding
	}
	if strength := n.Child("strength"); strength.HasValue() {
		b.required = strength.Text() == "required"
		b.extensible = strength.Text() == "extensible"
	}
	if set := n.Child("valueSet"); set.HasValue() {
		b.valueSet = set.Text()
	}
	for x := range n.Each("extension") {
		if x.Child("url").Text() == maxValueSet {
			b.most = x.Child("value").Text()
		}
	}
	k.binding = &b
	if k.bindsAlready(b) {
		k.binding = nil
	}
}

// bindsAlready reports whether R4 itself binds the element of k like that, as every
// snapshot repeats.
func (k *constraint) bindsAlready(b profileBinding) bool {
	if k.up == nil || b.most != "" {
		return false
	}
	e, _ := k.whole().up.element(k.name)
	if e == nil {
		return false
	}
	if base := newBinding(e); base != nil && unversioned(base.valueSet) == unversioned(b.valueSet) && base.required == b.required {
		return b.required || b.extensible
	}
	return e.Binding != nil && e.Binding.Strength == spec.Required && b.required && e.Binding.ValueSet == b.valueSet
}

// readInvariant adds an invariant, unless it is one of the type that k is of.
func (c *compiler) readInvariant(k *constraint, n fhir.Node) {
	key, text := n.Child("key").Text(), n.Child("expression").Text()
	if text == "" || k.isInherited(key) {
		return
	}
	expr, err := fhirpath.Compile(text)
	if err != nil {
		c.flaw(n, "profile-expression-invalid", "Mend the expression of "+clip(key)+": "+err.Error())
		return
	}
	made := &criterion{key, n.Child("severity").Text() == "warning", n.Child("human").Text(), expr}
	if i := slices.IndexFunc(k.invariants, func(i *criterion) bool { return i.key == key }); i >= 0 {
		k.invariants[i] = made
		return
	}
	k.invariants = append(k.invariants, made)
}

// isInherited reports whether a constraint comes from R4 itself, as in every snapshot.
func (k *constraint) isInherited(key string) bool {
	is := func(i spec.Invariant) bool { return i.Key == key }
	for _, t := range k.kinds {
		if slices.ContainsFunc(t.Invariants, is) {
			return true
		}
	}
	if k.up != nil {
		if e, _ := k.whole().up.element(k.name); e != nil && slices.ContainsFunc(e.Invariants, is) {
			return true
		}
	}
	return key == "ele-1" || key == "ext-1"
}

// unversioned returns a canonical URL without its version.
func unversioned(canonical string) string {
	url, _, _ := strings.Cut(canonical, "|")
	return url
}

package fhirpath

import "strings"

// A literal is a constant item.
type literal struct{ item Item }

func (l literal) eval(_ *run, _ frame, dst Collection) (Collection, error) {
	return append(dst, l.item), nil
}

// nothing is {}.
type nothing struct{}

func (nothing) eval(_ *run, _ frame, dst Collection) (Collection, error) { return dst, nil }

// this is $this.
type this struct{}

func (this) eval(r *run, f frame, dst Collection) (Collection, error) {
	dst = append(dst, f.this...)
	return dst, r.copied(len(f.this), dst)
}

// index is $index.
type index struct{}

func (index) eval(_ *run, f frame, dst Collection) (Collection, error) {
	if f.index < 0 {
		return dst, nil
	}
	return append(dst, Integer(f.index)), nil
}

// total is $total.
type total struct{}

func (total) eval(r *run, f frame, dst Collection) (Collection, error) {
	if f.total == nil {
		return dst, nil
	}
	dst = append(dst, *f.total...)
	return dst, r.copied(len(*f.total), dst)
}

// A constant is a %name whose value the Env or the focus has.
type constant struct {
	at   int
	name string
}

func newConstant(t token) expr { return &constant{at: t.at, name: t.text} }

func (c *constant) eval(r *run, _ frame, dst Collection) (Collection, error) {
	if items, ok := r.env.Constants[c.name]; ok {
		dst = append(dst, items...)
		return dst, r.copied(len(items), dst)
	}
	switch c.name {
	case "context":
		dst = append(dst, r.focus...)
		return dst, r.copied(len(r.focus), dst)
	case "resource", "rootResource":
		return c.resource(r, dst), nil
	}
	s := predefined(c.name)
	if s == "" {
		return dst, errorf(Unknown, c.at, "There is no %%%s.", clip(c.name))
	}
	return append(dst, String(s)), nil
}

// resource appends %resource or %rootResource.
// https://hl7.org/fhir/R4/fhirpath.html#variables
func (c *constant) resource(r *run, dst Collection) Collection {
	n := r.env.Resource
	if n.IsZero() && len(r.focus) > 0 {
		n = resource(r.focus[0].node)
	}
	if c.name == "rootResource" {
		if n = container(n); !r.env.RootResource.IsZero() {
			n = r.env.RootResource
		}
	}
	if n.IsZero() {
		return dst
	}
	return append(dst, NodeItem(n))
}

// predefined returns the value of a constant that is the same for all, or "".
// https://hl7.org/fhir/R4/fhirpath.html#variables
func predefined(name string) string {
	switch name {
	case "sct":
		return "http://snomed.info/sct"
	case "loinc":
		return "http://loinc.org"
	case "ucum":
		return ucumSystem
	}
	if set, is := strings.CutPrefix(name, "vs-"); is {
		return "http://hl7.org/fhir/ValueSet/" + set
	}
	if extension, is := strings.CutPrefix(name, "ext-"); is {
		return "http://hl7.org/fhir/StructureDefinition/" + extension
	}
	return ""
}

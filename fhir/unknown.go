package fhir

import (
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// unknown reports a property that o's type does not have, with what was
// probably meant.
func (d *decoder) unknown(o *object, key str) {
	if len(d.problems) >= maxIssues {
		d.dropped++
		return
	}
	name := string(key.raw)
	if !plainName(name) {
		d.issue(d.below(o.self, "", o.key), unknownElement, "This element has a property whose name is no element name; remove it.")
		return
	}
	bare := strings.TrimPrefix(name, "_")
	for _, e := range o.typ.Elements {
		switch {
		case e.Choice && len(bare) >= len(e.Name) && strings.EqualFold(bare[:len(e.Name)], e.Name):
			d.issue(d.below(o.self, e.Name, o.key), unknownVariant, "%s is no variant of %s[x] here; the types it may have are %s. Names are case-sensitive.", name, e.Name, typeNames(e))
			return
		case bare == e.Name:
			d.issue(d.below(o.self, name, o.key), unknownElement, "%s has no id and extensions beside it; leave %s out.", e.Name, name)
			return
		case strings.EqualFold(e.Name, bare):
			suggestion := name[:len(name)-len(bare)] + e.Name
			d.issue(d.below(o.self, name, o.key), unknownElement, "There is no such element; did you mean %q? Names are case-sensitive.", suggestion)
			return
		}
	}
	d.issue(d.below(o.self, name, o.key), unknownElement, "There is no such element in %s; remove it or put it into an extension.", o.typ.Name)
}

func typeNames(e *spec.Element) string {
	if len(e.Types) > 20 {
		return "those of any open choice"
	}
	names := make([]string, len(e.Types))
	for i, t := range e.Types {
		names[i] = t.Type.Name
	}
	return strings.Join(names, ", ")
}

// plainName reports whether s can stand in a FHIRPath as an identifier.
func plainName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

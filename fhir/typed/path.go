package typed

import (
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// expression turns a path of the library into FHIRPath. There are two sorts:
// "Bundle.entry[0].resource.Observation.valueQuantity" while it reads, and
// "Bundle.entry[0].resource.observation.value.quantity" when it validates. Where
// the path leaves the definitions, the expression ends.
func expression(path string) string {
	first, rest, more := strings.Cut(path, ".")
	t := resource(first)
	if t == nil {
		return ""
	}
	dst := t.Name
	for more && t != nil {
		var segment string
		segment, rest, more = strings.Cut(rest, ".")
		name, index := segment, ""
		if i := strings.IndexByte(segment, '['); i >= 0 {
			name, index = segment[:i], segment[i:]
		}
		if inner := resource(name); inner != nil && t.Abstract {
			t = inner
			continue
		}
		p := t.Property([]byte(name))
		if p == nil {
			e := t.Element(name)
			if e == nil || !e.Choice {
				break
			}
			dst += "." + name
			segment, rest, more = strings.Cut(rest, ".")
			t = variant(e, segment)
			continue
		}
		dst += "." + p.Element.Name + index
		t = p.Type
	}
	return dst
}

// resource returns the resource type named name, with an upper or lower case
// first letter.
func resource(name string) *spec.Type {
	if name == "" {
		return nil
	}
	return spec.R4().Resource(strings.ToUpper(name[:1]) + name[1:])
}

// variant returns the type of the choice e that the library calls name.
func variant(e *spec.Element, name string) *spec.Type {
	for _, t := range e.Types {
		if strings.EqualFold(t.Type.Name, name) {
			return t.Type
		}
	}
	return nil
}

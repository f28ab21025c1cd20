package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// references adds what a reference parameter finds at n.
// https://hl7.org/fhir/R4/search.html#reference
func (h *harvest) references(n fhir.Node, f *find) {
	t := n.Type()
	switch {
	case t.Name == "Reference":
		if ref, ok := h.reference(n); ok && ref.isTo(f.is, n) {
			h.add(f.param, ref)
		}
	case t.Kind == spec.KindResource:
		h.resource(n, f.param)
	case t.Primitive == spec.Canonical:
		h.addLiteral(f.param, n.Text(), true)
	case isURI(t.Primitive):
		h.addLiteral(f.param, n.Text(), f.param.Canonical)
	}
}

// reference returns what a Reference names. It is not ok when that is a
// contained resource or nothing at all.
func (h *harvest) reference(n fhir.Node) (ref Reference, ok bool) {
	for c := range n.Children() {
		switch c.Name() {
		case "reference":
			literal, named := h.registry.literal(c.Text())
			ref.Key, ref.URL = literal.Key, literal.URL
			if literal.Type != "" {
				ref.Type = literal.Type
			}
			ok = ok || named
		case "type":
			if ref.Type == "" {
				ref.Type = c.Text()
			}
		case "identifier":
			if token, found := h.identifier(c); found {
				ref.Identifier = &token
				ok = true
			}
		}
	}
	return ref, ok
}

// literal takes a literal reference apart. URLs of this server become keys, and
// versions are dropped, since searches are for what a resource is about now. It
// is not ok for a contained resource and for criteria.
func (r *Registry) literal(text string) (ref Reference, ok bool) {
	parsed, ok := fhir.ParseReference(text)
	switch {
	case !ok || text == "" || parsed.Fragment != "" || parsed.Query != "" || text[0] == '#':
		return Reference{}, false
	case parsed.Key.ID == "":
		return Reference{URL: text}, true
	case parsed.Base == "" || parsed.Base == r.Base:
		return Reference{Key: parsed.Key, Type: parsed.Key.Type}, true
	}
	return Reference{URL: parsed.Base + "/" + parsed.Key.String(), Type: parsed.Key.Type}, true
}

// isTo reports whether r, which stands at n, points to a resource of type typ,
// as far as it says so; "" is any type.
func (r Reference) isTo(typ string, n fhir.Node) bool {
	if typ == "" || r.Type == typ {
		return true
	}
	return r.Type == "" && slices.Equal(n.Targets(), []string{typ})
}

// addLiteral adds a canonical, or a uri that refers to a resource.
func (h *harvest) addLiteral(p *Param, text string, canonical bool) {
	if canonical {
		if url, version, _ := strings.Cut(text, "|"); url != "" && url[0] != '#' {
			h.add(p, Reference{URL: url, Version: version})
		}
		return
	}
	if ref, ok := h.registry.literal(text); ok {
		h.add(p, ref)
	}
}

// resource adds a resource that stands where a reference would, as the first of
// a document: it is known by the URL of its entry, or by its type and id.
func (h *harvest) resource(n fhir.Node, p *Param) {
	typ := n.Type().Name
	if p.Targets != nil && !slices.Contains(p.Targets, typ) {
		return
	}
	text := n.Parent().Child("fullUrl").Text()
	if text == "" {
		text = typ + "/" + n.Child("id").Text()
	}
	if ref, ok := h.registry.literal(text); ok {
		ref.Type = typ
		h.add(p, ref)
	}
}

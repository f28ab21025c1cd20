package fhir

import "bytes"

// A xmlSpace is a namespace, as far as it matters which. https://www.w3.org/TR/xml-names/
type xmlSpace uint8

const (
	xmlNoSpace xmlSpace = iota
	xmlFHIR
	xmlXHTML
	xmlSchema
	xmlOther
	xmlUndeclared // what a prefix means that nothing declares
)

// A xmlBinding declares a prefix, or the default namespace when it is empty.
type xmlBinding struct {
	prefix xmlSpan
	space  xmlSpace
}

func xmlSpaceOf(uri []byte) xmlSpace {
	switch string(uri) {
	case "":
		return xmlNoSpace
	case xmlNamespace:
		return xmlFHIR
	case xhtmlNamespace:
		return xmlXHTML
	case xmlSchemaNamespace:
		return xmlSchema
	}
	return xmlOther
}

// declares reports whether a declares a namespace, and for which prefix.
func (p *xmlParser) declares(a xmlAttr) (xmlSpan, bool) {
	if a.prefixed() {
		return a.local, string(a.prefix.of(p.src)) == "xmlns"
	}
	return xmlSpan{}, string(a.local.of(p.src)) == "xmlns"
}

// bind takes note of the namespaces that the attributes from first on declare.
func (p *xmlParser) bind(first int) bool {
	for _, a := range p.attrs[first:] {
		if prefix, ok := p.declares(a); ok {
			p.bindings = append(p.bindings, xmlBinding{prefix, xmlSpaceOf(xmlText(a.value.of(p.src)))})
		}
	}
	if len(p.bindings) > xmlMaxBindings {
		return p.fail(tooManyNamespaces, "More than %d namespaces are declared here and in the elements around; declare fewer", xmlMaxBindings)
	}
	return true
}

// resolve returns the namespace of an element with the given prefix or without
// one, or of an attribute with that prefix.
func (p *xmlParser) resolve(prefix xmlSpan) xmlSpace {
	name := prefix.of(p.src)
	for i := len(p.bindings) - 1; i >= 0; i-- {
		if bytes.Equal(p.bindings[i].prefix.of(p.src), name) {
			return p.bindings[i].space
		}
	}
	switch string(name) {
	case "":
		return xmlNoSpace
	case "xml":
		return xmlOther
	}
	return xmlUndeclared
}

// settle resolves the prefixes of the attributes from first on, and removes
// the declarations among them.
func (p *xmlParser) settle(first int) bool {
	kept := p.attrs[:first]
	for _, a := range p.attrs[first:] {
		if _, ok := p.declares(a); ok {
			continue
		}
		if a.prefixed() {
			a.space = p.resolve(a.prefix)
		}
		if a.space == xmlUndeclared {
			p.pos = int(a.prefix.lo)
			return p.malformed("the prefix of an attribute is not declared")
		}
		kept = append(kept, a)
	}
	p.attrs = kept
	return true
}

// xmlText returns what the source of an attribute's value stands for. It shares
// memory with raw where it can.
func xmlText(raw []byte) []byte {
	if !bytes.ContainsAny(raw, "&\t\n\r") {
		return raw
	}
	text := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '&':
			r, next := xhtmlReference(raw, i)
			text = append(text, string(r)...)
			i = max(next-1, i)
		case '\r':
			text = append(text, ' ')
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
		case '\n', '\t':
			text = append(text, ' ')
		default:
			text = append(text, raw[i])
		}
	}
	return text
}

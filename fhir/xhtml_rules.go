package fhir

import "bytes"

const xhtmlBadReference = `Write "&" in the narrative as "&amp;", and refer to characters with "&#...;" or a name of HTML 4.`

func xhtmlUnlessNamespaced(namespaced bool) string {
	if namespaced {
		return ""
	}
	return `Add xmlns="` + xhtmlNamespace + `" to the root element of the narrative.`
}

// xhtmlElement lists the elements of txt-1, and those that its prose includes
// and its XPath leaves out: address, bdo, kbd, and the image maps.
func xhtmlElement(name []byte) bool {
	switch string(name) {
	case "a", "abbr", "acronym", "address", "area", "b", "bdo", "big", "blockquote", "br", "caption",
		"cite", "code", "col", "colgroup", "dd", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4",
		"h5", "h6", "hr", "i", "img", "kbd", "li", "map", "ol", "p", "pre", "q", "samp", "small", "span",
		"strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "ul", "var":
		return true
	}
	return false
}

func xhtmlRefusedElement(name []byte) string {
	switch {
	case bytes.IndexByte(name, ':') >= 0:
		return xhtmlSay("Write the element", name, " of the narrative without a prefix.")
	case xhtmlElement(bytes.ToLower(name)):
		return xhtmlSay("Write the element name", name, " of the narrative in lower case.")
	}
	return xhtmlSay("Remove the element", name, " from the narrative: only the basic formatting elements of HTML 4, links and images are accepted.")
}

// xhtmlAttribute checks an attribute by the list of txt-1. Names of it that mean
// nothing on their element are harmless and pass, as they do in its XPath.
func xhtmlAttribute(name, value []byte) string {
	if msg := xhtmlValue(name, value); msg != "" {
		return msg
	}
	switch string(name) {
	case "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding",
		"cellspacing", "cellvalign", "char", "charoff", "charset", "class", "colspan", "compact", "coords",
		"dir", "frame", "headers", "height", "hreflang", "hspace", "id", "ismap", "lang", "name", "nohref",
		"nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "span", "start", "summary", "tabindex",
		"title", "type", "valign", "value", "vspace", "width", "xml:lang", "xml:space":
		return ""
	case "href", "cite", "longdesc", "usemap":
		if !xhtmlLink(value, false) {
			return xhtmlSay("Let the attribute", name, " of the narrative refer to http, https, mailto, tel, ftp or urn, or to a relative address.")
		}
		return ""
	case "src":
		if !xhtmlLink(value, true) {
			return `Let the attribute "src" of the narrative refer to http or https, to a relative address, or to data:image/png, jpeg, gif or webp in base64.`
		}
		return ""
	case "style":
		if !xhtmlStyle(value) {
			return `Remove from the attribute "style" of the narrative what loads or runs anything: other functions than colours and sizes, url() apart from data:image, "@", "\" and comments.`
		}
		return ""
	}
	return xhtmlNamespaceAttribute(name, value)
}

// xhtmlNamespaceAttribute accepts declarations. That of a prefix has no effect,
// because no element and no attribute may bear one.
func xhtmlNamespaceAttribute(name, value []byte) string {
	prefix, declared := bytes.CutPrefix(name, []byte("xmlns:"))
	switch {
	case string(name) == "xmlns" && string(value) == xhtmlNamespace:
		return ""
	case string(name) == "xmlns":
		return `Use xmlns="` + xhtmlNamespace + `" in the narrative and no other default namespace.`
	case declared && len(value) > 0 && xhtmlPrefix(prefix):
		return ""
	}
	return xhtmlSay("Remove the attribute", name, " from the narrative: only the formatting attributes of HTML 4, in lower case, are accepted.")
}

// xhtmlPrefix wants an ASCII name that XML does not keep for itself.
func xhtmlPrefix(p []byte) bool {
	if len(p) == 0 || p[0]|0x20 < 'a' || bytes.IndexByte(p, ':') >= 0 {
		return false
	}
	return !bytes.HasPrefix(bytes.ToLower(p), []byte("xml"))
}

// xhtmlValue checks that a value is well-formed, whatever the attribute.
func xhtmlValue(name, value []byte) string {
	if bytes.IndexByte(value, '<') >= 0 {
		return xhtmlSay(`Write "<" as "&lt;" in the attribute`, name, " of the narrative.")
	}
	for i := bytes.IndexByte(value, '&'); i >= 0 && i < len(value); {
		_, next := xhtmlRune(value, i)
		if next == 0 {
			return xhtmlBadReference
		}
		step := bytes.IndexByte(value[next:], '&')
		if step < 0 {
			return ""
		}
		i = next + step
	}
	return ""
}

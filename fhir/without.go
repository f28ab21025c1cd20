package fhir

import "strings"

// Without returns stored, a resource as [Resource.Stored] makes it, without some
// values of the elements at its top, and tagged as incomplete even if there are
// none. Which those are withheld says of each value, by the name of its element and
// its use; the use is empty for what has none. The result is a stored form, too.
func Without(stored []byte, withheld func(element, use string) bool) []byte {
	parts := split(stored)
	dst := append(make([]byte, 0, len(stored)+len(subsetted)+20), '{')
	meta, begun := []byte(`{}`), 0
	for _, m := range parts {
		switch m.name {
		case "resourceType", "id":
			dst = appendProperty(dst, m.name, stored[m.value:m.hi])
		case "meta":
			meta = stored[m.value:m.hi]
		default:
			continue
		}
		begun++
	}
	dst = appendProperty(dst, "meta", tagged(meta))
	for _, m := range parts[begun:] {
		element := strings.TrimPrefix(m.name, "_")
		if value := kept(stored[m.value:m.hi], func(v []byte) bool { return !withheld(element, useOf(v)) }); value != nil {
			dst = appendProperty(dst, m.name, value)
		}
	}
	return append(dst, '}')
}

// kept returns value, or of an array the elements, as far as keep says so; nil is
// nothing.
func kept(value []byte, keep func([]byte) bool) []byte {
	if value[0] != '[' {
		if keep(value) {
			return value
		}
		return nil
	}
	dst := []byte{'['}
	for _, v := range elementsOf(value) {
		if !keep(v) {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, v...)
	}
	if len(dst) == 1 {
		return nil
	}
	return append(dst, ']')
}

// useOf returns the use of a ContactPoint, an Address and the like; empty for what
// has none.
func useOf(value []byte) string {
	if value[0] != '{' {
		return ""
	}
	for _, m := range split(value) {
		if raw := value[m.value:m.hi]; m.name == "use" && raw[0] == '"' {
			return string(unescape(nil, raw[1:len(raw)-1]))
		}
	}
	return ""
}

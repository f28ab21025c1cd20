package search

import "strings"

// InScope reports whether parameters of a type may be conditions of an access
// scope: the database decides by itself whether they hold.
func (t Type) InScope() bool {
	switch t {
	case TokenType, ReferenceType, URIType, DateType:
		return true
	}
	return false
}

// InScope reports whether a parameter of a resource type may be a condition of an
// access scope. It must be one of R4's own, whose meaning nobody changes.
func (r *Registry) InScope(typ, code string) bool {
	p := r.Param(typ, code)
	if p == nil || p.Custom || strings.HasPrefix(code, "_") && code != "_tag" && code != "_security" {
		return false
	}
	return p.Type.InScope()
}

// Escape returns s as it stands in the value of a parameter for itself.
// https://hl7.org/fhir/R4/search.html#escaping
func Escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
}

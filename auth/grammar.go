package auth

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The bounds of a list of scopes. Of one that goes beyond nothing is understood.
const (
	maxScopeText  = 16 << 10 // bytes
	maxScopes     = 300
	maxConditions = 10
)

// ParseScopes reads a list of scopes, and returns those that it understands and
// the text of those that it refuses, which grant nothing. Both versions of SMART
// are understood; a scope is read to the letter or not at all:
//
//	scope = ("patient" / "user" / "system") "/" ("*" / type) "." permissions ["?" condition *("&" condition)]
//	permissions = "read" / "write" / "*" / letters of "cruds", at least one, in this order and none twice
//	condition = parameter "=" value
//
// known says which search parameters a condition may name: those whose type is
// token, reference, uri or date; nil is none. There are no modifiers, no chains and
// no percent-encoding in a condition, and none for all types at once. A scope of the
// system stands alone: beside one of a patient or a user it is refused.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
func ParseScopes(text string, known func(typ, param string) bool) (Scopes, []string) {
	var s Scopes
	tokens := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	if len(text) > maxScopeText || len(tokens) > maxScopes {
		return s, []string{text}
	}
	var refused []string
	for _, t := range tokens {
		if !s.parse(t, known) {
			refused = append(refused, t)
		}
	}
	return s.withoutSystem(refused)
}

// withoutSystem refuses the scopes of the system if there are others.
func (s Scopes) withoutSystem(refused []string) (Scopes, []string) {
	if !s.In(access.ForPatient) && !s.In(access.ForUser) {
		return s, refused
	}
	var kept []Scope
	for _, r := range s.Resource {
		if r.Context == access.ForSystem {
			refused = append(refused, r.Text)
			continue
		}
		kept = append(kept, r)
	}
	s.Resource = kept
	return s, refused
}

// parse adds one scope to s. It is false when it is refused.
func (s *Scopes) parse(token string, known func(typ, param string) bool) bool {
	// Roles of a launch are for contexts that there are none of here. The context of
	// the type is given all the same, as SMART wants it.
	context, _, _ := strings.Cut(token, "?role=")
	for _, f := range s.flags() {
		if token == f.text || context == f.text && strings.HasPrefix(f.text, "launch/") {
			*f.on = true
			return true
		}
	}
	parsed, ok := parseResource(token, known)
	if ok {
		s.add(Scope{parsed, token})
	}
	return ok
}

func parseResource(token string, known func(typ, param string) bool) (s access.Scope, ok bool) {
	// The characters of a scope: RFC 6749, section 3.3, without percent signs.
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == '%' }) {
		return s, false
	}
	head, query, conditional := strings.Cut(token, "?")
	context, rest, found := strings.Cut(head, "/")
	typ, letters, dotted := strings.Cut(rest, ".")
	s = access.Scope{Context: contextOf(context), Type: typ, Allows: permissions(letters)}
	if !found || !dotted || s.Context == 0 || s.Allows == 0 || typ != "*" && spec.R4().Resource(typ) == nil {
		return s, false
	}
	if conditional {
		s.Where = conditions(typ, query, known)
		return s, s.Where != nil
	}
	return s, true
}

func contextOf(text string) access.Context {
	switch text {
	case "patient":
		return access.ForPatient
	case "user":
		return access.ForUser
	case "system":
		return access.ForSystem
	}
	return 0
}

func contextText(c access.Context) string {
	switch c {
	case access.ForPatient:
		return "patient"
	case access.ForUser:
		return "user"
	case access.ForSystem:
		return "system"
	}
	return ""
}

// letters are the permissions in the order that SMART writes them.
func letters() [5]struct {
	letter byte
	means  access.Permission
} {
	return [...]struct {
		letter byte
		means  access.Permission
	}{{'c', access.MayCreate}, {'r', access.MayRead}, {'u', access.MayUpdate}, {'d', access.MayDelete}, {'s', access.MaySearch}}
}

// What the words of SMART 1 allow.
const (
	mayReadAll  = access.MayRead | access.MaySearch
	mayWriteAll = access.MayCreate | access.MayUpdate | access.MayDelete
)

// permissions returns what the part behind the dot allows; 0 if it cannot be read.
func permissions(text string) access.Permission {
	switch text {
	case "read":
		return mayReadAll
	case "write":
		return mayWriteAll
	case "*":
		return mayReadAll | mayWriteAll
	}
	var all access.Permission
	for _, l := range letters() {
		if text != "" && text[0] == l.letter {
			all |= l.means
			text = text[1:]
		}
	}
	if text != "" {
		return 0
	}
	return all
}

// conditions reads what stands behind the question mark; nil if it cannot be read.
func conditions(typ, query string, known func(typ, param string) bool) []access.Argument {
	pairs := strings.Split(query, "&")
	if typ == "*" || known == nil || len(pairs) > maxConditions {
		return nil
	}
	where := make([]access.Argument, 0, len(pairs))
	for _, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		a := access.Argument{Param: name, Value: value}
		if !found || value == "" || !isParameter(name) || !known(typ, name) || slices.Contains(where, a) {
			return nil
		}
		where = append(where, a)
	}
	return where
}

// isParameter reports whether a name can be that of a search parameter: it has no
// modifier and no chain, and does not say how results come.
func isParameter(name string) bool {
	if strings.HasPrefix(name, "_") {
		switch name {
		case "_id", "_profile", "_security", "_source", "_tag":
		default:
			return false
		}
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isFirst reports whether a scope is spelled as in SMART 1.
func isFirst(text string) bool {
	head, _, _ := strings.Cut(text, "?")
	return strings.HasSuffix(head, ".read") || strings.HasSuffix(head, ".write") || strings.HasSuffix(head, ".*")
}

// spell writes a scope, in the words of SMART 1 if first and they can say it.
func spell(s access.Scope, first bool) string {
	b := append(append([]byte(contextText(s.Context)), '/'), s.Type...)
	b = append(b, '.')
	b = append(b, spellPermissions(s.Allows, first)...)
	for i, a := range s.Where {
		sign := byte('&')
		if i == 0 {
			sign = '?'
		}
		b = append(append(append(append(b, sign), a.Param...), '='), a.Value...)
	}
	return string(b)
}

func spellPermissions(p access.Permission, first bool) string {
	if first {
		switch p {
		case mayReadAll:
			return "read"
		case mayWriteAll:
			return "write"
		case mayReadAll | mayWriteAll:
			return "*"
		}
	}
	var b []byte
	for _, l := range letters() {
		if p&l.means != 0 {
			b = append(b, l.letter)
		}
	}
	return string(b)
}

package fhir

import (
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	maxStringBytes  = 1 << 20 // https://hl7.org/fhir/R4/datatypes.html#string
	maxNumberDigits = 64
)

// Storable reports whether s is text that a database can take and be asked for:
// UTF-8 without the character 0.
func Storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// primitive reads and checks the value of a primitive, which stands at pos.
// https://hl7.org/fhir/R4/datatypes.html#primitive
func (d *decoder) primitive(self int32, p *spec.Property) bool {
	c := d.peek()
	switch p.Type.Primitive {
	case spec.Boolean:
		if c != 't' && c != 'f' {
			return d.mistyped(self, "true or false, without quotes")
		}
		return d.skip()
	case spec.Integer, spec.UnsignedInt, spec.PositiveInt, spec.Decimal:
		if c != '-' && (c < '0' || c > '9') {
			return d.mistyped(self, "a JSON number, without quotes")
		}
		text, ok := d.number()
		if ok {
			d.numeral(self, p.Type.Primitive, text)
		}
		return ok
	}
	if c != '"' {
		return d.mistyped(self, "a JSON string, in double quotes")
	}
	s, ok := d.string()
	if ok {
		d.text(self, p, s)
	}
	return ok
}

func (d *decoder) mistyped(self int32, want string) bool {
	n := d.tree.nodes[self]
	d.issue(d.node(self), wrongJSON, "A %s must be %s.", n.typ.Name, want)
	return d.skip()
}

func (d *decoder) numeral(self int32, kind spec.Primitive, text []byte) {
	if problem := checkNumber(kind, text); problem != "" {
		d.issue(d.node(self), invalidValue, "%s", problem)
	}
}

func (d *decoder) text(self int32, p *spec.Property, s str) {
	text := s.text()
	if problem := checkText(p.Type.Primitive, text, s.escaped); problem != "" {
		d.issue(d.node(self), faultOf(p.Type.Primitive, text), "%s", problem)
		return
	}
	if b := p.Element.Binding; b != nil && b.Set != nil && p.Type.Primitive == spec.Code && !b.Set.HasCode(text) {
		d.issue(d.node(self), codeNotBound, "This code is not in %s, which it must be from; choose one of its codes.", b.ValueSet)
	}
}

// faultOf returns what kind of problem a text has as a value of kind.
func faultOf(kind spec.Primitive, text []byte) fault {
	switch {
	case len(text) == 0:
		return emptyValue
	case len(text) > maxStringBytes:
		return valueTooLong
	case kind == spec.XHTML:
		return badNarrative
	}
	return invalidValue
}

// checkNumber returns what is wrong with a number as a value of kind, or "".
func checkNumber(kind spec.Primitive, text []byte) string {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if kind == spec.Decimal {
		return checkDecimal(digits)
	}
	if bytes.ContainsAny(digits, ".eE") {
		return "An integer has no decimal point and no exponent; write its digits alone."
	}
	limit := "2147483647"
	negative := len(digits) != len(text)
	if negative {
		limit = "2147483648"
	}
	zero := string(digits) == "0"
	switch {
	case len(digits) > len(limit) || len(digits) == len(limit) && string(digits) > limit:
		return "An integer lies between -2147483648 and 2147483647; send one that does."
	case kind == spec.UnsignedInt && negative && !zero:
		return "An unsignedInt is not negative; send 0 or more."
	case kind == spec.PositiveInt && (negative || zero):
		return "A positiveInt is at least 1; send 1 or more."
	}
	return ""
}

func checkDecimal(digits []byte) string {
	exponent := []byte(nil)
	if i := bytes.IndexAny(digits, "eE"); i >= 0 {
		digits, exponent = digits[:i], bytes.TrimLeft(digits[i+1:], "+-")
	}
	if len(digits)-bytes.Count(digits, []byte(".")) > maxNumberDigits {
		return "A number has at most 64 digits here; round it."
	}
	if len(exponent) > 3 {
		return "The exponent of a number has at most 3 digits here; send a number nearer to 1."
	}
	return ""
}

// checkText returns what is wrong with the characters of a value of kind, or
// "". A value without escapes cannot hold control characters.
func checkText(kind spec.Primitive, s []byte, escaped bool) string {
	switch {
	case len(s) == 0:
		return "A value is never empty; leave the element out."
	case len(s) > maxStringBytes && kind != spec.Base64Binary:
		return "A string has at most 1 MiB; put larger content into a Binary."
	}
	switch kind {
	case spec.String, spec.Markdown:
		return checkString(s, escaped)
	case spec.XHTML:
		return cmp.Or(checkString(s, escaped), checkXHTML(s))
	case spec.Code:
		return checkCode(s)
	case spec.ID:
		return checkID(s)
	case spec.URI, spec.URL, spec.Canonical:
		return checkURI(s)
	case spec.OID:
		return checkOID(s)
	case spec.UUID:
		return checkUUID(s)
	case spec.Base64Binary:
		return checkBase64(s)
	default:
		return checkTime(kind, s)
	}
}

func checkString(s []byte, escaped bool) string {
	if !escaped {
		return ""
	}
	for _, c := range s {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return "A string holds no control characters but tab, line feed and carriage return; remove the others."
		}
	}
	return ""
}

// checkCode: no whitespace at the ends, and single characters of it inside.
func checkCode(s []byte) string {
	space := true
	for _, c := range s {
		white := c == ' ' || c >= '\t' && c <= '\r'
		if white && space || c < 0x20 && !white {
			return "A code has no leading, trailing or double whitespace; remove it."
		}
		space = white
	}
	if space {
		return "A code has no leading, trailing or double whitespace; remove it."
	}
	return ""
}

func checkID(s []byte) string {
	if !ValidID(string(s)) {
		return "An id has 1 to 64 letters, digits, hyphens and full stops; remove what is none of them."
	}
	return ""
}

// ValidID reports whether s can be the logical id of a resource.
// https://hl7.org/fhir/R4/datatypes.html#id
func ValidID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func checkURI(s []byte) string {
	for _, c := range s {
		if c <= ' ' || c == 0x7f {
			return "A URI has no whitespace; encode it as %20."
		}
	}
	return ""
}

func checkOID(s []byte) string {
	const problem = "An oid is urn:oid: and numbers between dots, the first 0, 1 or 2; write it so."
	arcs, ok := bytes.CutPrefix(s, []byte("urn:oid:"))
	if !ok {
		return problem
	}
	n := 0
	for arc := range bytes.SplitSeq(arcs, []byte(".")) {
		first := n == 0
		n++
		switch {
		case first && (len(arc) != 1 || arc[0] < '0' || arc[0] > '2'):
			return problem
		case len(arc) == 0 || len(arc) > 1 && arc[0] == '0' || len(bytes.TrimLeft(arc, "0123456789")) > 0:
			return problem
		}
	}
	if n < 2 {
		return problem
	}
	return ""
}

func checkUUID(s []byte) string {
	const problem = "A uuid is urn:uuid: and 36 lower-case hexadecimal digits and hyphens; write it so."
	digits, ok := bytes.CutPrefix(s, []byte("urn:uuid:"))
	if !ok || len(digits) != 36 {
		return problem
	}
	for i, c := range digits {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if hyphen != (c == '-') || !hyphen && !hex {
			return problem
		}
	}
	return ""
}

// checkBase64 takes standard base64 with padding; whitespace may stand anywhere.
func checkBase64(s []byte) string {
	const problem = "This is not base64; use the standard alphabet with padding."
	n, pad := 0, 0
	for _, c := range s {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			continue
		case c == '=':
			pad++
		case pad > 0 || !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'):
			return problem
		}
		n++
	}
	if n == 0 || n%4 != 0 || pad > 2 {
		return problem
	}
	return ""
}

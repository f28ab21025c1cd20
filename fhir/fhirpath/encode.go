package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// encode is encode, decode, escape and unescape. What has no such form, or is in
// a form that is not known, is empty.
// https://hl7.org/fhirpath/#additional-string-functions
func encode(v invocation, dst Collection) (Collection, error) {
	s, ok, err := v.input()
	if err != nil {
		return dst, err
	}
	form, given, err := v.text(0)
	if err != nil || !ok || !given {
		return dst, err
	}
	switch v.name {
	case "encode":
		s, ok = encoded(s, form)
	case "decode":
		s, ok = decoded(s, form)
	case "escape":
		s, ok = escaped(s, form)
	default:
		s, ok = unescaped(s, form)
	}
	if !ok {
		return dst, nil
	}
	return append(dst, String(s)), v.write(len(s))
}

func encoded(s, form string) (string, bool) {
	switch form {
	case "hex":
		return hex.EncodeToString([]byte(s)), true
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(s)), true
	case "urlbase64":
		return base64.URLEncoding.EncodeToString([]byte(s)), true
	}
	return "", false
}

func decoded(s, form string) (string, bool) {
	var b []byte
	var err error
	switch form {
	case "hex":
		b, err = hex.DecodeString(s)
	case "base64":
		b, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		b, err = base64.URLEncoding.DecodeString(s)
	default:
		return "", false
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), err == nil
}

func escaped(s, form string) (string, bool) {
	switch form {
	case "html":
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s), true
	case "json":
		quoted := fhir.AppendString(nil, s)
		return string(quoted[1 : len(quoted)-1]), true
	}
	return "", false
}

func unescaped(s, form string) (string, bool) {
	switch form {
	case "html":
		return html.UnescapeString(s), true
	case "json":
		return unescapeJSON(s), true
	}
	return "", false
}

// unescapeJSON replaces the escapes of JSON; what is none stays.
func unescapeJSON(s string) string {
	var b strings.Builder
	for s != "" {
		before, _, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if s = s[len(before):]; !found {
			break
		}
		c, _, tail, err := strconv.UnquoteChar(s, '"')
		switch {
		case err == nil:
			b.WriteRune(c)
			s = tail
		case strings.HasPrefix(s, `\/`):
			b.WriteByte('/')
			s = s[2:]
		default:
			b.WriteByte('\\')
			s = s[1:]
		}
	}
	return b.String()
}

package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// split cuts s at every separator that has no backslash before it. The parts are
// still escaped. https://hl7.org/fhir/R4/search.html#escaping
func split(s string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// cutLast cuts s around its last separator that has no backslash before it. Without
// one all is before.
func cutLast(s string, separator byte) (before, after string) {
	parts := split(s, separator)
	if len(parts) == 1 {
		return s, ""
	}
	after = parts[len(parts)-1]
	return s[:len(s)-len(after)-1], after
}

// unescape takes the backslashes out of s. A backslash that stands before
// anything but , | $ and another backslash is not ok.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) || strings.IndexByte(`,|$\`, s[i]) < 0 {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// unescaped takes the backslashes out of text.
func (p *parser) unescaped(text string) (string, bool) {
	s, ok := unescape(text)
	if !ok {
		p.refuse(fhir.Value, `A backslash stands before , | $ or another backslash: write \\ for one of its own.`)
	}
	return s, ok
}

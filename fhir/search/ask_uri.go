package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// askURI reads one alternative of a uri parameter. That of a canonical URL may
// end in |version. https://hl7.org/fhir/R4/search.html#uri
func (p *parser) askURI(param *Param, m modifier, text string) (AskedURI, bool) {
	version := ""
	if param.Canonical {
		text, version = cutLast(text, '|')
	}
	uri, ok := p.unescaped(text)
	if !ok {
		return AskedURI{}, false
	}
	version, ok = p.unescaped(version)
	if !ok {
		return AskedURI{}, false
	}
	if uri == "" {
		p.refuse(fhir.Value, "A URL is missing before the |.")
		return AskedURI{}, false
	}
	if (m.Modifier == Above || m.Modifier == Below) && strings.HasPrefix(uri, "urn:") {
		p.refuse(fhir.Value, "The modifiers :above and :below are for URLs: a URN has no path.")
		return AskedURI{}, false
	}
	return AskedURI{Text: uri, Version: version}, true
}

// Matches reports whether u answers a: whether it is the same, or with Above or
// Below, one is the beginning of the other. R4 asks for no more than that, so
// that what ends within a segment of the path counts, too.
// https://hl7.org/fhir/R4/search.html#modifiers
func (a AskedURI) Matches(u URI, m Modifier) bool {
	switch m {
	case Above:
		return strings.HasPrefix(a.Text, u.Text) && a.matchesVersion(u)
	case Below:
		return strings.HasPrefix(u.Text, a.Text) && a.matchesVersion(u)
	case Differs:
		return u.Text != a.Text || !a.matchesVersion(u)
	}
	return u.Text == a.Text && a.matchesVersion(u)
}

func (a AskedURI) matchesVersion(u URI) bool { return a.Version == "" || a.Version == u.Version }

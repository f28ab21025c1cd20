package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// askReference reads one alternative of a reference parameter: an id, type/id, a
// URL, or a canonical with or without |version.
// https://hl7.org/fhir/R4/search.html#reference
func (p *parser) askReference(param *Param, m modifier, text string) (AskedReference, bool) {
	if m.Modifier == Identifier {
		token, ok := p.askToken(text)
		return AskedReference{Token: &token}, ok
	}
	version := ""
	if param.Canonical {
		text, version = cutLast(text, '|')
	}
	s, ok := p.unescaped(text)
	if !ok {
		return AskedReference{}, false
	}
	if version, ok = p.unescaped(version); !ok {
		return AskedReference{}, false
	}
	return p.askTarget(param, m, AskedReference{URL: s, Version: version})
}

// askTarget reads what a.URL names.
func (p *parser) askTarget(param *Param, m modifier, a AskedReference) (AskedReference, bool) {
	local := p.local(a.URL)
	r, ok := fhir.ParseReference(local)
	switch {
	case fhir.ValidID(local) && param.Canonical:
		p.warn(fhir.Value, "%s holds canonical URLs; an id finds only what is called so: give the whole URL, with |version or without.", param.Code)
		return a, true
	case fhir.ValidID(local):
		a.URL, a.Keys = "", keysOf(param, m, local)
		return a, true
	case !ok || r.Fragment != "" || r.Query != "" || a.URL == "":
		p.refuse(fhir.Value, "A reference is an id, Type/id with an R4 resource type, or an absolute URL.")
		return a, false
	case r.Version != "" && !param.Canonical:
		p.refuse(fhir.NotSupported, "References are found by type and id: leave out /_history and the version.")
		return a, false
	case r.Key.Type == "" || r.Base != "":
		return a, p.allowsURL(m)
	case m.target != "" && m.target != r.Key.Type:
		p.refuse(fhir.Value, "The type of the value is not that of the modifier :%s.", m.target)
		return a, false
	case len(param.Targets) > 0 && !slices.Contains(param.Targets, r.Key.Type):
		p.refuse(fhir.Value, "%s does not point to %s. It points to: %s.", param.Code, r.Key.Type, listed(param.Targets))
		return a, false
	}
	if !param.Canonical {
		a.URL = ""
	}
	a.Keys = []fhir.Key{r.Key}
	return a, true
}

// allowsURL refuses a URL of another server with the modifier :[type]: nobody
// knows what type it has.
func (p *parser) allowsURL(m modifier) bool {
	if m.target == "" {
		return true
	}
	p.refuse(fhir.Value, "With the modifier :%s a value is the id of a resource on this server.", m.target)
	return false
}

// local returns url as a relative reference if it is one of this server.
func (p *parser) local(url string) string {
	if base := p.registry.Base; base != "" {
		if rest, ok := strings.CutPrefix(url, base+"/"); ok {
			return rest
		}
	}
	return url
}

// keysOf returns the resources that an id without a type may stand for.
func keysOf(param *Param, m modifier, id string) []fhir.Key {
	types := targetsOf(param)
	if m.target != "" {
		types = []string{m.target}
	}
	keys := make([]fhir.Key, len(types))
	for i, typ := range types {
		keys[i] = fhir.Key{Type: typ, ID: id}
	}
	return keys
}

// Matches reports whether r answers a: whether it names one of its keys or its
// URL, in its version if it has one. With Below, a version is also the beginning
// of one: 1 of 1.2. With Identifier, the identifier is compared.
func (a AskedReference) Matches(r Reference, m Modifier) bool {
	switch m {
	case Identifier:
		return r.Identifier != nil && a.Token.matches(*r.Identifier)
	case Differs:
		return !a.Matches(r, Plain)
	}
	if r.Key != (fhir.Key{}) && slices.Contains(a.Keys, r.Key) {
		return true
	}
	return a.URL != "" && r.URL == a.URL && a.matchesVersion(r, m)
}

func (a AskedReference) matchesVersion(r Reference, m Modifier) bool {
	if a.Version == "" || a.Version == r.Version {
		return true
	}
	return m == Below && strings.HasPrefix(r.Version, a.Version+".")
}

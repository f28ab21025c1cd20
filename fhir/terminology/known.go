package terminology

import (
	"slices"
	"strings"
)

// A Known is a code system that comes with the server.
type Known struct {
	URL     string
	Version string // may be empty
	Listed  bool   // its codes are a list, and can be compared; otherwise they have a grammar
}

// Known returns the code systems that come with the server, those with a grammar first,
// then the others in the order of their URLs. What R4 only names, or adds words to, is
// not among them.
func (s *Service) Known() []Known {
	var all []Known
	for _, url := range builtins() {
		sys := builtin(url)
		_, rules := sys.(*grammar)
		all = append(all, Known{url, sys.head().version, !rules})
	}
	for _, d := range s.config.Definitions.BuiltIn("CodeSystem") {
		// Some URLs of R4 end in a version, so that nothing can name them.
		if builtin(d.URL) == nil && !strings.Contains(d.URL, "|") && !slices.Contains(withoutCodes(), d.URL) {
			all = append(all, Known{d.URL, d.Version, true})
		}
	}
	return all
}

// builtins are the URLs that [builtin] knows.
func builtins() []string {
	return []string{
		"http://unitsofmeasure.org", "urn:ietf:bcp:13", "urn:ietf:bcp:47", "urn:ietf:rfc:3986",
		"urn:iso:std:iso:3166", "urn:iso:std:iso:3166:-2", "urn:iso:std:iso:4217", "https://www.iana.org/time-zones",
	}
}

// withoutCodes are the CodeSystems of R4 that have none of their own.
func withoutCodes() []string {
	return []string{"http://snomed.info/sct", "http://hl7.org/fhir/CodeSystem/summary", "http://hl7.org/fhir/CodeSystem/example-supplement"}
}

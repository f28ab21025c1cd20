package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// uris adds what a uri parameter finds at n.
// https://hl7.org/fhir/R4/search.html#uri
func (h *harvest) uris(n fhir.Node, p *Param) {
	switch primitive := n.Type().Primitive; {
	case primitive == spec.Canonical:
		url, version, _ := strings.Cut(n.Text(), "|")
		if url != "" {
			h.add(p, URI{url, version})
		}
	case isText(primitive) && n.Text() != "":
		h.add(p, URI{n.Text(), h.versionOf(n)})
	}
}

// versionOf returns the business version that goes with n if it is the URL of a
// canonical resource: references to the resource may name it.
// https://hl7.org/fhir/R4/references.html#canonical
func (h *harvest) versionOf(n fhir.Node) string {
	if n.Name() != "url" || n.Parent() != h.root {
		return ""
	}
	return h.root.Child("version").Text()
}

func (h *harvest) addURI(p *Param, text string) {
	if text != "" {
		h.add(p, URI{Text: text})
	}
}

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
	case isText(primitive):
		h.addURI(p, n.Text())
	}
}

func (h *harvest) addURI(p *Param, text string) {
	if text != "" {
		h.add(p, URI{Text: text})
	}
}

package search

import "github.com/openconsult/openconsult/fhir"

// walk takes everything that is found at n and below, which stands at p.
func (h *harvest) walk(n fhir.Node, p *place) {
	for i := range p.finds {
		if f := &p.finds[i]; f.truth != "" {
			h.takeTruth(n, f)
		} else {
			h.take(n, f)
		}
	}
	if p.next == nil {
		return
	}
	for c := range n.Children() {
		for _, b := range p.next[c.Element().Order] {
			if stands(c, b.to) && passes(c, b.only) {
				h.walk(c, b.to)
			}
		}
	}
}

// stands reports whether n is of the type of p. Only a resource may be of one
// that specializes it.
func stands(n fhir.Node, p *place) bool {
	t := n.Type()
	return t == p.typ || p.typ.Abstract && t.Is(p.typ.Name)
}

func passes(n fhir.Node, only []guard) bool {
	for _, g := range only {
		switch {
		case g.index > 0:
			if max(n.Index(), 0)+1 != g.index {
				return false
			}
		case g.extension != "":
			if !hasExtension(n, g.extension) {
				return false
			}
		case n.Child(g.child).Text() != g.value:
			return false
		}
	}
	return true
}

func hasExtension(n fhir.Node, url string) bool {
	for e := range n.Each("extension") {
		if e.Child("url").Text() == url {
			return true
		}
	}
	return false
}

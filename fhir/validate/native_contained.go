package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// noneContained is broken where a contained resource has an element name with one of
// the children, or has it at all if the child is "".
func noneContained(name string, children ...string) native {
	return func(_ *checker, n fhir.Node) verdict {
		return verdictOf(len(containedWith(n, name, children)) == 0)
	}
}

// containedWith returns these elements of what n contains.
func containedWith(n fhir.Node, name string, children []string) []fhir.Node {
	var found []fhir.Node
	for r := range n.Each("contained") {
		for e := range r.Each(name) {
			for _, child := range children {
				if child == "" {
					found = append(found, e)
				}
				for f := range e.Each(child) {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// unreferenced returns what n contains that nothing in n refers to, and that does not
// refer to n itself.
func (c *checker) unreferenced(n fhir.Node) []fhir.Node {
	if !has(n, "contained") {
		return nil
	}
	fragments := map[string]bool{}
	collectFragments(n, fragments)
	var alone []fhir.Node
	for r := range n.Each("contained") {
		id := r.Child("id").Text()
		if fragments["#"+id] && id != "" || !idMatters(r) {
			continue
		}
		if !refersUp(r) {
			alone = append(alone, r)
		}
	}
	return alone
}

// idMatters reports whether r can be referred to, by the expression of R4: without an
// id it is not known, and [checker.unnamed] says so.
func idMatters(r fhir.Node) bool { return r.Child("id").HasValue() }

// collectFragments gathers the references and URIs below n that begin with #.
func collectFragments(n fhir.Node, into map[string]bool) {
	for c := range n.Children() {
		if refers(c) {
			if text := c.Text(); strings.HasPrefix(text, "#") {
				into[text] = true
			}
		}
		collectFragments(c, into)
	}
}

// refersUp reports whether something below n refers to the resource that contains it.
func refersUp(n fhir.Node) bool {
	for c := range n.Children() {
		is := c.Type().Primitive == spec.Canonical || c.Name() == "reference" && c.Type().Kind == spec.KindPrimitive
		if is && c.Text() == "#" || refersUp(c) {
			return true
		}
	}
	return false
}

func refers(n fhir.Node) bool {
	switch n.Type().Primitive {
	case spec.URI, spec.URL, spec.Canonical:
		return true
	}
	return n.Name() == "reference" && n.Type().Kind == spec.KindPrimitive
}

// local is ref-1: what a reference with # names is contained.
func (c *checker) local(n fhir.Node) verdict {
	reference := n.Child("reference")
	if !near(reference) {
		return holds
	}
	id, is := strings.CutPrefix(reference.Text(), "#")
	if !is || id == "" {
		return holds
	}
	return verdictOf(!c.containedResource(id).IsZero())
}

// near reports whether a reference may point to something within the same document: it
// begins with # or urn:, or with an escape. It spares others a copy of their text.
func near(reference fhir.Node) bool {
	raw := reference.Raw()
	return len(raw) > 1 && (raw[1] == '#' || raw[1] == 'u' || raw[1] == '\\')
}

// containedResource returns the resource of that id beside or in the one being walked.
func (c *checker) containedResource(id string) fhir.Node {
	s := c.scope
	if s.contained == nil {
		s.contained = map[string]fhir.Node{}
		for r := range s.container.Each("contained") {
			if own := r.Child("id").Text(); s.contained[own].IsZero() {
				s.contained[own] = r
			}
		}
	}
	return s.contained[id]
}

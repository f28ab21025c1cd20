package validate

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// entry holds the fullUrl of n, an entry of a Bundle, against its resource.
// https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl
func (c *checker) entry(n fhir.Node) {
	url, r := n.Child("fullUrl"), n.Child("resource")
	if !url.HasValue() {
		return
	}
	text := url.Text()
	if !absolute(text) {
		c.demand(url, "Bundle.entry.fullUrl", "full-url", "Write the fullUrl as an absolute URL: http://, https://, urn:uuid: or urn:oid:.")
		return
	}
	ref, _ := fhir.ParseReference(text)
	id := r.Child("id").Text()
	if r.IsZero() || id == "" || ref.Key.Type == "" {
		return
	}
	if ref.Key != (fhir.Key{Type: r.Type().Name, ID: id}) {
		c.demand(url, "Bundle.entry.fullUrl", "full-url", "Let the fullUrl end in the type and the id of the resource of this entry.")
	}
}

// target holds the type of what n refers to, if that is at hand, against the types
// that may stand there, and against what the reference itself says.
// https://hl7.org/fhir/R4/references.html#Reference
func (c *checker) target(n fhir.Node) {
	reference := n.Child("reference")
	if !near(reference) {
		c.stated(n, reference)
		return
	}
	r := c.find(reference.Text())
	if r.IsZero() {
		return
	}
	if types := n.Targets(); len(types) > 0 && !slices.ContainsFunc(types, r.Type().Is) {
		c.demand(n, "Reference.reference", "reference-target", "Refer here to a "+strings.Join(types, " or a ")+", not to a "+r.Type().Name+".")
	}
	c.says(n, r.Type().Name)
}

// stated holds Reference.type against the type in the URL.
func (c *checker) stated(n, reference fhir.Node) {
	if !has(n, "type") {
		return
	}
	if ref, _ := fhir.ParseReference(reference.Text()); ref.Key.Type != "" {
		c.says(n, ref.Key.Type)
	}
}

func (c *checker) says(n fhir.Node, typ string) {
	said := n.Child("type")
	if !said.HasValue() || strings.TrimPrefix(said.Text(), definitions) == typ {
		return
	}
	c.demand(said, "Reference.type", "reference-type", "Set type to "+typ+", what the reference points to, or leave it out.")
}

// find returns what a reference by # or urn points to, within the root.
func (c *checker) find(text string) fhir.Node {
	if id, is := strings.CutPrefix(text, "#"); is {
		if id == "" {
			return c.scope.container
		}
		return c.containedResource(id)
	}
	if c.root.Type().Name != "Bundle" {
		return fhir.Node{}
	}
	if c.entries == nil {
		c.entries = map[string]fhir.Node{}
		for e := range c.root.Each("entry") {
			c.entries[e.Child("fullUrl").Text()] = e.Child("resource")
		}
	}
	return c.entries[text]
}

package interaction

import (
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// A mention is a Reference within a resource.
type mention struct {
	pointer string // of its text, as JSON Patch has it: "/subject/reference"
	element string // the same without positions in lists
	text    string
}

// mentionsOf returns the References within r to a resource, those in extensions and contained
// resources among them. What is in a stored Bundle is as it was said then, and so is whom a
// Patient is linked to.
func (e *Engine) mentionsOf(r *fhir.Resource, k fhir.Key) []mention {
	if r.Type() == "Bundle" {
		return nil
	}
	var all []mention
	var walk func(n fhir.Node, pointer, element string)
	walk = func(n fhir.Node, pointer, element string) {
		for c := range n.Children() {
			if n.Parent().IsZero() && r.Type() == "Patient" && c.Name() == "link" {
				continue
			}
			at, of := pointer+"/"+c.Property(), element+"/"+c.Property()
			if c.Index() >= 0 {
				at += "/" + strconv.Itoa(c.Index())
			}
			if c.Type().Name == "Reference" {
				if text := c.Child("reference").Text(); e.namedBy(text) == k {
					all = append(all, mention{at + "/reference", of, text})
				}
			}
			walk(c, at, of)
		}
	}
	walk(r.Root(), "", "")
	return all
}

// namedBy returns which resource of this server a reference names; the zero Key if it is none.
func (e *Engine) namedBy(text string) fhir.Key {
	ref, ok := fhir.ParseReference(text)
	if !ok || ref.Base != "" && ref.Base != e.Registry().Base {
		return fhir.Key{}
	}
	return ref.Key
}

// leadingTo returns text, a reference, as one to k. A version is dropped, since k has others.
func leadingTo(text string, k fhir.Key) string {
	ref, _ := fhir.ParseReference(text)
	if ref.Base != "" {
		return ref.Base + "/" + k.String()
	}
	return k.String()
}

// patchMost is how many operations one patch has here at most.
const patchMost = 500

// editedBy returns doc as ops leave it.
func editedBy(typ string, doc []byte, ops []operation) (*fhir.Resource, error) {
	for len(ops) > patchMost {
		r, err := edited(typ, doc, ops[:patchMost])
		if err != nil {
			return nil, err
		}
		doc, ops = r.Source(), ops[patchMost:]
	}
	return edited(typ, doc, ops)
}

// relinkedTo returns doc, the stored form of a resource, with its mentions of one resource
// leading to another one; nil if it has none.
func (e *Engine) relinkedTo(typ string, doc []byte, from, to fhir.Key) (*fhir.Resource, error) {
	r, err := fhir.DecodeDerived(typ, doc)
	if err != nil {
		return nil, err
	}
	var ops []operation
	for _, m := range e.mentionsOf(r, from) {
		ops = append(ops, operation{"replace", m.pointer, leadingTo(m.text, to)})
	}
	if len(ops) == 0 {
		return nil, nil
	}
	return editedBy(typ, doc, ops)
}

// takenBack returns v with what mentions to where old, the content of an earlier version, has mentioned
// from. Where a list was changed since it goes by the element; a mention of to that old had as
// well stays. It is nil if there is nothing to take back.
func (e *Engine) takenBack(v *store.Version, old []byte, from, to fhir.Key) (*fhir.Resource, error) {
	typ, doc := v.Key.Type, v.Stored
	now, err := fhir.DecodeDerived(typ, doc)
	if err != nil {
		return nil, err
	}
	then, err := fhir.DecodeDerived(typ, old)
	if err != nil {
		return nil, err
	}
	left := e.mentionsOf(now, to)
	stays := map[string]int{} // by element
	for _, m := range e.mentionsOf(then, to) {
		stays[m.element]++
	}
	var ops []operation
	take := func(m mention, fits func(mention) bool) bool {
		for i, other := range left {
			if fits(other) {
				ops = append(ops, operation{"replace", other.pointer, m.text})
				left = append(left[:i:i], left[i+1:]...)
				return true
			}
		}
		return false
	}
	var rest []mention
	for _, m := range e.mentionsOf(then, from) {
		if !take(m, func(o mention) bool { return o.pointer == m.pointer }) {
			rest = append(rest, m)
		}
	}
	for _, m := range rest {
		if stays[m.element] == 0 {
			take(m, func(o mention) bool { return o.element == m.element })
		}
	}
	if len(ops) == 0 {
		return nil, nil
	}
	return editedBy(typ, doc, ops)
}

// linksTo reports whether a Patient has a link of some type to another one, or to anybody for the zero
// Key.
func linksTo(patient fhir.Node, typ string, k fhir.Key) bool {
	for n := range patient.Each("link") {
		text := n.Child("other").Child("reference").Text()
		if n.Child("type").Text() == typ && (k == fhir.Key{} || text == k.String() || strings.HasSuffix(text, "/"+k.String())) {
			return true
		}
	}
	return false
}

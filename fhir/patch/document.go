package patch

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A document is a resource together with its JSON, in which a node of the
// resource has a place.
type document struct {
	res  *fhir.Resource
	root node
}

func openDocument(res *fhir.Resource) (*document, error) {
	text, err := jsontext.AppendFormat(nil, res.Source(), jsontext.PreserveRawStrings(true))
	if err != nil {
		return nil, fmt.Errorf("read the %s to patch: %w", res.Type(), err)
	}
	return &document{res: res, root: node{raw: text}}, nil
}

// propertyOf returns the JSON property that n is a value of; n is not the root.
func propertyOf(n fhir.Node) *spec.Property {
	return n.Parent().Type().Property([]byte(n.Property()))
}

// object returns the JSON object with the children of n: for a primitive, the
// one with its id and extensions, or nil when it has none.
func (d *document) object(n fhir.Node) *node {
	parent := n.Parent()
	if parent.IsZero() {
		return &d.root
	}
	name := n.Property()
	if n.Type().Kind == spec.KindPrimitive {
		name = "_" + name
	}
	return item(d.object(parent), name, n.Index())
}

// item returns the value of an object member, or with an index that is not
// negative its element; nil when there is none.
func item(object *node, name string, index int) *node {
	v := object.member(name)
	if v != nil && index >= 0 {
		v = &v.members()[index].value
	}
	if v == nil || v.kind() == 'n' {
		return nil
	}
	return v
}

// pair returns the JSON of n, which is not the root.
func (d *document) pair(n fhir.Node) pair {
	object := d.object(n.Parent())
	var p pair
	if v := item(object, n.Property(), n.Index()); v != nil {
		p.value.raw = v.text()
	}
	if v := item(object, "_"+n.Property(), n.Index()); v != nil {
		p.extra.raw = v.text()
	}
	return p
}

// within returns the JSON object with the children of n, which it makes for a
// primitive that has none yet.
func (d *document) within(n fhir.Node) *node {
	if o := d.object(n); o != nil {
		return o
	}
	d.setExtra(n, emptyObject())
	return d.object(n)
}

// setExtra gives the primitive n another object of its id and extensions.
func (d *document) setExtra(n fhir.Node, v node) {
	l := listOf(d.object(n.Parent()), propertyOf(n))
	l.pairs[max(n.Index(), 0)].extra = v
	l.store()
}

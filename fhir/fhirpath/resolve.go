package fhirpath

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// resolve follows references and URIs; what cannot be found is left out.
// https://hl7.org/fhir/R4/fhirpath.html#functions
func resolve(v invocation, dst Collection) (Collection, error) {
	for _, i := range v.in {
		target, ok, err := v.resolve(i)
		if err != nil {
			return dst, err
		}
		if ok {
			dst = append(dst, target)
		}
	}
	return dst, nil
}

func (r *run) resolve(i Item) (Item, bool, error) {
	text, typ := "", ""
	switch {
	case i.value == nil && i.node.Type().Is("Reference"):
		text, typ = i.node.Child("reference").Text(), i.node.Child("type").Text()
	case i.value == nil && isStringLike(i.node):
		text = i.node.Text()
	default:
		text, _ = i.value.(string)
	}
	if err := r.step(5); err != nil {
		return Item{}, false, err
	}
	if fragment, is := strings.CutPrefix(text, "#"); is {
		n := contained(container(resource(r.place(i))), fragment)
		return NodeItem(n), !n.IsZero(), nil
	}
	key, _ := fhir.ParseReference(text)
	if n, err := r.entry(r.place(i), text, key); err != nil || !n.IsZero() {
		return NodeItem(n), !n.IsZero(), err
	}
	if r.env.Resolve != nil && text != "" {
		target, ok := r.env.Resolve(text)
		return target, ok, nil
	}
	if key.Key.Type != "" {
		typ = key.Key.Type
	}
	return Stub(typ), spec.R4().Resource(typ) != nil, nil
}

// place returns the node whose resource a reference belongs to.
func (r *run) place(i Item) fhir.Node {
	if i.node.IsZero() && len(r.focus) > 0 {
		return r.focus[0].node
	}
	return i.node
}

// contained returns the resource in n of that id; n itself if there is no
// fragment.
func contained(n fhir.Node, id string) fhir.Node {
	if id == "" {
		return n
	}
	for c := range n.Each("contained") {
		if c.Child("id").Text() == id {
			return c
		}
	}
	return fhir.Node{}
}

// entry returns the resource of the Bundle around n that a reference means.
// https://hl7.org/fhir/R4/bundle.html#references
func (r *run) entry(n fhir.Node, text string, ref fhir.Reference) (fhir.Node, error) {
	if n.IsZero() || text == "" {
		return fhir.Node{}, nil
	}
	root := n
	for up := root.Parent(); !up.IsZero(); up = root.Parent() {
		root = up
	}
	if root.Type().Name != "Bundle" {
		return fhir.Node{}, nil
	}
	relative := ref.Key.Type != "" && ref.Base == ""
	for e := range root.Each("entry") {
		if err := r.step(2); err != nil {
			return fhir.Node{}, err
		}
		url := e.Child("fullUrl").Text()
		if url == text && url != "" || relative && strings.HasSuffix(url, "/"+ref.Key.String()) {
			return e.Child("resource"), nil
		}
	}
	return fhir.Node{}, nil
}

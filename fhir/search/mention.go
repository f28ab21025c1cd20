package search

import (
	"bytes"
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// mentions returns the patients of this server that the resource at root refers to by
// elements that no parameter of R4 looks at: in extensions, contained resources,
// Task.input and so on; in order and none twice. What is in a stored Bundle is the
// Bundle's own copy.
func (r *Registry) mentions(root fhir.Node, entries []Entry) []fhir.Key {
	raw := root.Raw()
	n := bytes.Count(raw, []byte("Patient/"))
	escaped := bytes.Contains(raw, []byte(`\/`)) || bytes.Contains(raw, []byte(`\u`))
	if n == 0 && !escaped || root.Type().Name == "Bundle" {
		return nil
	}
	var known, all []fhir.Key
	for i := range entries {
		if ref, ok := entries[i].Value.(Reference); ok && ref.Key.Type == "Patient" && !entries[i].Param.Custom {
			known = append(known, ref.Key)
		}
	}
	if n == 1 && len(known) > 0 && !escaped {
		return nil
	}
	r.mentionsIn(root, func(k fhir.Key) {
		if !slices.Contains(known, k) && !slices.Contains(all, k) {
			all = append(all, k)
		}
	})
	slices.SortFunc(all, func(a, b fhir.Key) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return all
}

// mentionsIn yields the patient of every Reference below n.
func (r *Registry) mentionsIn(n fhir.Node, yield func(fhir.Key)) {
	for c := range n.Children() {
		if c.Type().Name == "Reference" {
			if ref, ok := r.literal(c.Child("reference").Text()); ok && ref.Key.Type == "Patient" {
				yield(ref.Key)
			}
		}
		r.mentionsIn(c, yield)
	}
}

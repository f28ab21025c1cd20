package interaction

import (
	"encoding/json"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/patch"
)

// keepLabels returns r with those labels of the version before it that hide
// things and that it leaves out. They go by $meta-delete only.
func keepLabels(old *former, r *fhir.Resource) (*fhir.Resource, error) {
	var kept []json.RawMessage
	for c := range old.resource.Root().Child("meta").Each("security") {
		if hides(c) && !hasCoding(r.Root().Child("meta"), c) {
			kept = append(kept, c.Raw())
		}
	}
	if len(kept) == 0 {
		return r, nil
	}
	var all []json.RawMessage
	for c := range r.Root().Child("meta").Each("security") {
		all = append(all, c.Raw())
	}
	ops := []operation{{"add", "/meta/security", append(all, kept...)}}
	if !keepsMeta(r.Root().Child("meta")) {
		ops = []operation{{"add", "/meta", map[string]any{"security": kept}}}
	}
	return edited(r.Type(), r.Stored(old.Key.ID), ops)
}

// keepsMeta reports whether the stored form of a resource with that meta has one.
func keepsMeta(meta fhir.Node) bool {
	for c := range meta.Children() {
		if c.Name() != "versionId" && c.Name() != "lastUpdated" {
			return true
		}
	}
	return false
}

// An operation is one of a JSON Patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// edited returns doc, the JSON of a resource of type typ, as ops leave it.
func edited(typ string, doc []byte, ops []operation) (*fhir.Resource, error) {
	if len(ops) == 0 {
		return wellFormed(typ, doc)
	}
	b, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	if doc, err = patch.JSON(doc, b); err != nil {
		return nil, err
	}
	return wellFormed(typ, doc)
}

// hides reports whether a coding of meta.security can hide a resource.
func hides(c fhir.Node) bool { return access.Hides(c.Child("system").Text(), c.Child("code").Text()) }

func hasCoding(meta, c fhir.Node) bool {
	for other := range meta.Each("security") {
		if sameCoding(other, c) {
			return true
		}
	}
	return false
}

// sameCoding reports whether two codings say the same by system and code.
func sameCoding(a, b fhir.Node) bool {
	return a.Child("system").Text() == b.Child("system").Text() && a.Child("code").Text() == b.Child("code").Text()
}

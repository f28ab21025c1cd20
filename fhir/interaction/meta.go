package interaction

import (
	"context"
	"encoding/json"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Meta returns the current version of k, for the sake of its meta.
// https://hl7.org/fhir/R4/resource-operation-meta.html
func (s *Session) Meta(ctx context.Context, k fhir.Key) (*store.Version, error) {
	if err := s.Allow(Meta, k); err != nil {
		return nil, err
	}
	v, err := present(s.now(ctx, k))(k.Type)
	return s.saw(ctx, Meta, k, v, err)
}

// MetaAdd adds the profiles, tags and labels of meta, an element of type Meta, to
// the resource k. https://hl7.org/fhir/R4/resource-operation-meta-add.html
func (s *Session) MetaAdd(ctx context.Context, k fhir.Key, meta fhir.Node, expect store.Expect) (Result, error) {
	if err := s.Allow(MetaAdd, k); err != nil {
		return Result{}, err
	}
	if err := keepsScanState(meta); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, MetaAdd, k, func() (Result, error) {
		return s.change(ctx, change{interaction: access.Patch, key: k, op: store.Patch, expect: expect, meta: true, next: func(old *store.Version) (*fhir.Resource, error) {
			return remade(old, func(has fhir.Node, list string) []json.RawMessage { return added(has, meta, list) })
		}})
	})
}

// MetaDelete takes the profiles, tags and labels of meta, an element of type Meta,
// from the resource k. A label that hides it goes only for who has the role
// Labels. https://hl7.org/fhir/R4/resource-operation-meta-delete.html
func (s *Session) MetaDelete(ctx context.Context, k fhir.Key, meta fhir.Node, expect store.Expect) (Result, error) {
	if err := s.Allow(MetaDelete, k); err != nil {
		return Result{}, err
	}
	if err := keepsScanState(meta); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, MetaDelete, k, func() (Result, error) {
		return s.change(ctx, change{interaction: access.Patch, key: k, op: store.Patch, expect: expect, meta: true, unlabels: true, next: func(old *store.Version) (*fhir.Resource, error) {
			if err := s.mayUnlabel(old, meta); err != nil {
				return nil, err
			}
			return remade(old, func(has fhir.Node, list string) []json.RawMessage { return without(has, meta, list) })
		}})
	})
}

// mayUnlabel returns an Outcome when meta has a label of v that hides it and the
// caller may not take it away.
func (s *Session) mayUnlabel(v *store.Version, meta fhir.Node) error {
	if s.grant.Has(access.Labels) {
		return nil
	}
	r, err := fhir.Decode(v.Key.Type, v.Stored)
	if err != nil {
		return err
	}
	for c := range r.Root().Child("meta").Each("security") {
		if hides(c) && hasCoding(meta, c) {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, v.Key.Type+".meta.security", "You may add labels, but not take this one away; it takes the role for labels.")
		}
	}
	return nil
}

// remade returns v with other lists in its meta: those that list returns for what
// it has now.
func remade(v *store.Version, list func(has fhir.Node, name string) []json.RawMessage) (*fhir.Resource, error) {
	doc := v.Resource()
	r, err := fhir.Decode(v.Key.Type, doc)
	if err != nil {
		return nil, err
	}
	has := r.Root().Child("meta")
	var ops []operation
	for _, name := range []string{"profile", "security", "tag"} {
		// Lists only grow or only shrink, so one of the same length is the same.
		switch all := list(has, name); {
		case len(all) == len(without(has, fhir.Node{}, name)):
		case len(all) > 0:
			ops = append(ops, operation{"add", "/meta/" + name, all})
		default:
			ops = append(ops, operation{"remove", "/meta/" + name, nil})
		}
	}
	return edited(v.Key.Type, doc, ops)
}

// added returns the list of that name in has with what meta has beside it.
func added(has, meta fhir.Node, name string) []json.RawMessage {
	all := without(has, fhir.Node{}, name)
	for c := range meta.Each(name) {
		if c.HasValue() && !lists(has, c) {
			all = append(all, c.Raw())
		}
	}
	return all
}

// without returns the list of that name in has without what meta has.
func without(has, meta fhir.Node, name string) []json.RawMessage {
	var all []json.RawMessage
	for c := range has.Each(name) {
		if c.HasValue() && !lists(meta, c) {
			all = append(all, c.Raw())
		}
	}
	return all
}

// lists reports whether meta has c, a profile or a coding, in its list.
func lists(meta, c fhir.Node) bool {
	for other := range meta.Each(c.Name()) {
		if c.Name() == "profile" && other.Text() == c.Text() || c.Name() != "profile" && sameCoding(other, c) {
			return true
		}
	}
	return false
}

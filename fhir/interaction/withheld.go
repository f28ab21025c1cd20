package interaction

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// shown returns v as far as the caller is shown it, and err. Whatever leaves a
// Session goes through here, or through shownAll.
func (s *Session) shown(v *store.Version, err error) (*store.Version, error) {
	if v == nil || v.Stored == nil {
		return v, err
	}
	v = harmless(v)
	all := s.grant.Withheld(v.Key.Type)
	if all == nil {
		return v, err
	}
	part := *v
	part.Stored = fhir.Without(v.Stored, func(element, use string) bool {
		return slices.ContainsFunc(all, func(w access.Withheld) bool { return w.Element == element && (w.Use == "" || w.Use == use) })
	})
	return &part, err
}

// shownAll makes each of versions what the caller is shown of it.
func (s *Session) shownAll(versions []store.Version) {
	for i := range versions {
		if v, _ := s.shown(&versions[i], nil); v != &versions[i] {
			versions[i] = *v
		}
	}
}

// isWrite reports whether i changes a resource.
func isWrite(i access.Interaction) bool {
	switch i {
	case access.Create, access.Update, access.Patch, access.Delete:
		return true
	}
	return false
}

// mayAskBy returns an Outcome when to find resources of types by a parameter would
// tell what the caller is not shown of them: if it was found, if not, or in what
// order.
func (s *Session) mayAskBy(types []string, code string, custom bool) error {
	for _, typ := range types {
		if s.grant.Tells(typ, code, custom) {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "You may not search or sort by %s where that would find a %s: you are not shown all that it is about. Leave it out, or name other types with _type.", code, typ)
		}
	}
	return nil
}

// maySort does so for the order of q, whose parameters are known.
func (s *Session) maySort(known *search.Registry, q *search.Query, types []string) error {
	for _, o := range q.Sort {
		for _, typ := range types {
			p := known.Param(typ, o.Param.Code)
			if p == nil {
				continue
			}
			if err := s.mayAskBy([]string{typ}, p.Code, p.Custom); err != nil {
				return err
			}
		}
	}
	return nil
}

// typesFound returns the types that q may find resources of.
func typesFound(q *search.Query) []string {
	if len(q.Types) > 0 {
		return q.Types
	}
	var types []string
	for _, t := range spec.R4().Resources() {
		if q.Within == nil || q.Within.Type == t.Name || search.CompartmentParams(q.Within.Type, t.Name) != nil {
			types = append(types, t.Name)
		}
	}
	return types
}

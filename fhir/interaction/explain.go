package interaction

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// An AccessExplanation says why somebody sees a resource, or does not.
type AccessExplanation struct {
	Permitted bool
	Summary   string // a sentence
	Scopes    []ScopeExplanation
}

// A ScopeExplanation says what one scope of theirs has to do with it.
type ScopeExplanation struct {
	Scope  string // "user/Task.rs?status=requested"
	Shows  bool
	Keys   []KeyExplanation // keys of the resource that are among those of the caller
	Labels []string         // labels of the resource that hide it from the caller
	Says   []string         // sentences
}

// A KeyExplanation says where a resource has a key from.
type KeyExplanation struct {
	Key   string   // "party Organization/1"
	Own   bool     // the content says so, or it is of the side that wrote it
	Basis fhir.Key // of a key that is not its own: the resource that gives it
	Says  string   // a sentence
}

// A subject is a resource about whose access somebody asks.
type subject struct {
	session *Session
	version *store.Version
	content *access.Content
	givings []store.Giving
}

// ExplainAccess says why who has g may do what needs a permission with the current
// version of k, or may not. It takes the role Operate. What asked is not
// recorded as having read k, but as having asked.
func (s *Session) ExplainAccess(ctx context.Context, k fhir.Key, g access.Grant, needs access.Permission) (AccessExplanation, error) {
	if err := s.Allow(ExplainAccess, k); err != nil {
		return AccessExplanation{}, err
	}
	v, err := s.store.Read(ctx, k)
	if err == nil && v == nil {
		err = unknown(k.Type)
	}
	if _, err = s.saw(ctx, ExplainAccess, k, v, err); err != nil {
		return AccessExplanation{}, err
	}
	return s.explainAccess(ctx, v, g, needs)
}

func (s *Session) explainAccess(ctx context.Context, v *store.Version, g access.Grant, needs access.Permission) (AccessExplanation, error) {
	x := &subject{session: s, version: v}
	old, err := formerly(v)
	if err != nil {
		return AccessExplanation{}, fmt.Errorf("decode version %d of a %s: %w", v.Number, v.Key.Type, err)
	}
	if x.content, err = s.before(s.store.Registry(), old); err != nil {
		return AccessExplanation{}, err
	}
	if x.givings, err = s.store.Givers(ctx, v); err != nil {
		return AccessExplanation{}, err
	}
	asked := s.For(g, s.origin)
	sees, err := s.store.Sees(asked.grantFor(v.Key), needs, v)
	if err != nil {
		return AccessExplanation{}, err
	}
	e := AccessExplanation{Permitted: sees || g.IsTrusted()}
	for _, scope := range g.Terms().Scopes {
		e.Scopes = append(e.Scopes, x.explain(scope, g.Terms().Standings[scope.Context], needs))
	}
	e.Summary = x.summary(e, g)
	return e, nil
}

func (x *subject) summary(e AccessExplanation, g access.Grant) string {
	k, typ := x.version.Key, x.version.Key.Type
	has := func(is func(ScopeExplanation) bool) bool { return slices.ContainsFunc(e.Scopes, is) }
	switch {
	case g.IsTrusted():
		return "Permitted: the caller is trusted and may do everything."
	case e.Permitted && has(func(s ScopeExplanation) bool { return s.Shows }):
		return fmt.Sprintf("Permitted: %s is shown by the scopes marked so.", k)
	case e.Permitted && g.ReadsSelf(k):
		return "Permitted: the resource is the caller, who has the scope fhirUser."
	case e.Permitted:
		return "Permitted."
	case x.version.Deleted():
		return fmt.Sprintf("Not permitted: the %s was deleted, and the caller did not see it by keys alone; it answers 404.", typ)
	case !has(func(s ScopeExplanation) bool { return s.names(typ) }):
		return fmt.Sprintf("Not permitted: no scope of the caller names %s; every such request answers 403.", typ)
	case has(func(s ScopeExplanation) bool { return len(s.Labels) > 0 && len(s.Keys) > 0 }):
		return fmt.Sprintf("Not permitted: a label hides the %s from the caller; it answers 404, as if it were not there.", typ)
	}
	return fmt.Sprintf("Not permitted: no scope that allows this shows the %s to the caller; it answers 404, or 403 if no scope allows this for the type at all.", typ)
}

// names reports whether the scope is for a type.
func (s ScopeExplanation) names(typ string) bool {
	_, rest, _ := strings.Cut(s.Scope, "/")
	name, _, _ := strings.Cut(rest, ".")
	return name == "*" || name == typ
}

// explain says what one scope, held with a standing, has to do with it.
func (x *subject) explain(scope access.Scope, at access.Standing, needs access.Permission) ScopeExplanation {
	e := ScopeExplanation{Scope: written(scope)}
	typ := x.version.Key.Type
	says := func(format string, args ...any) { e.Says = append(e.Says, fmt.Sprintf(format, args...)) }
	if scope.Type != "*" && scope.Type != typ {
		says("It is for %s, not for %s.", scope.Type, typ)
		return e
	}
	allows := scope.Allows&needs != 0
	if !allows {
		says("It lacks the permission %s.", letters(needs))
	}
	shown := at.All
	if at.All {
		says("Its holder sees whatever its scopes name, but for labels.")
	}
	for _, p := range at.Parties {
		if x.session.store.Meets(x.version.Keys, []access.Key{p}) {
			shown = true
			e.Keys = append(e.Keys, x.origins(p)...)
		}
	}
	if !shown {
		says("None of the %d keys of its holder is among those of the resource: it is neither about them, nor do they take part in it, nor was it given to them.", len(at.Parties))
	}
	if shown && at.Within != nil && !x.session.store.Meets(x.version.Keys, at.Within) {
		shown = false
		says("It is for an app that somebody has opened for a patient, and who opened it does not see the resource.")
	}
	for _, l := range at.Denied {
		if x.session.store.Meets(x.version.Keys, []access.Key{l}) {
			e.Labels = append(e.Labels, l.Of)
			says("The label %s hides it: the clearance of its holder does not cover that.", l.Of)
		}
	}
	fits := len(scope.Where) == 0 || x.content != nil && x.content.Matches(scope.Where)
	if !fits {
		says("The resource does not meet its conditions.")
	}
	e.Shows = allows && shown && fits && len(e.Labels) == 0
	return e
}

// origins says where the resource has a key from: by itself, or from every
// resource that gives it.
func (x *subject) origins(p access.Key) []KeyExplanation {
	name := keyName(p)
	if x.content != nil && slices.Contains(x.content.Keys, p) {
		return []KeyExplanation{{Key: name, Own: true, Says: fmt.Sprintf("The content of the resource gives it the key %s.", name)}}
	}
	if p.Kind == access.Author {
		return []KeyExplanation{{Key: name, Own: true, Says: fmt.Sprintf("The side of %s has written it.", p.Of)}}
	}
	var all []KeyExplanation
	for _, g := range x.givings {
		if x.session.store.Meets([]int64{g.Key}, []access.Key{p}) {
			all = append(all, KeyExplanation{Key: name, Basis: g.Basis, Says: fmt.Sprintf("%s gives the key %s to %s.", g.Basis, name, x.target(g.Target))})
		}
	}
	if len(all) == 0 {
		all = []KeyExplanation{{Key: name, Says: fmt.Sprintf("The resource has the key %s from an earlier content of it.", name)}}
	}
	return all
}

// target says what a gift is given to.
func (x *subject) target(target int64) string {
	if x.session.store.Meets([]int64{target}, []access.Key{{Kind: access.Itself, Of: x.version.Key.String()}}) {
		return "this resource"
	}
	if x.content != nil {
		for _, k := range x.content.Keys {
			if x.session.store.Meets([]int64{target}, []access.Key{k}) {
				return "whatever has the key " + keyName(k)
			}
		}
	}
	return "what another resource gives it"
}

// keyName writes a key for people.
func keyName(k access.Key) string {
	switch k.Kind {
	case access.Open:
		return "open"
	case access.Patient:
		return "patient " + k.Of
	case access.Record:
		return "record " + k.Of
	case access.Party:
		return "party " + k.Of
	case access.Author:
		return "author " + k.Of
	case access.Label:
		return "label " + k.Of
	}
	return "itself " + k.Of
}

// written writes a scope as SMART does.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
func written(s access.Scope) string {
	context := map[access.Context]string{access.ForPatient: "patient", access.ForUser: "user", access.ForSystem: "system"}[s.Context]
	text := context + "/" + s.Type + "." + letters(s.Allows)
	separator := "?"
	for _, a := range s.Where {
		text += separator + a.Param + "=" + a.Value
		separator = "&"
	}
	return text
}

// letters writes permissions by the letters of SMART.
func letters(p access.Permission) string {
	text := ""
	for i, letter := range "cruds" {
		if p&(1<<i) != 0 {
			text += string(letter)
		}
	}
	return text
}

package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// Shows reports whether v shows a resource of type typ that has the given
// effective keys: those of its own and those it was given. It is the meaning of a
// View, to which what the tables say is held. matches says whether all of some
// conditions hold for the resource; nil is no.
func (v View) Shows(typ string, keys []Key, matches func([]Argument) bool) bool {
	has := func(any []Key) bool { return intersects(keys, any) }
	return slices.ContainsFunc(v, func(b Branch) bool { return b.shows(typ, has, matches) })
}

// Admits reports whether b holds for a resource that has one of some keys if has
// says so, but for its type and conditions.
func (b Branch) Admits(has func([]Key) bool) bool {
	return (b.All || len(b.Parties) > 0 && has(b.Parties)) && (b.Within == nil || has(b.Within)) && (len(b.Denied) == 0 || !has(b.Denied))
}

// shows reports whether b holds for a resource that has one of some keys if has
// says so.
func (b Branch) shows(typ string, has func([]Key) bool, matches func([]Argument) bool) bool {
	if b.Types != nil && !slices.Contains(b.Types, typ) || !b.Admits(has) {
		return false
	}
	return len(b.Where) == 0 || matches != nil && matches(b.Where)
}

func intersects(a, b []Key) bool {
	return slices.ContainsFunc(a, func(k Key) bool { return slices.Contains(b, k) })
}

// ReadsSelf reports whether g may read the resource k because it is the user, as
// the scope fhirUser allows, whatever its other scopes are.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data
func (g Grant) ReadsSelf(k fhir.Key) bool { return g.terms.Self && k.ID != "" && k == g.terms.User }

// view is what the scopes give: a branch for each context and condition.
func (t *Terms) view(needs Permission, typ string) View {
	var v viewer
	for _, s := range t.Scopes {
		if s.Allows&needs != 0 && (typ == "" || s.Type == "*" || s.Type == typ) && !t.tells(s, typ) {
			v.add(s, typ == "")
		}
	}
	return v.view(t.Standings)
}

// A viewer gathers the branches of a View.
type viewer struct {
	branches []Branch // Parties, Denied and All are still to come
	contexts []Context
}

// add adds what a scope gives. Only if several types are asked for does it matter
// which it is for.
func (v *viewer) add(s Scope, several bool) {
	if several && s.Type == "*" && len(s.Where) > 0 {
		return // its condition means nothing that holds for all types
	}
	for i := range v.branches {
		b := &v.branches[i]
		if v.contexts[i] != s.Context || !slices.Equal(b.Where, s.Where) {
			continue
		}
		switch {
		case b.Types == nil || slices.Contains(b.Types, s.Type):
			return
		case s.Type == "*":
			b.Types = nil
			return
		case len(b.Where) == 0:
			b.Types = append(b.Types, s.Type)
			return
		}
	}
	b := Branch{Where: s.Where}
	if several && s.Type != "*" {
		b.Types = []string{s.Type}
	}
	v.branches, v.contexts = append(v.branches, b), append(v.contexts, s.Context)
}

// view returns the branches with what their contexts stand for, without those
// that add nothing to another.
func (v *viewer) view(standings map[Context]Standing) View {
	var view View
	for i, b := range v.branches {
		if len(b.Where) > 0 && v.covered(i) {
			continue
		}
		slices.Sort(b.Types)
		at := standings[v.contexts[i]]
		b.All, b.Parties, b.Within, b.Denied = at.All, at.Parties, at.Within, at.Denied
		view = append(view, b)
	}
	return view
}

// covered reports whether a branch without conditions shows what branch i does.
func (v *viewer) covered(i int) bool {
	for j, b := range v.branches {
		if v.contexts[j] != v.contexts[i] || len(b.Where) > 0 {
			continue
		}
		if b.Types == nil || v.branches[i].Types != nil && slices.Contains(b.Types, v.branches[i].Types[0]) {
			return true
		}
	}
	return false
}

package auth

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/access"
)

// Scopes are what a client asks for, or what it was granted.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
type Scopes struct {
	Resource        []Scope // each Text once, in the order asked
	OpenID          bool    // openid
	FHIRUser        bool    // fhirUser
	Profile         bool    // profile
	Launch          bool    // launch
	LaunchPatient   bool    // launch/patient
	LaunchEncounter bool    // launch/encounter
	Offline         bool    // offline_access
	Online          bool    // online_access
}

// A Scope is a scope for resources.
type Scope struct {
	access.Scope
	Text string // as it was asked for: "patient/*.read"; if empty, [Scope.String] spells it
}

// String returns the scope as it was asked for, and one that nobody asked for in
// the letters of SMART 2: "patient/Observation.rs?category=laboratory".
func (s Scope) String() string {
	if s.Text != "" {
		return s.Text
	}
	return spell(s.Scope, false)
}

// String returns s as a list of scopes, those for resources last and each as it
// was asked for.
func (s Scopes) String() string {
	var all []string
	for _, f := range s.flags() {
		if *f.on {
			all = append(all, f.text)
		}
	}
	for _, r := range s.Resource {
		all = append(all, r.String())
	}
	return strings.Join(all, " ")
}

// A flag is one scope that is not for resources.
type flag struct {
	text string
	on   *bool
}

// flags returns the scopes that are not for resources; s is changed through them.
func (s *Scopes) flags() [8]flag {
	return [...]flag{
		{"openid", &s.OpenID},
		{"fhirUser", &s.FHIRUser},
		{"profile", &s.Profile},
		{"launch", &s.Launch},
		{"launch/patient", &s.LaunchPatient},
		{"launch/encounter", &s.LaunchEncounter},
		{"offline_access", &s.Offline},
		{"online_access", &s.Online},
	}
}

// In reports whether a scope for resources is of the given context.
func (s Scopes) In(c access.Context) bool {
	return slices.ContainsFunc(s.Resource, func(r Scope) bool { return r.Context == c })
}

// Within returns what of s allowed covers: never more than either. What is covered
// whole keeps its text. What is covered in part becomes what both say, with the
// conditions of both, in the letters that it was asked in as far as they can say
// it.
func (s Scopes) Within(allowed Scopes) Scopes {
	var out Scopes
	mine, theirs := s.flags(), allowed.flags()
	for i, f := range out.flags() {
		*f.on = *mine[i].on && *theirs[i].on
	}
	for _, r := range s.Resource {
		out.add(r.within(allowed.Resource)...)
	}
	return out
}

// add adds scopes whose text is not there yet.
func (s *Scopes) add(scopes ...Scope) {
	for _, r := range scopes {
		if !slices.ContainsFunc(s.Resource, func(o Scope) bool { return o.String() == r.String() }) {
			s.Resource = append(s.Resource, r)
		}
	}
}

// within returns what some scopes cover of r.
func (r Scope) within(allowed []Scope) []Scope {
	var parts []access.Scope
	for _, a := range allowed {
		if p, ok := common(r.Scope, a.Scope); ok {
			parts = join(parts, p)
		}
	}
	var out []Scope
	for i, p := range parts {
		covered := func(j int) bool { return j != i && covers(parts[j], p) && (j < i || !covers(p, parts[j])) }
		if !slices.ContainsFunc(indexes(parts), covered) {
			out = append(out, Scope{p, r.respelled(p)})
		}
	}
	return out
}

func indexes(parts []access.Scope) []int {
	all := make([]int, len(parts))
	for i := range all {
		all[i] = i
	}
	return all
}

// common returns what two scopes both allow. It is not ok when that is nothing.
func common(a, b access.Scope) (both access.Scope, ok bool) {
	both = access.Scope{Context: a.Context, Type: a.Type, Allows: a.Allows & b.Allows, Where: a.Where}
	if a.Type == "*" {
		both.Type = b.Type
	}
	for _, w := range b.Where {
		if !slices.Contains(both.Where, w) {
			both.Where = append(slices.Clip(both.Where), w)
		}
	}
	ok = a.Context == b.Context && both.Allows != 0 && (a.Type == "*" || b.Type == "*" || a.Type == b.Type)
	// Conditions mean nothing that holds for all types.
	return both, ok && (both.Type != "*" || len(both.Where) == 0)
}

// join adds p to parts, or its permissions to a part that is like it but for them.
func join(parts []access.Scope, p access.Scope) []access.Scope {
	for i, o := range parts {
		if o.Context == p.Context && o.Type == p.Type && sameConditions(o.Where, p.Where) {
			parts[i].Allows |= p.Allows
			return parts
		}
	}
	return append(parts, p)
}

// covers reports whether a allows all that b does.
func covers(a, b access.Scope) bool {
	return a.Context == b.Context && (a.Type == "*" || a.Type == b.Type) && a.Allows&b.Allows == b.Allows && containsAll(b.Where, a.Where)
}

func sameConditions(a, b []access.Argument) bool { return containsAll(a, b) && containsAll(b, a) }

// containsAll reports whether all has every one of some arguments.
func containsAll(all, some []access.Argument) bool {
	return !slices.ContainsFunc(some, func(a access.Argument) bool { return !slices.Contains(all, a) })
}

// respelled returns the text of a part of r.
func (r Scope) respelled(part access.Scope) string {
	if part.Type == r.Type && part.Allows == r.Allows && sameConditions(part.Where, r.Where) {
		return r.String()
	}
	return spell(part, isFirst(r.Text))
}

package access

import (
	"slices"
	"strings"
)

// A Withheld is an element at the top of resources of a type that is not shown to
// patients and who acts for them.
type Withheld struct {
	Element string
	Use     string   // of its values only those with this use; empty: all of them
	Params  []string // to search by them would tell what is withheld
}

// withheld returns what patients are not shown of resources of a type: of those who
// treat them, how to reach them at home, and when they were born. The narrative goes
// too, since it is made of the rest.
func withheld(typ string) []Withheld {
	if typ != "Practitioner" {
		return nil
	}
	return []Withheld{
		{"text", "", []string{"_content", "_text"}},
		{"birthDate", "", nil},
		{"telecom", "home", []string{"email", "phone", "telecom"}},
		{"address", "home", []string{"address", "address-city", "address-country", "address-postalcode", "address-state", "address-use"}},
	}
}

// Withheld returns what the caller is not shown of the resources of a type that
// they see; nil is that they are shown whole. What it says holds for every
// resource of the type, whether it has the elements or not.
func (g Grant) Withheld(typ string) []Withheld {
	if g.trusted || !g.terms.isPatient() {
		return nil
	}
	return withheld(typ)
}

// Tells reports whether to find resources of a type by a search parameter would
// tell the caller what is withheld. Every custom parameter may.
func (g Grant) Tells(typ, code string, custom bool) bool {
	all := g.Withheld(typ)
	return all != nil && custom || tells(all, code)
}

func tells(all []Withheld, code string) bool {
	return slices.ContainsFunc(all, func(w Withheld) bool { return slices.Contains(w.Params, code) })
}

// isPatient reports whether the rules for patients and who acts for them hold: for
// everybody who is not known to be staff or a client with no user.
func (t *Terms) isPatient() bool {
	switch t.User.Type {
	case "Practitioner", "PractitionerRole":
		return false
	case "":
		return t.Patient.ID != ""
	}
	return true
}

// tells reports whether a condition of a scope for resources of a type would tell its
// holder what is withheld from them. Such a scope shows nothing.
func (t *Terms) tells(s Scope, typ string) bool {
	if len(s.Where) == 0 || !t.isPatient() {
		return false
	}
	if s.Type != "*" {
		typ = s.Type
	}
	all := withheld(typ)
	return slices.ContainsFunc(s.Where, func(a Argument) bool {
		code, _, _ := strings.Cut(a.Param, ":")
		return tells(all, code)
	})
}

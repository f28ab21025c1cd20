package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// Interaction is a RESTful interaction or operation, by the code of
// https://hl7.org/fhir/R4/valueset-type-restful-interaction.html.
type Interaction string

// The interactions.
const (
	Read            Interaction = "read"
	VRead           Interaction = "vread"
	Create          Interaction = "create"
	Update          Interaction = "update"
	Patch           Interaction = "patch"
	Delete          Interaction = "delete"
	HistoryInstance Interaction = "history-instance"
	HistoryType     Interaction = "history-type"
	HistorySystem   Interaction = "history-system"
	SearchType      Interaction = "search-type"
	SearchSystem    Interaction = "search-system"

	Purge   Interaction = "purge"
	Reindex Interaction = "reindex"
	Explain Interaction = "explain" // to be told how a search was carried out
)

// needed returns the permission that an interaction takes; 0 when no scope gives
// it.
func needed(i Interaction) Permission {
	switch i {
	case Read, VRead, HistoryInstance:
		return MayRead
	case SearchType, SearchSystem, HistoryType, HistorySystem:
		return MaySearch
	case Create:
		return MayCreate
	case Update, Patch:
		return MayUpdate
	case Delete:
		return MayDelete
	}
	return 0
}

// Allow returns an Outcome of class Denied when the caller may not perform i on
// resources of the given type, which is empty for the whole system. That depends
// on what was granted only, never on what is stored. The whole system may be
// searched, and its history read, by who may do so for some type: what they get
// is of such types.
func (g Grant) Allow(i Interaction, typ string) error {
	if g.trusted || g.allows(i, typ) {
		return nil
	}
	on := typ
	if on == "" {
		on = "the system"
	}
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "You may not perform %s on %s.", i, on)
}

func (g Grant) allows(i Interaction, typ string) bool {
	switch i {
	case Purge, Reindex, Explain:
		return g.Has(Operate)
	}
	n := needed(i)
	return slices.ContainsFunc(g.terms.Scopes, func(s Scope) bool {
		return s.Allows&n != 0 && (typ == "" || s.Type == "*" || s.Type == typ)
	})
}

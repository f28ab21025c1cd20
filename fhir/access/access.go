// Package access says who may do what. A Grant is what one caller may do; it is
// asked on every path that touches data. The package is pure: it knows neither
// tokens nor tables.
package access

import "github.com/openconsult/openconsult/fhir"

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

// A Grant is what one caller may do. The zero Grant denies everything.
type Grant struct {
	client  string
	trusted bool
}

// Trusted returns the grant of a trusted system named client, which may do
// everything. It is for a server without sign-in, on the machine it runs on.
func Trusted(client string) Grant { return Grant{client: client, trusted: true} }

// Client returns the name of the client that acts, which versions record as
// their origin.
func (g Grant) Client() string { return g.client }

// Allow returns an Outcome when the caller may not perform i on resources of the
// given type, which is empty for the whole system.
func (g Grant) Allow(i Interaction, typ string) error {
	if g.trusted {
		return nil
	}
	on := typ
	if on == "" {
		on = "the system"
	}
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "You may not perform %s on %s.", i, on)
}

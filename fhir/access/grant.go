package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// Permission is a set of what a scope allows, by the letters of SMART.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
type Permission uint8

// The permissions.
const (
	MayCreate Permission = 1 << iota // c
	MayRead                          // r: read, vread and the history of an instance
	MayUpdate                        // u: update and patch
	MayDelete                        // d
	MaySearch                        // s: search, and the history of a type or the system
)

// Context is the level of a scope.
type Context uint8

// The contexts.
const (
	ForPatient Context = 1 + iota // patient/
	ForUser                       // user/
	ForSystem                     // system/
)

// An Argument is a search parameter of a granular scope with its value.
type Argument struct{ Param, Value string }

// A Scope is one SMART scope for resources.
type Scope struct {
	Context Context
	Type    string // a resource type, or "*"
	Allows  Permission
	Where   []Argument // all must hold; nil for no condition
}

// A Standing is what the holder of a token stands for in one context. The zero
// Standing sees nothing.
type Standing struct {
	All     bool  // sees whatever its scopes name, but for Denied
	Parties []Key // sees what has one of these keys; Open is among them
	Within  []Key // of that only what has one of these as well; nil: all of it
	Denied  []Key // sees nothing that has one of these, which are labels
}

// Role is a set of what a caller may do beyond scopes.
type Role uint8

// The roles.
const (
	Administer    Role = 1 << iota // keep the directory and definitions, give records away, change whom something is about
	Labels                         // take labels away
	AssertAuthor                   // name an author within the own organisations
	AssertPatient                  // name a patient as author
	Operate                        // purge, reindex, explain
)

// Terms are what a Grant is made of.
type Terms struct {
	Client        string   // id of the client that acts
	ID            string   // of what was granted; pages and cursors are bound to it. Empty: to Client
	User          fhir.Key // Patient, Practitioner or RelatedPerson who acts; zero for none
	Patient       fhir.Key // the patient in context; zero for none
	Organizations []string // ids of organisations that the caller acts for
	Roles         Role
	Scopes        []Scope
	Standings     map[Context]Standing
	Self          bool   // the caller may read User: the scope fhirUser
	RequestAgent  string // who to write into the audit: "Practitioner/1", "Client/x"
	Holder        string // by what such a Grant can be made anew later, for what goes on without a request; empty if it cannot
}

// A Grant is what one caller may do. The zero Grant denies everything.
type Grant struct {
	trusted bool
	terms   Terms
}

// NewGrant returns the grant of a caller with the given terms.
func NewGrant(t Terms) Grant { return Grant{terms: t} }

// Trusted returns the grant of a trusted system named client, which may do
// everything. It is for a server without sign-in, on the machine it runs on.
func Trusted(client string) Grant {
	return Grant{trusted: true, terms: Terms{Client: client, Holder: LocalHolder}}
}

// LocalHolder is the Holder of a trusted system.
const LocalHolder = "local"

// IsTrusted reports whether g may do everything.
func (g Grant) IsTrusted() bool { return g.trusted }

// Terms returns what g was made of. Nobody changes what it points to.
func (g Grant) Terms() Terms { return g.terms }

// Has reports whether g has all of some roles. A trusted one has all.
func (g Grant) Has(r Role) bool { return g.trusted || g.terms.Roles&r == r }

// Client returns the name of the client that acts, which versions record as
// their origin.
func (g Grant) Client() string { return g.terms.Client }

// ID returns what pages and cursors are bound to.
func (g Grant) ID() string {
	if g.terms.ID != "" {
		return g.terms.ID
	}
	return g.terms.Client
}

// A View is what a caller sees of the resources of one type, or of all: those for
// which one of its branches holds. A View without branches shows nothing.
type View []Branch

// A Branch holds for a resource that is of one of Types, has one of Parties, one of
// Within and none of Denied, and for which all of Where holds.
type Branch struct {
	Types   []string // nil: of any type
	All     bool     // Parties does not matter
	Parties []Key
	Within  []Key // nil: does not matter
	Denied  []Key
	Where   []Argument // of the type searched; with Where there is one type only
}

// Unlimited reports whether v shows everything.
func (v View) Unlimited() bool {
	return slices.ContainsFunc(v, func(b Branch) bool {
		return b.All && b.Types == nil && b.Within == nil && len(b.Denied) == 0 && len(b.Where) == 0
	})
}

// View returns what g shows of resources of a type, or of all types if it is
// empty, to who performs an interaction that needs one of some permissions.
func (g Grant) View(needs Permission, typ string) View {
	if g.trusted {
		return View{{All: true}}
	}
	return g.terms.view(needs, typ)
}

package auth

import (
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// Claims are what a token says that is good.
type Claims struct {
	Issuer, Subject string
	Client          string   // id of the client that the token was given to
	Grant           string   // id of the grant that it is from; empty for a token of another issuer
	Scope           string   // as in the token
	Patient         string   // id of the patient in context
	FHIRUser        string   // who the user is, as a reference
	Organizations   []string // ids of the organisations that a client without a user is to act for; empty for all of its own
	Audience        []string
	Expires, Issued time.Time
	OwnIssuer       bool // our own authorization server made it
}

// A Profile is what is known of whom a token names, looked up when it is used. The
// zero Profile may do nothing.
type Profile struct {
	User          fhir.Key     // Patient, Practitioner or RelatedPerson; zero for a client without a user
	Parties       []access.Key // what the user, or the client, stands for besides Organizations
	Organizations []string     // ids of the organisations that the user or the client acts for
	Clearance     []string     // labels, as in [access.DeniedLabels]
	Roles         access.Role
	Patients      []string // ids of the patients that a Patient or RelatedPerson may act for
	All           bool     // a client without organisations that may see everything
	Active        bool     // false: the account, client or person may do nothing any more
	Lapsed        bool     // a RelatedPerson whom nobody lets act for a patient, or no longer
}

// TermsOf returns what a token grants that makes the claims c, to whom p describes,
// with the scopes s. What the two do not back grants nothing: scopes of the
// system are for clients without a user, those of a user for a user, and those
// of a patient for a patient in context, whom a Patient or a RelatedPerson must
// be able to act for. It returns an Unauthorized [*fhir.Outcome] if p is not
// active, and a Denied one with the Detail proxy-not-active if p is Lapsed.
func TermsOf(c Claims, p Profile, s Scopes) (access.Terms, error) {
	if p.Lapsed && !p.Active {
		o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Nobody has agreed, or agrees any more, that you act for this patient; ask the practice to renew it.")
		o.Issues[0].Detail = "proxy-not-active"
		return access.Terms{}, o
	}
	if !p.Active {
		return access.Terms{}, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Sign in again: what the token was granted for is no longer in force.")
	}
	b := backing{claims: c, profile: p}
	t := access.Terms{
		Client:       b.client(),
		User:         p.User,
		Patient:      b.patient(),
		Self:         s.FHIRUser && p.User.ID != "",
		RequestAgent: "Client/" + b.client(),
		Holder:       c.Holder(),
		Standings:    map[access.Context]access.Standing{},
	}
	t.ID = b.id(t)
	if p.User.ID != "" {
		t.RequestAgent = p.User.String()
	}
	for _, r := range s.Resource {
		if at, ok := b.standing(r.Context, t.Patient); ok {
			t.Standings[r.Context] = at
			t.Scopes = append(t.Scopes, r.Scope)
		}
	}
	if b.isStaff() || p.User.ID == "" && t.Patient.ID == "" {
		t.Organizations = b.organizations()
		t.Roles = roles(p.Roles, t.Scopes)
	}
	return t, nil
}

// roles returns the roles that come into force with some scopes. A token for one
// patient has none. What no scope gives, Operate, takes all that a scope can give.
func roles(all access.Role, scopes []access.Scope) access.Role {
	wide := func(s access.Scope) bool { return s.Context != access.ForPatient }
	whole := func(s access.Scope) bool {
		return wide(s) && s.Type == "*" && s.Allows == mayReadAll|mayWriteAll && len(s.Where) == 0
	}
	switch {
	case !slices.ContainsFunc(scopes, wide):
		return 0
	case !slices.ContainsFunc(scopes, whole):
		return all &^ access.Operate
	}
	return all
}

// A backing is what a token says and what is known of whom it names.
type backing struct {
	claims  Claims
	profile Profile
}

// client returns the id of the client. Those of other issuers say so, since ids
// are unique for one issuer only.
func (b *backing) client() string {
	if b.claims.OwnIssuer {
		return b.claims.Client
	}
	return b.claims.Issuer + "#" + b.claims.Client
}

// id returns what pages and cursors are bound to: the grant of a user, or whom an
// issuer names. A client without a user goes on with them from token to token.
func (b *backing) id(t access.Terms) string {
	switch {
	case t.User.ID == "" && t.Patient.ID == "":
		return ""
	case b.claims.OwnIssuer && b.claims.Grant != "":
		return b.claims.Grant
	}
	return strings.Join([]string{t.Client, b.claims.Subject, t.User.String(), t.Patient.String()}, " ")
}

func (b *backing) isStaff() bool {
	return b.profile.User.Type == "Practitioner" || b.profile.User.Type == "PractitionerRole"
}

// actsFor reports whether the user may act for a patient.
func (b *backing) actsFor(id string) bool {
	return slices.Contains(b.profile.Patients, id) || b.profile.User == fhir.Key{Type: "Patient", ID: id}
}

// patient returns the patient in context; zero for none, and for one that the user
// may not, or no longer, act for.
func (b *backing) patient() fhir.Key {
	id := b.claims.Patient
	if !fhir.ValidID(id) || b.profile.User.ID != "" && !b.isStaff() && !b.actsFor(id) {
		return fhir.Key{}
	}
	return fhir.Key{Type: "Patient", ID: id}
}

// organizations returns the organisations that the token speaks for.
func (b *backing) organizations() []string {
	asked := b.claims.Organizations
	if len(asked) == 0 || b.profile.User.ID != "" {
		return b.profile.Organizations
	}
	if b.profile.All {
		return asked
	}
	return slices.DeleteFunc(slices.Clone(asked), func(id string) bool { return !slices.Contains(b.profile.Organizations, id) })
}

// standing returns what the holder stands for in a context. It is not ok when
// there is nobody whom a scope of it could speak of.
func (b *backing) standing(c access.Context, patient fhir.Key) (at access.Standing, ok bool) {
	staff, user := b.isStaff(), b.profile.User.ID != ""
	switch {
	case c == access.ForPatient && patient.ID != "":
		at = b.ofPatients([]string{patient.ID})
		if staff {
			// An app that is opened for a patient sees no more than who opened it.
			at.Within = b.ofOrganizations(b.profile.Parties).Parties
		}
		return at, true
	case c == access.ForUser && staff:
		return b.ofOrganizations(b.profile.Parties), true
	case c == access.ForUser && user:
		return b.ofPatients(b.mayActFor()), true
	case c == access.ForSystem && !user && patient.ID == "":
		return b.ofClient(), true
	}
	return access.Standing{}, false
}

// mayActFor returns the ids of all patients that the user may act for.
func (b *backing) mayActFor() []string {
	all := slices.Clone(b.profile.Patients)
	if b.profile.User.Type == "Patient" {
		all = append(all, b.profile.User.ID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ofPatients sees what some patients see, and if the user is a relative, what is
// addressed to the relative.
func (b *backing) ofPatients(ids []string) access.Standing {
	parties := []access.Key{{Kind: access.Open}}
	for _, id := range ids {
		of := "Patient/" + id
		parties = append(parties, access.Key{Kind: access.Patient, Of: of})
		if !b.isStaff() {
			parties = append(parties, access.Key{Kind: access.Author, Of: of})
		}
	}
	if b.profile.User.Type == "RelatedPerson" && len(ids) > 0 {
		parties = append(parties, access.Key{Kind: access.Party, Of: b.profile.User.String()})
	}
	return access.Standing{Parties: parties, Denied: access.DeniedLabels(b.profile.Clearance, true)}
}

// ofOrganizations sees what some parties take part in, the organisations among
// them, and what these wrote.
func (b *backing) ofOrganizations(parties []access.Key) access.Standing {
	all := append([]access.Key{{Kind: access.Open}}, parties...)
	for _, id := range b.organizations() {
		of := "Organization/" + id
		all = append(all, access.Key{Kind: access.Party, Of: of}, access.Key{Kind: access.Author, Of: of})
	}
	return access.Standing{Parties: unique(all), Denied: access.DeniedLabels(b.profile.Clearance, false)}
}

// ofClient sees what a client without a user does: everything, or what its
// organisations do.
func (b *backing) ofClient() access.Standing {
	asked := len(b.claims.Organizations) > 0
	if b.profile.All && !asked {
		return access.Standing{All: true, Denied: access.DeniedLabels(b.profile.Clearance, false)}
	}
	parties := b.profile.Parties
	if asked {
		parties = nil // they may be those of organisations that the token does not speak for
	}
	return b.ofOrganizations(append(slices.Clip(parties), access.Key{Kind: access.Author, Of: "Client/" + b.client()}))
}

// unique returns keys without those that came before.
func unique(keys []access.Key) []access.Key {
	var all []access.Key
	for _, k := range keys {
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

package consultation

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// Roles is the set of what somebody is in a Task. The zero value is nobody, who may do
// nothing.
type Roles uint8

// The roles.
const (
	Requester Roles = 1 << iota // has asked
	Owner                       // must act
	Clinician                   // is an owner with a clinical role
	Admin                       // keeps the records of an organisation that is requester or owner
	System                      // this server: timers and coupled updates. No token can obtain it
)

var roleNames = [...]string{"requester", "owner", "clinician", "admin", "system"}

// String lists the roles as task-machine.json names them: "owner+clinician"; "nobody" for
// the zero value.
func (r Roles) String() string {
	var names []string
	for i, name := range roleNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nobody"
	}
	return strings.Join(names, "+")
}

// asked returns r without System, unless it stands alone: no role that a token gives may
// borrow its powers.
func (r Roles) asked() Roles {
	if r == System {
		return r
	}
	return r &^ System
}

// A Caller is whom a token speaks for, as far as the rules ask. Facts that are not known
// are left out: what is missing gives no role.
type Caller struct {
	Persons     []fhir.Key   // the person, by every resource that is that person: Patient, RelatedPerson, Practitioner, PractitionerRole, Device
	Proxies     []fhir.Key   // the patients for whom the person is an active proxy now
	Memberships []Membership // where the person works, or what a client acts for
}

// A Membership is a caller's place in one organisation.
type Membership struct {
	Of       fhir.Key // the Organization; a HealthcareService or CareTeam of it may be given beside it
	Clinical bool     // with a clinical role code there
	Records  bool     // as records administrator
}

// RolesOf returns what the caller is in t. It never returns System. An active proxy
// stands where the patient stands; a RelatedPerson who is no longer an active proxy of
// the patient stands nowhere. What a RelatedPerson has asked, the patient has asked.
func RolesOf(t Task, c Caller) Roles {
	var r Roles
	asker := t.Requester
	if asker.Type == "RelatedPerson" {
		asker = t.For
	}
	if c.is(asker, t) {
		r |= Requester
	}
	if c.is(t.Owner, t) {
		r |= Owner
		if c.clinical(t.Owner) {
			r |= Clinician
		}
	}
	for _, m := range c.Memberships {
		if m.Records && m.Of.ID != "" && (m.Of == t.Owner || m.Of == t.Requester) {
			r |= Admin
		}
	}
	return r
}

// is reports whether the caller acts for party in t.
func (c Caller) is(party fhir.Key, t Task) bool {
	switch {
	case party.ID == "":
		return false
	case party.Type == "RelatedPerson":
		return slices.Contains(c.Persons, party) && slices.Contains(c.Proxies, t.For)
	case slices.Contains(c.Persons, party), party.Type == "Patient" && slices.Contains(c.Proxies, party):
		return true
	}
	return slices.ContainsFunc(c.Memberships, func(m Membership) bool { return m.Of == party })
}

// clinical reports whether the caller has a clinical role in owner, or anywhere when
// owner is the person.
func (c Caller) clinical(owner fhir.Key) bool {
	self := slices.Contains(c.Persons, owner) && (owner.Type == "Practitioner" || owner.Type == "PractitionerRole")
	return slices.ContainsFunc(c.Memberships, func(m Membership) bool { return m.Clinical && (self || m.Of == owner) })
}

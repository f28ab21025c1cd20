package interaction

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The operations on one resource that a Grant is asked about by their own names.
const (
	Meta          access.Interaction = "meta"           // https://hl7.org/fhir/R4/resource-operation-meta.html
	MetaAdd       access.Interaction = "meta-add"       // https://hl7.org/fhir/R4/resource-operation-meta-add.html
	MetaDelete    access.Interaction = "meta-delete"    // https://hl7.org/fhir/R4/resource-operation-meta-delete.html
	ExplainAccess access.Interaction = "access-explain" // why somebody sees a resource, or not
)

// anyPermission is what it takes to see something at all.
const anyPermission = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch

// LacksScope is the Detail of a refusal that another scope would lift.
const LacksScope = "insufficient-scope"

// Allow returns an Outcome of class Denied when the caller may not perform i on k
// whatever there is. k has no ID for a whole type, and no Type for the whole
// system.
func (s *Session) Allow(i access.Interaction, k fhir.Key) error {
	err := s.allow(i, k)
	if err == nil {
		return nil
	}
	return s.turnedAway(i, ours(k), err)
}

// ours returns k without what may be in an address but is no name of ours.
func ours(k fhir.Key) fhir.Key {
	if spec.R4().Resource(k.Type) == nil {
		return fhir.Key{}
	}
	if !fhir.ValidID(k.ID) {
		k.ID = ""
	}
	return k
}

func (s *Session) allow(i access.Interaction, k fhir.Key) error {
	if err := s.refuseAudit(i, k.Type); err != nil {
		return err
	}
	if s.grant.IsTrusted() {
		return nil
	}
	if i == access.Read && s.grant.ReadsSelf(k) {
		return nil
	}
	if decided, err := s.allowRole(i, k.Type); decided {
		return err
	}
	i, k.Type = s.asks(i, k.Type)
	err := s.grant.Allow(i, k.Type)
	if err == nil && isWrite(i) && s.grant.Withheld(k.Type) != nil {
		// Before it is looked at: what becomes of a patch would tell what is withheld.
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, k.Type, "Patients do not write resources of type %s.", k.Type)
	}
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Denied {
		for n := range o.Issues {
			o.Issues[n].Detail = LacksScope
		}
	}
	return err
}

// allowRole decides about what takes more than a scope: a role, or to be staff. It reports
// whether that decides.
func (s *Session) allowRole(i access.Interaction, typ string) (decided bool, err error) {
	switch i {
	case access.Purge, access.Reindex, access.Explain, ExplainAccess:
		if !s.grant.Has(access.Operate) {
			err = fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only who runs the server may do this.")
		}
		return true, err
	case InstallPackage:
		if !s.grant.Has(access.Administer) {
			err = fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only who keeps the definitions may install packages.")
		}
		return true, err
	case Match:
		if s.grant.Allow(access.SearchType, typ) == nil {
			return true, s.mayMatch("look for")
		}
	case Merge, Unmerge:
		if s.grant.Allow(access.Update, typ) == nil {
			return true, s.mayMerge()
		}
	}
	return false, nil
}

// asks returns the interaction, and the type that it is about, whose permission an operation takes.
func (s *Session) asks(i access.Interaction, typ string) (access.Interaction, string) {
	switch i {
	case Changes, Match:
		return access.SearchType, typ
	case MetaAdd, MetaDelete, Merge, Unmerge, Identify:
		return access.Update, typ
	case Meta, Due, Lookup, ValidateCode, Subsumes, Expand, Translate, AvailableActions, ThreadOperation, MarkRead, TriageOperation:
		return access.Read, typ
	case Retract: // who may send messages may take their own back
		if s.grant.Allow(access.Update, typ) != nil {
			return access.Create, typ
		}
		return access.Update, typ
	case ProcessResponse:
		return access.Create, "QuestionnaireResponse"
	case Everything, Summary:
		if s.grant.Allow(access.Read, typ) != nil {
			return access.Read, typ
		}
		return access.SearchType, typ
	case Validate, ValidateForm, Populate, Extract:
		return s.anyOf(typ), typ
	}
	return i, typ
}

// anyOf returns what the caller may do with resources of a type: operations that only
// look at what is sent are for who may create, change or read such resources.
func (s *Session) anyOf(typ string) access.Interaction {
	for _, i := range []access.Interaction{access.Create, access.Update} {
		if s.grant.Allow(i, typ) == nil {
			return i
		}
	}
	return access.Read
}

// grantFor returns the grant by which the caller reads k. Who reads themselves
// does so by whom they are, but for labels that hide it.
func (s *Session) grantFor(k fhir.Key) access.Grant {
	if !s.grant.ReadsSelf(k) {
		return s.grant
	}
	t := s.grant.Terms()
	self := access.Standing{All: true}
	if len(t.Standings) == 0 {
		self.Denied = access.DeniedLabels(nil, k.Type == "Patient")
	}
	for _, at := range t.Standings {
		self.Denied = append(self.Denied, at.Denied...)
	}
	t.Scopes = append(t.Scopes[:len(t.Scopes):len(t.Scopes)], access.Scope{Context: selfContext, Type: k.Type, Allows: access.MayRead})
	standings := map[access.Context]access.Standing{selfContext: self}
	for c, at := range t.Standings {
		standings[c] = at
	}
	t.Standings = standings
	return access.NewGrant(t)
}

// selfContext is none that a scope has.
const selfContext access.Context = 100

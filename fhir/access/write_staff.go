package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// mayAsStaff holds for staff, and for clients with no user.
func (r *writer) mayAsStaff() error {
	for _, rule := range [...]func() error{r.mayWriteType, r.mayChange, r.knowsPatients, r.speaksForAuthors} {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}

// mayWriteType guards the types that decide who sees what.
func (r *writer) mayWriteType() error {
	if r.grant.Has(Administer) {
		return nil
	}
	switch r.Type {
	case "Patient":
		return r.mayWritePatient()
	case "RelatedPerson", "Consent", "CareTeam", "EpisodeOfCare", "Group", "Person":
		patients, _ := r.Asks()
		if i := slices.IndexFunc(patients, func(of string) bool { return !r.all && !r.Records[of] }); i >= 0 {
			return r.denied(r.Type, "Whoever writes a %s must have been given the record of every patient in it.", r.Type)
		}
	default:
		if isOpen(r.Type) {
			return r.denied(r.Type, "A %s is seen by all: only who administers the server writes it.", r.Type)
		}
	}
	return nil
}

// mayChange guards what is there already. Whoever was only shown something, as with
// a referral, does not change it: it takes the record, or to take part. And what
// somebody has said, only their side changes; nobody else deletes what they asked
// for.
func (r *writer) mayChange() error {
	switch {
	case r.Old == nil || r.all || isOpen(r.Type):
		return nil
	case !r.takesPart(r.Old):
		return r.denied(r.Type, "You may see this %s, but not change it: that is for who takes part in it, or was given the record.", r.Type)
	case r.Meta || r.grant.Has(Administer) || len(r.Old.Authors) == 0 || slices.ContainsFunc(r.Old.Authors, r.isOfSide):
		return nil
	case r.New == nil || isStatement(r.Type):
		return r.denied(authorElement(r.Type), "Only who this %s is from, and their organisation, may change or delete it.", r.Type)
	}
	return nil
}

// isStatement reports whether resources of a type say what their authors have
// said. Others are worked on by who was asked to.
func isStatement(typ string) bool {
	switch typ {
	case "Communication", "CommunicationRequest", "DocumentReference", "Provenance", "QuestionnaireResponse":
		return true
	}
	return false
}

// takesPart reports whether a party of the writer is among what c names, wrote it,
// or was given the record that it is part of.
func (r *writer) takesPart(c *Content) bool {
	own := slices.DeleteFunc(slices.Clone(r.own), func(k Key) bool { return k.Kind != Party && k.Kind != Author })
	return intersects(c.Keys, own) || c.Given != nil && c.Given(own)
}

// isOfSide reports whether an author is the writer, or a colleague.
func (r *writer) isOfSide(author fhir.Key) bool {
	return r.speaksFor(author) || author.Type != "Patient" && author.Type != "RelatedPerson" && r.Authors[author]
}

// mayWritePatient lets the practice where a patient is registered write the
// Patient.
func (r *writer) mayWritePatient() error {
	for _, c := range [...]*Content{r.Old, r.New} {
		if c != nil && !r.manages(c) {
			return r.denied("Patient.managingOrganization", "A Patient is written by those whose organisation is its managing organisation or a general practitioner of it, before and after.")
		}
	}
	was := ""
	if r.Old != nil {
		was = r.Old.Link
	}
	if r.New != nil && r.New.Link != was {
		return r.denied("Patient.link", "Leave the links of a Patient as they are: only who administers the server links patients.")
	}
	return nil
}

// knowsPatients sees to it that nobody writes about patients that they do not see,
// but for what they take part in and goes on being about the same ones.
func (r *writer) knowsPatients() error {
	if r.New == nil || r.Type == "Patient" || r.all {
		return nil
	}
	for _, of := range append(Subjects(r.New.named()), r.New.Members...) {
		if !r.Patients[of] && !r.goesOn(of) {
			return r.denied(r.Type, "You may not write about this patient, or there is no such patient: check the references to patients.")
		}
	}
	return nil
}

// goesOn reports whether the version before was about a patient, too, and had a
// party of the writer that the new one has as well.
func (r *writer) goesOn(patient string) bool {
	if r.Old == nil || !slices.Contains(Subjects(r.Old.named()), patient) {
		return false
	}
	return slices.ContainsFunc(r.New.Keys, func(k Key) bool {
		return k.Kind == Party && slices.Contains(r.own, k) && slices.Contains(r.Old.Keys, k)
	})
}

// speaksForAuthors sees to it that nobody speaks for others: neither says that
// something is from them nor that something of theirs is not.
func (r *writer) speaksForAuthors() error {
	if r.New == nil {
		return nil
	}
	var before []fhir.Key
	if r.Old != nil {
		before = r.Old.Authors
	}
	for _, change := range [...][2][]fhir.Key{{r.New.Authors, before}, {before, r.New.Authors}} {
		for _, k := range change[0] {
			if !slices.Contains(change[1], k) && !r.speaksFor(k) {
				return r.denied(authorElement(r.Type), "You may not speak for whom this is from: name yourself, your role, or your organisation.")
			}
		}
	}
	return nil
}

// speaksFor reports whether the writer may say that something is from k. A person
// speaks for that person, their roles and organisations; a client for whoever is
// of its organisations; and with the roles for it, a person for colleagues and
// either for a patient.
func (r *writer) speaksFor(k fhir.Key) bool {
	switch {
	case k == r.terms.User, slices.Contains(r.own, Key{Party, k.String()}):
		return true
	case k.Type == "Patient" || k.Type == "RelatedPerson":
		return r.grant.Has(AssertPatient) && (r.Authors[k] || r.Patients[k.String()] || r.all)
	case r.terms.User.ID == "":
		return r.Authors[k] || r.all
	}
	return r.grant.Has(AssertAuthor) && r.Authors[k]
}

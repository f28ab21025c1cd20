package interaction

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// byPatient reports whether a patient, or who acts for one, is the caller, as the rules of
// access have it.
func (s *Session) byPatient() bool {
	if s.grant.IsTrusted() {
		return false
	}
	switch t := s.grant.Terms(); t.User.Type {
	case "Practitioner", "PractitionerRole":
		return false
	case "":
		return t.Patient.ID != ""
	}
	return true
}

// approaches reports whether patients may turn to others by resources of a type.
func approaches(typ string) bool {
	switch typ {
	case "Appointment", "Communication", "CommunicationRequest", "DocumentReference", "Task":
		return true
	}
	return false
}

// approach sees to it that patients turn only to those who know them: where they are registered,
// who has a Task with them, and whose diary they book in. A message in a conversation and the
// answers that start one have rules of their own.
func (k *talk) approach(ctx context.Context, parts []*part) error {
	if !k.byPatient() {
		return nil
	}
	for _, p := range parts {
		if !approaches(p.Key.Type) || p.interaction == access.Delete || p.err != nil || p.answered || p.proposal.said {
			continue
		}
		if err := refuse(p, k.approached(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

// approached judges one.
func (k *talk) approached(ctx context.Context, p *part) error {
	next := p.proposal.resource
	if err := mayBegin(p); err != nil {
		return err
	}
	to, err := k.addressed(p.key, next)
	if err != nil {
		return err
	}
	if p.proposal.old != nil {
		before, err := k.addressed(p.key, p.proposal.old.resource)
		if err != nil {
			return err
		}
		to = slices.DeleteFunc(to, func(who fhir.Key) bool { return slices.Contains(before, who) })
	}
	known, err := k.acquaintances(ctx, p, to)
	if err != nil {
		return err
	}
	for _, who := range to {
		if !slices.Contains(known, who) {
			o := fhir.Errorf(fhir.Denied, fhir.Forbidden, next.Type(), "A patient turns to the practice where they are registered, and to those who have a Task with them: name nobody else in this %s, or start a consultation with them by their form.", next.Type())
			o.Issues[0].Detail = "recipient-not-known"
			return o
		}
	}
	return nil
}

// mayBegin sees to it that patients begin only Tasks of the kinds that are for patients to begin.
func mayBegin(p *part) error {
	if p.Key.Type != "Task" || p.proposal.old != nil {
		return nil
	}
	kind, err := consultation.KindOf(p.proposal.resource.Root())
	if err != nil {
		return err
	}
	switch kind {
	case "", consultation.Consultation, consultation.PrescriptionReissue, consultation.Abort:
		return nil
	}
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "Task.code", "A patient asks for a repeat prescription, for a consultation, or to stop one; ask the practice for anything else.")
	o.Issues[0].Detail = "transition-not-permitted-for-role"
	return o
}

// addressed returns who takes part in a resource beside patients, in order.
func (k *talk) addressed(key fhir.Key, r *fhir.Resource) ([]fhir.Key, error) {
	ix, err := k.Engine.store.Registry().Index(r.Root(), key.ID)
	if err != nil {
		return nil, fmt.Errorf("index a %s: %w", key.Type, err)
	}
	var all []fhir.Key
	c := access.NewContent(ix, r.Root())
	for _, of := range append(slices.Clone(c.Keys), c.Sent...) {
		ref, ok := fhir.ParseReference(of.Of)
		if ok && of.Kind == access.Party && !slices.Contains(k.speaker.Persons, ref.Key) {
			all = add(all, ref.Key)
		}
	}
	return all, nil
}

// acquaintances returns those of some whom the patients of the caller may turn to in p.
func (k *talk) acquaintances(ctx context.Context, p *part, of []fhir.Key) (known []fhir.Key, err error) {
	if len(of) == 0 {
		return nil, nil
	}
	homes, err := k.standsFor(ctx, k.at, of)
	if err != nil {
		return nil, err
	}
	own := k.patients()
	circle, err := k.registered(ctx, own)
	if err != nil {
		return nil, err
	}
	if p.Key.Type == "Appointment" {
		// Where it holds no Slots a client may have written whom it is booked with.
		if a := consultation.ReadAppointment(p.proposal.resource, k.base()); a.Holds() != "" && a.With.ID != "" {
			circle = append(circle, a.With)
		}
	}
	kind, _ := consultation.KindOf(p.proposal.resource.Root())
	for _, who := range of {
		ok := slices.Contains(circle, who) || slices.Contains(circle, homes[who]) || slices.Contains(own, homes[who]) ||
			p.Key.Type == "Task" && kind == consultation.Consultation && who.Type == "HealthcareService" && homes[who].ID != ""
		if !ok {
			if ok, err = k.meets(ctx, who, homes[who], circle); err != nil {
				return nil, err
			}
		}
		if ok {
			known = append(known, who)
		}
	}
	return known, nil
}

// patients returns the patients that the caller acts for.
func (k *talk) patients() []fhir.Key {
	all := slices.Clone(k.speaker.Proxies)
	for _, who := range append(slices.Clone(k.speaker.Persons), k.grant.Terms().Patient) {
		if who.Type == "Patient" && who.ID != "" {
			all = add(all, who)
		}
	}
	return all
}

// mayName reports whether somebody may write about the patient that a Reference names, as far as
// that depends on whether they are a patient. What is known of others is not to be told by how
// such a write is refused.
func (k *talk) mayName(subject fhir.Node) bool {
	who := k.referred(subject, "Patient")
	return who.ID == "" || !k.byPatient() || who == k.speaker.lapsed || slices.Contains(k.patients(), who)
}

// registered returns the organisations of the practices where patients are registered, and those
// who treat them there.
func (k *talk) registered(ctx context.Context, patients []fhir.Key) ([]fhir.Key, error) {
	found, err := k.at.Current(ctx, patients)
	if err != nil {
		return nil, err
	}
	var all []fhir.Key
	for _, of := range patients {
		v, err := formerly(found[of])
		if err != nil {
			return nil, fmt.Errorf("decode a Patient: %w", err)
		}
		if v == nil {
			continue
		}
		root := v.resource.Root()
		all = add(all, k.referred(root.Child("managingOrganization"), "Organization"))
		for n := range root.Each("generalPractitioner") {
			for _, typ := range []string{"Organization", "PractitionerRole", "Practitioner"} {
				all = add(all, k.referred(n, typ))
			}
		}
	}
	homes, err := k.standsFor(ctx, k.at, all)
	for _, home := range homes {
		all = add(all, home)
	}
	return slices.DeleteFunc(all, func(k fhir.Key) bool { return k.ID == "" }), err
}

// meets reports whether somebody has a Task with one of the patients of the caller, or is a
// person who works in one of some organisations.
func (k *talk) meets(ctx context.Context, who, home fhir.Key, circle []fhir.Key) (bool, error) {
	patients := k.patients()
	if len(patients) == 0 {
		return false, nil
	}
	for _, role := range []string{"owner", "requester"} {
		parties := add(add(nil, who), home)
		if role == "requester" { // which is no service and no team: https://hl7.org/fhir/R4/task.html
			parties = slices.DeleteFunc(parties, func(k fhir.Key) bool { return k.Type == "HealthcareService" || k.Type == "CareTeam" })
		}
		if len(parties) == 0 {
			continue
		}
		found, err := k.at.Matching(ctx, "Task", "patient="+listed(patients)+"&"+role+"="+listed(parties), 1)
		if len(found) > 0 || err != nil {
			return err == nil, err
		}
	}
	places := slices.DeleteFunc(slices.Clone(circle), func(k fhir.Key) bool { return k.Type != "Organization" })
	if who.Type != "Practitioner" || len(places) == 0 {
		return false, nil
	}
	found, err := k.at.Matching(ctx, "PractitionerRole", "practitioner="+who.String()+"&organization="+listed(places)+"&active:not=false", 1)
	return len(found) > 0, err
}

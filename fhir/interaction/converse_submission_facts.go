package interaction

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// submitted collects what a response that starts a consultation is judged by. Known is the Task
// that its sender has started under the same identifier; nil for none.
func (k *talk) submitted(ctx context.Context, p *part, f *startingForm) (in consultation.Submission, known *former, err error) {
	if p.proposal.notes, err = k.check(ctx, p.proposal); err != nil {
		return in, nil, err
	}
	p.proposal.checked = true
	r := p.proposal.resource
	in = consultation.Submission{Response: r, Base: k.base(), Form: f.root, Now: k.now,
		Triage: f.rules.Evaluate(r.Root(), consultation.TriageEnv{Now: k.now, Demo: k.conversation.Demo})}
	p.proposal.detail = triaged(in.Triage)
	in.IDs, in.Author = k.submissionIDs(p), k.writerOf(r)
	if err := k.foresee(ctx, p, in); err != nil {
		return in, nil, err
	}
	to, err := k.addressees(ctx, in)
	if err != nil {
		return in, nil, err
	}
	if in.Unscanned, err = k.answersAttached(ctx, k.at, r); err != nil {
		return in, nil, err
	}
	in.Identity = consultation.IdentityUnverified
	if in.Patient = partyOf(r.Root().Child("subject"), to.patient); in.Patient.Reference != "" {
		in.Identity = consultation.IdentityTraced
		if k.speaker.isPatient() {
			in.Identity = consultation.IdentityVerified
		}
	}
	if in.Patient.IsZero() && k.speaker.isPatient() {
		in.Patient = k.self()
	}
	owner, err := k.owner(r, to.patient, to.service)
	if err != nil {
		return in, nil, err
	}
	in.Owner = consultation.Party{Reference: owner.String()}
	if err := k.expect(ctx, &in, to.service, owner); err != nil {
		return in, nil, err
	}
	if to.known == nil {
		in.Duplicates, err = k.duplicates(ctx, p, in)
	}
	return in, to.known, err
}

// triaged returns what the audit says of a triage.
func triaged(t consultation.Triage) map[string]string {
	var fired []string
	for _, r := range t.Counting() {
		fired = append(fired, r.Rule)
	}
	if fired == nil {
		return nil
	}
	detail := map[string]string{"triage-rule-fired": strings.Join(fired, " ")}
	if t.Diverts() {
		detail["diversion-shown"] = "true"
	}
	return detail
}

// self returns the patient whom the caller acts for when a response names none.
func (k *talk) self() consultation.Party {
	if t := k.grant.Terms(); t.Patient.ID != "" {
		return consultation.Party{Reference: t.Patient.String()}
	}
	return consultation.Party{}
}

// An addressed is what a response is about and sent to, as far as it is there.
type addressed struct {
	patient, service fhir.Node
	known            *former // the Task that has come of one with the same identifier
}

// A naming is what a response names: whom it is about, the service that it is sent to, and the
// Task that comes of its identifier. Each may be empty.
type naming struct{ patient, service, task fhir.Key }

func (m naming) keys() []fhir.Key { return add(add(add(nil, m.patient), m.service), m.task) }

func (k *talk) mentioned(in consultation.Submission) (m naming) {
	root := in.Response.Root()
	if m.patient = k.referred(root.Child("subject"), "Patient"); m.patient.ID == "" && k.speaker.isPatient() {
		m.patient = k.grant.Terms().Patient
	}
	m.service = consultation.ChosenService(root, k.base())
	if root.Child("identifier").HasValue() {
		m.task = fhir.Key{Type: "Task", ID: in.IDs.Task}
	}
	return m
}

// foresee finds out what is known to be asked about a response, where that is cheaper than to ask
// one thing after the other.
func (k *talk) foresee(ctx context.Context, p *part, in consultation.Submission) error {
	f, is := k.at.(*foresight)
	if !is || len(k.parts) > 1 {
		return nil
	}
	m := k.mentioned(in)
	g := store.Gathering{Current: m.keys(), Recent: k.recent(m.patient)}
	for _, file := range k.namedBinaries(in.Response) {
		g.Current = add(g.Current, file)
	}
	if in.Patient = partyOf(in.Response.Root().Child("subject"), fhir.Node{}); in.Patient.IsZero() {
		in.Patient = k.self()
	}
	kept, err := consultation.Draft(in)
	if err != nil {
		return err
	}
	r, err := fhir.DecodeDerived(kept.Type, kept.JSON)
	if err != nil {
		return fmt.Errorf("read a response that the server has completed: %w", err)
	}
	if g.Known, err = k.questionsAbout(p.proposal, r); err != nil {
		return err
	}
	if k.Receipt != nil {
		g.Holder, g.Key = k.holder(), k.Receipt.Key
	}
	if err := f.foresee(ctx, g); err != nil {
		return err
	}
	if f.found.Received {
		return store.ErrReceived
	}
	return nil
}

// addressees looks that up, in one round trip.
func (k *talk) addressees(ctx context.Context, in consultation.Submission) (to addressed, err error) {
	m := k.mentioned(in)
	ask := m.keys()
	if len(ask) == 0 {
		return to, nil
	}
	found, err := k.at.Current(ctx, ask)
	if err != nil {
		return to, err
	}
	for key, give := range map[fhir.Key]func(*former){
		m.patient: func(v *former) { to.patient = v.resource.Root() },
		m.service: func(v *former) { to.service = v.resource.Root() },
		m.task:    func(v *former) { to.known = v },
	} {
		v, err := formerly(found[key])
		if err != nil {
			return to, fmt.Errorf("decode a %s: %w", key.Type, err)
		}
		if v != nil {
			give(v)
		}
	}
	return to, nil
}

// partyOf returns the patient whom a response is about: as they are known here, or as they are
// described.
func partyOf(subject, patient fhir.Node) consultation.Party {
	p := consultation.Party{Reference: subject.Child("reference").Text(), Display: subject.Child("display").Text()}
	if id := subject.Child("identifier"); !id.IsZero() {
		p.System, p.Value = id.Child("system").Text(), id.Child("value").Text()
	}
	if patient.IsZero() {
		return p
	}
	p.Reference = "Patient/" + patient.Child("id").Text()
	for id := range patient.Each("identifier") {
		if id.Child("system").Text() == nhsNumber {
			p.System, p.Value = nhsNumber, id.Child("value").Text()
		}
	}
	if name := patient.Child("name"); !name.IsZero() {
		p.Display = strings.TrimSpace(name.Child("given").Text() + " " + name.Child("family").Text())
	}
	return p
}

// nhsNumber is the identifier system of patients in England.
const nhsNumber = "https://fhir.nhs.uk/Id/nhs-number"

// writerOf says who has written a response, and who has typed it.
func (k *talk) writerOf(r *fhir.Resource) consultation.Author {
	t := k.grant.Terms()
	a := consultation.Author{Client: k.grant.Client()}
	if k.speaker.isPatient() {
		a.Writer = consultation.Party{Reference: t.User.String()}
		a.LapsedProxy = k.speaker.lapsed.ID != ""
		return a
	}
	if writer := k.from(r); writer.ID != "" {
		a.Writer = consultation.Party{Reference: writer.String()}
	}
	named := k.staff(r.Root().Child("author"))
	switch {
	case k.speaker.trusted || k.speaker.client:
		if named.ID != "" {
			a.Enterer = consultation.Party{Reference: named.String()}
		}
		if k.speaker.client && len(t.Organizations) == 1 {
			a.Organization = consultation.Party{Reference: "Organization/" + t.Organizations[0]}
		}
		return a
	}
	c := consultation.Conversation{}
	c.Task.Owner = k.workplace()
	a.Enterer = k.speaker.as(&c, fhir.Key{})
	if slices.Contains(k.speaker.Persons, named) {
		a.Enterer = consultation.Party{Reference: named.String()}
	}
	if c.Task.Owner.ID != "" {
		a.Organization = consultation.Party{Reference: c.Task.Owner.String()}
	}
	return a
}

// from returns the patient, or who acts for one, whose answers a response has.
func (k *talk) from(r *fhir.Resource) fhir.Key {
	for _, name := range []string{"source", "author"} {
		if who := k.person(r.Root().Child(name)); who.ID != "" {
			return who
		}
	}
	return k.referred(r.Root().Child("subject"), "Patient")
}

// staff returns the member of staff that a Reference names.
func (e *Engine) staff(n fhir.Node) fhir.Key {
	for _, typ := range []string{"PractitionerRole", "Practitioner"} {
		if k := e.referred(n, typ); k.ID != "" {
			return k
		}
	}
	return fhir.Key{}
}

// workplace returns the first organisation that the caller is of.
func (k *talk) workplace() fhir.Key {
	for _, m := range k.speaker.Memberships {
		if m.Of.Type == "Organization" {
			return m.Of
		}
	}
	return fhir.Key{}
}

// person returns the patient or related person that a Reference names.
func (e *Engine) person(n fhir.Node) fhir.Key {
	for _, typ := range []string{"Patient", "RelatedPerson"} {
		if k := e.referred(n, typ); k.ID != "" {
			return k
		}
	}
	return fhir.Key{}
}

// owner returns who must answer a response.
func (k *talk) owner(r *fhir.Resource, patient, service fhir.Node) (fhir.Key, error) {
	d := consultation.Destination{Chosen: consultation.ChosenService(r.Root(), k.base()), Service: service, Patient: patient, Base: k.base()}
	if !k.speaker.isPatient() {
		d.Entered = k.workplace()
	}
	return consultation.ChooseOwner(d)
}

// expect says by when a submission is to be answered. One to a service that never opens is
// stored all the same, without a due time.
func (k *talk) expect(ctx context.Context, in *consultation.Submission, service fhir.Node, owner fhir.Key) error {
	at := owner
	if !service.IsZero() {
		at = fhir.Key{Type: "HealthcareService", ID: service.Child("id").Text()}
		in.Service = consultation.Party{Reference: at.String()}
	}
	hours, err := k.hoursOf(ctx, k.at, at)
	if err != nil {
		return err
	}
	d, err := hours.Deadline(consultation.Question{Kind: string(consultation.Consultation), Priority: in.Triage.Priority, Start: k.now})
	if err != nil {
		in.Closed = true
		return ignoreOutcome(err)
	}
	in.Due, in.Closed = d.Due, !d.Open
	return nil
}

// maxDuplicates bounds how many earlier responses of a patient are compared.
const maxDuplicates = 50

// recent asks for the responses about a patient of the last day; for none without a patient.
func (k *talk) recent(patient fhir.Key) store.Recent {
	if patient.ID == "" {
		return store.Recent{}
	}
	return store.Recent{Type: "QuestionnaireResponse", Where: "subject=" + patient.String(), Since: k.now.Add(-24 * time.Hour), Most: maxDuplicates}
}

// lately returns those responses, of which some may be about others.
func (k *talk) lately(ctx context.Context, patient fhir.Key) ([]store.Version, error) {
	ask := k.recent(patient)
	if f, is := k.at.(*foresight); is && f.found != nil && f.foreseen.Recent == ask {
		return f.found.Recent, nil
	}
	since := "&_lastUpdated=ge" + ask.Since.UTC().Format("2006-01-02T15:04:05Z")
	return k.at.Matching(ctx, ask.Type, ask.Where+since, ask.Most)
}

// duplicates returns the consultations of the last day that say nearly the same.
func (k *talk) duplicates(ctx context.Context, p *part, in consultation.Submission) ([]fhir.Key, error) {
	patient := k.mentioned(in).patient
	if patient.ID == "" {
		return nil, nil
	}
	found, err := k.lately(ctx, patient)
	if err != nil {
		return nil, err
	}
	var alike []fhir.Key
	for _, v := range found {
		if v.Key == p.key {
			continue
		}
		r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode a QuestionnaireResponse: %w", err)
		}
		is := isSubmitted(r.Root().Child("status").Text()) && k.referred(r.Root().Child("subject"), "Patient") == patient
		if is && consultation.NearlyIdentical(r.Root(), in.Response.Root()) {
			alike = append(alike, v.Key)
		}
	}
	return k.farthestAbout(ctx, alike)
}

// farthestAbout returns for each of some responses the consultation about it, of several the one that
// has come farthest. It takes one round trip.
func (k *talk) farthestAbout(ctx context.Context, responses []fhir.Key) ([]fhir.Key, error) {
	if len(responses) == 0 {
		return nil, nil
	}
	tasks, err := k.at.Matching(ctx, "Task", "focus="+listed(responses)+"&code="+url.QueryEscape(consultation.KindSystem+"|"+string(consultation.Consultation)), mostAbout)
	if err != nil {
		return nil, err
	}
	best := map[fhir.Key]*former{}
	for i := range tasks {
		v, err := formerly(&tasks[i])
		if err != nil {
			return nil, fmt.Errorf("decode a Task: %w", err)
		}
		of := k.referred(v.resource.Root().Child("focus"), "QuestionnaireResponse")
		if best[of] == nil || progress(v) > progress(best[of]) {
			best[of] = v
		}
	}
	var all []fhir.Key
	for _, of := range responses {
		if best[of] != nil {
			all = append(all, best[of].Key)
		}
	}
	return all, nil
}

package consultation

import (
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// response returns the response as it is stored.
func (s Submission) response() (Authored, error) {
	doc, err := openDocument(s.Response.Root())
	if err != nil {
		return Authored{}, err
	}
	doc.setText("id", s.IDs.Response)
	writer, author := s.Author.Writer.wire(), s.Author.Enterer.wire()
	if author == nil {
		author = writer
	}
	for _, e := range []struct {
		name string
		who  *wireReference
	}{{"subject", s.Patient.wire()}, {"author", author}, {"source", writer}} {
		if e.who != nil && doc.get(e.name) == nil {
			doc.setWire(e.name, e.who)
		}
	}
	if doc.get("authored") == nil && !s.Now.IsZero() {
		doc.setText("authored", dateTime(s.Now))
	}
	return Authored{"QuestionnaireResponse", s.IDs.Response, doc.bytes()}, nil
}

// Draft returns what is kept of a response that its sender goes on with: with subject, author
// and source where they are left out, so that it is known whose it is. Of a Submission it looks
// at Response, Author, Patient and IDs.Response.
func Draft(s Submission) (Authored, error) {
	s.Now = time.Time{}
	return s.response()
}

const identityStateURL = extensionBase + "identity-state"

// task returns the Task of a consultation.
func (s Submission) task() wireTask {
	at := dateTime(s.Now)
	status := s.businessStatus()
	thread := wireIdentifier{ConsultationIDSystem, s.IDs.Thread}
	t := wireTask{
		ResourceType: "Task", ID: s.IDs.Task, Meta: wireMeta{Profile: []string{ukCore + "Task"}},
		Extension:  s.Triage.outcomes(),
		Identifier: []wireIdentifier{thread}, GroupIdentifier: &thread,
		Status: string(StatusRequested), BusinessStatus: &status, Intent: "order", Priority: s.Triage.Priority,
		Code:       s.code(),
		Focus:      &wireReference{Reference: "QuestionnaireResponse/" + s.IDs.Response, Type: "QuestionnaireResponse"},
		For:        s.Patient.wire(),
		AuthoredOn: at, LastModified: at,
		Requester:   s.reader().wire(),
		Owner:       s.Owner.wire(),
		Restriction: &wireRestriction{wirePeriod{Start: at, End: dateTime(s.Due)}},
		Input:       s.inputs(),
	}
	if s.unverified() {
		t.Extension = append(t.Extension, wireExtension{URL: identityStateURL, ValueCode: string(IdentityUnverified)})
	}
	return t
}

// outcomes returns an extension for each rule that counts.
func (t Triage) outcomes() []wireExtension {
	var all []wireExtension
	for _, r := range t.Counting() {
		e := wireExtension{URL: TriageOutcomeURL, Extension: []wireExtension{
			{URL: "rule", ValueID: r.Rule},
			{URL: "questionnaire", ValueCanonical: t.Questionnaire},
		}}
		if r.Disposition != (Coded{}) {
			e.Extension = append(e.Extension, wireExtension{URL: "disposition", ValueCoding: &r.Disposition})
		}
		if r.Verdict == Failed {
			e.Extension = append(e.Extension, wireExtension{URL: "failed", ValueBoolean: true})
		}
		e.Extension = append(e.Extension, wireExtension{URL: "evaluatedAt", ValueDateTime: instant(t.At)})
		all = append(all, e)
	}
	return all
}

// code returns the kind, and what SNOMED CT calls the form.
func (s Submission) code() wireConcept {
	c := conceptOf(KindSystem, string(Consultation), "")
	for form := range s.Form.Each("code") {
		if form.Child("system").Text() == snomedSystem {
			c.Coding = append(c.Coding, Coded{System: snomedSystem, Code: form.Child("code").Text()})
			break
		}
	}
	return c
}

func (s Submission) version() string {
	return "QuestionnaireResponse/" + s.IDs.Response + "/_history/" + s.IDs.Version
}

func (s Submission) inputs() []wireInput {
	all := []wireInput{inputReference("questionnaire-response", s.version())}
	if s.Service.Reference != "" {
		all = append(all, inputReference("healthcare-service", s.Service.Reference))
	}
	for _, d := range s.Duplicates {
		all = append(all, inputReference(PossibleDuplicate, d.String()))
	}
	return append(all, s.Triage.flagInputs()...)
}

// flagInputs returns an input for each red flag.
func (t Triage) flagInputs() []wireInput {
	var all []wireInput
	for _, f := range t.RedFlags() {
		concept := wireConcept{Coding: []Coded{f}}
		if f.Code == "" {
			concept = wireConcept{Text: f.Display}
		}
		all = append(all, wireInput{Type: conceptOf(TaskIOSystem, "red-flag", ""), Concept: &concept})
	}
	return all
}

func inputReference(kind, reference string) wireInput {
	return wireInput{Type: conceptOf(TaskIOSystem, kind, ""), Ref: &wireReference{Reference: reference}}
}

// acknowledgement returns the message that tells the sender what happens now.
func (s Submission) acknowledgement(to Party) wireCommunication {
	at := dateTime(s.Now)
	task := wireReference{Reference: "Task/" + s.IDs.Task}
	return wireCommunication{
		ResourceType: "Communication", ID: s.IDs.Acknowledgement, Meta: wireMeta{Profile: []string{ukCore + "Communication"}},
		Extension:  s.onBehalf(),
		Identifier: []wireIdentifier{{MessageIDSystem, s.IDs.Message}, {ThreadSystem, s.IDs.Thread}},
		PartOf:     []wireReference{task}, Status: "completed",
		Category:  []wireConcept{conceptOf(CategorySystem, "acknowledgement", "")},
		Priority:  s.Triage.Priority,
		Subject:   s.Patient.wire(),
		About:     []wireReference{task, {Reference: "QuestionnaireResponse/" + s.IDs.Response}},
		Sent:      at,
		Received:  at,
		Recipient: []wireReference{*to.wire()},
		Sender:    &wireReference{Reference: serverDevice},
		Payload:   []wirePayload{{s.text()}},
	}
}

// onBehalf says for whom the acknowledgement was sent: who has to answer may see what the patient
// was told.
func (s Submission) onBehalf() []wireExtension {
	if s.Owner.Reference == "" {
		return nil
	}
	return []wireExtension{{URL: MessageSenderURL, ValueReference: &wireReference{Reference: s.Owner.Reference}}}
}

// text returns what the acknowledgement says: what the rules tell the patient, that nobody
// has read the request yet, and when the answer is expected.
func (s Submission) text() string {
	parts := s.Triage.PatientMessages()
	if s.Closed {
		parts = append(parts, closedText)
	}
	parts = append(parts, "The practice has received your request. Nobody has read what you wrote yet.")
	if !s.Due.IsZero() {
		parts = append(parts, "You can expect an answer by "+s.Due.Format("15:04 on Monday 2 January 2006")+".")
	}
	return strings.Join(parts, "\n\n")
}

const closedText = "The practice is closed now. If it cannot wait until it opens call 111, or 999 in an emergency."

// receipt returns the receipt Task of the acknowledgement. Who has no inbox here reads
// nothing here.
func (s Submission) receipt(to Party) []Authored {
	if to.Reference == "" {
		return nil
	}
	t := wireReceipt(receiptFacts{
		id: s.IDs.Receipt, message: s.IDs.Acknowledgement, task: s.IDs.Task,
		owner: *to.wire(), patient: s.Patient.wire(), priority: s.Triage.Priority, now: s.Now,
	})
	return []Authored{{"Task", s.IDs.Receipt, encode(t)}}
}

// provenance returns who has written the response, by what, and who typed it.
func (s Submission) provenance(activity string, occurred time.Time) wireProvenance {
	version := wireReference{Reference: s.version()}
	concept := conceptOf("http://terminology.hl7.org/CodeSystem/v3-DataOperation", activity, "")
	return wireProvenance{
		ResourceType: "Provenance", ID: s.IDs.Provenance, Meta: wireMeta{Profile: []string{ukCore + "Provenance"}},
		Target:   []wireReference{version, {Reference: "Task/" + s.IDs.Task}},
		Occurred: dateTime(occurred), Recorded: instant(s.Now), Activity: &concept,
		Agent:  s.Author.agents(s.reader()),
		Entity: []wireEntity{{"source", version}},
	}
}

// agents returns who took part in writing something.
func (a Author) agents(writer Party) []wireAgent {
	var all []wireAgent
	if who := writer.wire(); who != nil {
		all = append(all, wireAgent{Type: conceptOf(participantSystem, "author", ""), Who: *who})
	}
	if who := a.Enterer.wire(); who != nil {
		all = append(all, wireAgent{Type: conceptOf(participantSystem, "enterer", ""), Who: *who})
	}
	app := wireReference{Type: "Device", Display: a.ClientName}
	if a.Client != "" {
		app.Identifier = &wireIdentifier{clientIDSystem, a.Client}
	} else {
		app.Reference = serverDevice
	}
	return append(all, wireAgent{Type: conceptOf(participantSystem, "assembler", ""), Who: app, OnBehalfOf: a.Organization.wire()})
}

// advice returns what the answer to the submission shows at any hour.
func (s Submission) advice() []fhir.Issue {
	var all []fhir.Issue
	for _, text := range s.Triage.PatientMessages() {
		all = append(all, fhir.Issue{Severity: fhir.Information, Code: fhir.Informational, Detail: "emergency-advice", Text: text})
	}
	if s.Closed {
		text := closedText
		if !s.Due.IsZero() {
			text += fmt.Sprintf(" Your request is stored; an answer is due by %s.", s.Due.Format("15:04 on Monday 2 January 2006"))
		}
		all = append(all, fhir.Issue{Severity: fhir.Information, Code: fhir.Informational, Detail: "outside-hours", Text: text})
	}
	return all
}

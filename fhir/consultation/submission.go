package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Identity says how sure it is who the patient is.
type Identity string

// The identities. The zero value is taken for IdentityUnverified.
const (
	IdentityVerified   Identity = "verified"   // the patient has signed in
	IdentityTraced     Identity = "traced"     // found by what they said of themselves
	IdentityUnverified Identity = "unverified" // nothing of the record is shown to the sender
)

// The business statuses of a consultation. Of those that apply it has the first.
const (
	DivertedEmergency   = "diverted-emergency"
	IdentityNotVerified = "identity-unverified"
	PossibleDuplicate   = "possible-duplicate"
	AwaitingScan        = "awaiting-scan"
	New                 = "new"
)

// A Submission is a completed response that starts a consultation, and what is known of it.
// The response has been checked against its form.
type Submission struct {
	Response   *fhir.Resource
	Base       string    // the address of this server
	Form       fhir.Node // its Questionnaire
	Triage     Triage    // what the rules of the form say
	Author     Author
	Patient    Party // Task.for; nobody when not even a name is known
	Owner      Party // the organisation that must answer
	Service    Party // the HealthcareService that was chosen; may be nobody
	Identity   Identity
	Duplicates []fhir.Key // Tasks of earlier responses that are [NearlyIdentical]
	Unscanned  bool       // an attachment has not been scanned yet
	Due        time.Time  // when the answer is due, in the zone of the practice
	Closed     bool       // the practice is closed now
	Now        time.Time
	IDs        SubmissionIDs
}

// SubmissionIDs are the ids of what is written for a submission. Logical ids are those of
// resources that do not exist yet.
type SubmissionIDs struct {
	Response, Task, Acknowledgement, Receipt, Provenance string // logical ids
	Version                                              string // of the response that is stored: "1"
	Thread, Message                                      string // values of identifiers, UUIDs
}

// An Author says who has written something, and by what.
type Author struct {
	Writer       Party  // the patient, a proxy, or the clinician that a client names within its rights
	LapsedProxy  bool   // the writer is a RelatedPerson whose Consent is not active now
	Enterer      Party  // the member of staff who typed it for the writer; may be nobody
	Client       string // client_id of the app or product
	ClientName   string // may be empty
	Organization Party  // that the client is bound to; may be nobody
}

// A Submitted is what is to be written in one transaction with the response.
type Submitted struct {
	Response        Authored // what the client sent, with subject, author (who has typed it), source and authored where it left them out
	Task            Authored
	Acknowledgement Authored   // a Communication
	Receipts        []Authored // Tasks
	Provenance      Authored
	Advice          []fhir.Issue // to be shown with the answer: emergency-advice for each red flag, outside-hours
}

// All returns the resources in the order in which they refer to one another.
func (s Submitted) All() []Authored {
	all := []Authored{s.Response, s.Task, s.Acknowledgement}
	all = append(append(all, s.Receipts...), s.Provenance)
	return slices.DeleteFunc(all, func(a Authored) bool { return a.JSON == nil })
}

// Submit returns what is written with a completed response. A patient who is diverted is
// stored and the practice told, like anybody else.
//
// It refuses by an [*fhir.Outcome] with the Detail proxy-not-active (class Denied),
// sender-mismatch (Denied: the response names another author or source), subject-mismatch
// (the response is about another patient), or triage-not-approved (the form has rules that
// nobody has approved, so its red flags would go unseen).
func Submit(s Submission) (Submitted, error) {
	if err := s.allowed(); err != nil {
		return Submitted{}, err
	}
	response, err := s.response()
	if err != nil {
		return Submitted{}, err
	}
	done := Submitted{
		Response:   response,
		Task:       Authored{"Task", s.IDs.Task, encode(s.task())},
		Provenance: Authored{"Provenance", s.IDs.Provenance, encode(s.provenance("CREATE", s.Now))},
		Advice:     s.advice(),
	}
	if to := s.reader(); !to.IsZero() {
		done.Acknowledgement = Authored{"Communication", s.IDs.Acknowledgement, encode(s.acknowledgement(to))}
		done.Receipts = s.receipt(to)
	}
	return done, nil
}

// allowed says whether the author may send the response.
func (s Submission) allowed() error {
	if s.Author.LapsedProxy {
		return errLapsedProxy()
	}
	for _, name := range []string{"author", "source"} {
		n := s.Response.Root().Child(name)
		if !n.IsZero() && !s.Author.is(target(n, s.Base)) {
			o := declined(fhir.Denied, fhir.Forbidden, "sender-mismatch", "The response names somebody else than the one who sends it; leave "+name+" out.")
			o.Issues[0].Expression = n.Path()
			return o
		}
	}
	if subject := s.Response.Root().Child("subject"); !subject.IsZero() && !s.isPatient(subject) {
		return refuse(fhir.BusinessRule, "subject-mismatch", subject.Path(), "The response is about another patient than its sender may speak for; correct the subject.")
	}
	return s.approved()
}

// isPatient reports whether a Reference names the patient. One whom nobody knows here is as
// the sender describes them.
func (s Submission) isPatient(subject fhir.Node) bool {
	if s.Patient.Reference == "" {
		return !subject.Child("reference").HasValue()
	}
	return target(subject, s.Base).String() == s.Patient.Reference
}

func (s Submission) approved() error {
	if s.Triage.IsApproved() {
		return nil
	}
	return refuse(fhir.BusinessRule, "triage-not-approved", "QuestionnaireResponse.questionnaire",
		"The triage rules of this form have not been approved for this version, so nobody may be asked to fill it in; ring the practice, and call 999 in an emergency.")
}

func errLapsedProxy() error {
	return declined(fhir.Denied, fhir.Forbidden, "proxy-not-active", "Nobody has agreed, or agrees any more, that you act for this patient; ask the practice to renew it.")
}

// is reports whether k is the writer or who typed it for them.
func (a Author) is(k fhir.Key) bool {
	return k.ID != "" && (k.String() == a.Writer.Reference || k.String() == a.Enterer.Reference)
}

// by returns who has typed a response.
func (a Author) by() Party {
	if !a.Enterer.IsZero() {
		return a.Enterer
	}
	return a.Writer
}

// reader returns who gets the acknowledgement.
func (s Submission) reader() Party {
	if !s.Author.Writer.IsZero() {
		return s.Author.Writer
	}
	return s.Patient
}

// businessStatus returns the first status that applies.
func (s Submission) businessStatus() wireConcept {
	switch {
	case s.Triage.Diverts():
		return businessStatus(DivertedEmergency)
	case s.unverified():
		return businessStatus(IdentityNotVerified)
	case len(s.Duplicates) > 0:
		return businessStatus(PossibleDuplicate)
	case s.Unscanned:
		return businessStatus(AwaitingScan)
	}
	return businessStatus(New)
}

func (s Submission) unverified() bool {
	return s.Identity != IdentityVerified && s.Identity != IdentityTraced
}

func businessStatus(code string) wireConcept {
	display := ""
	switch code {
	case DivertedEmergency:
		display = "Patient shown an emergency diversion; practice notified"
	case IdentityNotVerified:
		display = "Patient not identified yet"
	case PossibleDuplicate:
		display = "Much like an earlier request of the same patient"
	case AwaitingScan:
		display = "An attachment is being scanned"
	case New:
		display = "New"
	}
	return conceptOf(BusinessSystem, code, display)
}

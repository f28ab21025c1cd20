package consultation

import (
	"github.com/openconsult/openconsult/fhir"
)

// Base begins the canonical URLs of our own definitions.
const Base = "https://fhir.openconsult.example/"

// The code systems and extensions of a Task.
const (
	KindSystem            = Base + "CodeSystem/task-kind"              // of Task.code
	TaskIOSystem          = Base + "CodeSystem/task-io"                // of the type of inputs and outputs
	BusinessSystem        = Base + "CodeSystem/business-status"        // of Task.businessStatus of a consultation
	ReasonSystem          = Base + "CodeSystem/task-reason"            // of Task.statusReason that the server writes
	ReferralOutcomeSystem = Base + "CodeSystem/referral-outcome"       // of the outcome of a referral
	ThreadSystem          = Base + "Id/thread"                         // of Task.groupIdentifier
	TaskReplacesURL       = Base + "StructureDefinition/task-replaces" // the Task that this one was forwarded from
	TriageOutcomeURL      = Base + "StructureDefinition/triage-outcome"
	AllowedTransitionURL  = Base + "StructureDefinition/allowed-transition" // of an issue: a move that the caller may make
)

// The code systems of e-RS that advice and guidance uses.
const (
	AdviceStatusSystem   = "https://fhir.nhs.uk/STU3/CodeSystem/eRS-AdviceAndGuidanceStatus-1"
	AdviceOutcomeSystem  = "https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1"
	RecommendationSystem = "https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceIntendedRecommendation-1"
)

// A Kind is what a Task of ours is about: a code of [KindSystem]. The empty Kind is
// that of every other Task, to which no rule applies.
type Kind string

// The kinds.
const (
	Consultation        Kind = "consultation"
	AdviceAndGuidance   Kind = "advice-and-guidance"
	Referral            Kind = "referral"
	PrescriptionReissue Kind = "prescription-reissue"
	PatientAction       Kind = "patient-action"
	MessageReceipt      Kind = "message-receipt"
	Abort               Kind = "abort"
)

// Kinds lists all kinds but the empty one.
func Kinds() []Kind {
	return []Kind{Consultation, AdviceAndGuidance, Referral, PrescriptionReissue, PatientAction, MessageReceipt, Abort}
}

// A Status is a Task.status. https://hl7.org/fhir/R4/valueset-task-status.html
type Status string

// The statuses. The empty one is that of a Task that is not there yet.
const (
	StatusDraft          Status = "draft"
	StatusRequested      Status = "requested"
	StatusReceived       Status = "received"
	StatusAccepted       Status = "accepted"
	StatusRejected       Status = "rejected"
	StatusReady          Status = "ready"
	StatusCancelled      Status = "cancelled"
	StatusInProgress     Status = "in-progress"
	StatusOnHold         Status = "on-hold"
	StatusFailed         Status = "failed"
	StatusCompleted      Status = "completed"
	StatusEnteredInError Status = "entered-in-error"
)

// allStatuses lists all statuses of R4.
func allStatuses() []Status {
	return []Status{StatusDraft, StatusRequested, StatusReceived, StatusAccepted, StatusRejected, StatusReady, StatusCancelled, StatusInProgress, StatusOnHold, StatusFailed, StatusCompleted, StatusEnteredInError}
}

// settled says whether work on a Task has ended, for now at least.
func (s Status) settled() bool {
	switch s {
	case StatusRejected, StatusCancelled, StatusFailed, StatusCompleted, StatusEnteredInError:
		return true
	}
	return false
}

// KindOf returns the kind of a Task by its code: the empty one when it has no coding of
// [KindSystem]. A code there that is unknown, and two kinds at once, are an [*fhir.Outcome]
// of class Unprocessable with the Detail unknown-task-kind or several-task-kinds, so that
// no slip of a client takes a conversation out of the rules.
func KindOf(task fhir.Node) (Kind, error) {
	kind := Kind("")
	for coding := range task.Child("code").Each("coding") {
		if coding.Child("system").Text() != KindSystem {
			continue
		}
		next := Kind(coding.Child("code").Text())
		if machine().kinds[next] == nil {
			return "", refuse(fhir.CodeInvalid, "unknown-task-kind", "Task.code", "This is no kind of Task; use a code of %s.", KindSystem)
		}
		if kind != "" && next != kind {
			return "", refuse(fhir.BusinessRule, "several-task-kinds", "Task.code", "A Task is of one kind; keep one code of %s.", KindSystem)
		}
		kind = next
	}
	return kind, nil
}

// refuse returns an Outcome of class Unprocessable with one issue.
func refuse(code fhir.Code, detail, expression, format string, args ...any) *fhir.Outcome {
	o := fhir.Errorf(fhir.Unprocessable, code, expression, format, args...)
	o.Issues[0].Detail = detail
	return o
}

package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// elements judges the elements that change, other than status, owner and business status:
// which stay as they are, and which are whose.
func (p proposal) elements() *fhir.Outcome {
	if p.system() {
		return nil
	}
	var fixed, denied fhir.Outcome
	for _, name := range p.changed() {
		switch {
		case p.fixed(name):
			fixed.Issues = append(fixed.Issues, immutable(name, "Leave this element as it is; it does not change any more, or is the server's.").Issues...)
		case !p.mayEdit(name):
			o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "Task."+name, "This element is not yours to change; send a message, or a note.")
			o.Issues[0].Detail = "element-not-permitted-for-role"
			denied.Issues = append(denied.Issues, o.Issues...)
		}
	}
	switch {
	case len(fixed.Issues) > 0:
		fixed.Class = fhir.Unprocessable
		return &fixed
	case len(denied.Issues) > 0:
		denied.Class = fhir.Denied
		return &denied
	}
	return nil
}

func immutable(name, text string) *fhir.Outcome {
	return refuse(fhir.BusinessRule, "immutable-element", "Task."+name, "%s", text)
}

// fixed says whether nobody may change an element so.
func (p proposal) fixed(name string) bool {
	old, next := p.old.root, p.next.root
	if p.old.Status == StatusEnteredInError {
		return true
	}
	switch name {
	case "requester", "for", "basedOn", "partOf", "code", "groupIdentifier", "authoredOn":
		return true
	case "focus":
		return p.old.Status != StatusDraft || !old.Child("focus").IsZero()
	case "restriction":
		return p.clocked() && p.old.Status != StatusDraft
	case "note", "input":
		return p.old.Status != StatusDraft && !extends(old, next, name)
	case "extension":
		return !slices.EqualFunc(extensions(old, serverExtension), extensions(next, serverExtension), sameNode)
	case "output":
		return p.stays() && !(extends(old, next, name) && p.files())
	case "text", "contained", "businessStatus", "owner":
		return false
	}
	return p.stays()
}

// stays says whether the Task has ended, and remains so.
func (p proposal) stays() bool { return p.old.Status.settled() && p.old.Status == p.next.Status }

// files says whether all further outputs say that the Task went into a record.
func (p proposal) files() bool {
	return !slices.ContainsFunc(p.next.Outputs[len(p.old.Outputs):], func(o Output) bool { return o.Type != "filed-to-record" })
}

// clocked says whether the server finds out when the Task is due.
func (p proposal) clocked() bool {
	switch p.old.Kind {
	case Consultation, AdviceAndGuidance, Referral:
		return true
	}
	return false
}

// mayEdit says whether the roles allow a change of an element. Who works on the Task may
// change what is not fixed: the owner, but the requester while it is a draft, and always
// when the Task asks a patient to act. The other side may add to it.
func (p proposal) mayEdit(name string) bool {
	worker := Owner
	if p.old.Status == StatusDraft || p.old.Kind == PatientAction {
		worker = Requester
	}
	switch {
	case p.old.Kind == MessageReceipt:
		return name == "statusReason" && p.next.Status == StatusEnteredInError
	case name == "businessStatus" && machine().kinds[p.old.Kind].system != "":
		return true // judged by its code
	case name == "statusReason" && p.old.Status != p.next.Status, name == "note", name == "text", name == "contained", name == "input" && p.old.Kind != Consultation:
		return true
	case name == "priority" && p.lowers():
		return p.roles&Clinician != 0 || worker == Requester && p.roles&Requester != 0
	case name == "output" || name == "executionPeriod":
		return p.roles&Owner != 0
	}
	return p.roles&worker != 0
}

// lowers says whether next is less urgent than the Task was.
func (p proposal) lowers() bool {
	next := HigherPriority(p.next.Priority, "") // none is routine
	return HigherPriority(p.old.Priority, next) != next
}

// serverExtension says whether only the server writes an extension.
func serverExtension(url string) bool {
	switch url {
	case TriageOutcomeURL, TaskReplacesURL, ClockPause, FiledURL, identityStateURL:
		return true
	}
	return false
}

// extensions returns the extensions of n whose URL is so.
func extensions(n fhir.Node, so func(url string) bool) []fhir.Node {
	var found []fhir.Node
	for e := range n.Each("extension") {
		if so(e.Child("url").Text()) {
			found = append(found, e)
		}
	}
	return found
}

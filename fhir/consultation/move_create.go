package consultation

import "github.com/openconsult/openconsult/fhir"

// create judges a Task that is to be created.
func (p proposal) create() (Decision, *fhir.Outcome) {
	t := p.next
	if t.Kind == "" {
		return Decision{Effect: TaskPlain}, nil
	}
	by := machine().kinds[t.Kind].initial[t.Status]
	switch {
	case by&^System == 0 && by&p.roles == 0:
		return Decision{}, invalidTransition(t.Kind, "", t.Status)
	case !p.system() && t.BusinessStatus != "" && t.BusinessStatus != businessStatusFor(t):
		return Decision{}, businessStatusDerived()
	case by&p.roles == 0:
		return Decision{}, wrongRole("Task.requester", by)
	}
	if o := p.begins(); o != nil {
		return Decision{}, o
	}
	return p.decided(TaskCreated), nil
}

// begins returns what a new Task lacks.
func (p proposal) begins() *fhir.Outcome {
	t := p.next
	for e := range t.root.Each("extension") {
		if url := e.Child("url").Text(); !p.system() && serverExtension(url) {
			return immutable("extension", "The server writes the extension "+url+"; leave it out.")
		}
	}
	switch {
	case t.For.Type != "Patient" && t.Kind != Abort && t.Kind != MessageReceipt:
		return refuse(fhir.Required, "patient-required", "Task.for", "Say whom this is about: give a literal reference to a Patient on this server.")
	case t.Owner.ID == "" && t.Status != StatusDraft:
		return ownerRequired()
	case t.Kind != Abort:
		return nil
	case !p.facts.abortable(t):
		return notAbortable()
	case p.facts.AbortOpen:
		return refuse(fhir.BusinessRule, "already-requested", "Task.focus", "It has been asked already to stop this; wait for the answer.")
	}
	return nil
}

// beginnings returns what somebody with the given roles may create a Task of a kind as.
func beginnings(kind Kind, roles Roles) []Move {
	r := machine().kinds[kind]
	if r == nil {
		return nil
	}
	var moves []Move
	for _, s := range allStatuses() {
		if r.initial[s]&roles != 0 {
			moves = append(moves, Move{To: s, BusinessStatus: businessStatusFor(Task{Kind: kind, Status: s})})
		}
	}
	return moves
}

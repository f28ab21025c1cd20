package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// shape says whether the message is one that this sender may write in this conversation.
func (p *posting) shape() error {
	checks := []func() error{p.place, p.modifier, p.categorised, p.stage, p.identified, p.addressed, p.asks}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// place checks partOf and subject.
func (p *posting) place() error {
	c := p.Conversation
	parts := 0
	for n := range p.sent.Each("partOf") {
		if target(n, c.Base) != c.Task.Key {
			return errPartOf()
		}
		parts++
	}
	if parts != 1 {
		return errPartOf()
	}
	if subject := p.sent.Child("subject"); !subject.IsZero() && (c.Task.For.ID == "" || target(subject, c.Base) != c.Task.For) {
		return refuse(fhir.BusinessRule, "subject-mismatch", subject.Path(), "A message is about the patient of its Task; leave subject out.")
	}
	return nil
}

func (p *posting) modifier() error {
	m := p.sent.Child("modifierExtension")
	for part := range p.sent.Each("payload") {
		if m.IsZero() {
			m = part.Child("modifierExtension")
		}
	}
	if m.IsZero() {
		return nil
	}
	return refuse(fhir.Extension, "unknown-modifier-extension", m.Path(), "The server acts on messages and does not know this modifier extension; leave it out.")
}

// categorised finds the category: one of ours at most.
func (p *posting) categorised() error {
	var all []string
	for n := range p.sent.Each("category") {
		for coding := range n.Each("coding") {
			if coding.Child("system").Text() == CategorySystem {
				all = append(all, coding.Child("code").Text())
			}
		}
	}
	switch {
	case len(all) == 0 && (p.Conversation.Task.Kind == AdviceAndGuidance || p.Conversation.Task.Kind == Referral):
		p.category = CategoryAdvice
	case len(all) == 0:
		p.category = CategoryConsultation
	case len(all) == 1 && (all[0] == CategoryConsultation || all[0] == CategoryAdvice || all[0] == CategoryInternalNote && p.house.ID != ""):
		p.category = all[0]
	default:
		return refuse(fhir.BusinessRule, "category-not-allowed", "Communication.category",
			"Give one category that you may use here: consultation, advice-and-guidance, or, within your own organisation, internal-note.")
	}
	return nil
}

// stage checks the status.
func (p *posting) stage() error {
	switch status := p.sent.Child("status").Text(); status {
	case "preparation":
		p.draft = true
		return nil
	case "in-progress", "completed":
		return nil
	case "unknown":
		if p.Bridged {
			return nil
		}
	}
	return refuse(fhir.BusinessRule, "status-not-allowed", "Communication.status", "Send a draft as preparation and a message as completed; the server sets what comes after.")
}

// identified checks that there is one identifier of the message at most, and none of another
// thread.
func (p *posting) identified() error {
	messages := 0
	for n := range p.sent.Each("identifier") {
		switch value := n.Child("value").Text(); n.Child("system").Text() {
		case MessageIDSystem:
			messages++
			if value == "" || messages > 1 {
				return refuse(fhir.BusinessRule, "identifier-mismatch", n.Path(), "A message has one identifier of %s, with a value.", MessageIDSystem)
			}
		case ThreadSystem:
			if value != p.Conversation.Task.Thread {
				return refuse(fhir.BusinessRule, "identifier-mismatch", n.Path(), "The identifier of the thread is that in Task.groupIdentifier; leave it out.")
			}
		}
	}
	return nil
}

// addressed checks the recipients.
func (p *posting) addressed() error {
	outside, some := false, false
	for n := range p.sent.Each("recipient") {
		k := target(n, p.Conversation.Base)
		own := p.house.ID != "" && p.Conversation.standsFor(k, p.house)
		switch {
		case p.Conversation.party(k).ID == "" && !own, p.category == CategoryInternalNote && !own:
			return p.stranger(n.Path())
		case !own && p.Conversation.side(k) != p.side():
			outside = true
		}
		some = true
	}
	switch {
	case !some:
		return refuse(fhir.Required, "recipient-required", "Communication.recipient", "Say whom the message is for: a party of the Task.")
	case !outside && p.category != CategoryInternalNote:
		return p.stranger("Communication.recipient")
	}
	return nil
}

func (p *posting) stranger(expression string) error {
	if p.category == CategoryInternalNote {
		return refuse(fhir.BusinessRule, "recipient-not-in-thread", expression, "An internal note is for your own organisation only; send a message to others.")
	}
	return refuse(fhir.BusinessRule, "recipient-not-in-thread", expression,
		"A message is for the parties of its Task and at least one of the other side; send colleagues an internal-note.")
}

// asks checks the reply policy that the message itself has.
func (p *posting) asks() error {
	policy, err := ReadPolicy(p.sent)
	switch {
	case err != nil || policy == nil:
		return err
	case p.house.ID == "":
		return refuse(fhir.BusinessRule, "reply-policy-not-allowed", "Communication.extension", "Only a practice or service limits the replies to its messages; leave the reply policy out.")
	case !p.draft && !policy.Until.IsZero() && !policy.Until.After(p.Now):
		return refuse(fhir.BusinessRule, "reply-policy-invalid", "Communication.extension", "The time for replies is over already; give a later until.")
	}
	return nil
}

// OutsideConversation says whether a Communication may be stored as plain FHIR, outside of every
// conversation. It may not when its category is one of ours: the error is an
// [*fhir.Outcome] with Detail part-of-one-task. A Communication that is part of a Task with
// a kind is for [Post].
func OutsideConversation(communication fhir.Node) error {
	for n := range communication.Each("category") {
		for coding := range n.Each("coding") {
			if c := code(coding); c.System == CategorySystem && slices.Contains(categories(), c.Code) {
				return errPartOf()
			}
		}
	}
	return nil
}

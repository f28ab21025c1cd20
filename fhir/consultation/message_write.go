package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// write returns the message as it is stored, and its receipts.
func (p *posting) write(out Posted) (Posted, error) {
	doc, err := openDocument(p.sent)
	if err != nil {
		return Posted{}, err
	}
	if p.ID != "" {
		doc.setText("id", p.ID)
	}
	p.name(doc)
	p.relate(doc)
	if p.bound.ID != "" && p.sent.Child("inResponseTo").IsZero() {
		push(doc, "inResponseTo", wireReference{Reference: p.bound.String()})
	}
	p.progress(doc)
	out.Message = Authored{"Communication", p.ID, doc.bytes()}
	if p.draft {
		return out, nil
	}
	if out.Receipts, err = p.receipts(); err != nil {
		return Posted{}, err
	}
	out.Turn = p.turn()
	return out, nil
}

// name sets identifiers, category, priority and sender.
func (p *posting) name(doc *document) {
	if identifierIn(p.sent, MessageIDSystem) == "" {
		push(doc, "identifier", wireIdentifier{MessageIDSystem, p.Identifier})
	}
	if identifierIn(p.sent, ThreadSystem) == "" && p.Conversation.Task.Thread != "" {
		push(doc, "identifier", wireIdentifier{ThreadSystem, p.Conversation.Task.Thread})
	}
	if !p.hasCategory() {
		push(doc, "category", p.categoryConcept())
	}
	if p.house.ID == "" {
		doc.setText("priority", p.priority()) // patients do not say how urgent they are; their answers do
	}
	if p.sent.Child("sender").IsZero() {
		doc.setWire("sender", p.as())
	}
}

// as returns the sender of a message that names none.
func (p *posting) as() wireReference {
	switch who := p.As.wire(); {
	case who != nil:
		return *who
	case len(p.Caller.Persons) > 0:
		return wireReference{Reference: p.Caller.Persons[0].String()}
	}
	return wireReference{Reference: p.Conversation.stand(p.house).String()}
}

// person returns who has sent the message, of somebody who works for no party.
func (p *posting) person() fhir.Key {
	if n := p.sent.Child("sender"); !n.IsZero() {
		return target(n, p.Conversation.Base)
	}
	sender, _ := fhir.ParseReference(p.as().Reference)
	return sender.Key
}

func (p *posting) hasCategory() bool {
	for n := range p.sent.Each("category") {
		if codeIn(n, CategorySystem) != "" {
			return true
		}
	}
	return false
}

// categoryConcept returns the category with what e-RS says of it.
func (p *posting) categoryConcept() wireConcept {
	c := conceptOf(CategorySystem, p.category, "")
	if p.category == CategoryAdvice {
		by := "RESPONDER"
		if p.side() == RequesterSide {
			by = "REQUESTER"
		}
		c.Coding = append(c.Coding, Coded{System: sentBySystem, Code: by})
	}
	return c
}

// priority returns the priority of the message: a patient's is that of the Task.
func (p *posting) priority() string {
	if p.house.ID == "" {
		return HigherPriority(p.Conversation.Task.Priority, "")
	}
	return p.sent.Child("priority").Text()
}

// relate sets subject and about.
func (p *posting) relate(doc *document) {
	t := p.Conversation.Task
	if patient := t.root.Child("for"); p.sent.Child("subject").IsZero() && !patient.IsZero() {
		doc.set("subject", slices.Clone(patient.Raw()))
	}
	var about []fhir.Key
	for n := range p.sent.Each("about") {
		about = append(about, target(n, p.Conversation.Base))
	}
	for _, k := range []fhir.Key{t.Key, t.Focus} {
		if k.ID != "" && !slices.Contains(about, k) {
			push(doc, "about", wireReference{Reference: k.String()})
		}
	}
}

// progress sets status, sent and received.
func (p *posting) progress(doc *document) {
	doc.drop("sent", "received", "statusReason")
	if p.draft {
		return
	}
	doc.setText("status", "completed")
	doc.setText("sent", dateTime(p.Now))
	if p.Dispatched {
		doc.setText("status", "in-progress")
		return
	}
	doc.setText("received", dateTime(p.Now))
}

// turn returns what the message is to the state machine.
func (p *posting) turn() Turn {
	if p.category == CategoryInternalNote {
		return Turn{}
	}
	policy, err := ReadPolicy(p.sent)
	m := Message{Policy: policy, Unspeakable: err != nil}
	for n := range p.sent.Each("recipient") {
		m.Recipients = append(m.Recipients, target(n, p.Conversation.Base))
	}
	t := p.Conversation.turn(m)
	t.By, t.New = p.side(), true
	return t
}

// receipts returns a receipt for each recipient that the sender does not belong to: a
// service counts as the organisation that it stands for.
func (p *posting) receipts() ([]Authored, error) {
	var all []Authored
	var owners []fhir.Key
	for n := range p.sent.Each("recipient") {
		k := target(n, p.Conversation.Base)
		if stands := p.Conversation.Parties[k]; k.Type == "HealthcareService" && stands.ID != "" {
			k = stands
		}
		if slices.Contains(owners, k) || k == p.house || slices.Contains(p.Caller.Persons, k) {
			continue
		}
		owners = append(owners, k)
		if len(owners) > len(p.Receipts) {
			return nil, errNoReceipts
		}
		id := p.Receipts[len(owners)-1]
		all = append(all, Authored{"Task", id, p.receipt(id, k)})
	}
	return all, nil
}

func (p *posting) receipt(id string, owner fhir.Key) []byte {
	f := receiptFacts{id: id, message: p.ID, task: p.Conversation.Task.Key.ID, owner: wireReference{Reference: owner.String()}, priority: p.priority(), now: p.Now,
		sender: p.Conversation.stand(p.house)}
	if f.sender.ID == "" {
		f.sender = p.person()
	}
	if patient := p.Conversation.Task.For; patient.ID != "" {
		f.patient = &wireReference{Reference: patient.String()}
	}
	return encode(wireReceipt(f))
}

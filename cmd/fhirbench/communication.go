package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

type communication struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id,omitempty"`
	Identifier   []identifier `json:"identifier"`
	PartOf       []reference  `json:"partOf"`
	InResponseTo []reference  `json:"inResponseTo,omitempty"`
	Status       string       `json:"status"`
	Category     []concept    `json:"category"`
	Priority     string       `json:"priority"`
	Medium       []concept    `json:"medium"`
	Subject      reference    `json:"subject"`
	Topic        concept      `json:"topic"`
	Sent         string       `json:"sent"`
	Received     string       `json:"received,omitempty"`
	Recipient    []reference  `json:"recipient"`
	Sender       reference    `json:"sender"`
	ReasonCode   []concept    `json:"reasonCode"`
	Payload      []payload    `json:"payload"`
	Note         []annotation `json:"note,omitempty"`
}

type payload struct {
	ContentString string `json:"contentString"`
}

// communication makes a message of a conversation. Messages with consecutive numbers belong to different patients; within
// one conversation patient and practice take turns. Each revision says when the message was received and by whom.
func (d *draft) communication() communication {
	conversation := d.number % uint64(len(d.practice.conversations))
	turn := d.number / uint64(len(d.practice.conversations))
	// What a conversation is about and when it began come from its own number, so that its messages fit together.
	shared := rand.New(rand.NewPCG(d.seed, conversation))
	c := pick(shared, complaints)
	begun := moment(shared).Add(time.Duration(turn) * 20 * time.Minute)
	writer, reader := d.practice.patients[conversation], d.practice.organization
	text := d.question(c)
	if turn%2 == 1 {
		writer, reader = pick(d.random, d.practice.practitioners), d.practice.patients[conversation]
		text = d.reply(c)
	}
	m := communication{
		ResourceType: "Communication",
		ID:           d.id,
		Identifier:   []identifier{d.identifier("message")},
		PartOf:       []reference{d.practice.conversations[conversation]},
		InResponseTo: d.earlier(turn),
		Status:       "completed",
		Category:     []concept{pick(d.random, categories)},
		Priority:     pick(d.random, priorities),
		Medium:       []concept{coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "ELECTRONIC", "electronic data")},
		Subject:      d.practice.patients[conversation],
		Topic:        concept{Text: "Online consultation: " + strings.ToLower(c.display)},
		Sent:         instant(begun),
		Recipient:    []reference{reader},
		Sender:       writer,
		ReasonCode:   []concept{c.concept()},
		Payload:      []payload{{ContentString: text}},
	}
	if d.revision > 0 {
		received := instant(d.changed(begun))
		m.Received = received
		m.Note = []annotation{{Time: received, Text: fmt.Sprintf("Opened %d times; last on %s.", d.revision, received)}}
	}
	return m
}

// earlier names the message before by its business identifier, since the target chooses the ids.
func (d *draft) earlier(turn uint64) []reference {
	if turn == 0 {
		return nil
	}
	before := d.identifierOf("message", d.number-uint64(len(d.practice.conversations)))
	return []reference{{Type: "Communication", Identifier: &before}}
}

func (d *draft) question(c complaint) string {
	first := d.random.IntN(len(details))
	second := (first + 1 + d.random.IntN(len(details)-1)) % len(details)
	return strings.Join([]string{c.opening, details[first], details[second], pick(d.random, requests)}, " ")
}

func (d *draft) reply(c complaint) string {
	parts := []string{"Thank you for your message.", c.reply, pick(d.random, safetyNets)}
	return strings.Join(append(parts, "With kind regards, the team at "+d.practice.organization.Display+"."), " ")
}

var priorities = []string{"routine", "routine", "routine", "urgent", "asap"}

const categorySystem = "http://terminology.hl7.org/CodeSystem/communication-category"

var categories = []concept{
	coded(categorySystem, "instruction", "Instruction"),
	coded(categorySystem, "notification", "Notification"),
	coded(categorySystem, "reminder", "Reminder"),
}

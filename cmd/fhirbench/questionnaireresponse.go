package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

type questionnaireResponse struct {
	ResourceType  string         `json:"resourceType"`
	ID            string         `json:"id,omitempty"`
	Identifier    identifier     `json:"identifier"`
	Questionnaire string         `json:"questionnaire"`
	Status        string         `json:"status"`
	Subject       reference      `json:"subject"`
	Authored      string         `json:"authored"`
	Author        reference      `json:"author"`
	Source        reference      `json:"source"`
	Item          []answeredItem `json:"item"`
}

type answeredItem struct {
	LinkID string      `json:"linkId"`
	Text   string      `json:"text"`
	Answer []itemValue `json:"answer"`
}

// itemValue holds one of its fields, the one that the type of the question asks for.
type itemValue struct {
	ValueBoolean *bool    `json:"valueBoolean,omitempty"`
	ValueDecimal *float64 `json:"valueDecimal,omitempty"`
	ValueInteger *int     `json:"valueInteger,omitempty"`
	ValueDate    string   `json:"valueDate,omitempty"`
	ValueString  string   `json:"valueString,omitempty"`
	ValueCoding  *coding  `json:"valueCoding,omitempty"`
}

// questionnaireResponse makes a filled-in form of 30 answers. Each revision answers a third of them anew.
func (d *draft) questionnaireResponse() questionnaireResponse {
	subject := d.practice.patients[d.number%uint64(len(d.practice.patients))]
	begun := d.begun()
	r := questionnaireResponse{
		ResourceType:  "QuestionnaireResponse",
		ID:            d.id,
		Identifier:    d.identifier("form"),
		Questionnaire: formNamed(formID),
		Status:        "completed",
		Subject:       subject,
		Authored:      instant(d.changed(begun)),
		Author:        subject,
		Source:        subject,
	}
	if d.revision > 0 {
		r.Status = "amended"
	}
	c := pick(d.random, complaints)
	for i, q := range questions {
		random := d.random
		if i%3 == 0 {
			random = d.change
		}
		r.Item = append(r.Item, answeredItem{LinkID: q.linkID, Text: q.text, Answer: []itemValue{q.answer(random, begun, c)}})
	}
	return r
}

func (q question) answer(r *rand.Rand, begun time.Time, c complaint) itemValue {
	switch q.typ {
	case "boolean":
		// Consent is always given; the rest is mostly denied, as on real forms.
		yes := q.linkID == "consent-record" || r.IntN(5) == 0
		return itemValue{ValueBoolean: &yes}
	case "integer":
		n := q.most/2 + r.IntN(q.most-q.most/2+1)
		return itemValue{ValueInteger: &n}
	case "decimal":
		tenths := float64(10*q.most-r.IntN(30)) / 10
		return itemValue{ValueDecimal: &tenths}
	case "date":
		return itemValue{ValueDate: begun.AddDate(0, 0, r.IntN(14)-7).Format(time.DateOnly)}
	case "choice":
		option := pick(r, q.options)
		return itemValue{ValueCoding: &option}
	default:
		return itemValue{ValueString: q.words(r, c)}
	}
}

func (q question) words(r *rand.Rand, c complaint) string {
	switch q.linkID {
	case "problem-summary":
		return c.opening
	case "medicine-list":
		return fmt.Sprintf("Paracetamol 500 mg, up to %d a day", 1+r.IntN(8))
	case "contact-when":
		return pick(r, callTimes)
	default:
		return pick(r, details)
	}
}

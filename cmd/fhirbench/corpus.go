package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// corpus is a set of resources to search in, of any size: of every ten, four are messages, three Tasks, two filled-in
// forms and one a patient. Seed and size decide everything, ids included, so that a set is made once and found again.
type corpus struct {
	generator
	size uint64
}

// What the searches ask for is spread over the corpus like this.
const (
	ownersPer     = 200 // resources for each owner of Tasks
	corpusForms   = 200 // questionnaires
	corpusReasons = 100 // codes of Tasks
)

// corpusShares are the types at each last digit of a resource's number.
var corpusShares = [10]string{
	"Patient", "Task", "Communication", "Task", "Communication", "QuestionnaireResponse", "Communication", "Task",
	"QuestionnaireResponse", "Communication",
}

func newCorpus(seed, size uint64) *corpus {
	size = max(size/10, 10) * 10
	c := &corpus{generator: generator{seed: seed, practice: absentPractice()}, size: size}
	c.practice.patients, c.practice.conversations, c.practice.practitioners = nil, nil, nil
	for i := range c.patients() {
		c.practice.patients = append(c.practice.patients, refer("Patient", c.id("Patient", i), ""))
		c.practice.conversations = append(c.practice.conversations, refer("Task", c.id("Task", i), ""))
	}
	for i := range max(size/ownersPer, 10) {
		c.practice.practitioners = append(c.practice.practitioners, refer("Practitioner", fmt.Sprintf("bench-owner-%d", i), ""))
	}
	return c
}

func (c *corpus) patients() uint64 { return c.size / 10 }

func (c *corpus) id(typeName string, number uint64) string {
	return fmt.Sprintf("bench-%d-%d-%s-%d", c.seed, c.size, typeName[:1], number)
}

// at returns resource n of the corpus as it is sent. Those of a type are numbered from 0.
func (c *corpus) at(n uint64) op {
	digit := n % 10
	h := held{typeName: corpusShares[digit]}
	before, each := uint64(0), uint64(0)
	for i, name := range corpusShares {
		if name != h.typeName {
			continue
		}
		each++
		if uint64(i) < digit {
			before++
		}
	}
	h.number = n/10*each + before
	h.id = c.id(h.typeName, h.number)
	return op{kind: update, typeName: h.typeName, id: h.id, body: c.body(h)}
}

func (c *corpus) body(h held) []byte {
	d := c.draft(h)
	random := rand.New(rand.NewPCG(c.seed+1, h.number))
	switch h.typeName {
	case "Patient":
		p := d.patient()
		p.Name[0].Family = corpusFamily(random)
		p.Name[0].Text = p.Name[0].Given[0] + " " + p.Name[0].Family
		return encode(p)
	case "Task":
		t := d.task()
		t.Status = corpusStatus(random)
		t.Code = coded(ours+"CodeSystem/fhirbench-reason", fmt.Sprintf("code-%d", random.IntN(corpusReasons)), "")
		return encode(t)
	case "QuestionnaireResponse":
		r := d.questionnaireResponse()
		r.Questionnaire = corpusForm(random)
		return encode(r)
	default:
		m := d.communication()
		m.Sent = instant(moment(random))
		return encode(m)
	}
}

// corpusFamily draws one of 240 family names.
func corpusFamily(r *rand.Rand) string { return pick(r, familyBeginnings) + pick(r, familyEndings) }

var familyBeginnings = []string{
	"Smith", "Ash", "Brad", "Carl", "Dun", "East", "Fair", "Green", "Hart", "Kirk", "Lang", "Mar", "Nor", "Old", "Pem",
	"Rad", "Sher", "Thorn", "Wal", "Whit",
}

var familyEndings = []string{"", "ley", "ton", "ford", "wood", "by", "ham", "well", "worth", "field", "man", "er"}

func corpusForm(r *rand.Rand) string { return formNamed(corpusFormID(r.IntN(corpusForms))) }

func corpusFormID(n int) string { return fmt.Sprintf("fhirbench-%d", n) }

// publishCorpusForms makes the Questionnaires that the answers in a corpus name, or finds them as an earlier run has left
// them.
func publishCorpusForms(ctx context.Context, t target, clients int) error {
	_, err := spread(ctx, clients, corpusForms, func(ctx context.Context, n int) error {
		id := corpusFormID(n)
		_, err := createOne(ctx, t, op{kind: update, typeName: "Questionnaire", id: id, body: encode(form(id))})
		return err
	})
	return err
}

// corpusStatus draws the status of a Task: common ones, and one in a hundred that failed.
func corpusStatus(r *rand.Rand) string {
	switch n := r.IntN(100); {
	case n < 27:
		return "requested"
	case n < 47:
		return "in-progress"
	case n < 59:
		return "accepted"
	case n < 99:
		return "completed"
	}
	return "failed"
}

// lastQuarter is the beginning of the last 90 days of the corpus.
func lastQuarter() string {
	return time.Date(2025, time.September, 13, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// generator makes the content of resources. What it makes depends on its seed, the practice, and a resource's type,
// number and revision, and on nothing else. It is safe for concurrent use.
type generator struct {
	seed     uint64
	practice practice
}

// typeShare is how often a type comes in a mix of all, in percent.
type typeShare struct {
	name    string
	percent int
}

var typeShares = []typeShare{{"Communication", 40}, {"Task", 30}, {"Patient", 20}, {"QuestionnaireResponse", 10}}

// allTypes is the name of the mix of all types.
const allTypes = "all"

func typeNames() []string {
	var names []string
	for _, s := range typeShares {
		names = append(names, s.name)
	}
	return append(names, allTypes)
}

// typeAt returns the type asked for or, for all of them, the one at a point of the mix, from 0 to 99.
func typeAt(asked string, point int) string {
	if asked != allTypes {
		return asked
	}
	for _, s := range typeShares {
		if point < s.percent {
			return s.name
		}
		point -= s.percent
	}
	return typeShares[0].name
}

// resource returns the JSON of one resource at one revision. No two revisions are the same.
func (g *generator) resource(h held) []byte {
	d := g.draft(h)
	switch h.typeName {
	case "Communication":
		return encode(d.communication())
	case "Task":
		return encode(d.task())
	case "Patient":
		return encode(d.patient())
	case "QuestionnaireResponse":
		return encode(d.questionnaireResponse())
	case "Observation":
		return encode(d.observation())
	default:
		panic("no content for type " + h.typeName)
	}
}

func (g *generator) draft(h held) *draft {
	return &draft{
		held:     h,
		seed:     g.seed,
		practice: g.practice,
		random:   rand.New(rand.NewPCG(g.seed, h.number)),
		change:   rand.New(rand.NewPCG(g.seed^h.number, uint64(h.revision))),
	}
}

// draft is one resource while it is made.
type draft struct {
	held
	seed     uint64
	practice practice
	// random decides what stays the same over all revisions; change decides what each revision has anew.
	random, change *rand.Rand
}

// identifier names the resource within the benchmark.
func (d *draft) identifier(what string) identifier {
	return d.identifierOf(what, d.number)
}

func (d *draft) identifierOf(what string, number uint64) identifier {
	return identifier{System: ours + "Id/" + what, Value: fmt.Sprintf("%s-%d-%09d", what, d.seed, number)}
}

// begun is the moment at which the resource was first written.
func (d *draft) begun() time.Time { return moment(d.random) }

// moment draws a time of day between 8 and 18 o'clock in 2025.
func moment(r *rand.Rand) time.Time {
	day := time.Date(2025, time.January, 6, 8, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(340))
	return day.Add(time.Duration(r.IntN(10*60*60)) * time.Second)
}

// changed is the moment of the revision: its number in hours after the beginning, so never the same twice.
func (d *draft) changed(begun time.Time) time.Time {
	return begun.Add(time.Duration(d.revision) * time.Hour)
}

// instant writes a moment as a FHIR dateTime.
func instant(t time.Time) string { return t.Format("2006-01-02T15:04:05Z07:00") }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func encode(resource any) []byte {
	text, err := json.Marshal(resource)
	if err != nil {
		// Only strings, numbers and lists of them are ever encoded here.
		panic(err)
	}
	return text
}

package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// consultations are the clients who talk with each other.
type consultations struct {
	room  *postroom
	talks *talker

	mu        sync.Mutex
	questions map[string]int // how many answers were acknowledged to each question that takes one
	asked     atomic.Int64
}

func newConsultations(o *ordeal) *consultations {
	c := &consultations{room: &postroom{t: o.t, client: o.passes.client("system")}, talks: &talker{t: o.t, client: o.passes.client(""), told: map[string]int{}}, questions: map[string]int{}}
	base := o.front.Load().base
	c.room.open(base)
	for path, body := range map[string]string{
		"Organization/hospital": `{"resourceType":"Organization","id":"hospital","active":true,"name":"Hospital"}`,
		"Patient/bob":           `{"resourceType":"Patient","id":"bob","managingOrganization":{"reference":"Organization/hospital"}}`,
	} {
		put(o.t, base, o.passes.of("system"), path, body)
	}
	return c
}

// consult does one of what people do who talk: a form is sent in under a key until it is
// answered, a conversation is gone through, or a question that takes one answer is given
// several.
func (c *consultations) consult(w *toiler) {
	switch w.IntN(3) {
	case 0:
		p := c.room.next()
		for range 20 {
			if c.room.post(w.base(), p) || w.ended() {
				return
			}
			w.rest(w.N(300 * time.Millisecond))
		}
	case 1:
		if !c.talks.talk(w.base()) {
			w.recover()
		}
	default:
		if !c.quarrel(w) {
			w.recover()
		}
	}
}

// quarrel asks a question that takes one answer, and gives it three at once. It reports
// whether everything was answered.
func (c *consultations) quarrel(w *toiler) bool {
	x, ok := c.talks.send(w.base(), request{method: http.MethodPost, path: "/fhir/Task", body: newCase("referral", "requested", "")})
	if !ok {
		return false
	}
	task := "Task/" + text(x.tree, "id")
	if _, ok = c.talks.send(w.base(), move(task, "accepted", 1)); !ok {
		return false
	}
	x, ok = c.talks.send(w.base(), letter(task, "hospital", "practice", `"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"once"}]}],`))
	if !ok {
		return false
	}
	question := "Communication/" + text(x.tree, "id")
	c.asked.Add(1)
	answer := letter(task, "practice", "hospital", fmt.Sprintf(`"inResponseTo":[{"reference":%q}],`, question))
	var group sync.WaitGroup
	var failed atomic.Bool
	for range 3 {
		group.Go(func() {
			x, err := answer.send(c.talks.client, w.base())
			switch {
			case err != nil || x.status == http.StatusServiceUnavailable:
				failed.Store(true)
			case x.status == http.StatusCreated:
				c.mu.Lock()
				c.questions[question]++
				c.mu.Unlock()
			case x.status != http.StatusUnprocessableEntity:
				w.t.Errorf("an answer was answered with\n%s", x)
			}
		})
	}
	group.Wait()
	return !failed.Load()
}

// A spoken resource is what is left of a conversation: the newest version of each.
type spoken struct {
	said
	key          string
	Target       []struct{ Reference string }
	InResponseTo []struct{ Reference string }
	Identifier   json.RawMessage
	Topic        struct{ Coding []struct{ Code string } }
}

// alarm returns what s warns of when a Task is due soon or overdue, as it is when the clock of the
// database was set forward far enough; empty for any other message.
func (s spoken) alarm() string {
	for _, c := range s.Topic.Coding {
		if c.Code == "response-due-soon" || c.Code == "response-overdue" {
			return c.Code
		}
	}
	return ""
}

// withoutAlarms returns all but the alarms and their receipts. One alarm of each kind is
// no flaw of a Task, two are.
func withoutAlarms(f *flaws, all map[string]spoken) map[string]spoken {
	given := map[string]string{}
	for key, s := range all {
		for _, task := range s.PartOf {
			if s.alarm() == "" {
				break
			}
			of := task.Reference + " " + s.alarm()
			if given[of] != "" {
				f.add("twice", "%s is told by %s and %s", of, given[of], key)
			}
			given[of] = key
		}
	}
	rest := maps.Clone(all)
	maps.DeleteFunc(rest, func(_ string, s spoken) bool { return s.alarm() != "" || all[s.Focus.Reference].alarm() != "" })
	return rest
}

// judge holds what is stored of all conversations against what was acknowledged, and
// against itself.
func (c *consultations) judge(f *flaws, all map[string]spoken) {
	parts, about, answers, receipts, forms := map[string][]string{}, map[string][]string{}, map[string]int{}, map[string]int{}, map[string]string{}
	all = withoutAlarms(f, all)
	for key, s := range all {
		for _, r := range s.PartOf {
			if strings.HasPrefix(key, "Communication/") {
				parts[r.Reference] = append(parts[r.Reference], key)
			}
		}
		for _, r := range s.InResponseTo {
			answers[r.Reference]++
		}
		switch {
		case strings.HasPrefix(key, "Provenance/") && len(s.Target) > 1:
			about[s.Target[1].Reference] = append(about[s.Target[1].Reference], key)
		case strings.HasPrefix(s.Focus.Reference, "Communication/"):
			receipts[s.Focus.Reference]++
		case s.Focus.Reference != "":
			about[s.Focus.Reference] = append(about[s.Focus.Reference], key)
		}
		var id struct{ Value string }
		if strings.HasPrefix(key, "QuestionnaireResponse/") && json.Unmarshal(s.Identifier, &id) == nil {
			if forms[id.Value] != "" {
				f.add("twice", "form %s is %s and %s", id.Value, forms[id.Value], key)
			}
			forms[id.Value] = key
		}
	}
	for _, p := range c.room.sent {
		if form := forms[p.key]; form != "" {
			tasks := about[form]
			if len(tasks) != 1 || len(parts[tasks[0]]) != 1 || receipts[parts[tasks[0]][0]] != 1 || len(about[tasks[0]]) != 1 {
				f.add("torn", "form %s, %s, has the Tasks %v", p.key, form, tasks)
				for _, task := range tasks {
					f.add("torn", "form %s: %s has the messages %v and hangs together with %v", p.key, task, parts[task], about[task])
				}
			}
		} else if p.answer != "" {
			f.add("lost", "form %s was acknowledged, and is not there", p.key)
		}
	}
	for question, n := range c.questions {
		if n > 1 || answers[question] < n || answers[question] > 1 {
			f.add("reply", "%s takes one answer, %d were acknowledged, and %d are there", question, n, answers[question])
		}
	}
	c.judgeTalks(f, all)
}

// judgeTalks holds the conversations that specialists had against how far each had come
// for sure, and wants each step whole.
func (c *consultations) judgeTalks(f *flaws, all map[string]spoken) {
	have := map[string]*talked{}
	for key, s := range all {
		if strings.HasPrefix(key, "Task/") && len(s.Code.Coding) > 0 && s.Code.Coding[0].Code == "advice-and-guidance" {
			have[key] = &talked{status: s.Status}
		}
	}
	for key, s := range all {
		switch {
		case strings.HasPrefix(key, "Communication/") && len(s.PartOf) > 0 && have[s.PartOf[0].Reference] != nil:
			if got := have[s.PartOf[0].Reference]; s.Category[0].Coding[0].Code == "alert" {
				got.alerts++
			} else {
				got.messages++
			}
		case have[s.Focus.Reference] != nil:
			have[s.Focus.Reference].abortStatus = s.Status
		case strings.HasPrefix(s.Focus.Reference, "Communication/"):
			if of := all[s.Focus.Reference].PartOf; len(of) > 0 && have[of[0].Reference] != nil {
				have[of[0].Reference].receipts++
			}
		}
	}
	for task, steps := range c.talks.told {
		got := have[task]
		if got == nil {
			f.add("lost", "%s was acknowledged, and is not there", task)
		} else if got.status != talkSteps[steps] && got.status != talkSteps[min(steps+1, len(talkSteps)-1)] {
			f.add("lost", "%s has taken %d steps, and is %s", task, steps, got.status)
		}
	}
	for task, got := range have {
		messages := map[string]int{"on-hold": 1, "in-progress": 2, "cancelled": 2}[got.status]
		stopped := got.status == "cancelled"
		if got.messages != messages || got.alerts != min(messages, 1) || got.receipts != got.messages+got.alerts ||
			stopped != (got.abortStatus == "completed") || !stopped && got.abortStatus != "" && got.abortStatus != "requested" {
			f.add("torn", "%s has come to %+v", task, *got)
		}
	}
}

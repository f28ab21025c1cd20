package consultation

import (
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// maxSteps is after how many steps an explanation has one more at most for all the rest.
const maxSteps = 200

// maxReasons is how many bytes the reasons of a step may have before no more are added, and
// maxReason how many characters each has.
const (
	maxReasons = 300
	maxReason  = 100
)

// A Step is a time between the start of a clock and what is due.
type Step struct {
	From, To time.Time
	Counts   bool
	Why      string // "Good Friday"
}

// An Explanation is a Deadline and how it came about.
type Explanation struct {
	Question Question
	Deadline Deadline
	Steps    []Step // without gaps, from the start to what is due, or to the pause that has not ended
	Notes    []string
	service  *Service
}

// Explain answers a Question like [Service.Deadline] and says which times count. The
// answer of the operation $due is its JSON.
func (s *Service) Explain(q Question) (Explanation, error) {
	d, err := s.Deadline(q)
	e := Explanation{Question: q, Deadline: d, service: s}
	if err != nil {
		return e, err
	}
	pauses := standstills(q.Pauses)
	end := d.Due
	if n := len(pauses); end.IsZero() && n > 0 && d.SLA.Measure != NoLimit {
		end = later(q.Start, pauses[n-1].From)
		e.note("The clock stands still; the answer is due when it has run again for the time that is left.")
	}
	if !d.Open {
		e.note("The service is closed now; the time for an answer is counted from its next opening, unless it counts at any hour.")
	}
	if first, last := s.Core.holidays.Years(); first > 0 && !end.IsZero() && (end.Year() > last || q.Start.Year() < first) {
		e.note("The holidays of these years are not known; the answer may be due later.")
	}
	e.steps(end, pauses)
	return e, nil
}

func (e *Explanation) note(text string) { e.Notes = append(e.Notes, text) }

// steps fills in the steps.
func (e *Explanation) steps(end time.Time, pauses []Pause) {
	at := e.Question.Start
	count := func(s stretch) bool {
		if !s.from.Before(end) {
			return false
		}
		e.gap(at, s.from, pauses)
		at = s.to
		if end.Before(at) {
			at = end
		}
		return e.step(Step{From: s.from, To: at, Counts: true, Why: e.countedWhy()})
	}
	switch {
	case end.IsZero():
		return
	case e.Deadline.SLA.Measure == AnyHour:
		running(at, end, pauses, count)
	default:
		w := e.service.Core.walker(at)
		_ = w.each(at, pauses, count) // it ends with what is due, which the days reach
	}
	if len(e.Steps) > maxSteps {
		e.step(Step{From: at, To: end, Why: "More times than are listed here."})
		return
	}
	e.gap(at, end, pauses)
}

func (e *Explanation) countedWhy() string {
	if e.Deadline.SLA.Measure == AnyHour {
		return "Every hour counts."
	}
	return "Core hours."
}

// running calls f with the times between two moments that no pause covers.
func running(from, to time.Time, pauses []Pause, f func(stretch) bool) {
	for _, p := range pauses {
		if !p.From.Before(to) {
			break
		}
		if from.Before(p.From) && !f(stretch{from, p.From}) || p.To.IsZero() {
			return
		}
		from = later(from, p.To)
	}
	if from.Before(to) {
		f(stretch{from, to})
	}
}

// step adds a step unless it is empty, and reports whether there may be more.
func (e *Explanation) step(s Step) bool {
	if s.From.Before(s.To) {
		s.From, s.To = s.From.In(e.service.Core.Zone()), s.To.In(e.service.Core.Zone())
		e.Steps = append(e.Steps, s)
	}
	return len(e.Steps) <= maxSteps
}

// gap adds the step between two moments in which nothing counts.
func (e *Explanation) gap(from, to time.Time, pauses []Pause) {
	if !from.Before(to) {
		return
	}
	var why []string
	size := 0
	tell := func(reason string) bool {
		if reason = shortened(reason); reason != "" && size < maxReasons {
			why = append(why, reason)
			size += len(reason)
		}
		return size < maxReasons
	}
	for _, p := range pauses {
		if p.From.Before(to) && (p.To.IsZero() || p.To.After(from)) {
			tell("Waiting for an answer")
			break
		}
	}
	if e.Deadline.SLA.Measure != AnyHour {
		e.service.Core.tellClosed(from, to, tell)
	}
	if len(why) == 0 {
		why = append(why, "Outside core hours")
	}
	e.step(Step{From: from, To: to, Why: strings.Join(why, "; ") + "."})
}

// shortened returns no more of a reason than is told.
func shortened(reason string) string {
	count := 0
	for at := range reason {
		if count++; count > maxReason {
			return reason[:at] + "…"
		}
	}
	return reason
}

// tellClosed calls tell with the names of the holidays and the reasons of the closures
// between two moments, until it returns false.
func (h *Hours) tellClosed(from, to time.Time, tell func(string) bool) {
	last := civilOf(to, h.Zone())
	for day := civilOf(from, h.Zone()); day <= last && h.holidays != nil; day++ {
		if name, ok := h.holidays.on(day); ok && day.reach(0, h.Zone()).Before(to) && !tell(name) {
			return
		}
	}
	for _, c := range h.closures {
		if !c.from.Before(to) {
			return
		}
		if (c.to.IsZero() || c.to.After(from)) && !tell(c.why) {
			return
		}
	}
}

// String returns the SLA in words, or as the code that a HealthcareService says it with; ""
// for the zero SLA.
func (s SLA) String() string {
	switch s.Measure {
	case AnyHour:
		return fmt.Sprintf("%g minutes at any hour", s.Length.Minutes())
	case CoreHours:
		return fmt.Sprintf("%g core hours", s.Length.Hours())
	case CoreDay:
		return endOfCoreDay
	case NextCoreDay:
		return endOfNextCoreDay
	case WorkingDays:
		return fmt.Sprintf("%d working days", s.Days)
	}
	return ""
}

// JSON returns the explanation as a Parameters resource, the answer of the operation $due:
// due and soon (dateTime) unless there is none, start, priority, measure, open, opens,
// calendar, time-zone, note and for every step from, to, counts and why.
func (e Explanation) JSON() []byte {
	h, d := e.service.Core, e.Deadline
	p := parameters{dst: []byte(`{"resourceType":"Parameters","parameter":[`)}
	p.moment(h, "due", d.Due)
	p.moment(h, "soon", d.Soon)
	p.moment(h, "start", e.Question.Start)
	p.text("kind", "valueCode", e.Question.Kind)
	p.text("priority", "valueCode", e.Question.Priority)
	p.text("time-limit", "valueString", d.SLA.String())
	p.flag("open", d.Open)
	p.moment(h, "opens", d.Opens)
	p.moment(h, "runs", d.Runs)
	p.text("calendar", "valueCode", e.service.Calendar)
	p.text("time-zone", "valueCode", h.Zone().String())
	p.text("preset", "valueCode", e.service.Preset)
	for _, note := range e.Notes {
		p.text("note", "valueString", note)
	}
	for _, s := range e.Steps {
		p.begin("step")
		p.dst = append(p.dst, `,"part":[`...)
		p.moment(h, "from", s.From)
		p.moment(h, "to", s.To)
		p.flag("counts", s.Counts)
		p.text("why", "valueString", s.Why)
		p.dst = append(p.dst, `]}`...)
	}
	return append(p.dst, `]}`...)
}

// parameters writes the elements of a Parameters resource.
type parameters struct{ dst []byte }

// begin writes the beginning of a parameter, up to its name.
func (p *parameters) begin(name string) {
	if p.dst[len(p.dst)-1] == '}' {
		p.dst = append(p.dst, ',')
	}
	p.dst = fhir.AppendString(append(p.dst, `{"name":`...), name)
}

// text writes a parameter with a text; none without one.
func (p *parameters) text(name, property, value string) {
	if value == "" {
		return
	}
	p.begin(name)
	p.dst = append(p.dst, `,"`+property+`":`...)
	p.dst = append(fhir.AppendString(p.dst, value), '}')
}

func (p *parameters) moment(h *Hours, name string, t time.Time) {
	if !t.IsZero() {
		p.text(name, "valueDateTime", h.DateTime(t))
	}
}

func (p *parameters) flag(name string, value bool) {
	p.begin(name)
	p.dst = append(p.dst, `,"valueBoolean":`...)
	if value {
		p.dst = append(p.dst, `true}`...)
		return
	}
	p.dst = append(p.dst, `false}`...)
}

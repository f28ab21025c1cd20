package consultation

import "time"

// A Question asks by when a Task is to be answered.
type Question struct {
	Kind     string // of the Task, "consultation"
	Priority string // of the Task, "routine"; "" is the same
	Start    time.Time
	Pauses   []Pause
}

// A Deadline is by when a Task is to be answered, and what a patient is to know who
// submits now. All times are in the time zone of the service; a zero one is never, or not
// yet known because the clock stands still.
type Deadline struct {
	SLA   SLA
	Due   time.Time // zero for a kind without a limit, and while the clock stands still
	Soon  time.Time // from when it is due soon; zero when Due is
	Open  bool      // whether the service was open when the clock started
	Opens time.Time // when it opens first from then on: the start when it is open; zero when it never does
	Runs  time.Time // when the clock first runs: the start, or the next opening of core hours
}

// Deadline answers a Question. The errors are those of [Hours.Due]; a submission is to be
// kept in spite of one, without a due time.
func (s *Service) Deadline(q Question) (Deadline, error) {
	clock := Clock{Start: q.Start, SLA: s.SLA(q.Kind, q.Priority), Pauses: q.Pauses}
	d := Deadline{SLA: clock.SLA, Open: s.Opening.Open(q.Start), Runs: q.Start.In(s.Core.Zone())}
	if opens, err := s.Opening.Next(q.Start); err == nil {
		d.Opens = opens
	}
	var err error
	if d.SLA.Measure != AnyHour && d.SLA.Measure != NoLimit {
		if d.Runs, err = s.Core.Next(q.Start); err != nil {
			return d, err
		}
	}
	if d.Due, err = s.Core.Due(clock); err != nil || d.Due.IsZero() {
		return d, err
	}
	d.Soon, err = s.Core.soon(clock, d.Due)
	return d, err
}

package consultation_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// someClock draws hours and a clock that runs in them.
func someClock(t *testing.T, all []*consultation.Hours) *rapid.Generator[drawn] {
	t.Helper()
	return rapid.Custom(func(r *rapid.T) drawn {
		d := drawn{hours: rapid.SampledFrom(all).Draw(r, "hours")}
		d.clock.Start = someMoment(r, "start")
		d.clock.SLA = someSLA(r)
		for range rapid.IntRange(0, 4).Draw(r, "pauses") {
			d.clock.Pauses = append(d.clock.Pauses, somePause(r, d.clock.Start))
		}
		return d
	})
}

type drawn struct {
	hours *consultation.Hours
	clock consultation.Clock
}

// someMoment is in 2026, most often near to where something changes, and in any zone.
func someMoment(r *rapid.T, name string) time.Time {
	edges := []time.Time{
		time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
		time.Date(2026, 4, 3, 7, 0, 0, 0, time.UTC), time.Date(2026, 12, 24, 18, 30, 0, 0, time.UTC),
		time.Date(2026, 6, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 6, 12, 17, 30, 0, 0, time.UTC),
	}
	minutes := rapid.OneOf(rapid.IntRange(-180, 180), rapid.IntRange(-20_000, 20_000)).Draw(r, name)
	at := rapid.SampledFrom(edges).Draw(r, name+" near").Add(time.Duration(minutes) * time.Minute)
	return at.Add(time.Duration(rapid.IntRange(0, 59_999).Draw(r, name+" ms")) * time.Millisecond)
}

func someSLA(r *rapid.T) consultation.SLA {
	length := time.Duration(rapid.IntRange(0, 60_000).Draw(r, "seconds")) * time.Second
	return rapid.SampledFrom([]consultation.SLA{
		core(length), core(length), wall(length), sameDay, nextDay, working(int(length / time.Hour)),
		{Measure: consultation.CoreHours, Length: length, Latest: consultation.CoreDay},
		{Measure: consultation.CoreHours, Length: length, Latest: consultation.NextCoreDay},
	}).Draw(r, "sla")
}

// somePause begins at start or later.
func somePause(r *rapid.T, start time.Time) consultation.Pause {
	from := start.Add(time.Duration(rapid.IntRange(0, 5_000).Draw(r, "pause after")) * time.Minute)
	return consultation.Pause{From: from, To: from.Add(time.Duration(rapid.IntRange(0, 5_000).Draw(r, "pause of")) * time.Minute)}
}

// everyHours returns the hours of all services of the cases.
func everyHours(t *testing.T) []*consultation.Hours {
	t.Helper()
	var all []*consultation.Hours
	for _, src := range []string{england, lunch, always, nights, early, scotland, training, newYork, lordHowe, nepal, apia} {
		all = append(all, hoursOf(t, src))
	}
	return all
}

func mustDue(r *rapid.T, d drawn) time.Time {
	due, err := d.hours.Due(d.clock)
	if err != nil || due.IsZero() {
		r.Fatalf("due %v, %v", due, err)
	}
	return due
}

func TestDueProperties(t *testing.T) {
	t.Parallel()
	clocks := someClock(t, everyHours(t))
	for name, holds := range map[string]func(*rapid.T, drawn){
		"a later start is due no earlier": func(r *rapid.T, d drawn) {
			first := mustDue(r, d)
			later := d
			later.clock.Start = d.clock.Start.Add(time.Duration(rapid.IntRange(0, 10_000).Draw(r, "later")) * time.Minute)
			later.clock.Pauses, d.clock.Pauses = nil, nil
			if a, b := mustDue(r, d), mustDue(r, later); b.Before(a) || first.Before(a) {
				r.Fatalf("%v, %v with pauses, and %v from %v", a, first, b, later.clock.Start)
			}
		},
		"more time is due no earlier": func(r *rapid.T, d drawn) {
			more := d
			more.clock.SLA.Length += time.Duration(rapid.IntRange(0, 100_000).Draw(r, "more")) * time.Second
			more.clock.SLA.Days += rapid.IntRange(0, 9).Draw(r, "more days")
			if a, b := mustDue(r, d), mustDue(r, more); b.Before(a) {
				r.Fatalf("%v, %v for %v", a, b, more.clock.SLA)
			}
		},
		"one more pause is due no earlier": func(r *rapid.T, d drawn) {
			more := d
			more.clock.Pauses = append(d.clock.Pauses[:len(d.clock.Pauses):len(d.clock.Pauses)], somePause(r, d.clock.Start.Add(-40*time.Hour)))
			if a, b := mustDue(r, d), mustDue(r, more); b.Before(a) {
				r.Fatalf("%v, %v with %v", a, b, more.clock.Pauses)
			}
		},
		"what has elapsed until it is due is the time": func(r *rapid.T, d drawn) {
			due := mustDue(r, d)
			passed, err := d.hours.Elapsed(d.clock.Start, due, d.clock.Pauses)
			exact := d.clock.SLA.Measure == consultation.CoreHours && d.clock.SLA.Latest == consultation.NoLimit
			if err != nil || exact && passed != d.clock.SLA.Length || d.clock.SLA.Measure == consultation.CoreHours && passed > d.clock.SLA.Length {
				r.Fatalf("%v, %v of %v by %v", passed, err, d.clock.SLA, due)
			}
		},
		"the zone in which the start is said does not matter": func(r *rapid.T, d drawn) {
			same := d
			same.clock.Start = d.clock.Start.In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(r, "offset")))
			if a, b := mustDue(r, d), mustDue(r, same); !a.Equal(b) || a.Location() != d.hours.Zone() {
				r.Fatalf("%v, %v", a, b)
			}
		},
		"it is due soon before it is due": func(r *rapid.T, d drawn) {
			due := mustDue(r, d)
			if soon, err := d.hours.Soon(d.clock); err != nil || soon.After(due) && d.clock.SLA.Length > 0 || soon.Before(d.clock.Start) {
				r.Fatalf("%v, %v, due %v", soon, err, due)
			}
		},
		"core hours are due while it is open or when it closes": func(r *rapid.T, d drawn) {
			due := mustDue(r, d)
			wall := d.clock.SLA.Measure == consultation.AnyHour
			if !wall && !d.hours.Open(due) && !d.hours.Open(due.Add(-1)) || due.Before(d.clock.Start) {
				r.Fatalf("%v", due)
			}
		},
		"a pause that is not over stops the clock or comes too late": func(r *rapid.T, d drawn) {
			d.clock.SLA.Length += time.Second // what takes no time is held before it is due
			due := mustDue(r, d)
			last := somePause(r, d.clock.Start)
			last.To = time.Time{}
			held := d
			held.clock.Pauses = append(d.clock.Pauses[:len(d.clock.Pauses):len(d.clock.Pauses)], last)
			if got, err := d.hours.Due(held.clock); err != nil || last.From.Before(due) != got.IsZero() || !got.IsZero() && !got.Equal(due) {
				r.Fatalf("%v, %v with a pause from %v; %v without", got, err, last.From, due)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) { holds(r, clocks.Draw(r, "clock")) })
		})
	}
}

// TestDueAgainstMinutes holds Due against a walk of one minute at a time.
func TestDueAgainstMinutes(t *testing.T) {
	t.Parallel()
	all := everyHours(t)
	rapid.Check(t, func(r *rapid.T) {
		h := rapid.SampledFrom(all).Draw(r, "hours")
		start := someMoment(r, "start").Truncate(time.Minute)
		pause := somePause(r, start)
		left := rapid.IntRange(1, 3_000).Draw(r, "minutes")
		got, err := h.Due(consultation.Clock{Start: start, SLA: core(time.Duration(left) * time.Minute), Pauses: []consultation.Pause{pause}})
		at := start
		for ; left > 0; at = at.Add(time.Minute) {
			if paused := !at.Before(pause.From) && at.Before(pause.To); !paused && h.Open(at) {
				left--
			}
		}
		if err != nil || !got.Equal(at) {
			r.Fatalf("due %v, %v; want %v", got, err, at)
		}
	})
}

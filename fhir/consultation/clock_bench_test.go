package consultation_test

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

func BenchmarkDue(b *testing.B) {
	h := hoursOf(b, england)
	for _, c := range []struct {
		name, start string
		sla         consultation.SLA
		pauses      string
	}{
		{"stat", "Mon 2026-06-08 09:00", wall(30 * time.Minute), ""},
		{"hours", "Mon 2026-06-08 09:00", core(2 * time.Hour), ""},
		{"routine over Easter", "Thu 2026-04-02 19:00", nextDay, ""},
		{"five working days, paused", "Mon 2025-11-17 10:02", working(5), "Wed 2025-11-19 14:20 > Thu 2025-11-20 11:05"},
		{"a year", "Mon 2026-06-08 09:00", core(2_600 * time.Hour), ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			clock := clockOf(b, c.start, c.sla, c.pauses)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Due(clock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDeadline is what a submission asks once its service has been read.
func BenchmarkDeadline(b *testing.B) {
	s, _ := serviceOf(b, england, consultation.Setting{})
	q := consultation.Question{Kind: "consultation", Priority: "routine", Start: moment(b, "Mon 2026-06-08 20:00")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Deadline(q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNeverOpen looks for an opening that the closings leave no room for.
func BenchmarkNeverOpen(b *testing.B) {
	h := hoursOf(b, healthcare("", closedDuring(`"start":"2000","end":"3000"`)))
	start := moment(b, "Mon 2026-06-08 20:00")
	for b.Loop() {
		if _, err := h.Next(start); err == nil {
			b.Fatal("it opened")
		}
	}
}

func BenchmarkReadService(b *testing.B) {
	r, err := fhir.Decode("HealthcareService", []byte(healthcare(inZone("Europe/London"), available(weekdaysTill))))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := consultation.ReadService(r, consultation.Setting{Preset: consultation.England2026}); err != nil {
			b.Fatal(err)
		}
	}
}

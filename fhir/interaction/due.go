package interaction

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// Due is the operation that says by when a service answers.
const Due access.Interaction = "due"

// A DueRequest asks by when a service has to answer.
type DueRequest struct {
	Service  fhir.Key
	Kind     consultation.Kind // of the Task
	Priority string            // "routine", "urgent", "asap", "stat"; empty is routine
	Start    time.Time         // of the clock; zero is now
}

// Due says by when a service has to answer, and how that is counted, as Parameters.
func (s *Session) Due(ctx context.Context, q DueRequest) ([]byte, error) {
	if !slices.Contains(consultation.Kinds(), q.Kind) {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "http.kind", "The kind is one of %v.", consultation.Kinds())
	}
	if !slices.Contains([]string{"", "routine", "urgent", "asap", "stat"}, q.Priority) {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "http.priority", "The priority is routine, urgent, asap or stat.")
	}
	if q.Start.IsZero() {
		q.Start = s.clock()
	}
	r, err := s.stored(ctx, q.Service)
	if err != nil {
		return nil, err
	}
	service, _, err := s.clocks(ctx, r)
	if err != nil {
		return nil, err
	}
	e, err := service.Explain(consultation.Question{Kind: string(q.Kind), Priority: q.Priority, Start: q.Start})
	if err != nil {
		return nil, err
	}
	return e.JSON(), nil
}

// clocks reads the hours and times of a HealthcareService, and what is wrong with them.
func (s *Session) clocks(ctx context.Context, r *fhir.Resource) (*consultation.Service, []fhir.Issue, error) {
	setting := consultation.Setting{Preset: s.checks.Preset}
	if url := consultation.HolidayCalendar(r); url != "" && consultation.BuiltInCalendar(url) == nil {
		c, wrong, err := s.calendar(ctx, url)
		if err != nil {
			return nil, nil, err
		}
		if c != nil {
			setting.Calendars = append(setting.Calendars, c)
		}
		service, issues, err := consultation.ReadService(r, setting)
		return service, slices.Concat(issues, wrong), err
	}
	return consultation.ReadService(r, setting)
}

// calendar returns the holidays of a stored CodeSystem, nil when there is none, and what is wrong
// with them.
func (s *Session) calendar(ctx context.Context, url string) (*consultation.Calendar, []fhir.Issue, error) {
	d, err := s.checks.Definitions.Find(ctx, "CodeSystem", url)
	if err != nil || d == nil {
		return nil, nil, err
	}
	root, err := d.Root()
	if err != nil {
		return nil, nil, err
	}
	r, err := fhir.DecodeDerived("CodeSystem", root.Raw())
	if err != nil {
		return nil, nil, fmt.Errorf("read the holidays of %s: %w", d.Canonical(), err)
	}
	c, wrong := consultation.ReadCalendar(r)
	return c, wrong, nil
}

// isAnswering reports whether r is a service that says how soon it answers, whose hours
// have to be right.
func isAnswering(r *fhir.Resource) bool {
	return !r.Root().Extension(consultation.ResponseSLA).IsZero()
}

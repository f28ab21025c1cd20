package interaction

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// rememberHours is for how long it is remembered when somebody answers. Another server sees a
// change that late.
const rememberHours = 2 * time.Second

// maxHours bounds of how many services and organisations that is.
const maxHours = 4096

// hourBook remembers when services answer, by the service or the organisation.
type hourBook struct {
	mu   sync.Mutex
	read map[fhir.Key]hourEntry
}

type hourEntry struct {
	service *consultation.Service
	until   time.Time
}

func (b *hourBook) find(k fhir.Key, now time.Time) (*consultation.Service, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.read[k]
	return e.service, ok && now.Before(e.until)
}

func (b *hourBook) keep(k fhir.Key, s *consultation.Service, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read == nil || len(b.read) >= maxHours {
		b.read = map[fhir.Key]hourEntry{}
	}
	b.read[k] = hourEntry{s, now.Add(rememberHours)}
}

// matcher finds what is stored now.
type matcher interface {
	currentReader
	Matching(ctx context.Context, typ, query string, n int) ([]store.Version, error)
}

// serviceOf returns by whose hours a Task is answered: of the service that was chosen for it, of
// the owner that is a service, or of the owner's service that says how soon it answers. Where
// nobody says anything, the hours of general practice in England count.
func (s *Session) serviceOf(ctx context.Context, at matcher, task *fhir.Resource) (*consultation.Service, error) {
	for in := range task.Root().Each("input") {
		if chosen := s.referred(in.Child("value"), "HealthcareService"); chosen.ID != "" {
			return s.hoursOf(ctx, at, chosen)
		}
	}
	owner := task.Root().Child("owner")
	for _, typ := range []string{"HealthcareService", "Organization"} {
		if k := s.referred(owner, typ); k.ID != "" {
			return s.hoursOf(ctx, at, k)
		}
	}
	return s.hoursOf(ctx, at, fhir.Key{})
}

// hoursOf returns the hours of a HealthcareService or an Organization.
func (s *Session) hoursOf(ctx context.Context, at matcher, k fhir.Key) (*consultation.Service, error) {
	now := time.Now()
	if known, ok := s.hours.find(k, now); ok {
		return known, nil
	}
	r, err := s.answering(ctx, at, k)
	if err != nil {
		return nil, fmt.Errorf("look up the hours of a %s: %w", k.Type, err)
	}
	if r == nil {
		if r, err = fhir.DecodeDerived("HealthcareService", []byte(generalPractice)); err != nil {
			return nil, err
		}
	}
	service, _, err := s.clocks(ctx, r)
	if err != nil {
		return nil, err
	}
	s.hours.keep(k, service, now)
	return service, nil
}

// generalPractice is a service with the hours of general practice in England.
const generalPractice = `{"resourceType":"HealthcareService","availableTime":[{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"08:00:00","availableEndTime":"18:30:00"}]}`

// answering returns the HealthcareService that says how soon somebody answers; nil for none.
func (s *Session) answering(ctx context.Context, at matcher, k fhir.Key) (*fhir.Resource, error) {
	switch k.Type {
	case "HealthcareService":
		found, err := at.Current(ctx, []fhir.Key{k})
		if err != nil {
			return nil, err
		}
		v, err := formerly(found[k])
		if v == nil || err != nil {
			return nil, err
		}
		return v.resource, nil
	case "Organization":
		all, err := at.Matching(ctx, "HealthcareService", "organization="+k.String(), 100)
		if err != nil {
			return nil, err
		}
		return firstAnswering(all)
	}
	return nil, nil
}

// firstAnswering returns the active service that says how soon it answers, of several the one
// with the smallest id.
func firstAnswering(all []store.Version) (first *fhir.Resource, err error) {
	for _, v := range all {
		r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode a HealthcareService: %w", err)
		}
		if isAnswering(r) && r.Root().Child("active").Text() != "false" && (first == nil || r.ID() < first.ID()) {
			first = r
		}
	}
	return first, nil
}

package terminology

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Codes returns the codes of a value set, for :in of a search. The error is an
// Outcome when it is not known, cannot be listed, or has more than most.
func (s *Service) Codes(ctx context.Context, valueSet string, most int) ([]spec.Coding, error) {
	v, err := s.listable(ctx, valueSet)
	if err != nil {
		return nil, fmt.Errorf("find value set: %w", err)
	}
	if v == nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.NotFound, "", "Name a value set that is known here; %s is not.", valueSet)
	}
	if v.isSelection() {
		p, err := s.direct(ctx, v, ExpandRequest{Count: &most})
		if err != nil {
			return nil, err
		}
		if p.total > most {
			return nil, tooMany(fhir.Unprocessable, most)
		}
		return codingsOf(p.members), nil
	}
	g := s.gathering(computedKey{}, most)
	if err := g.set(ctx, v, g.add); err != nil {
		return nil, err
	}
	return codingsOf(g.found), nil
}

func codingsOf(members []memberOf) []spec.Coding {
	codes := make([]spec.Coding, len(members))
	for i, m := range members {
		codes[i] = spec.Coding{System: m.system, Code: m.code}
	}
	return codes
}

// Below returns a code and its descendants, for :below of a search. The error is an
// Outcome when the code system is not known or there are more than most. A code that
// is not known has no others below.
func (s *Service) Below(ctx context.Context, of Coding, most int) ([]spec.Coding, error) {
	return s.relatives(ctx, of, selection{filters: []filter{{"concept", "is-a", of.Code}}, count: most})
}

// Above returns a code and its ancestors, for :above of a search. The error is that of
// [Service.Below].
func (s *Service) Above(ctx context.Context, of Coding, most int) ([]spec.Coding, error) {
	return s.relatives(ctx, of, selection{filters: []filter{{"concept", "generalizes", of.Code}}, count: most})
}

func (s *Service) relatives(ctx context.Context, of Coding, sel selection) ([]spec.Coding, error) {
	sys, err := s.system(ctx, of.System, of.Version)
	if err != nil {
		return nil, fmt.Errorf("find code system: %w", err)
	}
	if sys == nil {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.NotFound, "", "Name a code system that is known here; %s is not.", canonicalOf(of.System, of.Version))
	}
	self := []spec.Coding{{System: of.System, Code: of.Code}}
	if g, ok := sys.(*grammar); ok && g.valid(of.Code) {
		return self, nil
	}
	all, total, err := sys.pick(ctx, sel)
	if err != nil {
		return nil, fmt.Errorf("ask code system: %w", err)
	}
	if total > sel.count {
		return nil, tooMany(fhir.BadRequest, sel.count)
	}
	if total == 0 {
		return self, nil
	}
	codes := make([]spec.Coding, len(all))
	for i, c := range all {
		codes[i] = spec.Coding{System: of.System, Code: c.code}
	}
	return codes, nil
}

func tooMany(class fhir.Class, most int) *fhir.Outcome {
	return fhir.Errorf(class, fhir.TooCostly, "", "Ask for less; there are more than the %d codes that can be listed at once.", most)
}

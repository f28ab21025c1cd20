package terminology

import (
	"context"
	"slices"
)

// A supplemented is a code system with what supplements say of its codes. Their
// properties can be looked up but not filtered by.
type supplemented struct {
	system
	more []*listed
}

// supplemented adds those supplements to a code system that are meant for it.
func (s *Service) supplemented(ctx context.Context, sys system, supplements []string) (system, error) {
	var more []*listed
	for _, canonical := range supplements {
		d, err := s.find(ctx, "CodeSystem", canonical)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		l, err := s.list(ctx, d)
		if err != nil {
			return nil, err
		}
		if of := sys.head(); l.h.content == "supplement" && (l.h.supplements == of.url || l.h.supplements == canonicalOf(of.url, of.version)) {
			more = append(more, l)
		}
	}
	if len(more) == 0 {
		return sys, nil
	}
	return &supplemented{sys, more}, nil
}

func (s *supplemented) concept(ctx context.Context, code string) (*concept, error) {
	c, err := s.system.concept(ctx, code)
	if err != nil || c == nil {
		return c, err
	}
	fuller := *c
	s.add(&fuller)
	return &fuller, nil
}

func (s *supplemented) pick(ctx context.Context, sel selection) ([]concept, int, error) {
	all, total, err := s.system.pick(ctx, sel)
	for i := range all {
		s.add(&all[i])
	}
	return all, total, err
}

// add adds to c what the supplements say of it.
func (s *supplemented) add(c *concept) {
	for _, l := range s.more {
		if i, ok := l.find(c.code); ok {
			c.designations = slices.Concat(c.designations, l.all[i].designations)
			c.properties = slices.Concat(c.properties, l.all[i].properties)
		}
	}
}

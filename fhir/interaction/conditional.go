package interaction

import (
	"context"
	"errors"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// A Target is the resource that a conditional write is about: the one that a
// search finds.
type Target struct {
	Type     string
	Criteria string       // of the search, as a query: "identifier=system|value"
	Expect   store.Expect // what must be true of the resource
}

// CreateIf stores r as a new resource unless the criteria find one of its type
// already. That one is then the Result, with the outcome Unchanged. The caller
// must be allowed to create r in either case.
// https://hl7.org/fhir/R4/http.html#ccreate
func (s *Session) CreateIf(ctx context.Context, r *fhir.Resource, criteria string) (Result, error) {
	return s.writeIf(ctx, Target{Type: r.Type(), Criteria: criteria}, Entry{Method: "POST", Resource: r})
}

// UpdateIf stores r as the next version of the resource that t finds. If it finds
// none, r is stored as a new one, under the id in it if there is one and the
// caller sees everything there is.
// https://hl7.org/fhir/R4/http.html#cond-update
func (s *Session) UpdateIf(ctx context.Context, r *fhir.Resource, t Target) (Result, error) {
	return s.writeIf(ctx, t, Entry{Method: "PUT", Resource: r})
}

// PatchIf applies ops to the resource that t finds.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Session) PatchIf(ctx context.Context, t Target, ops Change) (Result, error) {
	return s.writeIf(ctx, t, Entry{Method: "PATCH", Patch: &ops})
}

// DeleteIf marks the resource that t finds as deleted. Finding none is no error.
// https://hl7.org/fhir/R4/http.html#2.21.0.13.1
func (s *Session) DeleteIf(ctx context.Context, t Target) (Result, error) {
	return s.writeIf(ctx, t, Entry{Method: "DELETE"})
}

// writeIf performs e on what t finds.
func (s *Session) writeIf(ctx context.Context, t Target, e Entry) (Result, error) {
	e.Key.Type, e.Criteria, e.Conditional, e.Expect = t.Type, t.Criteria, true, t.Expect
	replies, err := s.Transaction(ctx, Bundle{Entries: []Entry{e}, Single: true})
	if err != nil {
		return Result{}, err
	}
	return replies[0].Result, nil
}

// errRaced means that another write has changed a resource after it was looked at.
var errRaced = errors.New("the resource was changed meanwhile")

func tooManyRaces() error {
	return fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

// mayFind returns an Outcome when the caller may not do i to what a search finds.
// Who may not search must not learn by a write what there is.
func (s *Session) mayFind(i access.Interaction, typ string) error {
	if err := s.Allow(i, fhir.Key{Type: typ}); err != nil {
		return err
	}
	return s.maySearch([]string{typ})
}

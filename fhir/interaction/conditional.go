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
// already. That one is then the Result, with the outcome Unchanged.
// https://hl7.org/fhir/R4/http.html#ccreate
func (s *Session) CreateIf(ctx context.Context, r *fhir.Resource, criteria string) (done Result, err error) {
	t := Target{Type: r.Type(), Criteria: criteria}
	err = s.conditionally(ctx, access.Create, t, func(ctx context.Context, tx *store.Tx) (err error) {
		if len(tx.Found) == 1 {
			done = Result{tx.Found[0], store.Unchanged}
			return nil
		}
		done, err = s.putIn(ctx, tx, proposal{fhir.Key{Type: t.Type, ID: s.newID()}, store.Create, r, store.Absent})
		return err
	})
	return done, err
}

// UpdateIf stores r as the next version of the resource that t finds. If it finds
// none, r is stored as a new one, under the id in it if there is one.
// https://hl7.org/fhir/R4/http.html#cond-update
func (s *Session) UpdateIf(ctx context.Context, r *fhir.Resource, t Target) (done Result, err error) {
	err = s.conditionally(ctx, access.Update, t, func(ctx context.Context, tx *store.Tx) (err error) {
		if len(tx.Found) == 0 {
			done, err = s.createUnfound(ctx, tx, r, t.Expect)
			return err
		}
		k := tx.Found[0].Key
		if r.ID() != "" && r.ID() != k.ID {
			return fhir.Errorf(fhir.BadRequest, fhir.Invalid, t.Type+".id", "The id of the resource is not that of the one that the criteria find; make them the same, or leave it out.")
		}
		done, err = s.putIn(ctx, tx, proposal{k, store.Update, r, t.Expect})
		return err
	})
	return done, err
}

// createUnfound stores the resource of an update whose criteria find none.
func (s *Session) createUnfound(ctx context.Context, tx *store.Tx, r *fhir.Resource, expect store.Expect) (Result, error) {
	if expect > 0 {
		return Result{}, stale(store.Written{})
	}
	k := fhir.Key{Type: r.Type(), ID: r.ID()}
	if k.ID == "" {
		k.ID = s.newID()
	}
	done, err := s.putIn(ctx, tx, proposal{k, store.Update, r, store.Absent})
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
		return done, fhir.Errorf(fhir.Clash, fhir.Duplicate, k.Type+".id", "Another %s has this id, and the criteria do not find it; choose another id, or leave it out.", k.Type)
	}
	return done, err
}

// PatchIf applies ops to the resource that t finds.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Session) PatchIf(ctx context.Context, t Target, ops Change) (done Result, err error) {
	patch := func(ctx context.Context, tx *store.Tx) (err error) {
		if len(tx.Found) == 0 {
			return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "The criteria find no %s.", t.Type)
		}
		done, err = s.patchFound(ctx, tx, ops, t.Expect)
		return err
	}
	for range maxPatchRaces {
		if err = s.conditionally(ctx, access.Patch, t, patch); !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return Result{}, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

// errRaced means that a write without criteria has changed a resource after it
// was found.
var errRaced = errors.New("the resource was changed meanwhile")

func (s *Session) patchFound(ctx context.Context, tx *store.Tx, ops Change, expect store.Expect) (Result, error) {
	v := &tx.Found[0]
	if expect > 0 && v.Number != int(expect) {
		return Result{}, stale(store.Written{})
	}
	r, err := patched(v, ops)
	if err != nil {
		return Result{}, err
	}
	done, err := s.putIn(ctx, tx, proposal{v.Key, store.Patch, r, store.Expect(v.Number)})
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
		return Result{}, errRaced
	}
	return done, err
}

// DeleteIf marks the resource that t finds as deleted. Finding none is no error.
// https://hl7.org/fhir/R4/http.html#2.21.0.13.1
func (s *Session) DeleteIf(ctx context.Context, t Target) (done Result, err error) {
	err = s.conditionally(ctx, access.Delete, t, func(ctx context.Context, tx *store.Tx) error {
		if len(tx.Found) == 0 {
			done = Result{store.Version{Key: fhir.Key{Type: t.Type}}, store.Nothing}
			return nil
		}
		k := tx.Found[0].Key
		w, err := tx.Delete(ctx, k, t.Expect, s.grant.Client())
		if err != nil {
			return err
		}
		done, err = settle(store.Row{Key: k, Op: store.Delete}, w)
		return err
	})
	return done, err
}

// conditionally runs act in a transaction in which t has found one resource or
// none. Who may not search must not learn by a write what there is.
func (s *Session) conditionally(ctx context.Context, i access.Interaction, t Target, act func(context.Context, *store.Tx) error) error {
	if err := s.grant.Allow(i, t.Type); err != nil {
		return err
	}
	if err := s.maySearch([]string{t.Type}); err != nil {
		return err
	}
	for range maxParameterRaces {
		known := s.store.Registry()
		where, err := known.Criteria(t.Type, t.Criteria)
		if err != nil {
			return err
		}
		err = s.store.Conditionally(ctx, store.Criteria{Type: t.Type, Where: where, Generation: known.Generation}, func(ctx context.Context, tx *store.Tx) error {
			if len(tx.Found) > 1 {
				return fhir.Errorf(fhir.Stale, fhir.MultipleMatches, "", "The criteria find more than one %s; send such that find one at most.", t.Type)
			}
			return act(ctx, tx)
		})
		if !errors.Is(err, store.ErrParametersMoved) {
			return err
		}
	}
	return parametersRace()
}

// A proposal is a version to be written.
type proposal struct {
	key      fhir.Key
	op       store.Op
	resource *fhir.Resource
	expect   store.Expect
}

// putIn writes p in a transaction.
func (s *Session) putIn(ctx context.Context, tx *store.Tx, p proposal) (Result, error) {
	row, err := s.store.Row(p.key, p.op, p.resource)
	if err != nil {
		return Result{}, err
	}
	row.Origin = s.grant.Client()
	w, err := tx.Put(ctx, row, p.expect)
	if err != nil {
		return Result{}, err
	}
	return settle(row, w)
}

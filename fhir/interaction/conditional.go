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
	t := Target{Type: r.Type(), Criteria: criteria}
	if err := s.mayFind(access.Create, t); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Create, fhir.Key{Type: t.Type}, func() (Result, error) { return s.createIf(ctx, r, t) })
}

func (s *Session) createIf(ctx context.Context, r *fhir.Resource, t Target) (done Result, err error) {
	d, err := s.row(ctx, s.created(r))
	if err != nil {
		return Result{}, err
	}
	err = s.conditionally(ctx, t, func(ctx context.Context, tx *store.Tx) (err error) {
		if len(tx.Found) == 1 {
			done = Result{Version: tx.Found[0], Outcome: store.Unchanged}
			return nil
		}
		done, err = putIn(ctx, tx, d, store.Absent)
		return err
	})
	if err == nil && done.Outcome == store.Unchanged && !s.grant.IsTrusted() {
		// Who may search for it need not be one who may read it.
		v, err := s.now(ctx, done.Key)
		done.Hidden = v == nil
		return done, err
	}
	return done, err
}

// UpdateIf stores r as the next version of the resource that t finds. If it finds
// none, r is stored as a new one, under the id in it if there is one and the
// caller sees everything there is.
// https://hl7.org/fhir/R4/http.html#cond-update
func (s *Session) UpdateIf(ctx context.Context, r *fhir.Resource, t Target) (Result, error) {
	if err := s.mayFind(access.Update, t); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Update, fhir.Key{Type: t.Type}, func() (Result, error) { return s.updateIf(ctx, r, t) })
}

func (s *Session) updateIf(ctx context.Context, r *fhir.Resource, t Target) (done Result, err error) {
	var first unfound
	if !s.grant.IsTrusted() {
		// What the rules have to know is found out before the transaction, which must
		// not wait for a second connection.
		first = s.unfound(ctx, r)
	}
	for range maxRaces {
		var found *store.Version
		err = s.conditionally(ctx, t, func(ctx context.Context, tx *store.Tx) (err error) {
			if len(tx.Found) == 0 {
				if s.grant.IsTrusted() {
					first = s.unfound(ctx, r)
				}
				done, err = createUnfound(ctx, tx, first, t.Expect)
				return err
			}
			if found = &tx.Found[0]; r.ID() != "" && r.ID() != found.Key.ID {
				return fhir.Errorf(fhir.BadRequest, fhir.Invalid, t.Type+".id", "The id of the resource is not that of the one that the criteria find; make them the same, or leave it out.")
			}
			if s.grant.IsTrusted() {
				done, err = s.putTrusted(ctx, tx, proposal{key: found.Key, op: store.Update, resource: r}, t.Expect)
			}
			return err
		})
		if err != nil || found == nil || s.grant.IsTrusted() {
			return done, err
		}
		done, err = s.changeFound(ctx, found, t.Expect, change{interaction: access.Update, op: store.Update,
			next: func(*store.Version) (*fhir.Resource, error) { return r, nil }})
		if !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return Result{}, tooManyRaces()
}

// An unfound is what an update stores whose criteria find nothing.
type unfound struct {
	draft
	refused error // why it may not
}

// unfound makes r ready to be stored as a new resource, or says why it may not.
func (s *Session) unfound(ctx context.Context, r *fhir.Resource) (u unfound) {
	p := s.created(r)
	p.op = store.Update
	if r.ID() != "" {
		if !s.grant.View(access.MayCreate|access.MayUpdate, r.Type()).Unlimited() {
			u.refused = fhir.Errorf(fhir.Denied, fhir.Forbidden, r.Type()+".id", "The criteria find no %s, and you may not choose the id of a new one; leave it out.", r.Type())
			return u
		}
		p.key.ID = r.ID()
	}
	if u.refused = s.Allow(access.Create, fhir.Key{Type: r.Type()}); u.refused == nil {
		u.draft, u.refused = s.row(ctx, p)
	}
	return u
}

// createUnfound stores the resource of an update whose criteria find none.
func createUnfound(ctx context.Context, tx *store.Tx, u unfound, expect store.Expect) (Result, error) {
	if expect > 0 {
		return Result{}, stale(store.Written{})
	}
	if u.refused != nil {
		return Result{}, u.refused
	}
	k := u.Key
	done, err := putIn(ctx, tx, u.draft, store.Absent)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
		return done, fhir.Errorf(fhir.Clash, fhir.Duplicate, k.Type+".id", "Another %s has this id, and the criteria do not find it; choose another id, or leave it out.", k.Type)
	}
	return done, err
}

// PatchIf applies ops to the resource that t finds.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Session) PatchIf(ctx context.Context, t Target, ops Change) (Result, error) {
	if err := s.mayFind(access.Patch, t); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Patch, fhir.Key{Type: t.Type}, func() (Result, error) { return s.patchIf(ctx, t, ops) })
}

func (s *Session) patchIf(ctx context.Context, t Target, ops Change) (Result, error) {
	for range maxRaces {
		found, done, err := s.found(ctx, t, func(ctx context.Context, tx *store.Tx) (Result, error) { return s.patchIn(ctx, tx, ops, t.Expect) })
		switch {
		case errors.Is(err, errRaced):
			continue
		case err != nil:
			return Result{}, err
		case found == nil:
			return Result{}, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "The criteria find no %s.", t.Type)
		case s.grant.IsTrusted():
			return done, nil
		}
		done, err = s.changeFound(ctx, found, t.Expect, change{interaction: access.Patch, op: store.Patch,
			next: func(old *store.Version) (*fhir.Resource, error) { return patched(old, ops) }})
		if !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return Result{}, tooManyRaces()
}

// DeleteIf marks the resource that t finds as deleted. Finding none is no error.
// https://hl7.org/fhir/R4/http.html#2.21.0.13.1
func (s *Session) DeleteIf(ctx context.Context, t Target) (Result, error) {
	if err := s.mayFind(access.Delete, t); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Delete, fhir.Key{Type: t.Type}, func() (Result, error) { return s.deleteIf(ctx, t) })
}

func (s *Session) deleteIf(ctx context.Context, t Target) (Result, error) {
	for range maxRaces {
		found, done, err := s.found(ctx, t, func(ctx context.Context, tx *store.Tx) (Result, error) { return s.deleteIn(ctx, tx, t.Expect) })
		switch {
		case err != nil:
			return Result{}, err
		case found == nil:
			return Result{Version: store.Version{Key: fhir.Key{Type: t.Type}}, Outcome: store.Nothing}, nil
		case s.grant.IsTrusted():
			return done, nil
		}
		done, err = s.raced(t.Expect, found, func(expect store.Expect) (Result, error) { return s.deleteSeen(ctx, found.Key, expect) })
		if !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return Result{}, tooManyRaces()
}

// errRaced means that another write has changed a resource after it was found.
var errRaced = errors.New("the resource was changed meanwhile")

// found returns the resource that t finds, nil for none. For a trusted caller act
// is done to it at once. What others do to it afterwards demands its version, so
// that the criteria still hold for it.
func (s *Session) found(ctx context.Context, t Target, act func(context.Context, *store.Tx) (Result, error)) (found *store.Version, done Result, err error) {
	err = s.conditionally(ctx, t, func(ctx context.Context, tx *store.Tx) (err error) {
		if len(tx.Found) == 0 {
			return nil
		}
		found = &tx.Found[0]
		if s.grant.IsTrusted() {
			done, err = act(ctx, tx)
		}
		return err
	})
	return found, done, err
}

// patchIn applies ops to what was found, in the transaction.
func (s *Session) patchIn(ctx context.Context, tx *store.Tx, ops Change, expect store.Expect) (Result, error) {
	v := &tx.Found[0]
	return s.raced(expect, v, func(expect store.Expect) (Result, error) {
		r, err := patched(v, ops)
		if err != nil {
			return Result{}, err
		}
		return s.putTrusted(ctx, tx, proposal{key: v.Key, op: store.Patch, resource: r}, expect)
	})
}

// deleteIn deletes what was found, in the transaction.
func (s *Session) deleteIn(ctx context.Context, tx *store.Tx, expect store.Expect) (Result, error) {
	k := tx.Found[0].Key
	t, err := s.deletion(ctx, k, &tx.Found[0])
	if err != nil {
		return Result{}, err
	}
	w, err := tx.Delete(ctx, k, expect, s.grant.Client(), t)
	if err != nil {
		return Result{}, err
	}
	return settle(store.Row{Key: k, Op: store.Delete}, w)
}

// changeFound carries c out on what criteria have found.
func (s *Session) changeFound(ctx context.Context, found *store.Version, expect store.Expect, c change) (Result, error) {
	return s.raced(expect, found, func(expect store.Expect) (Result, error) {
		c.key, c.expect = found.Key, expect
		return s.change(ctx, c)
	})
}

// raced runs act for the version that was found. It is errRaced when that is no
// longer the current one, and none was demanded.
func (s *Session) raced(expect store.Expect, found *store.Version, act func(store.Expect) (Result, error)) (Result, error) {
	if expect == store.Absent || expect > 0 && found.Number != int(expect) {
		return Result{}, stale(store.Written{})
	}
	done, err := act(store.Expect(found.Number))
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
		return Result{}, errRaced
	}
	return done, err
}

func tooManyRaces() error {
	return fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

// mayFind returns an Outcome when the caller may not do i to what a search finds.
// Who may not search must not learn by a write what there is.
func (s *Session) mayFind(i access.Interaction, t Target) error {
	if err := s.Allow(i, fhir.Key{Type: t.Type}); err != nil {
		return err
	}
	return s.maySearch([]string{t.Type})
}

// conditionally runs act in a transaction in which t has found one resource or
// none, of those that the caller sees.
func (s *Session) conditionally(ctx context.Context, t Target, act func(context.Context, *store.Tx) error) error {
	for range maxParameterRaces {
		known := s.store.Registry()
		where, err := known.Criteria(t.Type, t.Criteria)
		if err != nil {
			return err
		}
		if err := s.mayAsk(where, []string{t.Type}); err != nil {
			return err
		}
		err = s.store.Conditionally(ctx, store.Criteria{Type: t.Type, Where: where, Generation: known.Generation, Grant: s.grant}, func(ctx context.Context, tx *store.Tx) error {
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

// putTrusted writes p in a transaction for a trusted caller.
func (s *Session) putTrusted(ctx context.Context, tx *store.Tx, p proposal, expect store.Expect) (Result, error) {
	row, err := s.row(ctx, p)
	if err != nil {
		return Result{}, err
	}
	return putIn(ctx, tx, row, expect)
}

// putIn writes d in a transaction.
func putIn(ctx context.Context, tx *store.Tx, d draft, expect store.Expect) (Result, error) {
	w, err := tx.Put(ctx, d.Row, expect)
	if err != nil {
		return Result{}, err
	}
	done, err := settle(d.Row, w)
	done.Hidden = d.hidden
	return done, err
}

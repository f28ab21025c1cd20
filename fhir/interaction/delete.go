package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Delete marks k as deleted. Deleting what is not there is no error for who sees
// everything there is; to others it is unknown, as is what they do not see.
// https://hl7.org/fhir/R4/http.html#delete
func (s *Session) Delete(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	if err := s.Allow(access.Delete, k); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Delete, k, func() (Result, error) {
		if s.grant.IsTrusted() {
			return s.deleted(ctx, k, expect)
		}
		return s.deleteSeen(ctx, k, expect)
	})
}

// deleteSeen does so for a caller who may not see everything.
func (s *Session) deleteSeen(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	for range maxRaces {
		v, err := s.deletable(ctx, k)
		if v == nil || err != nil {
			return Result{Version: store.Version{Key: k}, Outcome: store.Nothing}, err
		}
		if v.Deleted() {
			return Result{Version: *v, Outcome: store.Nothing}, nil
		}
		if expect > 0 && v.Number != int(expect) {
			return Result{}, stale(store.Written{})
		}
		done, err := s.deleted(ctx, k, store.Expect(v.Number))
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
			continue
		}
		return done, err
	}
	return Result{}, tooManyRaces()
}

// deletable returns the current version of k if the caller may delete it, and nil
// when there is none and the caller sees that.
func (s *Session) deletable(ctx context.Context, k fhir.Key) (*store.Version, error) {
	v, err := s.store.Read(ctx, k)
	if err != nil {
		return nil, err
	}
	if v, err = s.touched(access.MayDelete, v); err != nil {
		return nil, err
	}
	switch {
	case v == nil && !s.grant.View(access.MayDelete, k.Type).Unlimited():
		return nil, unknown(k.Type)
	case v == nil || v.Deleted():
		return v, nil
	}
	return v, s.mayDelete(ctx, v)
}

// mayDelete asks the rules of writing.
func (s *Session) mayDelete(ctx context.Context, v *store.Version) error {
	old, err := formerly(v)
	if err != nil {
		return fmt.Errorf("decode version %d of a %s: %w", v.Number, v.Key.Type, err)
	}
	w := access.Write{Interaction: access.Delete, Type: v.Key.Type}
	if w.Old, err = s.before(s.store.Registry(), old); err != nil {
		return err
	}
	f, err := s.facts(ctx, &w)
	if err != nil {
		return err
	}
	w.Old.Given = func(any []access.Key) bool { return f.gives(w.Old.Keys, any) || f.keeps(old, any) }
	return s.grant.MayWrite(w)
}

func (s *Session) deleted(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	t, err := s.deletion(ctx, k, nil)
	if err != nil {
		return Result{}, err
	}
	w, err := s.store.Delete(ctx, k, expect, s.grant.Client(), t)
	if err != nil {
		return Result{}, err
	}
	return settle(store.Row{Key: k, Op: store.Delete}, w)
}

// Purge removes every version of k but the current one, for good.
func (s *Session) Purge(ctx context.Context, k fhir.Key) (store.Purged, error) {
	if err := s.Allow(access.Purge, k); err != nil {
		return store.Purged{}, err
	}
	v, err := s.store.Read(ctx, k)
	switch {
	case err != nil:
		return store.Purged{}, err
	case v == nil:
		return store.Purged{}, unknown(k.Type)
	}
	return s.store.Purge(ctx, k)
}

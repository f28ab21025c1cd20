package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Delete marks k as deleted. Deleting what is not there is no error for who sees
// everything there is; to others it is unknown, as is what they do not see.
// https://hl7.org/fhir/R4/http.html#delete
func (s *Session) Delete(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	if e := (Entry{Method: "DELETE", Key: k, Expect: expect}); s.minds(ctx, &e) {
		return s.byItself(ctx, e)
	}
	if err := s.Allow(access.Delete, k); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Delete, k, func() (Result, error) {
		if s.grant.IsTrusted() {
			t, err := s.deletion(ctx, k)
			if err != nil {
				return Result{}, err
			}
			return s.deleted(ctx, k, expect, t)
		}
		return s.deleteSeen(ctx, k, expect)
	})
}

// deleteSeen does so for a caller who may not see everything.
func (s *Session) deleteSeen(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	for range maxRaces {
		v, err := s.store.Read(ctx, k)
		if err != nil {
			return Result{}, err
		}
		if v, err = s.deletable(k, v); err != nil {
			return Result{}, err
		}
		if v == nil || v.Deleted() {
			return nothing(k, v), nil
		}
		if err := s.mayDelete(ctx, v); err != nil {
			return Result{}, err
		}
		if expect > 0 && v.Number != int(expect) {
			return Result{}, stale(store.Written{})
		}
		done, err := s.deleted(ctx, k, store.Expect(v.Number), s.erasure(k, v))
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
			continue
		}
		return done, err
	}
	return Result{}, tooManyRaces()
}

// nothing returns what came of the deletion of k where v, its current version, is
// one already or nil.
func nothing(k fhir.Key, v *store.Version) Result {
	if v == nil {
		v = &store.Version{Key: k}
	}
	return Result{Version: *v, Outcome: store.Nothing}
}

// deletable returns v, the current version of k, if the caller may find out whether
// it can be deleted, and nil when there is none and the caller sees that.
func (s *Session) deletable(k fhir.Key, v *store.Version) (*store.Version, error) {
	v, err := s.touched(access.MayDelete, v)
	if err == nil && v == nil && !s.grant.View(access.MayDelete, k.Type).Unlimited() {
		err = unknown(k.Type)
	}
	return v, err
}

// mayDelete asks the rules of writing.
func (s *Session) mayDelete(ctx context.Context, v *store.Version) error {
	k, err := s.erasing(v)
	if err != nil {
		return err
	}
	return s.permit(ctx, s.store, k)
}

func (s *Session) deleted(ctx context.Context, k fhir.Key, expect store.Expect, t *store.Trail) (Result, error) {
	w, err := s.store.Delete(ctx, k, expect, s.grant.Client(), t)
	s.redefined(draft{Row: store.Row{Key: k}})
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

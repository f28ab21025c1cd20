package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/patch"
	"github.com/openconsult/openconsult/fhir/store"
)

// maxPatchRaces bounds how often a patch without a demanded version is applied
// anew because another write came between.
const maxPatchRaces = 10

// Patch applies a JSON Patch to the current version of k. Without a demanded
// version it is applied to whatever is current when it is stored.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Session) Patch(ctx context.Context, k fhir.Key, ops []byte, expect store.Expect) (Result, error) {
	if err := s.grant.Allow(access.Patch, k.Type); err != nil {
		return Result{}, err
	}
	for range maxPatchRaces {
		v, err := present(s.store.Read(ctx, k))(k.Type)
		if err != nil {
			return Result{Version: version(v)}, err
		}
		if expect > 0 && v.Number != int(expect) {
			return Result{}, stale(store.Written{})
		}
		stored, err := patched(v, ops)
		if err != nil {
			return Result{}, err
		}
		r, err := s.put(ctx, k, store.Patch, stored, store.Expect(v.Number))
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && expect == store.Anything {
			continue
		}
		return r, err
	}
	return Result{}, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

func version(v *store.Version) store.Version {
	if v == nil {
		return store.Version{}
	}
	return *v
}

// patched applies a patch to what a client would read, and checks the result as
// if it had been sent.
func patched(v *store.Version, ops []byte) ([]byte, error) {
	doc, err := patch.JSON(v.Resource(), ops)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Decode(v.Key.Type, doc)
	if o := fhir.AsOutcome(err); o != nil {
		o.Class = fhir.Unprocessable
		return nil, o
	}
	if err != nil {
		return nil, err
	}
	if r.ID() != v.Key.ID {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, v.Key.Type+".id", "A patch may not change the id of the resource.")
	}
	return r.Stored(v.Key.ID), nil
}

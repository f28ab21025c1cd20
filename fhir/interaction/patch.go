package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/patch"
	"github.com/openconsult/openconsult/fhir/store"
)

// A Change is what a patch asks for, in one of its forms.
type Change struct {
	JSON     []byte         // a JSON Patch, https://www.rfc-editor.org/rfc/rfc6902; only counts without FHIRPath
	FHIRPath *fhir.Resource // the Parameters of a FHIRPath Patch, https://hl7.org/fhir/R4/fhirpatch.html
}

// Patch applies ops to the current version of k. Without a demanded version they
// are applied to whatever is current when it is stored.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Session) Patch(ctx context.Context, k fhir.Key, ops Change, expect store.Expect) (Result, error) {
	if e := (Entry{Method: "PATCH", Key: k, Patch: &ops, Expect: expect}); s.minds(ctx, &e) {
		return s.byItself(ctx, e)
	}
	if err := s.Allow(access.Patch, k); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Patch, k, func() (Result, error) {
		return s.change(ctx, change{interaction: access.Patch, key: k, op: store.Patch, expect: expect,
			next: func(old *store.Version) (*fhir.Resource, error) { return patched(old, ops) }})
	})
}

// patched applies a patch to what a client would read, and checks the result as
// if it had been sent.
func patched(v *store.Version, ops Change) (*fhir.Resource, error) {
	doc, err := ops.apply(v.Key.Type, v.Resource())
	if err != nil {
		return nil, err
	}
	r, err := wellFormed(v.Key.Type, doc)
	if err != nil {
		return nil, err
	}
	if r.ID() != v.Key.ID {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, v.Key.Type+".id", "A patch may not change the id of the resource.")
	}
	return r, nil
}

// apply returns doc, the JSON of a resource of type typ, as c leaves it.
func (c Change) apply(typ string, doc []byte) ([]byte, error) {
	if c.FHIRPath == nil {
		return patch.JSON(doc, c.JSON)
	}
	r, err := wellFormed(typ, doc)
	if err != nil {
		return nil, err
	}
	return patch.FHIRPath(r, c.FHIRPath)
}

// wellFormed decodes a resource that did not come with the request.
func wellFormed(typ string, doc []byte) (*fhir.Resource, error) {
	r, err := fhir.DecodeDerived(typ, doc)
	if o := fhir.AsOutcome(err); o != nil {
		o.Class = fhir.Unprocessable
		return nil, o
	}
	return r, err
}

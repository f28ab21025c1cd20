package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Update stores r as the next version of the resource with the given id, or, for
// who sees everything there is, as its first one. The id in r must be the same.
// Labels that hide the resource stay when r leaves them out. An update that
// changes nothing makes no version. https://hl7.org/fhir/R4/http.html#update
func (s *Session) Update(ctx context.Context, id string, r *fhir.Resource, expect store.Expect) (Result, error) {
	k := fhir.Key{Type: r.Type(), ID: id}
	if e := (Entry{Method: "PUT", Key: k, Resource: r, Expect: expect}); s.minds(ctx, &e) {
		return s.byItself(ctx, e)
	}
	if err := s.Allow(access.Update, k); err != nil {
		return Result{}, err
	}
	if err := hasID(r, id); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Update, k, func() (Result, error) {
		if !s.grant.IsTrusted() {
			return s.change(ctx, change{interaction: access.Update, key: k, op: store.Update, expect: expect, creates: true,
				next: func(*store.Version) (*fhir.Resource, error) { return r, nil }})
		}
		d, err := s.row(ctx, proposal{interaction: access.Update, key: k, op: store.Update, resource: r})
		if err != nil {
			return Result{}, err
		}
		return s.put(ctx, d, expect)
	})
}

// hasID returns an Outcome unless r says that it has an id.
func hasID(r *fhir.Resource, id string) error {
	switch r.ID() {
	case id:
		return nil
	case "":
		return fhir.Errorf(fhir.BadRequest, fhir.Required, r.Type()+".id", "Give the resource the id that the address names.")
	}
	return fhir.Errorf(fhir.BadRequest, fhir.Invalid, r.Type()+".id", "The id of the resource is not the one that the address names; make them the same.")
}

// A change is a further version of a resource, made from the one before.
type change struct {
	interaction access.Interaction
	key         fhir.Key
	op          store.Op
	expect      store.Expect
	creates     bool // a first version, too, for who sees everything
	unlabels    bool // labels may go
	meta        bool // nothing else but the meta changes
	next        func(old *store.Version) (*fhir.Resource, error)
}

// maxRaces bounds how often a change without a demanded version is made anew
// because another write came between.
const maxRaces = 10

// change carries c out: it reads the current version and stores what follows it,
// again and again if others come between and no version is demanded.
func (s *Session) change(ctx context.Context, c change) (Result, error) {
	for range maxRaces {
		v, err := s.store.Read(ctx, c.key)
		if err != nil {
			return Result{}, err
		}
		if v, err = s.changeable(c, v); err != nil {
			return Result{Version: version(v)}, err
		}
		p, err := s.following(c, v)
		if err != nil {
			return Result{}, err
		}
		d, err := s.row(ctx, p)
		if err != nil {
			return Result{}, err
		}
		done, err := s.put(ctx, d, after(v))
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Stale && c.expect == store.Anything {
			continue
		}
		return done, err
	}
	return Result{}, tooManyRaces()
}

// after returns what must be true for a version to follow v, nil for none.
func after(v *store.Version) store.Expect {
	if v == nil {
		return store.Absent
	}
	return store.Expect(v.Number)
}

// changeable returns v, the current version of what c is about, if the caller may
// change it and it is as demanded. It is nil when c is to make the first one.
func (s *Session) changeable(c change, v *store.Version) (*store.Version, error) {
	v, err := s.touched(access.MayUpdate, v)
	if err != nil {
		return nil, err
	}
	if (v == nil || v.Deleted()) && c.creates && s.grant.View(access.MayUpdate, c.key.Type).Unlimited() {
		switch {
		case c.expect <= 0, v != nil && v.Number == int(c.expect):
			return nil, nil
		case v != nil:
			return nil, stale(store.Written{Deleted: true})
		}
	}
	if v, err = present(v, nil)(c.key.Type); err != nil {
		return v, err
	}
	if c.expect == store.Absent || c.expect > 0 && v.Number != int(c.expect) {
		return nil, stale(store.Written{})
	}
	return v, nil
}

// following returns what is to follow v, which is nil for a first version. Labels
// that hide v stay, unless c may take them away.
func (s *Session) following(c change, v *store.Version) (proposal, error) {
	r, err := c.next(v)
	p := proposal{interaction: c.interaction, key: c.key, op: c.op, resource: r, meta: c.meta}
	if err != nil || s.grant.IsTrusted() && !s.converses() {
		return p, err
	}
	if p.old, err = formerly(v); err != nil {
		return p, fmt.Errorf("decode version %d of a %s: %w", v.Number, c.key.Type, err)
	}
	if p.old != nil && !c.unlabels && !s.grant.IsTrusted() {
		p.resource, err = keepLabels(p.old, r)
	}
	return p, err
}

func version(v *store.Version) store.Version {
	if v == nil {
		return store.Version{}
	}
	return *v
}

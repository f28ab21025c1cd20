package interaction

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Read returns the current version of k. When that is a deletion, it comes with
// an Outcome of class Gone. What the caller does not see is not there: nothing
// tells it from what never was. https://hl7.org/fhir/R4/http.html#read
func (s *Session) Read(ctx context.Context, k fhir.Key) (*store.Version, error) {
	if err := s.Allow(access.Read, k); err != nil {
		return nil, err
	}
	v, err := present(s.now(ctx, k))(k.Type)
	return unlocked(s.shown(s.saw(ctx, access.Read, k, v, err)))
}

// ReadAt returns the version of k that was current at a moment, as VRead does.
func (s *Session) ReadAt(ctx context.Context, k fhir.Key, at time.Time) (*store.Version, error) {
	if err := s.Allow(access.Read, k); err != nil {
		return nil, err
	}
	v, err := present(s.past(ctx, k, func() (*store.Version, error) { return s.readAt(ctx, k, at) }))(k.Type)
	return unlocked(s.shown(s.saw(ctx, access.VRead, k, v, err)))
}

// VRead returns version n of k, as Read does. What has been hidden since is
// hidden in the history too, so the caller must see the current version as well.
// https://hl7.org/fhir/R4/http.html#vread
func (s *Session) VRead(ctx context.Context, k fhir.Key, n int) (*store.Version, error) {
	if err := s.Allow(access.VRead, k); err != nil {
		return nil, err
	}
	v, err := present(s.past(ctx, k, func() (*store.Version, error) { return s.vread(ctx, k, n) }))(k.Type)
	return unlocked(s.shown(s.saw(ctx, access.VRead, k, v, err)))
}

// now returns the current version of k if the caller may read it, and nil as if
// there were none otherwise.
func (s *Session) now(ctx context.Context, k fhir.Key) (*store.Version, error) {
	if s.keepsAudit(k.Type) {
		return s.readAudit(ctx, k)
	}
	if s.grant.IsTrusted() && !s.store.Audits() {
		return s.store.ReadContent(ctx, k)
	}
	v, err := s.store.Read(ctx, k)
	if err != nil {
		return nil, err
	}
	return s.seen(access.MayRead, v)
}

// past returns what read finds in the history of k if the caller may read that and
// the current version, and nil otherwise.
func (s *Session) past(ctx context.Context, k fhir.Key, read func() (*store.Version, error)) (*store.Version, error) {
	if !s.grant.IsTrusted() {
		if v, err := s.now(ctx, k); v == nil || err != nil {
			return nil, err
		}
	}
	v, err := read()
	if err != nil || s.keepsAudit(k.Type) {
		return v, err
	}
	return s.seen(access.MayRead, v)
}

// seen returns v if the caller sees it, and nil otherwise.
func (s *Session) seen(needs access.Permission, v *store.Version) (*store.Version, error) {
	if v == nil || s.grant.IsTrusted() {
		return v, nil
	}
	if sees, err := s.store.Sees(s.grantFor(v.Key), needs, v); err != nil || !sees {
		return nil, err
	}
	return v, nil
}

// touched returns v if the caller sees it by the scopes that a write needs, and nil
// if not at all. Whoever sees it by others only is told so by an Outcome.
func (s *Session) touched(needs access.Permission, v *store.Version) (*store.Version, error) {
	if v == nil {
		return nil, nil
	}
	if seen, err := s.seen(needs, v); seen != nil || err != nil {
		return seen, err
	}
	if seen, err := s.seen(access.MayRead|access.MaySearch, v); seen == nil || err != nil {
		return nil, err
	}
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Your scopes let you see this %s, but not change it.", v.Key.Type)
	o.Issues[0].Detail = LacksScope
	return nil, o
}

// present turns a version that is missing or a deletion into an Outcome about a
// resource of the given type.
func present(v *store.Version, err error) func(typ string) (*store.Version, error) {
	return func(typ string) (*store.Version, error) {
		switch {
		case err != nil:
			return nil, err
		case v == nil:
			return nil, unknown(typ)
		case v.Deleted():
			return v, fhir.Errorf(fhir.Gone, fhir.Deleted, "", "This %s was deleted; its earlier versions are in its history.", typ)
		}
		return v, nil
	}
}

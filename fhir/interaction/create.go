package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Create stores r as a new resource under an id of the server's choice.
// https://hl7.org/fhir/R4/http.html#create
func (s *Session) Create(ctx context.Context, r *fhir.Resource) (Result, error) {
	k := fhir.Key{Type: r.Type()}
	if e := (Entry{Method: "POST", Key: k, Resource: r}); s.minds(ctx, &e) {
		return s.byItself(ctx, e)
	}
	if err := s.Allow(access.Create, k); err != nil {
		return Result{}, err
	}
	return s.audited(ctx, access.Create, k, func() (Result, error) {
		d, err := s.row(ctx, s.created(r))
		if err != nil {
			return Result{}, err
		}
		return s.put(ctx, d, store.Absent)
	})
}

// audited does a write and records it if it has made no version, which would have
// its line already.
func (s *Session) audited(ctx context.Context, i access.Interaction, k fhir.Key, write func() (Result, error)) (Result, error) {
	done, err := write()
	if done.Key.ID != "" {
		k = done.Key
	}
	return s.wrote(ctx, s.trail(i, k), done, err)
}

// created returns r as a resource that is to be created.
func (s *Session) created(r *fhir.Resource) proposal {
	return proposal{interaction: access.Create, key: fhir.Key{Type: r.Type(), ID: s.newID()}, op: store.Create, resource: r}
}

func (s *Session) put(ctx context.Context, d draft, expect store.Expect) (Result, error) {
	w, err := s.store.Put(ctx, d.Row, expect)
	if err != nil {
		return Result{}, err
	}
	s.redefined(d)
	done, err := settle(d.Row, w)
	done.Hidden, done.Notes = d.hidden, d.notes
	return done, err
}

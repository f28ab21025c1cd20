package store

import (
	"context"
	"slices"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// ownRID stands in search_param for the parameters of the server itself, which no
// resource defines.
const ownRID = 0

// defineOwn brings the server's own search parameters into force, if they are not:
// what is stored already is built for them in the background. Where somebody has
// defined one of the same code, that one stays.
func (db *DB) defineOwn(ctx context.Context) error {
	known := db.Registry()
	lacking := slices.DeleteFunc(search.Own(), func(p search.OwnParameter) bool { return db.hasOwn(known, &p) })
	if len(lacking) == 0 {
		return nil
	}
	return db.within(ctx, func(ctx context.Context, s *session) error {
		generation, err := lockGeneration(ctx, s)
		if err != nil {
			return err
		}
		var built []int16
		for _, p := range lacking {
			types, err := db.define(ctx, s, change{ownRID, ownDefinition(&p), generation + 1}, db.placesOf(p.Base))
			if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unprocessable {
				continue
			}
			if err != nil {
				return err
			}
			built = append(built, types...)
		}
		if len(built) == 0 {
			return nil // another server was first
		}
		waiting, err := activateEmpty(ctx, s, generation+1)
		if err != nil {
			return err
		}
		return begin(ctx, s, generation+1, waiting)
	})
}

func ownDefinition(p *search.OwnParameter) *definition {
	d := definition(p.SearchParameter)
	return &d
}

// hasOwn reports whether p is in force, or cannot be.
func (db *DB) hasOwn(r *search.Registry, p *search.OwnParameter) bool {
	known := r.Param(p.Base[0], p.Code)
	if known == nil {
		return false
	}
	if known.URL != p.URL {
		db.log.Warn("a search parameter of the server itself is not in force: a SearchParameter that is stored has its code", "type", p.Base[0], "code", p.Code, "url", known.URL)
		return true
	}
	return known.State != search.Failed && r.Defines(p.Base[0], &p.SearchParameter)
}

// activateEmpty puts those parameters of a generation into force for whose type there
// is nothing to be built, and returns the types of the others.
func activateEmpty(ctx context.Context, s *session, generation int) ([]int16, error) {
	const activate = `WITH a AS (
			UPDATE search_param p SET state = 'active' WHERE gen = $1 AND state = 'building' AND NOT EXISTS (SELECT FROM res r WHERE r.type = p.type)
			RETURNING type, code)
		SELECT coalesce(array_agg(DISTINCT p.type), '{}') FROM search_param p
		WHERE gen = $1 AND state = 'building' AND NOT EXISTS (SELECT FROM a WHERE a.type = p.type AND a.code = p.code)`
	var left pq.Int32Array
	if err := s.tx.QueryRowContext(ctx, activate, generation).Scan(&left); err != nil {
		return nil, fault("activate search parameters", err)
	}
	types := make([]int16, len(left))
	for i, t := range left {
		types[i] = int16(t)
	}
	return types, nil
}

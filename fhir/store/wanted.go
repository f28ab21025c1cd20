package store

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A wanted is what rows of a type must be, with as much of it resolved as pays.
type wanted struct {
	typ    string
	filter searchsql.Filter
	view   *view
	spread []searchsql.Found // lists of which one must hold, too long for one statement
	probes []*hop            // what each row is asked for

	resolved map[search.Condition]map[int64]bool // for the Check: rows that steps lead to
}

// wanted resolves conditions on a type, for a search that is content with the
// first n rows, of those that show themselves to who needs one of some
// permissions. All rows that anything is asked of are wanted ones, or included, so
// this is where the caller's sight comes in.
func (s *searching) wanted(ctx context.Context, needs access.Permission, typ string, where []search.Condition, n int) (*wanted, error) {
	w := &wanted{typ: typ, view: s.known.view(s.db.types[typ], typ == "")}
	scope := s.db.scope(typ)
	w.filter = s.db.secret.Filter(scope, where)
	if s.see(&w.filter, needs); w.never() {
		w.filter.Steps, w.filter.Nested = nil, nil
		return w, nil
	}
	if len(w.filter.Nested) > 0 {
		w.resolved = map[search.Condition]map[int64]bool{}
		for _, step := range w.filter.Nested {
			if err := s.resolve(ctx, w, step, scope.Resolved); err != nil {
				return nil, err
			}
		}
		w.filter = s.db.secret.Filter(scope, where)
		s.see(&w.filter, needs)
	}
	steps := w.filter.Steps
	w.filter.Steps = nil
	for _, step := range steps {
		if w.never() {
			break
		}
		if err := s.step(ctx, w, step, n); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// scope is what conditions on a type are read in.
func (db *DB) scope(typ string) searchsql.Scope {
	return searchsql.Scope{Type: typ, Tables: db.tables, Resolved: searchsql.Resolved{}}
}

// never reports whether no row can be wanted.
func (w *wanted) never() bool { return w.filter.Never }

// exact reports whether the SQL of w says all.
func (w *wanted) exact() bool { return w.filter.Check == nil && len(w.probes) == 0 }

// filters returns what must hold, in one or in several alternatives.
func (w *wanted) filters() []searchsql.Filter {
	if len(w.spread) == 0 {
		return []searchsql.Filter{w.filter}
	}
	all := make([]searchsql.Filter, len(w.spread))
	for i, found := range w.spread {
		all[i] = with(w.filter, found)
	}
	return all
}

// with returns f with one more list of which a row must have one.
func with(f searchsql.Filter, found searchsql.Found) searchsql.Filter {
	f.All, f.Any, f.RIDs = slices.Clip(f.All), slices.Clip(f.Any), slices.Clip(f.RIDs)
	switch {
	case len(found.Keys) == 1:
		f.All = append(f.All, found.Keys[0])
	case len(found.Keys) > 0:
		f.Any = append(f.Any, found.Keys)
	case len(found.RIDs) > 0:
		f.RIDs = append(f.RIDs, found.RIDs)
	default:
		f.Never = true
	}
	return f
}

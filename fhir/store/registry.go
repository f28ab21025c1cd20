package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Registry returns the search parameters that are known: those of R4, and the
// ones that were added, as they were last read. Another server may have changed
// them since; a write finds out by itself.
func (db *DB) Registry() *search.Registry { return db.registry.Load() }

// generationMoved reports whether the search parameters have changed since those
// of generation read, where met is the generation that a statement of q has met.
// If so, [DB.Registry] has the new ones when it returns.
func (db *DB) generationMoved(ctx context.Context, q querier, read, met int) (bool, error) {
	if read == met {
		return false, nil
	}
	_, err := db.refresh(ctx, &session{querier: q}, read)
	return true, err
}

// refresh reads the search parameters again, unless somebody has done so since
// generation old was read.
func (db *DB) refresh(ctx context.Context, s *session, old int) (*search.Registry, error) {
	if s.begun > 0 {
		registry, err := db.readRegistry(ctx, s)
		s.registry = registry
		return registry, err
	}
	// Who waits here holds a connection of its own, and so does who is ahead.
	db.refreshing.Lock()
	defer db.refreshing.Unlock()
	if r := db.Registry(); r != nil && r.Generation > old {
		return r, nil
	}
	registry, err := db.readRegistry(ctx, s)
	if err != nil {
		return nil, err
	}
	db.registry.Store(registry)
	return registry, nil
}

// firstRID is the first of all, as Postgres reads it.
const firstRID = "'-9223372036854775808'::bigint"

// registryQuery has one row without a parameter when none was added. The
// resources are built in the order of their rids, which are spread evenly.
const registryQuery = `SELECT g.gen, g.layout, (SELECT coalesce(last_rid, ` + firstRID + `) FROM reindex_job WHERE awaited AND state = 'running' ORDER BY job LIMIT 1),
	t.name, p.position, p.definition, p.state, p.last_rid
	FROM search_generation g LEFT JOIN (
		SELECT p.*, (SELECT j.last_rid FROM reindex_job j WHERE j.gen = p.gen ORDER BY j.job DESC LIMIT 1) AS last_rid
		FROM search_param p WHERE p.state <> 'retired') p ON true LEFT JOIN res_type t USING (type)
	ORDER BY t.name, p.position`

// readRegistry reads the search parameters.
func (db *DB) readRegistry(ctx context.Context, q querier) (*search.Registry, error) {
	rows, err := q.QueryContext(ctx, registryQuery)
	if err != nil {
		return nil, readFault("read the search parameters", err)
	}
	defer rows.Close()
	var generation, layout int
	var awaited *int64
	var custom []search.Custom
	for rows.Next() {
		var name, state *string
		var position *int
		var text []byte
		var rid *int64
		if err := rows.Scan(&generation, &layout, &awaited, &name, &position, &text, &state, &rid); err != nil {
			return nil, readFault("read the search parameters", err)
		}
		if name == nil {
			continue
		}
		var d definition
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("read the search parameters: %w", err)
		}
		p := spec.SearchParameter(d)
		c := search.Custom{Definition: &p, Type: *name, Position: *position}
		switch *state {
		case "building":
			c.State, c.Percent = search.Building, percent(rid)
		case "failed":
			c.State = search.Failed
		}
		custom = append(custom, c)
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read the search parameters", err)
	}
	if err := fitting(layout); err != nil {
		return nil, err
	}
	registry, err := db.newRegistry(generation, custom)
	if err == nil && awaited != nil {
		registry.Missing = max(1, 100-percent(awaited))
	}
	return registry, err
}

// percent says how far a walk over all resources has come that has got to rid.
func percent(rid *int64) int {
	if rid == nil {
		return 0
	}
	return int(100 * ((float64(*rid) - math.MinInt64) / math.MaxUint64))
}

// newRegistry leaves out parameters that this version of the server cannot use:
// a newer one may have added them.
func (db *DB) newRegistry(generation int, custom []search.Custom) (*search.Registry, error) {
	all, err := search.NewRegistry(spec.R4(), db.base, generation, custom)
	if err == nil {
		return all, nil
	}
	// A composite is of other parameters, which have to be there first.
	slices.SortStableFunc(custom, func(a, b search.Custom) int {
		return cmp.Compare(len(a.Definition.Components), len(b.Definition.Components))
	})
	var usable []search.Custom
	for _, c := range custom {
		if _, err := search.NewRegistry(spec.R4(), db.base, generation, append(usable, c)); err != nil {
			db.log.Error("a search parameter cannot be used", "type", c.Type, "url", c.Definition.URL, "error", err)
			continue
		}
		usable = append(usable, c)
	}
	return search.NewRegistry(spec.R4(), db.base, generation, usable)
}

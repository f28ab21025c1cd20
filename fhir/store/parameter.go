package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// parameterType is the resource type that adds search parameters.
// https://hl7.org/fhir/R4/searchparameter.html
const parameterType = "SearchParameter"

// A definition is a [spec.SearchParameter] as search_param keeps it.
type definition struct {
	URL        string           `json:"url"`
	Code       string           `json:"code"`
	Type       string           `json:"type"`
	Base       []string         `json:"base"`
	Expression string           `json:"expression,omitempty"`
	Targets    []string         `json:"target,omitempty"`
	Components []spec.Component `json:"component,omitempty"`
}

// types returns the resource types that d is for: all of them for Resource.
func (d *definition) types() []string {
	var names []string
	for _, t := range spec.R4().Resources() {
		if slices.ContainsFunc(d.Base, t.Is) {
			names = append(names, t.Name)
		}
	}
	return names
}

// definition returns what a SearchParameter adds to the search parameters, nil
// for nothing: only what is active is in force, and what R4 has is so anyway.
// What cannot be used is an Unprocessable Outcome.
func (db *DB) definition(root fhir.Node) (*definition, error) {
	p := search.Definition(root)
	if root.Child("status").Text() != "active" || isOfficial(p) {
		return nil, nil
	}
	if err := db.Registry().CompileDefinition(p); err != nil {
		return nil, err
	}
	d := definition(*p)
	return &d, nil
}

// isOfficial reports whether p stands for a parameter of R4 or of the server itself.
func isOfficial(p *spec.SearchParameter) bool {
	return slices.ContainsFunc(spec.R4().SearchParameters, func(o *spec.SearchParameter) bool { return o.URL == p.URL && o.Code == p.Code }) ||
		slices.ContainsFunc(search.Own(), func(o search.OwnParameter) bool { return o.URL == p.URL && o.Code == p.Code })
}

// putParameter writes a SearchParameter, and in the same transaction the search
// parameters.
func (db *DB) putParameter(ctx context.Context, r Row, expect Expect) (w Written, err error) {
	err = db.within(ctx, func(ctx context.Context, s *session) error {
		w, err = db.putAny(ctx, s, r, expect)
		return err
	})
	return w, err
}

// putAny writes a version, of a SearchParameter or anything else, in a
// transaction.
func (db *DB) putAny(ctx context.Context, s *session, r Row, expect Expect) (Written, error) {
	if r.Key.Type != parameterType {
		return db.put(ctx, s, r, expect)
	}
	generation, err := lockGeneration(ctx, s)
	if err != nil {
		return Written{}, err
	}
	w, err := db.put(ctx, s, r, expect)
	if err != nil || w.Outcome != Created && w.Outcome != Updated {
		return w, err
	}
	return w, db.redefine(ctx, s, change{r.rid, r.definition, generation + 1})
}

// deleteParameter deletes a SearchParameter and takes what it defines out of
// force.
func (db *DB) deleteParameter(ctx context.Context, r Row, expect Expect) (w Written, err error) {
	err = db.within(ctx, func(ctx context.Context, s *session) error {
		w, err = db.deleteAny(ctx, s, r, expect)
		return err
	})
	return w, err
}

// deleteAny deletes a resource of any type in a transaction.
func (db *DB) deleteAny(ctx context.Context, s *session, r Row, expect Expect) (Written, error) {
	if r.Key.Type != parameterType {
		return db.delete(ctx, s, r, expect)
	}
	generation, err := lockGeneration(ctx, s)
	if err != nil {
		return Written{}, err
	}
	w, err := db.delete(ctx, s, r, expect)
	if err != nil || w.Outcome != Removed {
		return w, err
	}
	return w, db.redefine(ctx, s, change{db.secret.RID(r.Key), nil, generation + 1})
}

// lockGeneration lets only one transaction at a time change the search
// parameters. It comes before the lock of a resource.
func lockGeneration(ctx context.Context, s *session) (generation int, err error) {
	err = s.tx.QueryRowContext(ctx, `SELECT gen FROM search_generation FOR UPDATE`).Scan(&generation)
	if err != nil {
		return 0, fault("lock the search parameters", err)
	}
	return generation, nil
}

// A change is what a new version of a SearchParameter does.
type change struct {
	rid        int64
	definition *definition // nil takes out of force what there is
	generation int         // that begins, if anything changes
}

// redefine brings search_param to what c says, and begins a generation if that
// changes anything.
func (db *DB) redefine(ctx context.Context, s *session, c change) error {
	if c.definition == nil {
		c.definition = &definition{}
	}
	at := db.placesOf(c.definition.types())
	const retire = `UPDATE search_param SET state = 'retired' WHERE rid = $1 AND state <> 'retired' AND NOT (code = $2 AND type = ANY ($3))`
	retired, err := s.tx.ExecContext(ctx, retire, c.rid, c.definition.Code, pq.Array(at.types))
	if err != nil {
		return fault("retire a search parameter", err)
	}
	n, err := retired.RowsAffected()
	if err != nil {
		return fault("retire a search parameter", err)
	}
	built, err := db.define(ctx, s, c, at)
	if err != nil || n == 0 && len(built) == 0 {
		return err
	}
	return begin(ctx, s, c.generation, built)
}

// places are where a parameter goes: resource types, and for each the first place
// in res.sorts that is not one of R4's.
type places struct {
	types []int16
	first []int
}

func (db *DB) placesOf(types []string) places {
	at := places{make([]int16, len(types)), make([]int, len(types))}
	for i, t := range types {
		at.types[i], at.first[i] = db.types[t], officialParameters(t)
	}
	return at
}

// officialParameters returns how many search parameters R4 has for a type.
func officialParameters(typ string) int {
	t, n := spec.R4().Resource(typ), 0
	for _, p := range spec.R4().SearchParameters {
		if slices.ContainsFunc(p.Base, t.Is) {
			n++
		}
	}
	return n
}

// define adds or changes a parameter and returns the types whose rows must be
// built anew for that.
func (db *DB) define(ctx context.Context, s *session, c change, at places) ([]int16, error) {
	const taken = `SELECT type FROM search_param WHERE code = $1 AND type = ANY ($2) AND rid <> $3 AND state <> 'retired' LIMIT 1`
	var typ int16
	err := s.tx.QueryRowContext(ctx, taken, c.definition.Code, pq.Array(at.types), c.rid).Scan(&typ)
	if err == nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.Duplicate, parameterType+".code",
			"Another SearchParameter defines %q for %s; choose another code, or retire that one first.", c.definition.Code, db.names[typ])
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, fault("define a search parameter", err)
	}
	text, err := json.Marshal(c.definition)
	if err != nil {
		return nil, fmt.Errorf("write the definition of a search parameter: %w", err)
	}
	const define = `INSERT INTO search_param AS p (type, code, position, rid, definition, gen, state)
		SELECT n.type, $1, greatest(n.first, (SELECT max(position) + 1 FROM search_param o WHERE o.type = n.type)), $2, $3::jsonb, $4, 'building'
		FROM unnest($5::smallint[], $6::int[]) AS n (type, first)
		ON CONFLICT (type, code) DO UPDATE SET rid = excluded.rid, definition = excluded.definition, gen = excluded.gen, state = 'building'
		WHERE p.state IN ('retired', 'failed') OR p.definition <> excluded.definition
		RETURNING type`
	rows, err := s.QueryContext(ctx, define, c.definition.Code, c.rid, string(text), c.generation, pq.Array(at.types), pq.Array(at.first))
	if err != nil {
		return nil, fault("define a search parameter", err)
	}
	defer rows.Close()
	built := []int16{}
	for rows.Next() {
		var typ int16
		if err := rows.Scan(&typ); err != nil {
			return nil, fault("define a search parameter", err)
		}
		built = append(built, typ)
	}
	if err := rows.Err(); err != nil {
		return nil, fault("define a search parameter", err)
	}
	return built, nil
}

// begin begins a generation of the search parameters, in which the rows of the
// given types are to be built anew. Nil is all types; without any there is nothing
// to build.
func begin(ctx context.Context, s *session, generation int, types []int16) error {
	s.begun = generation
	if _, err := s.tx.ExecContext(ctx, `UPDATE search_generation SET gen = $1`, generation); err != nil {
		return fault("begin a generation of the search parameters", err)
	}
	if types != nil && len(types) == 0 {
		return nil
	}
	const job = `INSERT INTO reindex_job (gen, types) VALUES ($1, $2)`
	if _, err := s.tx.ExecContext(ctx, job, generation, pq.Array(types)); err != nil {
		return fault("begin a reindexing", err)
	}
	return nil
}

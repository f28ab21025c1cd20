package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Gathering is what a write has to know beforehand, so that it takes one round trip to find out.
type Gathering struct {
	Current []fhir.Key   // of what the current version is asked for
	Known   []access.Key // see [DB.Known]
	Recent  Recent
	Holder  string // with Key, whether there is a receipt
	Key     string // empty asks for none
}

// Recent asks for the Communications or QuestionnaireResponses that were changed since some time,
// those last changed first. The zero value asks for none.
type Recent struct {
	Type  string
	Where string // as a query that names keys: "subject=Patient/1"
	Since time.Time
	Most  int
	If    Provided
}

// Provided makes a question depend on a Task: it is asked only if the Task is found by a query that
// names keys, "code=…". The zero value is no condition.
type Provided struct {
	Task  fhir.Key
	Where string
}

// Gathered is what was found.
type Gathered struct {
	Current  map[fhir.Key]*Version
	Known    map[access.Key][]int64
	Recent   []Version // not deleted; there may be some that Where does not find
	Received bool
}

// The rows of gatherQuery.
const (
	gatheredCurrent = iota
	gatheredKnown
	gatheredRecent
	gatheredReceipt
)

// gatherQuery asks all of it. What is not asked for has no keys.
const gatherQuery = `SELECT part, n, id, ver, updated, op, codec, body, keys FROM write_gather($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`

// Gather finds out what g asks, in one round trip.
func (db *DB) Gather(ctx context.Context, g Gathering) (*Gathered, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	rids, types, ids := db.numbers(g.Current)
	kinds, names := db.knownArgs(g.Known)
	recent, err := db.recentArgs(g.Recent)
	if err != nil {
		return nil, err
	}
	args := append([]any{int8s(rids), int8s(types), pq.StringArray(ids), int8s(db.secret.Accesses(g.Known)), int8s(kinds), pq.StringArray(names)}, recent...)
	rows, err := db.prepared.gather.QueryContext(ctx, append(args, g.Holder, g.Key)...)
	if err != nil {
		return nil, readFault("gather what a write has to know", err)
	}
	defer rows.Close()
	all := &Gathered{Current: map[fhir.Key]*Version{}, Known: map[access.Key][]int64{}}
	for rows.Next() {
		if err := db.takeGathered(rows, &g, all); err != nil {
			return nil, readFault("gather what a write has to know", err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("gather what a write has to know", err)
	}
	return all, nil
}

// recentArgs returns what gatherQuery has of r.
func (db *DB) recentArgs(r Recent) ([]any, error) {
	if r.Type == "" {
		return []any{int16(0), int8s(nil), r.Since, 0, nil, nil}, nil
	}
	keys, err := db.keysWhere(r.Type, r.Where)
	if err != nil {
		return nil, err
	}
	args := []any{db.types[r.Type], int8s(keys), r.Since, r.Most, nil, nil}
	if r.If != (Provided{}) {
		provided, err := db.keysWhere("Task", r.If.Where)
		if err != nil {
			return nil, err
		}
		args[4], args[5] = db.secret.RID(r.If.Task), int8s(provided)
	}
	return args, nil
}

// keysWhere returns the keys that all have that a query finds among a type; none if it finds nothing.
func (db *DB) keysWhere(typ, query string) ([]int64, error) {
	where, err := db.Registry().Criteria(typ, query)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", typ, err)
	}
	f := db.secret.Filter(db.scope(typ), where)
	if f.Never {
		return nil, nil
	}
	if len(f.All) == 0 {
		return nil, fmt.Errorf("look for %s: %q names no keys", typ, query)
	}
	return f.All, nil
}

// takeGathered adds one row to what was found.
func (db *DB) takeGathered(rows *sql.Rows, g *Gathering, all *Gathered) error {
	var kind, n int
	var v Version
	var op string
	var codec int16
	var keys []int64
	body := unpacking{bodies: db.bodies, codec: &codec}
	if err := rows.Scan(&kind, &n, &v.Key.ID, &v.Number, &v.Updated, &op, &codec, &body, (*keyList)(&keys)); err != nil {
		return err
	}
	switch kind {
	case gatheredKnown:
		if keys != nil {
			all.Known[g.Known[n-1]] = keys
		}
		return nil
	case gatheredReceipt:
		all.Received = true
		return nil
	case gatheredCurrent:
		v.Key, v.Keys = g.Current[n-1], keys
		if err := v.fill(op, body.stored); err != nil {
			return err
		}
		all.Current[v.Key] = &v
		return nil
	case gatheredRecent:
		v.Key.Type = g.Recent.Type
		if err := v.fill(op, body.stored); err != nil {
			return err
		}
		all.Recent = append(all.Recent, v)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"slices"
)

// compartmentKeys is for how many patients one statement looks, as an index is
// asked for at once.
const compartmentKeys = 50

// namedRows is how many rows one statement plans that are named to it.
const namedRows = 5000

// ofPatients plans what is in compartments: the index on keys leads to it.
func (p *planner) ofPatients(ctx context.Context, from int64, take func(Planned) error) error {
	rids, err := p.candidates(ctx)
	if err != nil {
		return err
	}
	rids = rids[firstFrom(rids, from):]
	for len(rids) > 0 {
		batch := rids[:min(len(rids), namedRows)]
		rids = rids[len(batch):]
		part, _, err := p.part(ctx, func(q *query) string { return "r.rid = ANY (" + q.arg(int8s(batch)) + "::bigint[])" })
		if err != nil {
			return err
		}
		if part.Next = batch[len(batch)-1]; len(rids) > 0 {
			part.Next = rids[0]
		}
		if err := take(part); err != nil {
			return err
		}
	}
	return take(Planned{Over: true})
}

func firstFrom(rids []int64, from int64) int {
	at, _ := slices.BinarySearch(rids, from)
	return at
}

// candidates returns the rows that are in a compartment now, and those that may
// have been at the instant, in order.
func (p *planner) candidates(ctx context.Context) ([]int64, error) {
	var rids []int64
	read := func(rows *sql.Rows) error {
		var rid int64
		err := rows.Scan(&rid)
		rids = append(rids, rid)
		return err
	}
	for keys := range slices.Chunk(p.members, compartmentKeys) {
		q := &query{}
		q.sql.WriteString("SELECT r.rid FROM " + p.db.tables.Of(p.Type) + " r WHERE r.keys && " + q.arg(int8s(keys)) + "::bigint[] AND r.type = " + q.arg(p.db.types[p.Type]))
		if err := p.rows(ctx, q, read); err != nil {
			return nil, err
		}
	}
	q := &query{}
	q.sql.WriteString("SELECT r.rid FROM " + p.db.tables.Of(p.Type) + " r WHERE r.type = " + q.arg(p.db.types[p.Type]) + " AND (r.updated >= " + q.arg(p.At.Safe))
	if !p.Since.IsZero() {
		q.sql.WriteString(" OR r.deleted AND r.updated >= " + q.arg(p.Since))
	}
	q.sql.WriteString(")")
	if err := p.rows(ctx, q, read); err != nil {
		return nil, err
	}
	slices.Sort(rids)
	return slices.Compact(rids), nil
}

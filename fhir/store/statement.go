package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
)

// statements are the prepared ones: writes and reads by id. database/sql
// prepares them again on each new connection.
type statements struct {
	put, create                               map[string]*sql.Stmt // by partition
	delete, read, contents, vread, at, known  *sql.Stmt
	batch, guarded, current, received, gather *sql.Stmt // of several
}

func (s *statements) prepare(ctx context.Context, db *DB, audits bool) error {
	for query, to := range map[string]**sql.Stmt{
		deleteQuery:   &s.delete,
		readQuery:     &s.read,
		contentsQuery: &s.contents,
		vreadQuery:    &s.vread,
		atQuery:       &s.at,
		knownQuery:    &s.known,
		batchQuery:    &s.batch,
		guardedQuery:  &s.guarded,
		currentsQuery: &s.current,
		receivedQuery: &s.received,
		gatherQuery:   &s.gather,
	} {
		var err error
		if *to, err = db.sql.PrepareContext(ctx, query); err != nil {
			return fault("prepare a statement", err)
		}
	}
	s.put, s.create = map[string]*sql.Stmt{}, map[string]*sql.Stmt{}
	for _, partition := range append(slices.Collect(maps.Values(db.tables.Parts)), db.tables.Rest) {
		var err error
		if s.put[partition], err = db.sql.PrepareContext(ctx, putQuery(partition, audits)); err != nil {
			return fault("prepare a statement", err)
		}
		if s.create[partition], err = db.sql.PrepareContext(ctx, createQuery(partition, audits)); err != nil {
			return fault("prepare a statement", err)
		}
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
)

// statements are the prepared ones: writes and reads by id. database/sql
// prepares them again on each new connection.
type statements struct {
	put, delete, read, vread, at, known *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	for query, to := range map[string]**sql.Stmt{
		putQuery:    &s.put,
		deleteQuery: &s.delete,
		readQuery:   &s.read,
		vreadQuery:  &s.vread,
		atQuery:     &s.at,
		knownQuery:  &s.known,
	} {
		stmt, err := db.PrepareContext(ctx, query)
		if err != nil {
			return fault("prepare a statement", err)
		}
		*to = stmt
	}
	return nil
}

package bulk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// A step is what is stored of a job in one transaction.
type step struct {
	place  any
	files  []file
	pieces []piece
	done   bool // the job is
}

// A file is one that a job gives.
type file struct {
	name, kind, typ string
	nth             int
	count           int64
}

// A piece is bytes of a file, or of what was sent.
type piece struct {
	name    string
	start   int64
	content []byte
}

// store stores a step, if this server still has the lease.
func (e *Engine) store(ctx context.Context, j *job, s step) error {
	place, err := json.Marshal(s.place)
	if err != nil {
		return fmt.Errorf("write the place of a job: %w", err)
	}
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return fault("store the place of a job", err)
	}
	// After the commit this does nothing, and before it the error says more.
	defer func() { _ = tx.Rollback() }()
	const move = `UPDATE bulk_job SET place = $3::jsonb, lease = greatest(lease, clock_timestamp() + $4 * interval '1 second') WHERE id = $1 AND turn = $2 AND state = 'waiting'`
	const end = `UPDATE bulk_job SET place = $3::jsonb, state = 'done', node = '', ended = $4, expires = $5 WHERE id = $1 AND turn = $2 AND state = 'waiting'`
	var moved sql.Result
	if s.done {
		moved, err = tx.ExecContext(ctx, end, j.id, j.turn, string(place), e.now(), e.now().Add(e.Expiry))
	} else {
		moved, err = tx.ExecContext(ctx, move, j.id, j.turn, string(place), e.Lease.Seconds())
	}
	if err != nil {
		return fault("store the place of a job", err)
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errLost)
	}
	if err := keep(ctx, tx, j.id, s); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fault("store the place of a job", err)
	}
	return nil
}

// keep stores files and pieces.
func keep(ctx context.Context, tx *sql.Tx, id string, s step) error {
	for _, f := range s.files {
		const insert = `INSERT INTO bulk_file (job, name, nth, kind, type, count) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (job, name) DO UPDATE SET count = excluded.count`
		if _, err := tx.ExecContext(ctx, insert, id, f.name, f.nth, f.kind, f.typ, f.count); err != nil {
			return fault("store a file of a job", err)
		}
	}
	for _, p := range s.pieces {
		if _, err := tx.ExecContext(ctx, `INSERT INTO bulk_piece (job, name, start, content) VALUES ($1, $2, $3, $4)`, id, p.name, p.start, p.content); err != nil {
			return fault("store a piece of a job", err)
		}
	}
	return nil
}

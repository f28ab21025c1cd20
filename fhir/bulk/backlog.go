package bulk

import (
	"context"
	"database/sql"
	"fmt"
)

// A Backlog is what there is to do about jobs on all servers of a database.
type Backlog struct {
	Jobs int // exports, imports and requests that are answered later, which are not finished
}

// ReadBacklog reads it by one statement on db.
func ReadBacklog(ctx context.Context, db *sql.DB) (Backlog, error) {
	var b Backlog
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM bulk_job WHERE state = 'waiting'`).Scan(&b.Jobs); err != nil {
		return Backlog{}, fmt.Errorf("count jobs that wait: %w", err)
	}
	return b, nil
}

package store

import (
	"context"
	"database/sql"
)

// A querier runs statements: the pool, or a transaction that a search must run
// in.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

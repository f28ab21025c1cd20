package store

import (
	"context"
	"database/sql"
	"fmt"
)

// BaseURL returns the public address of the API that the last server on a
// migrated database was opened with; empty when there was none.
func BaseURL(ctx context.Context, db *sql.DB) (string, error) {
	var base string
	if err := db.QueryRowContext(ctx, `SELECT coalesce(base_url, '') FROM installation`).Scan(&base); err != nil {
		return "", fmt.Errorf("read the base URL: %w", err)
	}
	return base, nil
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// serverRole is the database role that migrations make for servers to work as.
const serverRole = "openconsult_server"

// asServer lets the role of servers into a private cluster, whose socket is open to
// this process's account alone, and returns dsn for it. It may do all that a
// server does, but change neither the schema nor what is in the audit.
func asServer(ctx context.Context, dsn string) (string, error) {
	pool, err := sql.Open("postgres", dsn)
	if err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	_, err = pool.ExecContext(ctx, "ALTER ROLE "+serverRole+" LOGIN")
	if err := errors.Join(err, pool.Close()); err != nil {
		return "", fmt.Errorf("let the role of servers in: %w", err)
	}
	return dsn + " user=" + serverRole, nil
}

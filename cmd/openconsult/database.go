package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	_ "github.com/lib/pq" // the driver behind sql.Open("postgres", …)

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

// A database is a migrated PostgreSQL: the operator's, or a private one that
// runs as long as this process does.
type database struct {
	dsn     string
	private *pgserver.Server // nil for the operator's
}

func openDatabase(ctx context.Context, s *settings, log *slog.Logger) (*database, error) {
	db := &database{dsn: s.DSN}
	if s.DSN == "" {
		dir, err := filepath.Abs(s.DataDir)
		if err != nil {
			return nil, fmt.Errorf("find --data-dir: %w", err)
		}
		db.private, err = pgserver.Start(ctx, pgserver.Config{Dir: dir, Log: log})
		if err != nil {
			return nil, fmt.Errorf("start the private database: %w", err)
		}
		db.dsn = db.private.DSN()
	}
	if err := migrate(ctx, db.dsn); err != nil {
		return nil, errors.Join(err, db.stop())
	}
	if db.private == nil {
		return db, nil
	}
	dsn, err := asServer(ctx, db.dsn)
	if err != nil {
		return nil, errors.Join(err, db.stop())
	}
	db.dsn = dsn
	return db, nil
}

// reachDatabase is openDatabase for a command beside a server, which may be
// running the private database.
func reachDatabase(ctx context.Context, s *settings, log *slog.Logger) (*database, error) {
	if s.DSN != "" {
		return openDatabase(ctx, s, log)
	}
	dsn, err := pgserver.Attach(ctx, s.DataDir)
	switch {
	case errors.Is(err, pgserver.ErrNotRunning):
		return openDatabase(ctx, s, log)
	case err != nil:
		return nil, fmt.Errorf("reach the private database: %w", err)
	}
	return &database{dsn: dsn}, nil
}

// migrate keeps no connection: one that dies later would make a clean stop fail.
func migrate(ctx context.Context, dsn string) error {
	pool, err := sql.Open("postgres", dsn)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return errors.Join(migrations.Up(ctx, pool), pool.Close())
}

func (db *database) stop() error {
	if db.private == nil {
		return nil
	}
	return db.private.Stop()
}

// newLog returns a logger of JSON lines on standard error.
func newLog(s *settings) *slog.Logger {
	// complete has checked the level.
	level, _ := logLevel(s.LogLevel)
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func logLevel(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("--log-level is debug, info, warn or error, not %q", name)
}

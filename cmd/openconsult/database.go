package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/lib/pq" // the driver behind sql.Open("postgres", …)

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

// A database is a migrated PostgreSQL: the operator's, or a private one that
// runs as long as this process does.
type database struct {
	dsn     string
	sql     *sql.DB
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
	var err error
	if db.sql, err = sql.Open("postgres", db.dsn); err == nil {
		err = migrations.Up(ctx, db.sql)
	}
	if err != nil {
		return nil, errors.Join(err, db.stop())
	}
	return db, nil
}

func (db *database) stop() error {
	var err error
	if db.sql != nil {
		err = db.sql.Close()
	}
	if db.private != nil {
		err = errors.Join(err, db.private.Stop())
	}
	return err
}

// newLog returns a logger of JSON lines on standard error.
func newLog(s *settings) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(s.LogLevel))); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// Command dump writes the database schema, as all migrations together make it, to the file that is named (standard output without
// one). It needs an installed PostgreSQL and uses a private cluster for the time it takes.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	_ "github.com/lib/pq" // the driver behind sql.Open

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dump:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	dir, err := os.MkdirTemp("", "openconsult-dump-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL runs as another user if this is root.
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	server, err := pgserver.Start(ctx, pgserver.Config{Dir: filepath.Join(dir, "cluster"), Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	schema, err := migrated(ctx, server.DSN())
	if err := errors.Join(err, server.Stop()); err != nil {
		return err
	}
	if len(args) == 0 {
		fmt.Print(schema)
		return nil
	}
	return os.WriteFile(args[0], []byte(schema), 0o644)
}

func migrated(ctx context.Context, dsn string) (string, error) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := migrations.Up(ctx, db); err != nil {
		return "", err
	}
	text, err := dump(ctx, dsn)
	return digest(text), err
}

// dump is what pg_dump says about the tables of a database.
func dump(ctx context.Context, dsn string) (string, error) {
	program, err := pgserver.Program(ctx, "pg_dump")
	if err != nil {
		return "", err
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, program, "--schema-only", "--no-owner", "--no-privileges", "-d", withoutDriver(dsn))
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run pg_dump: %w: %s", err, said.String())
	}
	return string(out), nil
}

// withoutDriver leaves out of a connection string what only the Go driver knows.
func withoutDriver(dsn string) string {
	const setting = "binary_parameters=yes"
	return strings.NewReplacer("?"+setting+"&", "?", "?"+setting, "", "&"+setting, "", " "+setting, "").Replace(dsn)
}

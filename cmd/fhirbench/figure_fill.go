package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	groupFill = "Filling"
	// fillAtOnce is how many resources are loaded from one file.
	fillAtOnce = 25_000
	// benchClient may see and write everything on the server with sign-in.
	benchClient = "fhirbench"
)

// dataDirectory returns where the database is: in kept if that is given, or below dir.
func dataDirectory(kept, dir string) (string, error) {
	if kept == "" {
		return filepath.Join(dir, "data"), nil
	}
	path, err := filepath.Abs(kept)
	if err != nil {
		return "", fmt.Errorf("-data-dir: %w", err)
	}
	return path, nil
}

// freeAddresses returns two that nobody listens on.
func freeAddresses() (one, other string, err error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("find a free address: %w", err)
	}
	defer a.Close()
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("find a free address: %w", err)
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

// start starts the server that runs the database, and the one with sign-in on the same database.
func (f *figures) start(ctx context.Context) error {
	if err := f.startOpen(ctx); err != nil {
		return errors.Join(err, f.stop())
	}
	if err := f.startSigned(ctx); err != nil {
		return errors.Join(err, f.stop())
	}
	return nil
}

// startSigned starts the server with sign-in.
func (f *figures) startSigned(ctx context.Context) error {
	var err error
	if f.signed, err = f.attached(ctx, "--demo"); err != nil {
		return err
	}
	return f.signIn(ctx)
}

// signIn registers the client, unless that was done when the directory was first used, and gets its token.
func (f *figures) signIn(ctx context.Context) error {
	clients, err := f.operate(ctx, "client", "list")
	if err == nil && !strings.HasPrefix(clients, benchClient+"\t") && !strings.Contains(clients, "\n"+benchClient+"\t") {
		_, err = f.operate(ctx, "client", "add", "--id", benchClient, "--name", benchClient, "--all", "--clearance", "*",
			"--role", "administer,labels,assert-author,assert-patient", "--scope", "system/*.cruds")
	}
	if err != nil {
		return err
	}
	return f.signed.connect(ctx, fmt.Sprintf("%q token --client %s --dsn %q", f.server, benchClient, f.dsn()))
}

// attached starts a server on the database of another one. What it keeps beside the database is in a directory of its own.
func (f *figures) attached(ctx context.Context, args ...string) (*served, error) {
	return launch(ctx, f.server, append([]string{"--dsn", f.dsn(), "--data-dir", filepath.Join(f.dir, "attached")}, args...)...)
}

// startOpen starts the server that runs the database.
func (f *figures) startOpen(ctx context.Context) error {
	const largeBody = "104857600" // for a large code system
	var err error
	f.open, err = launch(ctx, f.server, "--auth=none", "--data-dir", f.dataDir, "--max-body", largeBody, "--outbound", f.listen+","+f.dead)
	if err != nil {
		return err
	}
	return f.open.connect(ctx, "")
}

func (f *figures) stop() error {
	err := errors.Join(f.signed.stop(), f.open.stop())
	f.signed, f.open = nil, nil
	return err
}

// fill loads the corpus, unless it is there, and has the database settle.
func (f *figures) fill(ctx context.Context) error {
	f.set = newCorpus(f.seed, uint64(f.Resources))
	f.Resources = int(f.set.size)
	db, err := sql.Open("postgres", f.dsn())
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "SHOW server_version").Scan(&f.Machine.PostgreSQL); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	last := f.set.at(f.set.size - 1)
	if a, err := f.open.do(ctx, op{kind: read, typeName: last.typeName, id: last.id}); err != nil || a.ok() {
		return err
	}
	before, err := databaseSize(ctx, db)
	if err != nil {
		return err
	}
	if err := f.loadCorpus(ctx); err != nil {
		return err
	}
	began := time.Now()
	for _, statement := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("settle the database: %w", err)
		}
	}
	f.tell("the database settled in %v", time.Since(began).Round(time.Millisecond))
	after, err := databaseSize(ctx, db)
	f.add(figure{Group: groupFill, Name: "on disk, for each resource with its rows, indexes and history", Unit: "bytes", Value: float64(after-before) / float64(f.Resources)})
	return err
}

func databaseSize(ctx context.Context, db *sql.DB) (size int64, err error) {
	if err := db.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&size); err != nil {
		return 0, fmt.Errorf("ask for the size of the database: %w", err)
	}
	return size, nil
}

// loadCorpus loads all resources with the program, file by file.
func (f *figures) loadCorpus(ctx context.Context) error {
	if err := publishCorpusForms(ctx, f.open, figureClients); err != nil {
		return err
	}
	path := filepath.Join(f.dir, "corpus.ndjson")
	row := figure{Group: groupFill, Name: "openconsult load", Unit: unitRate, Clients: loadJobs}
	for first := uint64(0); first < f.set.size; first += fillAtOnce {
		end := min(first+fillAtOnce, f.set.size)
		if _, err := writeLines(path, f.set, first, end); err != nil {
			return fmt.Errorf("make a file to load: %w", err)
		}
		began := time.Now()
		if err := runLoad(ctx, f.loadCommand(), path); err != nil {
			return err
		}
		row.Seconds += thousandths(time.Since(began).Seconds())
		row.Rounds++
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("make a file to load: %w", err)
		}
		f.tell("  %d of %d resources, %.0f a second", end, f.set.size, float64(end)/row.Seconds)
	}
	row.Requests = f.set.size
	row.Value = thousandths(float64(f.set.size) / row.Seconds)
	f.add(row)
	return nil
}

// loadJobs is how many requests openconsult load has under way by default.
const loadJobs = 4

// loadCommand is the shell command that loads the file $FILE. Where it was is noted beside the file.
func (f *figures) loadCommand() string {
	return fmt.Sprintf(`rm -f "$FILE.state"; exec %q load --base %s --state "$FILE.state" --rejects "$FILE.rejects" "$FILE"`, f.server, f.open.base)
}

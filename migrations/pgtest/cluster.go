package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgserver"
)

// Cluster returns a running cluster of the test's own that keeps what it has committed: one to kill, to stop and to back up. It is
// stopped and removed when the test ends. It starts as a copy of an empty one, which takes a fifth of the time of initdb.
func Cluster(t testing.TB) *pgserver.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := Dir(t)
	data, err := seed()
	if err != nil {
		t.Fatalf("make a cluster to copy: %v", err)
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", data, filepath.Join(dir, "pg")).CombinedOutput(); err != nil {
		t.Fatalf("copy a cluster: %v: %s", err, out)
	}
	server, err := pgserver.Start(ctx, pgserver.Config{
		Dir:      dir,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Settings: map[string]string{"shared_buffers": "32MB", "max_wal_size": "256MB"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Dir returns a new directory that, unlike [testing.T.TempDir], the unprivileged user may enter whom a cluster started by root runs as.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "openconsult-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// seed is the data directory of an empty cluster that nobody runs, made once for each installed version.
var seed = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	turn, err := takeTurn(home())
	if err != nil {
		return "", err
	}
	defer turn.Close()
	program, err := pgserver.Program(ctx, "postgres")
	if err != nil {
		return "", err
	}
	version, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(home(), fmt.Sprintf("seed-%d", version.ModTime().Unix()))
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "pg"), nil
	}
	return filepath.Join(dir, "pg"), plant(ctx, dir)
})

// plant makes the cluster beside its final place: it is whole or not there.
func plant(ctx context.Context, dir string) error {
	fresh := filepath.Join(home(), "seed.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	server, err := pgserver.Start(ctx, pgserver.Config{Dir: fresh, Settings: map[string]string{"shared_buffers": "32MB"}})
	if err != nil {
		return err
	}
	return errors.Join(server.Stop(), os.Rename(fresh, dir))
}

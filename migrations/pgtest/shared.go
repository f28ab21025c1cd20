package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgserver"
)

// server is where the databases of this process's tests live.
type server struct {
	dsn      string
	admin    *sql.DB
	template string // migrated database to copy
}

var shared = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dsn := os.Getenv("OPENCONSULT_TEST_DSN")
	private := dsn == ""
	var err error
	if private {
		dsn, err = startShared(ctx, home())
	}
	if err != nil {
		return nil, fmt.Errorf("start the cluster for tests: %w", err)
	}
	return connect(ctx, dsn, private)
})

func sharedServer(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect opens a server and brings its template up to date.
func connect(ctx context.Context, dsn string, private bool) (*server, error) {
	admin, err := sql.Open("postgres", dsn)
	if err != nil {
		return nil, err
	}
	admin.SetMaxIdleConns(4)
	s := &server{dsn: dsn, admin: admin}
	if private {
		if err := s.sweep(ctx); err != nil {
			return nil, fmt.Errorf("drop databases of tests that were killed: %w", err)
		}
	}
	if s.template, err = s.makeTemplate(ctx); err != nil {
		return nil, fmt.Errorf("make the template database: %w", err)
	}
	return s, nil
}

// withDatabase is the connection string for another database of the same server.
func withDatabase(dsn, name string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " dbname=" + name + " binary_parameters=yes", nil // the later of two settings holds
	}
	address, err := url.Parse(dsn)
	if err != nil {
		return "", fmt.Errorf("read the address of the test server: %w", err)
	}
	address.Path = "/" + name
	query := address.Query()
	query.Set("binary_parameters", "yes")
	address.RawQuery = query.Encode()
	return address.String(), nil
}

const (
	memory    = "/dev/shm" // a file system that is no disk, where there is one
	leastFree = 4 << 30    // bytes that it must have to be used; all tests together have used up to a quarter of it
)

// home is where everything lies that tests of one user share: in memory if there is
// enough, since tests make and drop so many databases that the disk is what they
// wait for. With TMPDIR set it is there.
func home() string {
	name := fmt.Sprintf("openconsult-pgtest-%d", os.Getuid())
	if os.Getenv("TMPDIR") == "" && hasRoom(memory, name) {
		return filepath.Join(memory, name)
	}
	return filepath.Join(os.TempDir(), name)
}

// hasRoom reports whether dir has room for name, or has it already.
func hasRoom(dir, name string) bool {
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
		return true
	}
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && s.Bavail*uint64(s.Bsize) >= leastFree
}

// startShared starts or adopts the cluster in dir and leaves it running.
func startShared(ctx context.Context, dir string) (string, error) {
	turn, err := takeTurn(dir)
	if err != nil {
		return "", err
	}
	defer turn.Close()
	cluster := filepath.Join(dir, "cluster")
	s, err := startOnce(ctx, cluster)
	if err != nil {
		// It holds nothing of worth: whatever is wrong with it, make another.
		if removeErr := os.RemoveAll(cluster); removeErr != nil {
			return "", errors.Join(err, removeErr)
		}
		if s, err = startOnce(ctx, cluster); err != nil {
			return "", err
		}
	}
	return s.DSN(), s.Detach()
}

// takeTurn makes the directory and waits until no other process works on what it holds. Closing the file ends the turn.
func takeTurn(dir string) (*os.File, error) {
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	turn, err := os.OpenFile(filepath.Join(dir, "turn"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for a turn: %w", err), turn.Close())
	}
	return turn, nil
}

func startOnce(ctx context.Context, dir string) (*pgserver.Server, error) {
	return pgserver.Start(ctx, pgserver.Config{Dir: dir, Settings: map[string]string{
		"fsync":            "off",
		"full_page_writes": "off",
		"autovacuum":       "off", // statistics change when a test says so
		"shared_buffers":   "128MB",
		"max_connections":  "300",
		"max_wal_size":     "512MB",
	}})
}

// makePrivate makes the directory, or makes sure that it is ours: its name is known to everybody.
func makePrivate(dir string) error {
	mode := os.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s is not a directory of ours: remove it", dir)
	}
	return os.Chmod(dir, mode)
}

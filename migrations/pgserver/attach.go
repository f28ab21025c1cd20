package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNotRunning means that nobody runs the cluster of a directory.
var ErrNotRunning = errors.New("nobody runs this private database")

// Attach returns the connection string of the cluster in the directory dir while
// another process runs it. It ends with that process. When nobody runs it the
// error is [ErrNotRunning].
func Attach(ctx context.Context, dir string) (dsn string, err error) {
	if _, err := os.Stat(filepath.Join(dir, "pg", "PG_VERSION")); err != nil {
		return "", fmt.Errorf("look for a private database in %s: %w", dir, errors.Join(ErrNotRunning, err))
	}
	c, err := prepare(ctx, Config{Dir: dir})
	if err != nil {
		return "", err
	}
	if pid, _ := status(c.data()); pid == 0 || !serves(pid, c.data()) {
		return "", ErrNotRunning
	}
	c.keepSockets()
	return c.dsn(database), nil
}

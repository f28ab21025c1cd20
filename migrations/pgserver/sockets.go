package pgserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// socketName is the file that PostgreSQL makes for its default port; one with .lock behind it guards it.
const socketName = ".s.PGSQL.5432"

// socketDir is dir/run, or for a path that is too long or that connection strings would split a short one made from it.
func socketDir(dir string) string {
	run := filepath.Join(dir, "run")
	if len(filepath.Join(run, socketName)) < 100 && !strings.Contains(run, ",") {
		return run
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), "openconsult-"+hex.EncodeToString(sum[:8]))
}

// socketsInUse is where the postmaster that wrote postmaster.pid listens (line 5), or empty.
func socketsInUse(data string) string {
	lines := pidFile(data)
	if len(lines) < 5 {
		return ""
	}
	return strings.TrimSpace(lines[4])
}

// keepSockets stays with the socket of a postmaster that still runs: the directory of temporary files may have moved since.
func (c *cluster) keepSockets() {
	pid, _ := status(c.data())
	if pid == 0 || !serves(pid, c.data()) {
		return
	}
	if dir := socketsInUse(c.data()); dir != "" {
		c.sockets = dir
	}
}

// makeSocketDir makes the private directory of the socket. The kernel allows 107 bytes for the whole path.
func (c *cluster) makeSocketDir() error {
	err := os.Mkdir(c.sockets, 0o700)
	if err == nil {
		return c.user.give(c.sockets)
	}
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(c.sockets)
	if err != nil {
		return err
	}
	uid, _, err := owner(c.sockets)
	if err != nil {
		return err
	}
	if !info.IsDir() || uid != c.user.uid || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a private directory of user %s: remove it", c.sockets, nameOf(c.user.uid))
	}
	return nil
}

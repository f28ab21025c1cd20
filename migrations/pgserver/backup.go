package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// manifest is the file that pg_basebackup writes last: a backup without it is not complete.
const manifest = "backup_manifest"

// BaseBackup copies the running cluster into the directory to, which must be empty or not exist: a plain data directory with its
// manifest and the WAL that makes it consistent. Writers go on meanwhile. The copy is on disk when it returns.
func (s *Server) BaseBackup(ctx context.Context, to string) error {
	return s.cluster.baseBackup(ctx, to)
}

// Backup copies the cluster in the directory dir as [Server.BaseBackup] does, whether another process is running it at the moment or
// nobody is.
func Backup(ctx context.Context, dir, to string) error {
	if _, err := os.Stat(filepath.Join(dir, "pg", "PG_VERSION")); err != nil {
		return fmt.Errorf("there is no private database in %s: %w", dir, err)
	}
	c, err := prepare(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	if pid, _ := status(c.data()); pid != 0 && serves(pid, c.data()) {
		c.keepSockets()
		return c.baseBackup(ctx, to)
	}
	s, err := Start(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(s.BaseBackup(ctx, to), s.Stop())
}

func (c *cluster) baseBackup(ctx context.Context, to string) error {
	// As this process, not as the account: the operator owns the copy.
	cmd := exec.CommandContext(ctx, c.bin.program("pg_basebackup"), "-h", c.sockets, "-p", "5432", "-U", role, "--no-password",
		"-D", to, "--format=plain", "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// It removes what it wrote when it is asked to end, not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w: %s", c.dir, to, err, strings.TrimSpace(string(out)))
	}
	return nil
}

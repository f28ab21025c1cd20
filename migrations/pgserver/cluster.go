package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// cluster is what does not change while a directory is served.
type cluster struct {
	dir      string // absolute, without links
	sockets  string // directory of the socket
	user     account
	bin      binaries
	settings map[string]string
	log      *slog.Logger
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) data() string { return c.path("pg") }

// dsn connects as the superuser. Every part is explicit, so that PG* variables of the environment change nothing.
func (c *cluster) dsn(dbname string) string {
	return fmt.Sprintf("host=%s port=5432 user=%s dbname=%s sslmode=disable binary_parameters=yes application_name=openconsult",
		quote(c.sockets), role, dbname)
}

// prepare makes the directory and finds out who runs what in it.
func prepare(ctx context.Context, cfg Config) (*cluster, error) {
	if cfg.Dir == "" {
		return nil, errors.New("no directory given for the private PostgreSQL cluster")
	}
	c := &cluster{settings: cfg.Settings, log: cfg.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.enter(ctx, cfg); err != nil {
		return nil, err
	}
	c.sockets = socketDir(c.dir)
	return c, nil
}

func (c *cluster) enter(ctx context.Context, cfg Config) error {
	abs, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", cfg.Dir, err)
	}
	c.user, err = accountFor(filepath.Join(abs, "pg"))
	if err != nil {
		return err
	}
	if err := c.makeDir(abs); err != nil {
		return err
	}
	if c.bin, err = c.findBinaries(ctx, cfg.BinDir); err != nil {
		return err
	}
	return c.checkReachable(ctx)
}

// makeDir makes the cluster's directory, which stays ours: only pg and run in it belong to the account.
func (c *cluster) makeDir(abs string) error {
	_, err := os.Stat(abs)
	fresh := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if c.dir, err = filepath.EvalSymlinks(abs); err != nil {
		return fmt.Errorf("resolve %s: %w", abs, err)
	}
	if !fresh {
		return nil
	}
	mode := os.FileMode(0o700)
	if c.user.drop {
		mode = 0o711
	}
	return os.Chmod(c.dir, mode)
}

func (c *cluster) findBinaries(ctx context.Context, dir string) (binaries, error) {
	dirs := candidates()
	if dir != "" {
		dirs = []string{dir}
	}
	found, err := installed(ctx, dirs)
	if err != nil {
		return binaries{}, err
	}
	want, err := majorIn(c.data())
	if err != nil {
		return binaries{}, err
	}
	return choose(found, want)
}

// majorIn is the major version that made a data directory, or 0 if there is none.
func majorIn(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	return major, nil
}

// checkReachable refuses a directory that the account may not enter. Mode bits do not know access control lists, so the kernel has
// the last word.
func (c *cluster) checkReachable(ctx context.Context) error {
	blocked := c.user.reaches(c.dir)
	if blocked == nil {
		return nil
	}
	if err := c.run(ctx, "postgres", "--version"); err != nil {
		return blocked
	}
	return nil
}

// run runs a PostgreSQL program as the account. What it says goes into the error. No PG* variable reaches it.
func (c *cluster) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, c.bin.program(name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = c.user.attributes()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

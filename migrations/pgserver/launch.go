package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// logLimit is the size at which the log is put aside at a start.
	logLimit = 10 * mib

	// orphanPatience bounds the wait for the sessions of a killed postmaster to end.
	orphanPatience = time.Minute
)

// errOrphans says that sessions of a killed postmaster still run.
var errOrphans = errors.New("sessions of an earlier postgres still run")

// launch adopts the postmaster that runs, or starts one, and waits until it takes connections.
func (s *Server) launch(ctx context.Context) error {
	orphans, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	for {
		err := s.launchOnce(ctx)
		if !errors.Is(err, errOrphans) {
			return err
		}
		if err := endOrphans(s.cluster.data()); err != nil {
			return fmt.Errorf("end the sessions of a dead postgres: %w", err)
		}
		if wait(orphans, pollEvery) != nil {
			return err
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	c := s.cluster
	p, err := c.adopt(ctx)
	if err != nil {
		return err
	}
	if p != nil {
		s.setCurrent(p)
		c.log.Info("adopted the running postgres", "pid", p.pid)
		return c.ready(ctx, p, 0)
	}
	if err := c.makeSocketDir(); err != nil {
		return fmt.Errorf("make the socket directory: %w", err)
	}
	if err := c.clearStale(); err != nil {
		return fmt.Errorf("remove a stale lock of postgres: %w", err)
	}
	p, offset, err := c.spawn()
	if err != nil {
		return err
	}
	s.setCurrent(p)
	c.log.Info("started postgres", "pid", p.pid, "version", c.bin.major)
	return c.ready(ctx, p, offset)
}

// adopt returns the postmaster that an earlier process left, or nil. One that is shutting down is waited for.
func (c *cluster) adopt(ctx context.Context) (*postmaster, error) {
	p, err := leftover(c.data())
	if err != nil || p == nil {
		return nil, err
	}
	if _, state := status(c.data()); state != "stopping" {
		return p, nil
	}
	select {
	case <-p.exited:
		return nil, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for postgres (process %d) to shut down: %w", p.pid, ctx.Err())
	}
}

// clearStale removes lock files whose process id now belongs to another process. PostgreSQL handles dead ones by itself, but takes any
// live process for its own.
func (c *cluster) clearStale() error {
	var errs []error
	for _, path := range []string{filepath.Join(c.data(), "postmaster.pid"), filepath.Join(c.sockets, socketName+".lock")} {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, parseErr := strconv.Atoi(strings.TrimSpace(first))
		if err == nil && (parseErr != nil || alive(max(pid, -pid)) && !serves(pid, c.data())) {
			c.log.Warn("removing a stale lock of postgres", "file", path, "pid", first)
			err = os.Remove(path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// spawn starts PostgreSQL. Its output goes to a file, not a pipe: it outlives this process. The offset is where its log begins.
func (c *cluster) spawn() (*postmaster, int64, error) {
	log, offset, err := c.openLog()
	if err != nil {
		return nil, 0, err
	}
	defer log.Close()
	cmd := exec.Command(c.bin.program("postgres"), "-D", c.data(), "-c", "config_file="+c.path("postgresql.conf"))
	cmd.Dir = c.dir
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = c.user.attributes()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start postgres: %w", err)
	}
	return child(cmd), offset, nil
}

func (c *cluster) openLog() (*os.File, int64, error) {
	path := c.path("postgres.log")
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, fmt.Errorf("put the log aside: %w", err)
		}
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the log: %w", err)
	}
	offset, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open the log: %w", err), log.Close())
	}
	return log, offset, nil
}

// ready waits until the postmaster takes connections. Recovery is logged while it lasts.
func (c *cluster) ready(ctx context.Context, p *postmaster, offset int64) error {
	began := time.Now()
	notice := began.Add(10 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, pollEvery) {
		if pid, state := status(c.data()); pid == p.pid && state == "ready" {
			return nil
		}
		select {
		case <-p.exited:
			return c.explain(offset)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to start: %w", ctx.Err())
		case <-time.After(pause):
		}
		if time.Now().After(notice) {
			c.log.Info("postgres is still recovering", "seconds", int(time.Since(began).Seconds()))
			notice = time.Now().Add(10 * time.Second)
		}
	}
}

// explain makes an error of what PostgreSQL wrote to its log since the offset.
func (c *cluster) explain(offset int64) error {
	said := c.logSince(offset)
	if strings.Contains(said, "shared memory block") && strings.Contains(said, "still in use") {
		return errOrphans
	}
	return fmt.Errorf("postgres ended while starting (log: %s): %s", c.path("postgres.log"), said)
}

// logSince returns the last 2 kB at most.
func (c *cluster) logSince(offset int64) string {
	log, err := os.Open(c.path("postgres.log"))
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err.Error()
	}
	const limit = 2048
	offset = max(offset, info.Size()-limit)
	text, err := io.ReadAll(io.NewSectionReader(log, offset, limit))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// wait returns after d, or earlier with the context's error.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Restore makes the cluster directory dir from a backup that [Server.BaseBackup] took. The backup is verified first where the
// installed PostgreSQL can. The directory must be empty or not exist. [Start] then brings it up; clients' positions in it may lie in a
// future that the backup does not have.
func Restore(ctx context.Context, from, dir string) error {
	if _, err := os.Stat(filepath.Join(from, manifest)); err != nil {
		return fmt.Errorf("%s is not a complete backup: %w", from, err)
	}
	if err := checkEmpty(dir); err != nil {
		return err
	}
	c, err := prepare(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	if err := c.verify(ctx, from); err != nil {
		return err
	}
	held, err := acquire(c.path("lock"))
	if err != nil {
		return err
	}
	if err := c.fill(ctx, from); err != nil {
		return errors.Join(fmt.Errorf("restore %s to %s: %w", from, dir, err), os.RemoveAll(c.path("pg.new")), held.Close())
	}
	return held.Close()
}

// checkEmpty refuses a directory that holds anything but what an interrupted Restore leaves.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"lock", "pg.new"}, e.Name()) {
			return fmt.Errorf("%s is not empty: restore into a new directory", dir)
		}
	}
	return nil
}

// verify holds the backup against its manifest. It runs as this process, which can read the backup.
func (c *cluster) verify(ctx context.Context, from string) error {
	found, err := installed(ctx, candidates())
	if err != nil {
		return err
	}
	want, err := majorIn(from)
	if err != nil {
		return err
	}
	if c.bin, err = choose(found, want); err != nil {
		return err
	}
	program := c.bin.program("pg_verifybackup")
	if _, err := os.Stat(program); err != nil {
		c.log.Warn("the backup is not verified: pg_verifybackup is not installed")
		return nil
	}
	out, err := exec.CommandContext(ctx, program, from).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the backup %s is damaged: %w: %s", from, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// fill copies the backup beside its final place and moves it there.
func (c *cluster) fill(ctx context.Context, from string) error {
	fresh := c.path("pg.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	var made []string
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == manifest {
			return err
		}
		to := filepath.Join(fresh, name)
		made = append(made, to)
		return copyEntry(path, to, entry)
	})
	if err != nil {
		return err
	}
	// From the leaves up: nobody else may write into a directory before all in it is done.
	for _, path := range slices.Backward(made) {
		if err := errors.Join(syncPath(path), c.user.give(path)); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(fresh, c.data()), syncPath(c.dir))
}

func copyEntry(from, to string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return os.Mkdir(to, 0o700)
	case entry.Type().IsRegular():
		return copyFile(from, to)
	}
	return fmt.Errorf("%s is neither file nor directory: tablespaces are not supported", from)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// syncPath makes a file, or the names in a directory, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

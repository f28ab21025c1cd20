package pgserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

// create runs initdb beside the final place and moves the result there: a data directory is complete or not there.
func (c *cluster) create(ctx context.Context) error {
	if version, err := majorIn(c.data()); err != nil || version != 0 {
		return err
	}
	if err := os.Remove(c.data()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not empty and holds no PostgreSQL data: move its contents away, or choose another directory", c.data())
	}
	fresh := c.path("pg.new")
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear an unfinished data directory: %w", err)
	}
	if err := errors.Join(os.Mkdir(fresh, 0o700), c.user.give(fresh)); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	c.log.Info("creating a PostgreSQL cluster", "dir", c.dir, "version", c.bin.major)
	if err := c.run(ctx, "initdb", c.initArgs(fresh)...); err != nil {
		return fmt.Errorf("create a PostgreSQL cluster: %w", err)
	}
	return errors.Join(os.Rename(fresh, c.data()), syncPath(c.dir))
}

func (c *cluster) initArgs(data string) []string {
	args := []string{"-D", data, "--username=" + role, "--encoding=UTF8", "--locale=C", "--data-checksums",
		"--auth-local=trust", "--auth-host=reject", "--no-instructions"}
	if c.settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	return args
}

// configure writes the configuration file. It lies outside the data directory, where only this process may write.
func (c *cluster) configure(ctx context.Context) error {
	compression := map[string]string{"wal_compression": "on"}
	if err := c.run(ctx, "postgres", "-D", c.data(), "-C", "wal_compression", "-c", "wal_compression=lz4"); err == nil {
		compression = map[string]string{"wal_compression": "lz4", "default_toast_compression": "lz4"}
	}
	socket := map[string]string{
		"unix_socket_directories": `"` + strings.ReplaceAll(c.sockets, `"`, `""`) + `"`,
		"unix_socket_permissions": "0700",
		"port":                    "5432",
	}
	local := c.path("postgresql.local.conf")
	if _, err := os.Stat(local); err != nil {
		local = ""
	}
	text := render(local, tuned(memory(), diskFree(c.dir)), compression, socket, c.settings)
	path := c.path("postgresql.conf")
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	// A strict umask would hide the file from the account.
	if err := errors.Join(os.Chmod(path+".new", 0o644), os.Rename(path+".new", path)); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

// createDatabase proves that the cluster answers, and makes the database on its first start.
func (c *cluster) createDatabase(ctx context.Context) error {
	err := execute(ctx, c.dsn(database), "")
	var missing *pq.Error
	if !errors.As(err, &missing) || missing.Code != "3D000" { // invalid_catalog_name
		return err
	}
	return execute(ctx, c.dsn("postgres"), "CREATE DATABASE "+database)
}

// isRecovering reports whether PostgreSQL runs and takes no connections. A PostgreSQL 15 that has not yet begun to read its log after
// the crash of a session must not be asked for a fast shutdown: it waits for its checkpointer, which nobody tells to end.
func (c *cluster) isRecovering() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var refused *pq.Error
	return errors.As(execute(ctx, c.dsn("postgres"), ""), &refused) && refused.Code == "57P03" // cannot_connect_now
}

// execute runs one statement, or only connects if it is empty.
func execute(ctx context.Context, dsn, statement string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if statement == "" {
		return db.PingContext(ctx)
	}
	_, err = db.ExecContext(ctx, statement)
	return err
}

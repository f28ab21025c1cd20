package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/openconsult/openconsult/migrations"
)

const (
	// testPrefix begins the name of a test's database: it goes on with the process id.
	testPrefix     = "oc_test_"
	templatePrefix = "oc_template_"

	// turnKey is an advisory lock: processes make the template one after the other.
	turnKey = 0x6f635f74

	// templatesKept is how many templates of other schema versions stay, for working copies that are tested in turns.
	templatesKept = 4
)

// makeTemplate returns the name of a database with the newest schema. Its name says what is in it, so an existing one is good.
func (s *server) makeTemplate(ctx context.Context) (string, error) {
	conn, err := s.admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", turnKey); err != nil {
		return "", err
	}
	name := templatePrefix + migrations.Fingerprint()[:16]
	err = s.ensure(ctx, name)
	// The lock belongs to the session, and the session goes back to the pool.
	_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", turnKey)
	return name, errors.Join(err, unlockErr)
}

func (s *server) ensure(ctx context.Context, name string) error {
	var exists bool
	err := s.admin.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || exists {
		return err
	}
	if err := s.dropOldTemplates(ctx); err != nil {
		return err
	}
	fresh := name + "_new"
	if err := s.execute(ctx, "DROP DATABASE IF EXISTS "+fresh, "CREATE DATABASE "+fresh+" TEMPLATE template0"); err != nil {
		return err
	}
	dsn, err := withDatabase(s.dsn, fresh)
	if err != nil {
		return err
	}
	if err := migrate(ctx, dsn); err != nil {
		return err
	}
	// A database that takes no connections can be copied at any time.
	return s.execute(ctx, "ALTER DATABASE "+fresh+" ALLOW_CONNECTIONS false", "ALTER DATABASE "+fresh+" RENAME TO "+name)
}

func migrate(ctx context.Context, dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	return errors.Join(migrations.Up(ctx, db), db.Close())
}

func (s *server) execute(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (s *server) dropOldTemplates(ctx context.Context) error {
	names, err := s.names(ctx, templatePrefix)
	if err != nil {
		return err
	}
	for len(names) > templatesKept {
		if err := s.execute(ctx, "DROP DATABASE IF EXISTS "+names[0]); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// sweep drops the databases of test processes that ended without doing so.
func (s *server) sweep(ctx context.Context) error {
	names, err := s.names(ctx, testPrefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
		pid, err := strconv.Atoi(number)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := s.execute(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// names lists the databases whose name begins with the prefix, oldest first.
func (s *server) names(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.admin.QueryContext(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname::text, $1) ORDER BY oid", prefix)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

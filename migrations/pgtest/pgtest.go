// Package pgtest gives each test a migrated database of its own.
//
// All tests of a machine share one private cluster, in memory where there is room and in the directory for temporary files elsewhere.
// The first test to need it starts it, and it goes on running afterwards; a cluster that was killed is brought back, and one that cannot
// be is made anew. It does not wait for the disk (fsync=off), so it is for tests that do not pull plugs: those take [Cluster]. With
// OPENCONSULT_TEST_DSN set, the tests use that server instead and need a role that may create databases.
//
// A database is copied from a template that was migrated once: some 40 ms to make and 10 ms to drop, a third of what migrating a schema
// for each test costs.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver behind sql.Open
)

// patience bounds everything that is done for a test outside of it.
const patience = time.Minute

// Database is an open database that exists for one test. It is closed and dropped when the test ends.
type Database struct {
	// DSN is a lib/pq connection string for further pools.
	DSN string

	*sql.DB
}

// New returns a database with the newest schema and no resources.
func New(t testing.TB) *Database {
	t.Helper()
	server := sharedServer(t)
	return server.database(t, server.template)
}

// Empty returns a database without tables.
func Empty(t testing.TB) *Database {
	t.Helper()
	return sharedServer(t).database(t, "template0")
}

// database copies a template.
func (s *server) database(t testing.TB, template string) *Database {
	t.Helper()
	name := fmt.Sprintf("%s%d_%s", testPrefix, os.Getpid(), strings.ToLower(rand.Text()[:10]))
	// Copying files beats writing the copy to the WAL: 32 against 50-100 ms.
	s.must(t, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, template))
	t.Cleanup(func() { s.must(t, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	dsn, err := withDatabase(s.dsn, name)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // complains about sessions that the test has ended
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return &Database{DSN: dsn, DB: db}
}

func (s *server) must(t testing.TB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := s.admin.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

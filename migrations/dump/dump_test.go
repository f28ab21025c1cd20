package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

const file = "../schema.sql"

// dumpedBy is the major version whose spelling schema.sql has.
const dumpedBy = "15"

func TestSchemaFileIsCurrent(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	skipOtherVersion(t, db)
	if diff := cmp.Diff(schemaFile(t), digest(dumpOf(t, db))); diff != "" {
		t.Errorf("schema.sql is not what the migrations make; run make schema:\n%s", diff)
	}
}

// TestSchemaFileIsWhole loads the file into an empty database: what the digest leaves out must come back by itself.
func TestSchemaFileIsWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	skipOtherVersion(t, db)
	if _, err := db.Exec(schemaFile(t)); err != nil {
		t.Fatal(err)
	}
	migrated := noise.ReplaceAllString(dumpOf(t, pgtest.New(t)), "")
	if diff := cmp.Diff(migrated, noise.ReplaceAllString(dumpOf(t, db), "")); diff != "" {
		t.Errorf("a database made from schema.sql is not what the migrations make:\n%s", diff)
	}
}

func dumpOf(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	text, err := dump(t.Context(), db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func schemaFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func skipOtherVersion(t *testing.T, db *pgtest.Database) {
	t.Helper()
	var version string
	if err := db.QueryRow("SHOW server_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version, dumpedBy+".") {
		t.Skipf("schema.sql is compared with PostgreSQL %s only; this is %s", dumpedBy, version)
	}
}

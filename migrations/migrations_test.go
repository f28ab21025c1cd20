package migrations_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	db.SetMaxOpenConns(1)
	expectVersion(t, db.DB, 0)
	for range 2 {
		if err := migrations.Up(t.Context(), db.DB); err != nil {
			t.Fatal(err)
		}
		expectVersion(t, db.DB, migrations.Latest())
	}
}

func TestUpTogether(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	group, ctx := errgroup.WithContext(t.Context())
	for range 3 {
		group.Go(func() error { return migrations.Up(ctx, db.DB) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var applied, installations int
	const query = `SELECT (SELECT count(*) FROM schema_version WHERE version_id > 0), (SELECT count(*) FROM installation)`
	if err := db.QueryRow(query).Scan(&applied, &installations); err != nil {
		t.Fatal(err)
	}
	if applied != int(migrations.Latest()) || installations != 1 {
		t.Errorf("%d migrations applied and %d installations, want %d and 1", applied, installations, migrations.Latest())
	}
}

func TestUpInSchemas(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)   // public is migrated
	db.SetMaxOpenConns(1) // one session, which keeps its search_path
	for _, schema := range []string{"one", `"Two of two"`} {
		if _, err := db.Exec("CREATE SCHEMA " + schema + "; SET search_path = " + schema + ", public"); err != nil {
			t.Fatal(err)
		}
		expectVersion(t, db.DB, 0)
		if err := migrations.Up(t.Context(), db.DB); err != nil {
			t.Fatal(err)
		}
		expectVersion(t, db.DB, migrations.Latest())
	}
	var secrets int
	const query = `SELECT count(DISTINCT hash_secret) FROM
		(SELECT * FROM public.installation UNION ALL SELECT * FROM one.installation UNION ALL SELECT * FROM "Two of two".installation) i`
	if err := db.QueryRow(query).Scan(&secrets); err != nil || secrets != 3 {
		t.Errorf("three installations have %d different secrets (%v)", secrets, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	newer := migrations.Latest() + 1
	if _, err := db.Exec("INSERT INTO schema_version (version_id, is_applied) VALUES ($1, true)", newer); err != nil {
		t.Fatal(err)
	}
	err := migrations.Up(t.Context(), db.DB)
	if !errors.Is(err, migrations.ErrNewer) || !strings.Contains(err.Error(), "run the newer program") {
		t.Errorf("Up() = %v, want ErrNewer and what to do", err)
	}
	for version, want := range map[int64]error{0: nil, newer - 1: nil, newer: migrations.ErrNewer} {
		if err := migrations.Check(version); !errors.Is(err, want) {
			t.Errorf("Check(%d) = %v, want %v", version, err, want)
		}
	}
}

func TestErrorsAreNotAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if version, err := migrations.Version(ctx, pgtest.New(t).DB); err == nil {
		t.Errorf("Version() = %d with a cancelled context, want an error", version)
	}
}

// TestFiles holds the files to what Latest and forward-only rely on.
func TestFiles(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("sql/*")
	if err != nil || len(names) != int(migrations.Latest()) {
		t.Fatalf("%d files (%v), want %d", len(names), err, migrations.Latest())
	}
	for i, name := range names {
		if !regexp.MustCompile(`^[0-9]{4}_[a-z_]+\.sql$`).MatchString(filepath.Base(name)) {
			t.Errorf("%s: want a name like 0001_words.sql", name)
		}
		if !strings.HasPrefix(filepath.Base(name), fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("%s is number %d: numbers have no gaps", name, i+1)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "-- +goose Up\n") || strings.Contains(string(text), "+goose Down") {
			t.Errorf("%s: want one Up and no Down", name)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	if got := migrations.Fingerprint(); len(got) != 64 || got != migrations.Fingerprint() {
		t.Errorf("Fingerprint() = %q", got)
	}
}

func BenchmarkUpWhenCurrent(b *testing.B) {
	db := pgtest.New(b)
	for b.Loop() {
		if err := migrations.Up(b.Context(), db.DB); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpFromEmpty(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		db := pgtest.Empty(b)
		b.StartTimer()
		if err := migrations.Up(b.Context(), db.DB); err != nil {
			b.Fatal(err)
		}
	}
}

func expectVersion(t *testing.T, db *sql.DB, want int64) {
	t.Helper()
	got, err := migrations.Version(t.Context(), db)
	if err != nil || got != want {
		t.Fatalf("Version() = %d, %v; want %d", got, err, want)
	}
}

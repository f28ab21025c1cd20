package store

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// clock returns the time of the database.
func clock(t *testing.T, database *pgtest.Database) (now time.Time) {
	t.Helper()
	if err := database.QueryRowContext(t.Context(), `SELECT date_trunc('milliseconds', clock_timestamp())`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	return now
}

func safe(t *testing.T, db *DB) time.Time {
	t.Helper()
	now, err := db.SafeTime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// TestSafeTimeOfOthers is about transactions that write something else: they hold nothing back,
// and what they write as a version after all is no older than what was safe. Among many it is
// not asked what they write.
func TestSafeTimeOfOthers(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	var began, at time.Time
	database.SetMaxOpenConns(fewWrite + 4)
	first := begun(t, database, &began)
	if now := clock(t, database); safe(t, db).Before(now) {
		t.Error("who writes no version holds the safe time back")
	}
	before := safe(t, db)
	const version = `INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl) SELECT ts, 1, 1, 1, 'x', 'D', 0, 0, '{}' FROM (` + timeQuery + `) t RETURNING updated`
	if err := first.QueryRow(version).Scan(&at); err != nil {
		t.Fatal(err)
	}
	if at.Before(before) {
		t.Errorf("a version is of %s, and it was safe until %s", at, before)
	}
	if now := safe(t, db); now.After(began) {
		t.Errorf("it is safe until %s, and a transaction that writes has begun at %s", now, began)
	}
	if err := first.Rollback(); err != nil {
		t.Fatal(err)
	}
	var least time.Time
	begun(t, database, &least)
	for range fewWrite {
		begun(t, database, new(time.Time))
	}
	if now := safe(t, db); now.After(least) {
		t.Errorf("it is safe until %s, and one of many transactions has begun at %s", now, least)
	}
}

// begun returns a transaction with an id, and says when it began.
func begun(t *testing.T, database *pgtest.Database, at *time.Time) *sql.Tx {
	t.Helper()
	tx, err := database.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if err := tx.QueryRow(`SELECT now() FROM pg_current_xact_id()`).Scan(at); err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestSafeTimeOfWriters stops each kind of write where it has its time and nobody can see it yet:
// it is no older than what is safe then.
func TestSafeTimeOfWriters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	const stall = `CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4242); RETURN NEW; END $$;
		CREATE TRIGGER stall BEFORE INSERT ON ver FOR EACH ROW EXECUTE FUNCTION stall();
		CREATE TRIGGER stall BEFORE INSERT ON access_event FOR EACH ROW EXECUTE FUNCTION stall()`
	if _, err := database.Exec(stall); err != nil {
		t.Fatal(err)
	}
	gate, err := database.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	one := func(c Change) func(context.Context) (Written, error) {
		return func(ctx context.Context) (Written, error) { return db.Put(ctx, c.Row, c.Expect) }
	}
	gone := Change{Row{Key: fhir.Key{Type: "Basic", ID: "a"}, Op: Delete}, Anything}
	for _, c := range []struct {
		name  string
		write func(context.Context) (Written, error)
	}{
		{"create", one(changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "a", "1")))},
		{"update", one(changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "a", "2")))},
		{"delete", func(ctx context.Context) (Written, error) { return db.Delete(ctx, gone.Key, Anything, "", nil) }},
		{"create again", one(changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "a", "3")))},
		{"batch", func(ctx context.Context) (Written, error) {
			all, err := db.WriteEach(ctx, []Change{gone, changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "b", "1"))})
			return all[0], err
		}},
	} {
		if _, err := gate.ExecContext(t.Context(), `SELECT pg_advisory_lock(4242)`); err != nil {
			t.Fatal(err)
		}
		done := make(chan Written)
		go func() {
			w, err := c.write(t.Context())
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			done <- w
		}()
		waitFor(t, db, func() bool {
			return countOf(t, database, `pg_locks WHERE objid = 4242 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) > 0
		})
		for end := clock(t, database).Add(5 * time.Millisecond); clock(t, database).Before(end); {
			Wait(t.Context(), time.Millisecond, nil)
		}
		now := safe(t, db)
		if _, err := gate.ExecContext(t.Context(), `SELECT pg_advisory_unlock(4242)`); err != nil {
			t.Fatal(err)
		}
		if w := <-done; w.Updated.Before(now) || w.Outcome == Unchanged || w.Version == 0 {
			t.Errorf("%s: outcome %d of %s, and it was safe until %s", c.name, w.Outcome, w.Updated, now)
		}
	}
}

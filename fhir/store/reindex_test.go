package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// forget makes rows what they were before there was a search.
func forget(t *testing.T, database *pgtest.Database) {
	t.Helper()
	const clear = `UPDATE res SET idx_gen = 0, keys = '{}', refs = '{}', t1 = NULL, t1h = NULL, s1 = NULL, strs = NULL, sorts = NULL`
	for _, statement := range []string{clear, `DELETE FROM rng`} {
		if _, err := database.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

func index(t *testing.T, db *DB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- db.RunIndexer(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the indexer ended with %v", err)
		}
	}
}

func status(t *testing.T, db *DB) Reindexing {
	t.Helper()
	r, err := db.ReindexStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r == nil {
		return Reindexing{}
	}
	return *r
}

func hasEnded(t *testing.T, db *DB) func() bool {
	return func() bool { r := status(t, db); return !r.Running && r.Percent == 100 }
}

// countOf is the number of rows of a table.
func countOf(t *testing.T, database *pgtest.Database, of string) (n int) {
	t.Helper()
	if err := database.QueryRow(`SELECT count(*) FROM ` + of).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReindexUnderWriters builds rows that were never built while others write:
// in the end each is what its index says, and no version was made but by writers.
func TestReindexUnderWriters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	const resources, writers = 700, 4
	race(4, func(n int) {
		for i := n; i < resources; i += 4 {
			mustPut(t, db, taskOf(fmt.Sprint(i), "old"))
		}
	})
	mustPut(t, db, observation)
	forget(t, database)
	stop := index(t, db)
	defer stop()
	race(writers, func(n int) {
		for i := range 60 {
			id := fmt.Sprint((n*17 + i*5) % resources)
			if i%9 == 0 {
				if _, err := db.Delete(t.Context(), fhir.Key{Type: "Task", ID: id}, Anything, "", nil); err != nil {
					t.Error(err)
				}
			}
			mustPut(t, db, taskOf(id, fmt.Sprintf("new %d %d", n, i)))
		}
	})
	waitFor(t, db, func() bool {
		return hasEnded(t, db)() && countOf(t, database, `res WHERE idx_gen = 0 AND NOT deleted`) == 0
	})
	checkAll(t, db, database, resources+1)
	if n := countOf(t, database, `ver v JOIN res r USING (rid, ver) WHERE v.updated <> r.updated`); n > 0 {
		t.Errorf("%d rows are not from the time of their version", n)
	}
	if n := countOf(t, database, `ver v WHERE ver > 1 AND NOT EXISTS (SELECT FROM ver p WHERE p.rid = v.rid AND p.ver = v.ver - 1)`); n > 0 {
		t.Errorf("%d versions have none before them", n)
	}
}

var errKilled = errors.New("killed")

// TestReindexResumes stops the indexer between two chunks. Another server goes on
// where it was, and builds nothing twice.
func TestReindexResumes(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	first, second := openOn(t, database), openOn(t, database)
	const resources = 3*chunkRows/2 + 7
	race(4, func(n int) {
		for i := n; i < resources; i += 4 {
			mustPut(t, first, taskOf(fmt.Sprint(i), "text"))
		}
	})
	versions := countOf(t, database, "ver")
	if err := first.StartReindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool := first.alone()
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x := &indexer{db: first, conn: conn}
	err = x.alone(t.Context(), func() error {
		j, err := x.next(t.Context())
		for err == nil && status(t, second).Built < resources/4 {
			err = x.step(t.Context(), j)
		}
		return errors.Join(err, errKilled)
	})
	if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	pool.Close() // gives the lock back, as the end of a process does
	half := status(t, second)
	if !half.Running || half.Built == 0 || half.Built >= resources || half.Percent == 0 {
		t.Fatalf("stopped in the middle: %+v", half)
	}
	defer index(t, second)()
	waitFor(t, second, hasEnded(t, second))
	if r := status(t, second); r.Built != resources || r.Failed != 0 || r.Started != half.Started || r.Ended.IsZero() {
		t.Errorf("%+v, want %d rows built", r, resources)
	}
	if n := countOf(t, database, fmt.Sprintf("res WHERE idx_gen < %d", second.Registry().Generation)); n > 0 {
		t.Errorf("%d rows are old", n)
	}
	if n := countOf(t, database, "ver"); n != versions {
		t.Errorf("%d versions, there were %d", n, versions)
	}
	checkAll(t, second, database, resources)
}

// TestBuildYieldsToWriters writes and deletes resources after the indexer has read
// them and before it writes their rows: the rows of the writers stay.
func TestBuildYieldsToWriters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	for _, id := range []string{"kept", "written", "deleted"} {
		mustPut(t, db, strings.Replace(observation, `"id":"o"`, `"id":"`+id+`"`, 1))
	}
	forget(t, database)
	x := &indexer{db: db}
	var err error
	if x.conn, err = db.sql.Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer x.conn.Close()
	j, err := x.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j.walk.width = math.MaxUint64
	c, err := x.build(t.Context(), j)
	if err != nil || len(c.rows) != 3 || c.full {
		t.Fatalf("%d rows, %v", len(c.rows), err)
	}
	mustPut(t, db, strings.NewReplacer(`"id":"o"`, `"id":"written"`, "107", "108").Replace(observation))
	if _, err := db.Delete(t.Context(), fhir.Key{Type: "Observation", ID: "deleted"}, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	tx, err := x.conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.write(t.Context(), tx, j, c), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	checkAll(t, db, database, 2)
	if n := countOf(t, database, `res WHERE deleted AND cardinality(keys) = 0 AND sorts IS NULL`); n != 1 {
		t.Error("the deleted resource has search columns")
	}
}

// TestReindexGoesOnAfterAFailure has a body that cannot be read: it is counted
// and left, once.
func TestReindexGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	mustPut(t, db, taskOf("good", "text"))
	mustPut(t, db, taskOf("bad", "text"))
	forget(t, database)
	if _, err := database.Exec(`UPDATE ver SET codec = 0, body = '{"resourceType":"Task","nothing":1}' WHERE id = 'bad'`); err != nil {
		t.Fatal(err)
	}
	defer index(t, db)()
	waitFor(t, db, hasEnded(t, db))
	if r := status(t, db); r.Built != 1 || r.Failed != 1 {
		t.Errorf("%+v, want one row built and one not", r)
	}
	if n := countOf(t, database, `res WHERE id = 'good' AND idx_gen > 0 AND cardinality(keys) > 0`); n != 1 {
		t.Error("the other row was not built")
	}
	if n := countOf(t, database, `res WHERE idx_gen = 0`); n != 0 {
		t.Error("it would be tried again for ever")
	}
}

// TestIndexerOutlastsOlderWriters keeps writes open that have compared the
// generation before a parameter is added: it is not in force before they are
// over, since only then are their rows there to be built.
func TestIndexerOutlastsOlderWriters(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T, database *pgtest.Database, old *DB) (end func() error){
		"a transaction that has written": func(t *testing.T, _ *pgtest.Database, old *DB) func() error {
			tx, err := old.sql.Begin()
			if err != nil {
				t.Fatal(err)
			}
			row, err := old.Row(fhir.Key{Type: "Task", ID: "late"}, Update, decoded(t, taskOf("late", "text")))
			if err != nil {
				t.Fatal(err)
			}
			if w, err := old.put(t.Context(), &session{querier: tx, tx: tx}, row, Anything); err != nil || w.Outcome != Created {
				t.Fatal(w, err)
			}
			// Its snapshot goes with the next statement.
			if _, err := tx.Exec(`SELECT`); err != nil {
				t.Fatal(err)
			}
			return tx.Commit
		},
		// As a statement is between its snapshot and its transaction id.
		"a snapshot without a transaction id": func(t *testing.T, database *pgtest.Database, old *DB) func() error {
			tx, err := database.Begin()
			if err != nil {
				t.Fatal(err)
			}
			var generation int
			if _, err := tx.Exec(`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`); err != nil {
				t.Fatal(err)
			}
			if err := tx.QueryRow(`SELECT gen FROM search_generation`).Scan(&generation); err != nil {
				t.Fatal(err)
			}
			return func() error {
				mustPut(t, old, taskOf("late", "text"))
				return tx.Commit()
			}
		},
	} {
		// One after the other: transaction ids are those of the whole cluster.
		t.Run(name, func(t *testing.T) {
			database := pgtest.New(t)
			db, old := openOn(t, database), openOn(t, database)
			mustPut(t, db, taskOf("early", "text"))
			end := begin(t, database, old)
			mustPut(t, db, parameterOf("a", "about", "active", "Task.description"))
			x := &indexer{db: db}
			var err error
			if x.conn, err = db.sql.Conn(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := x.outlast(ctx); ctx.Err() == nil {
				t.Errorf("it did not wait: %v", err)
			}
			x.conn.Close()
			if err := end(); err != nil {
				t.Fatal(err)
			}
			defer index(t, db)()
			waitFor(t, db, func() bool { return db.Registry().Param("Task", "about").State == search.Active })
			checkAll(t, db, database, 2)
		})
	}
}

// TestBaseURL starts servers with one base URL after another: what was stored
// under another one is found by its references all the same.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	start := func(base string) *DB {
		db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 4, Unsafe: true, BaseURL: base})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	db := start("https://a.example/fhir/")
	mustPut(t, db, `{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"https://b.example/fhir/Organization/o"}}`)
	ours := db.secret.RID(fhir.Key{Type: "Organization", ID: "o"})
	refers := func() bool {
		return slices.Contains(readRow(t, database, db.secret.RID(fhir.Key{Type: "Patient", ID: "p"})).Refs, ours)
	}
	start("")
	start("https://a.example/fhir")
	if n := countOf(t, database, "reindex_job"); n != 0 || refers() {
		t.Fatalf("%d jobs under one base URL; a foreign reference is ours: %t", n, refers())
	}
	moved := start("https://b.example/fhir")
	defer index(t, moved)()
	waitFor(t, moved, hasEnded(t, moved))
	if !refers() {
		t.Error("a reference to what is now our base URL is foreign")
	}
}

package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestBatchReadsByIndex writes batches through plans that were made on empty
// tables, then on tables that are analysed while they have some thousand rows, and
// through plans made on these: no table is read from end to end.
func TestBatchReadsByIndex(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 1, Unsafe: true, Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const fill = `WITH n AS (SELECT generate_series(1, 5000) AS n),
		r AS (INSERT INTO res (rid, type, id, ver, updated, hash, keys) SELECT n, 1 + n % 140, n::text, 3, now(), 0, ARRAY[n] FROM n),
		g AS (INSERT INTO access_grant SELECT n, n, n, 3, 0 FROM n),
		x AS (INSERT INTO rng SELECT n, 1, 1, n, 3 FROM n)
		INSERT INTO ver (updated, rid, ver, type, id, op, codec, body, acl)
		SELECT now() + (n + v) * interval '1 ms', n, v, 1 + n % 140, n::text, 'U', 0, '{}', '{}' FROM n, generate_series(1, 3) v`
	for round, statement := range []string{"SELECT", fill, "ANALYZE", "DISCARD PLANS"} {
		if _, err := db.sql.Exec(statement); err != nil {
			t.Fatal(err)
		}
		for step := range 3 {
			writeOfEachKind(t, db, round, step)
		}
		if statement == "SELECT" {
			continue // what is empty may be read from end to end
		}
		var scans, looks int
		const query = `SELECT sum(seq_scan), sum(idx_scan) FROM pg_stat_xact_user_tables WHERE relname IN ('access_grant', 'ver', 'rng', 'idempotency', 'access_event') OR relname LIKE 'res\_%' AND relname <> 'res_type'`
		// What was counted so far would be counted with the transaction.
		if _, err := db.sql.Exec(`SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		tx, err := db.sql.Begin()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.batchRows(kinds(t, db, round, 9))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(batchQuery, rows, db.Registry().Generation, true, "h", "x", 1, []byte{1}, []byte{}, 0, nil); err != nil {
			t.Fatal(err)
		}
		if err := tx.QueryRow(query).Scan(&scans, &looks); err != nil || scans > 0 || looks == 0 {
			t.Errorf("after %.9s: %d tables were read from end to end, %d by index; %v", statement, scans, looks, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// kinds makes changes of which each is of another kind.
func kinds(t *testing.T, db *DB, round, step int) []Change {
	t.Helper()
	return []Change{
		changeOf(t, db, Create, Absent, fmt.Sprintf(basic, fmt.Sprintf("c-%d-%d", round, step), "1")),
		changeOf(t, db, Update, Anything, strings.Replace(observation, "107", fmt.Sprint(100*round+step), 1)),
		changeOf(t, db, Update, Anything, fmt.Sprintf(`{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o%d-%d"}}`, round, step)),
		changeOf(t, db, Update, Anything, fmt.Sprintf(`{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p%d-%d"}}`, round, step)),
		{Row{Key: changeOf(t, db, Update, Anything, fmt.Sprintf(basic, fmt.Sprintf("c-%d-%d", round, step-1), "1")).Key, Op: Delete}, Anything},
	}
}

func writeOfEachKind(t *testing.T, db *DB, round, step int) {
	t.Helper()
	all, err := db.WriteAll(t.Context(), kinds(t, db, round, step), &Receipt{Holder: "h", Key: fmt.Sprint(round, "-", step), Digest: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if w := all[0].Outcome; w != Created {
		t.Errorf("outcome %d", w)
	}
}

// TestBatchIsPlannedOnce makes sure that Postgres makes no plan anew for each batch.
func TestBatchIsPlannedOnce(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 1, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for step := range 30 {
		writeOfEachKind(t, db, 0, step)
	}
	var kept, made int
	const query = `SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%write_batch%'`
	if err := db.sql.QueryRow(query).Scan(&kept, &made); err != nil || kept+made != 30 || made > 6 {
		t.Errorf("%d runs by a plan that was kept, %d by one of their own; %v", kept, made, err)
	}
}

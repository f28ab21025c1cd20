package main

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestRawBatchesCopyRows holds copies against the rows that the store has written: the same but for ids, times and rare keys.
func TestRawBatchesCopyRows(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t).DSN
	fillStore(t, dsn, 20)
	c := config{dsn: dsn, clients: 3}
	b, err := openRawBatches(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.copyNewest(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	s, err := b.run(t.Context(), 60, 20)
	if err != nil || s.Resources != 60 || s.Seconds <= 0 {
		t.Fatalf("%+v, %v; want 60 resources", s, err)
	}
	for query, want := range map[string]string{
		`SELECT count(*) FROM res`: "80",
		`SELECT count(*) FROM ver v JOIN res r USING (rid, type, id, ver, hash)`:                      "80",
		`SELECT count(DISTINCT seq) FROM ver`:                                                         "80",
		`SELECT count(*) FROM rng g JOIN res r ON r.rid = g.rid AND r.ver = g.ver WHERE r.type <> 96`: "0",
		// Every copy has all that its original has.
		`SELECT count(*) FROM (SELECT v.hash FROM ver v JOIN res r USING (rid) GROUP BY v.hash
			HAVING count(DISTINCT (v.body, v.acl, v.op, v.words, v.codec, r.strs, r.sorts, r.t1, r.t1h, r.s1, r.refs, cardinality(r.keys), r.idx_gen)) > 1) q`: "0",
		`SELECT count(DISTINCT n) FROM (SELECT count(*) AS n FROM rng GROUP BY rid) q`:                  "1",
		`SELECT count(*) FROM (SELECT rid FROM rng GROUP BY rid) q`:                                     "8",
		`SELECT count(*) > 0 FROM (SELECT k FROM res, unnest(keys) k GROUP BY k HAVING count(*) = 1) q`: "true",
	} {
		if got := one(t, b.db, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := b.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := readBodies(t.Context(), db, []string{"Task", "Observation"}); err != nil || s.Resources != 6+2 {
		t.Errorf("%+v, %v; want 8 bodies: the copies are gone", s, err)
	}
	if got := one(t, db, `SELECT (SELECT count(*) FROM ver) || ' ' || (SELECT count(DISTINCT rid) FROM rng)`); got != "20 2" {
		t.Errorf("%s versions and resources with ranges, want 20 2", got)
	}
}

func one(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var v any
	if err := db.QueryRowContext(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return fmt.Sprint(v)
}

// fillStore writes n resources as the server would.
func fillStore(t testing.TB, dsn string, n int) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 2, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	g := &generator{seed: 1, practice: absentPractice()}
	for i, o := range g.singlesOf(0, n) {
		r, err := fhir.Decode(o.typeName, o.body)
		if err != nil {
			t.Fatal(err)
		}
		row, err := db.Row(fhir.Key{Type: o.typeName, ID: strings.ToLower(fmt.Sprintf("%s-%d", o.typeName, i))}, store.Create, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Put(t.Context(), row, store.Absent); err != nil {
			t.Fatal(err)
		}
	}
}

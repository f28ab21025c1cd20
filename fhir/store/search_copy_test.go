package store

import (
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// copyIn writes resources past the API of the store, for tests that need many. It
// is told their access keys, by their numbers.
func copyIn(t testing.TB, db *DB, bodies []string, keys func(n int) []access.Key) {
	t.Helper()
	tx, err := db.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	// The bounds of the server are for requests, and not for so many rows on a slow machine.
	if _, err := tx.Exec("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	var rows, versions [][]any
	for n, body := range bodies {
		resource := decoded(t, body)
		k := fhir.Key{Type: resource.Type(), ID: resource.ID()}
		ix, err := db.Registry().Index(resource.Root(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		c := db.secret.Row(ix, search.WordsOf(resource.Root(), false))
		at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n*7919%(300*24*3600)) * time.Second)
		rid, number := db.secret.RID(k), db.types[k.Type]
		acl := db.secret.Accesses(keys(n))
		codec, packed := db.bodies.pack(resource.Stored(k.ID))
		rows = append(rows, []any{rid, number, 1, at, c.Times[0].Low(), c.Times[0].High(), c.Times[1].Low(), c.Times[1].High(), c.Times[2].Low(), c.Times[2].High(), c.S1, k.ID,
			pq.Array(slices.Concat(acl, c.Keys)), pq.Array(c.Refs), c.Strs, c.Sorts, 0, 1})
		versions = append(versions, []any{at, rid, 1, number, k.ID, "C", codec, packed, c.Words, pq.Array(acl)})
	}
	copyRows(t, tx, "COPY res (rid, type, ver, updated, t1, t1h, t2, t2h, t3, t3h, s1, id, keys, refs, strs, sorts, hash, idx_gen) FROM STDIN", rows)
	copyRows(t, tx, "COPY ver (updated, rid, ver, type, id, op, codec, body, words, acl) FROM STDIN", versions)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func copyRows(t testing.TB, tx *sql.Tx, statement string, rows [][]any) {
	stmt, err := tx.Prepare(statement)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := stmt.Exec(row...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stmt.Exec(); err != nil {
		t.Fatal(err)
	}
	if err := stmt.Close(); err != nil {
		t.Fatal(err)
	}
}

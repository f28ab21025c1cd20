package migrations_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

func TestInstallation(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var hash, signing, cursor []byte
	var generation int64
	const query = "SELECT hash_secret, signing_key, cursor_key, feed_generation FROM installation"
	if err := db.QueryRow(query).Scan(&hash, &signing, &cursor, &generation); err != nil {
		t.Fatal(err)
	}
	if len(hash) != 16 || len(signing) != 32 || len(cursor) != 32 || generation != 1 {
		t.Errorf("secrets have %d, %d and %d bytes, generation %d", len(hash), len(signing), len(cursor), generation)
	}
	if slices.Equal(signing, cursor) || slices.Equal(hash, signing[:16]) {
		t.Error("two secrets are equal")
	}
}

func TestTypesAreThoseOfR4(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows, err := db.Query("SELECT type, name FROM res_type ORDER BY type")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var number int
		var name string
		if err := rows.Scan(&number, &name); err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
		if number != len(got) {
			t.Errorf("%s has number %d, want %d", name, number, len(got))
		}
	}
	if diff := cmp.Diff(r4Types(t), got); diff != "" {
		t.Error(diff)
	}
}

// TestPartitionsHoldTheTypeOfTheirName compares res_care_plan with the name of the type in its bound.
func TestPartitionsHoldTheTypeOfTheirName(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows, err := db.Query(`SELECT c.relname, coalesce(r.name, '')
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		LEFT JOIN res_type r ON pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (''%s'')', r.type)
		WHERE i.inhparent = 'res'::regclass`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	count := 0
	for rows.Next() {
		var table, name string
		if err := rows.Scan(&table, &name); err != nil {
			t.Fatal(err)
		}
		count++
		words := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_$2")
		if want := "res_" + strings.ToLower(words); table != want && table != "res_other" {
			t.Errorf("%s holds %s", table, name)
		}
	}
	if count != 21 {
		t.Errorf("%d partitions, want 20 and the one for the rest", count)
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const insert = "INSERT INTO ver (rid, ver, type, id, op, codec, body) VALUES "
	for _, c := range []struct {
		name, sql string
		ok        bool
	}{
		{"create", insert + `(1, 1, 140, 'a', 'C', 0, '{}')`, true},
		{"patch", insert + `(1, 2, 140, 'a', 'P', 0, '{}')`, true},
		{"delete", insert + `(1, 3, 140, 'a', 'D', 0, NULL)`, true},
		{"version twice", insert + `(1, 2, 140, 'a', 'U', 0, '{}')`, false},
		{"version 0", insert + `(1, 0, 140, 'a', 'C', 0, '{}')`, false},
		{"unknown op", insert + `(1, 4, 140, 'a', 'X', 0, '{}')`, false},
		{"no body", insert + `(1, 4, 140, 'a', 'U', 0, NULL)`, false},
		{"delete with body", insert + `(1, 4, 140, 'a', 'D', 0, '{}')`, false},
		{"second installation", `INSERT INTO installation SELECT NOT id, hash_secret, signing_key, cursor_key FROM installation`, false},
		{"short secret", `UPDATE installation SET cursor_key = '\x00'`, false},
		{"range upside down", `INSERT INTO rng (grp, lo, hi, rid, ver) VALUES (1, 2, 1, 1, 1)`, false},
		{"parameter", `INSERT INTO search_param VALUES (1, 'a', 7, 1, '{}', 1, 'building')`, true},
		{"place of another parameter", `INSERT INTO search_param VALUES (1, 'b', 7, 1, '{}', 1, 'building')`, false},
		{"unknown state", `INSERT INTO search_param VALUES (1, 'c', 8, 1, '{}', 1, 'broken')`, false},
		{"second generation", `INSERT INTO search_generation (id, gen) VALUES (false, 2)`, false},
		{"search row", `INSERT INTO res (rid, type, ver, updated, id, keys, hash) VALUES (1, 140, 1, now(), 'a', '{1}', 1)`, true},
		{"search row twice", `INSERT INTO res (rid, type, ver, updated, id, keys, hash) VALUES (1, 140, 1, now(), 'a', '{1}', 1)`, false},
		{"rare type", `INSERT INTO res (rid, type, ver, updated, id, keys, hash) VALUES (1, 1, 1, now(), 'a', '{1}', 1)`, true},
	} {
		if _, err := db.Exec(c.sql); (err == nil) != c.ok {
			t.Errorf("%s: accepted = %t (%v), want %t", c.name, err == nil, err, c.ok)
		}
	}
}

// TestFeedColumns proves what the feed rests on: one order over both tables, and a time that is taken after the transaction id.
func TestFeedColumns(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var versionSeq, eventSeq int64
	const version = "INSERT INTO ver (rid, ver, type, id, op, codec, body) VALUES (1, 1, 140, 'a', 'C', 0, '{}') RETURNING seq"
	const event = "INSERT INTO access_event (rid, ver, old_acl, new_acl, reason) VALUES (1, 1, '{}', '{1}', 'moved') RETURNING seq"
	if err := db.QueryRow(version).Scan(&versionSeq); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow(event).Scan(&eventSeq); err != nil {
		t.Fatal(err)
	}
	if eventSeq != versionSeq+1 {
		t.Errorf("sequence went from %d to %d, want one step", versionSeq, eventSeq)
	}
	var columns string
	const order = `SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = 'ver'::regclass AND attname IN ('xid', 'updated', 'seq')`
	if err := db.QueryRow(order).Scan(&columns); err != nil || columns != "xid updated seq" {
		t.Errorf("defaults are evaluated in the order %q (%v), want xid first", columns, err)
	}
}

// r4Types reads the concrete resource types from the published definitions.
func r4Types(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(sharedDir(t), "r4", "StructureDefinition.ndjson.gz"))
	if err != nil {
		t.Skipf("the R4 definitions are not here: %v", err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(unzipped)
	var names []string
	for decoder.More() {
		var definition struct {
			Name, Kind, Derivation string
			Abstract               bool
		}
		if err := decoder.Decode(&definition); err != nil {
			t.Fatal(err)
		}
		if definition.Kind == "resource" && definition.Derivation == "specialization" && !definition.Abstract {
			names = append(names, definition.Name)
		}
	}
	slices.Sort(names)
	return names
}

// sharedDir is the directory shared beside the repository, or the one that OPENCONSULT_SHARED names.
func sharedDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OPENCONSULT_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared")
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

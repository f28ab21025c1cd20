package store

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestPlans explains the hot statements on some thousand versions: none may read
// a table from end to end, and histories come out of their index in order.
func TestPlans(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 1, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const fill = `WITH n AS (SELECT generate_series(1, 5000) AS n),
		r AS (INSERT INTO res (rid, type, id, ver, updated, hash, keys) SELECT n, 1 + n % 140, n::text, 3, now(), 0, '{}' FROM n)
		INSERT INTO ver (updated, rid, ver, type, id, op, codec, body)
		SELECT now() + (n + v) * interval '1 ms', n, v, 1 + n % 140, n::text, 'U', 0, '{}' FROM n, generate_series(1, 3) v`
	for _, statement := range []string{fill, "ANALYZE"} {
		if _, err := database.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	later := cursor{snapshot: "100:100:", safe: time.Now(), updated: time.Now(), seq: 9}
	since := time.Now().Add(-time.Second)
	history := func(h History, c cursor) (string, []any) {
		h.Count = 50
		p := db.past(access.Trusted("test"), h)
		p.at = c
		q := p.query(p.size())
		return q.sql.String(), q.args
	}
	for name, explain := range map[string]func() (string, []any){
		"read":                 func() (string, []any) { return readQuery, []any{1, 1, "1"} },
		"vread":                func() (string, []any) { return vreadQuery, []any{1, 1, "1", 1} },
		"at":                   func() (string, []any) { return atQuery, []any{1, 1, "1", time.Now()} },
		"history of instance":  func() (string, []any) { return history(History{Type: "Task", ID: "1"}, cursor{}) },
		"history of type":      func() (string, []any) { return history(History{Type: "Task"}, cursor{}) },
		"next page of type":    func() (string, []any) { return history(History{Type: "Task"}, later) },
		"history of system":    func() (string, []any) { return history(History{}, cursor{}) },
		"next page of system":  func() (string, []any) { return history(History{}, later) },
		"system since a time":  func() (string, []any) { return history(History{Since: since}, cursor{safe: time.Now()}) },
		"type at some moments": func() (string, []any) { return history(History{Type: "Task", From: since, To: time.Now()}, cursor{}) },
	} {
		query, args := explain()
		plan := planOf(t, database, query, args)
		if strings.Contains(plan, "Seq Scan") || strings.HasPrefix(name, "history of system") && strings.Contains(plan, `"Sort"`) {
			t.Errorf("%s reads too much: %s", name, plan)
		}
	}
}

// TestPlansOfEmptyTables explains the prepared statements as Postgres keeps them
// when they were made on empty tables: they must find versions by their primary
// key even then, since the tables grow faster than plans are made anew.
func TestPlansOfEmptyTables(t *testing.T) {
	t.Parallel()
	conn, err := pgtest.New(t).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	index := regexp.MustCompile(`"Index Name": "(\w+)"`)
	oneRow := regexp.MustCompile(`"Node Type": "Seq Scan",[^{}]*"Relation Name": "search_generation"`)
	for name, s := range map[string][2]string{
		"read":     {readQuery, `(1, 1, '1')`},
		"vread":    {vreadQuery, `(1, 1, '1', 1)`},
		"at":       {atQuery, `(1, 1, '1', now())`},
		"put":      {putQuery("res_other", false), `(1, 1, '1', 1, 1, '{}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '{}', '{}', '{}', 0, 'U', 0, '{}', '', '', NULL, '{}', '{}', '{}', '{}', '{}')`},
		"record":   {putQuery("res_task", true), `(1, 1, '1', 1, 1, '{}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '{}', '{}', '{}', 0, 'U', 0, '{}', '', '', NULL, '{}', '{}', '{}', '{}', '{}', NULL, '', 0, '', '', '', '', '', 0, '{}', '{}')`},
		"contents": {contentsQuery, `(1, 1, '1')`},
		"build":    {buildQuery, `(1, 1, '1', 1, 1, '{}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '{}', '{}', '{}')`},
		"delete":   {deleteQuery, `(1, 1, '1', 0, '', NULL, '', 0, '', '', '', '', '', 0, '{}', '{}')`},
		"adopt":    {adoptQuery, `(1, 1, '1', 1, 1, '{}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`},
		"known":    {knownQuery, `('{}', '{}', '{}')`},
	} {
		for _, statement := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE s_" + name + " AS " + s[0]} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		var plan string
		if err := conn.QueryRowContext(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE s_"+name+s[1]).Scan(&plan); err != nil {
			t.Fatal(err)
		}
		used := index.FindAllStringSubmatch(plan, -1)
		// A table of one row needs no index.
		plan = oneRow.ReplaceAllString(plan, "")
		if strings.Contains(plan, "Seq Scan") || len(used) == 0 {
			t.Errorf("%s reads without an index: %s", name, plan)
		}
		for _, u := range used {
			if u[1] != "ver_pkey" && u[1] != "rng_rid" {
				t.Errorf("%s uses the index %s: %s", name, u[1], plan)
			}
		}
	}
}

// TestPutIsPlannedOnce makes sure that Postgres keeps one plan for all writes,
// however many ranges they have: to plan one takes longer than to run it.
func TestPutIsPlannedOnce(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 1, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const query = `SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements WHERE statement LIKE '%INSERT INTO ver %'`
	for _, analyze := range []string{"SELECT", "ANALYZE"} {
		if _, err := db.sql.Exec(analyze); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{taskOf("t", "text"), observation} {
			r := decoded(t, body)
			row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Create, r)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 50 {
				if _, err := db.Put(t.Context(), db.Renamed(row, fmt.Sprint(analyze, i)), Expect(i%2-1)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var kept, made int
	if err := db.sql.QueryRow(query).Scan(&kept, &made); err != nil {
		t.Fatal(err)
	}
	if made > 20 || kept+made != 200 {
		t.Errorf("the statement was planned %d times in %d runs", made, kept+made)
	}
}

// planOf returns the kinds of the nodes of a plan, as JSON.
func planOf(t *testing.T, db *pgtest.Database, query string, args []any) string {
	t.Helper()
	var plan json.RawMessage
	if err := db.QueryRow("EXPLAIN (FORMAT JSON) "+query, args...).Scan(&plan); err != nil {
		t.Fatal(fmt.Errorf("explain %s: %w", query, err))
	}
	return string(plan)
}

func decodeTask(b *testing.B) *fhir.Resource {
	r, err := fhir.Decode("Task", []byte(`{"resourceType":"Task","status":"draft","intent":"order","note":[{"text":"`+strings.Repeat("some words ", 120)+`"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkPut(b *testing.B) {
	db, err := Open(b.Context(), Config{DSN: pgtest.New(b).DSN, Unsafe: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	body := decodeTask(b)
	for i := 0; b.Loop(); i++ {
		row, err := db.Row(fhir.Key{Type: "Task", ID: fmt.Sprint(i)}, Create, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.Put(b.Context(), row, Absent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutKeys writes what others may give to, and what gives itself.
func BenchmarkPutKeys(b *testing.B) {
	db, err := Open(b.Context(), Config{DSN: pgtest.New(b).DSN, Unsafe: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		`{"resourceType":"Task","status":"draft","intent":"order"}`,
		`{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Organization/o"},{"reference":"PractitionerRole/r"}]}`,
		`{"resourceType":"Patient","managingOrganization":{"reference":"Organization/o"}}`,
	} {
		body, err := fhir.Decode("", []byte(text))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(body.Type(), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				row, err := db.Row(fhir.Key{Type: body.Type(), ID: fmt.Sprint(b.N, "-", i)}, Create, body)
				if err != nil {
					b.Fatal(err)
				}
				row.Allowed = row.Gifts
				if _, err := db.Put(b.Context(), row, Absent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	db, err := Open(b.Context(), Config{DSN: pgtest.New(b).DSN, Unsafe: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	k := fhir.Key{Type: "Task", ID: "x"}
	row, err := db.Row(k, Create, decodeTask(b))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.Put(b.Context(), row, Absent); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if v, err := db.Read(b.Context(), k); err != nil || v == nil {
			b.Fatal(v, err)
		}
	}
}

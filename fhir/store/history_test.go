package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestPagesAreStable reads a history in pages while it grows: the pages show
// what was there at the first one, once each.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i := range 25 {
		put(t, db, fhir.Key{Type: "Task", ID: fmt.Sprint(i)}, fmt.Sprintf(`{"resourceType":"Task","id":"%d","status":"draft","intent":"order"}`, i), store.Anything)
	}
	for _, h := range []store.History{{Type: "Task", Count: 7}, {Count: 7}} {
		seen := map[string]bool{}
		for pages := 0; ; pages++ {
			p, err := db.History(t.Context(), access.Trusted("test"), h)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range p.Versions {
				name := fmt.Sprint(v.Key, v.Number)
				if seen[name] {
					t.Errorf("%s appears twice", name)
				}
				seen[name] = true
			}
			if p.Next == "" {
				break
			}
			h.After = p.Next
			put(t, db, fhir.Key{Type: "Task", ID: fmt.Sprint(pages)}, fmt.Sprintf(`{"resourceType":"Task","id":"%d","status":"draft","intent":"order","priority":"stat","description":"%d %s"}`, pages, pages, h.Type), store.Anything)
		}
		if want := 25; h.Type == "Task" && len(seen) != want {
			t.Errorf("%d versions in all pages, want %d", len(seen), want)
		}
	}
}

// TestHistoryTimes asks for versions by when they were made and when they were
// current.
func TestHistoryTimes(t *testing.T) {
	t.Parallel()
	db := open(t)
	v1 := put(t, db, alice, first, store.Anything)
	v2 := put(t, db, alice, second, store.Anything)
	v3 := remove(t, db, store.Anything)
	ms := time.Millisecond
	// Versions made within one millisecond get times a little ahead of the clock.
	for safe := v1.Updated; safe.Before(v3.Updated); {
		var err error
		if safe, err = db.SafeTime(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		h    store.History
		want []int
	}{
		{"all", store.History{}, []int{3, 2, 1}},
		{"since the second", store.History{Since: v2.Updated}, []int{3, 2}},
		{"since after the third", store.History{Since: v3.Updated.Add(ms)}, nil},
		{"at the first", store.History{From: v1.Updated, To: v1.Updated.Add(ms)}, []int{1}},
		{"at the second", store.History{From: v2.Updated, To: v2.Updated.Add(ms)}, []int{2}},
		{"from the first to the second", store.History{From: v1.Updated, To: v2.Updated.Add(ms)}, []int{2, 1}},
		{"before the first", store.History{From: v1.Updated.Add(-ms), To: v1.Updated}, nil},
		{"after the third", store.History{From: v3.Updated.Add(time.Hour), To: v3.Updated.Add(2 * time.Hour)}, []int{3}},
	} {
		for _, scope := range []store.History{{Type: "Patient", ID: "alice"}, {Type: "Patient"}, {}} {
			h := tt.h
			h.Type, h.ID, h.Count = scope.Type, scope.ID, 10
			p, err := db.History(t.Context(), access.Trusted("test"), h)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, v := range p.Versions {
				got = append(got, v.Number)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%s of %+v: versions %v, want %v", tt.name, scope, got, tt.want)
			}
		}
	}
	for moment, want := range map[time.Time]int{v1.Updated: 1, v2.Updated.Add(-ms): 1, v2.Updated: 2, v3.Updated: 3} {
		if v, err := db.ReadAt(t.Context(), alice, moment); err != nil || v == nil || v.Number != want {
			t.Errorf("at %s: %+v, %v; want version %d", moment, v, err, want)
		}
	}
	if v, err := db.ReadAt(t.Context(), alice, v1.Updated.Add(-ms)); err != nil || v != nil {
		t.Errorf("before the first: %+v, %v; want none", v, err)
	}
}

// TestCursorIsBound refuses cursors that were changed or belong to another
// history.
func TestCursorIsBound(t *testing.T) {
	t.Parallel()
	db := open(t)
	put(t, db, alice, first, store.Anything)
	put(t, db, alice, second, store.Anything)
	p, err := db.History(t.Context(), access.Trusted("test"), store.History{Type: "Patient", Count: 1})
	if err != nil || p.Next == "" {
		t.Fatalf("first page: next %q, %v", p.Next, err)
	}
	for name, h := range map[string]store.History{
		"another type": {Type: "Task", Count: 1, After: p.Next},
		"the system":   {Count: 1, After: p.Next},
		"changed":      {Type: "Patient", Count: 1, After: p.Next[1:] + p.Next[:1]},
		"nonsense":     {Type: "Patient", Count: 1, After: "!"},
		"short":        {Type: "Patient", Count: 1, After: "AAAA"},
	} {
		if _, err := db.History(t.Context(), access.Trusted("test"), h); fhir.AsOutcome(err) == nil {
			t.Errorf("%s: error %v, want an outcome", name, err)
		}
	}
	if _, err := db.History(t.Context(), access.Trusted("test"), store.History{Type: "Patient", Count: 5, After: p.Next}); err != nil {
		t.Errorf("with another count: %v", err)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	db := open(t)
	put(t, db, alice, first, store.Anything)
	put(t, db, alice, second, store.Anything)
	put(t, db, alice, first, store.Anything)
	if p, err := db.Purge(t.Context(), alice); p.Versions != 2 || err != nil {
		t.Errorf("purged %+v, %v; want 2", p, err)
	}
	if v, err := db.VRead(t.Context(), alice, 2); v != nil || err != nil {
		t.Errorf("version 2: %+v, %v; want none", v, err)
	}
	if v, err := db.Read(t.Context(), alice); err != nil || v == nil || v.Number != 3 || string(v.Stored) != first {
		t.Errorf("current: %+v, %v; want version 3", v, err)
	}
}

// TestSinceMissesNothing polls the history by time while writers stall between
// taking their time and committing, and roll back now and then: every committed
// version is seen, and none that was rolled back. With the plain clock instead
// of the safe time this test loses versions.
func TestSinceMissesNothing(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: database.DSN, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	committed := make(chan string, 10000)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() { stallingWriter(t, database, w, committed) })
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	seen := map[string]bool{}
	since := time.Unix(1, 0)
	var end time.Time
	for end.IsZero() || !since.After(end) {
		since = poll(t, db, since, seen)
		select {
		case <-done:
			if err := database.QueryRow(`SELECT max(updated) FROM ver`).Scan(&end); err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	close(committed)
	missed, total := 0, 0
	for id := range committed {
		total++
		if !seen[id] {
			missed++
		}
		delete(seen, id)
	}
	if missed > 0 || len(seen) > 0 || total < 100 {
		t.Errorf("of %d committed versions %d were missed; %d were seen that were not committed", total, missed, len(seen))
	}
}

// poll reads everything since a time and returns the time to go on from.
func poll(t *testing.T, db *store.DB, since time.Time, seen map[string]bool) time.Time {
	h := store.History{Since: since, Count: 1000}
	for {
		p, err := db.History(t.Context(), access.Trusted("test"), h)
		if err != nil {
			t.Error(err)
			return since
		}
		for _, v := range p.Versions {
			seen[v.Key.ID] = true
		}
		if p.Next == "" {
			return p.Safe
		}
		h.After = p.Next
	}
}

// stallingWriter inserts versions as the write statement does, but holds its
// transactions open for a while.
func stallingWriter(t *testing.T, db *pgtest.Database, w int, committed chan<- string) {
	const insert = `WITH t AS MATERIALIZED (
		SELECT date_trunc('milliseconds', clock_timestamp()) AS ts FROM (SELECT pg_current_xact_id() AS xid OFFSET 0) q WHERE q.xid IS NOT NULL)
		INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash) SELECT ts, $1, 1, 1, $2, 'D', 0, 0 FROM t`
	ctx := context.Background()
	random := rand.New(rand.NewPCG(uint64(w), 1))
	for i := range 40 {
		id := fmt.Sprintf("%d-%d", w, i)
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := tx.ExecContext(ctx, insert, w*1000+i, id); err != nil {
			t.Error(err)
			return
		}
		if _, err := tx.ExecContext(ctx, `SELECT pg_sleep($1)`, float64(random.IntN(20))/1000); err != nil {
			t.Error(err)
			return
		}
		if random.IntN(20) == 0 {
			_ = tx.Rollback()
			continue
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
			return
		}
		committed <- id
	}
}

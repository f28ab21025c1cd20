package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
)

// manyVersions makes versions of many resources after the returned cursors were given:
// a large window, of which callers see everything or a part.
func manyVersions(t testing.TB, resources, times int, grants ...access.Grant) (*DB, []string) {
	t.Helper()
	db, _ := many(t, resources)
	var cursors []string
	for _, g := range grants {
		f := Feed{Count: 1000, Replay: true}
		c := feedCursor{phase: feedBetween, generation: db.secret.generation, purpose: feedPurpose(g, f), shows: feedShows(g, nil)}
		var err error
		if c.then, _, err = db.begin(t.Context(), f.now()); err != nil {
			t.Fatal(err)
		}
		cursors = append(cursors, db.secret.sealFeed(&c))
	}
	for range times {
		tx, err := db.sql.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(`SET LOCAL statement_timeout = 0; UPDATE res SET ver = ver + 1;
			INSERT INTO ver (rid, ver, type, id, op, codec, hash, acl, origin, body)
			SELECT r.rid, r.ver, v.type, v.id, 'U', v.codec, v.hash, v.acl, 'x', v.body FROM res r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver - 1`); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.sql.Exec(`ANALYZE`); err != nil {
		t.Fatal(err)
	}
	return db, cursors
}

// BenchmarkFeed reads pages of 1000 changes out of a window of 240,000, of Patients and Tasks, walked and put
// in order, and polls when there is nothing.
func BenchmarkFeed(b *testing.B) {
	all, staff := access.Trusted("test"), staffGrant(9)
	db, cursors := manyVersions(b, 8_000, 15, all, staff)
	for n, name := range []string{"all", "staff"} {
		g := []access.Grant{all, staff}[n]
		for _, sorted := range []int64{4000, 1 << 40} {
			b.Run(fmt.Sprintf("page/%s/sorted up to %d", name, sorted), func(b *testing.B) {
				db.bounds.sorted = sorted
				f, entries := Feed{Count: 1000, After: cursors[n]}, 0
				for b.Loop() {
					p, err := db.Changes(b.Context(), g, f)
					if err != nil {
						b.Fatal(err)
					}
					entries += len(p.Entries)
					if f.After = p.Next; !p.More {
						f.After = cursors[n]
					}
				}
				b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
			})
		}
		db.bounds.sorted = 4000
		b.Run("first state/"+name, func(b *testing.B) {
			f, entries := Feed{Count: 1000}, 0
			for b.Loop() {
				p, err := db.Changes(b.Context(), g, f)
				if err != nil {
					b.Fatal(err)
				}
				entries += len(p.Entries)
				if f.After = p.Next; !p.More {
					f.After = ""
				}
			}
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
		})
	}
	for _, size := range []int64{1000, 4000, 16_000, 64_000} {
		for _, sorted := range []int64{0, 1 << 40} {
			b.Run(fmt.Sprintf("page of 100 of %d/sorted up to %d", size, sorted), func(b *testing.B) {
				db.bounds.sorted = sorted
				c, err := db.secret.openFeed(cursors[0])
				if err != nil {
					b.Fatal(err)
				}
				now, high, err := db.begin(b.Context(), Feed{}.now())
				if err != nil {
					b.Fatal(err)
				}
				// A window of the last numbers alone has the same rows by both ways.
				w := db.feedReader(all, Feed{Count: 100})
				w.at = c
				w.at.phase, w.at.now, w.at.high, w.at.place = feedWithin, now, high, high-size
				for b.Loop() {
					if rows, _, err := w.next(b.Context(), 101); err != nil || len(rows) != 101 {
						b.Fatal(len(rows), err)
					}
				}
			})
		}
	}
	db.bounds.sorted = 4000
	b.Run("poll", func(b *testing.B) {
		p, err := db.Changes(b.Context(), all, Feed{Count: 1000})
		f := Feed{Count: 1000, After: p.Next}
		for p.More && err == nil {
			p, err = db.Changes(b.Context(), all, f)
			f.After = p.Next
		}
		for b.Loop() {
			if p, err = db.Changes(b.Context(), all, f); err != nil {
				b.Fatal(err)
			}
			f.After = p.Next
		}
	})
}

// TestFeedPlans: pages come out of their indexes, whatever the tables' size: no table is
// read as a whole, and a large window is not put in order.
func TestFeedPlans(t *testing.T) {
	t.Parallel()
	all, staff := access.Trusted("test"), staffGrant(9)
	db, _ := manyVersions(t, 3000, 6)
	then, _, err := db.begin(t.Context(), Feed{}.now())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		mustPut(t, db, fmt.Sprintf(`{"resourceType":"Patient","id":"new%d"}`, n))
	}
	now, high, err := db.begin(t.Context(), Feed{}.now())
	if err != nil {
		t.Fatal(err)
	}
	then.running = append(then.running, 3, 4)
	slices.Sort(then.running)
	for name, c := range map[string]struct {
		grant access.Grant
		then  feedMoment
		types []string
		uses  string
	}{
		"small":           {all, then, nil, "ver_feed"},
		"small, staff":    {staff, then, []string{"Task"}, "ver_feed"},
		"large":           {all, feedMoment{snapshot: snapshot{running: []uint64{3}}}, nil, "ver_seq"},
		"large, staff":    {staff, feedMoment{}, nil, "ver_seq"},
		"large of a type": {all, feedMoment{}, []string{"Patient"}, "ver_seq"},
	} {
		w := db.feedReader(c.grant, Feed{Count: 100, Types: c.types})
		w.at = feedCursor{phase: feedWithin, feedSpan: feedSpan{then: c.then, now: now, high: high}}
		if name[:5] == "large" {
			w.at.place = high / 2
		}
		q := w.candidates(101)
		rows, err := db.sql.Query("EXPLAIN "+q.sql.String(), q.args...)
		if err != nil {
			t.Fatal(name, err)
		}
		var lines []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			// A table that is nearly empty is read as a whole.
			if !strings.Contains(line, "Seq Scan on access_event") && !strings.Contains(line, "Seq Scan on res_") {
				lines = append(lines, line)
			}
		}
		plan := strings.Join(lines, "\n")
		if err := rows.Err(); err != nil || strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, c.uses) {
			t.Errorf("%s: %v: want %s:\n%s", name, err, c.uses, plan)
		}
	}
}

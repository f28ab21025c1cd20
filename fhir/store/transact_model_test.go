package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// twins returns two stores that hash alike.
func twins(t *testing.T) (stores [2]*DB, databases [2]*pgtest.Database) {
	t.Helper()
	for i := range stores {
		databases[i] = pgtest.New(t)
		if _, err := databases[i].Exec(`UPDATE installation SET hash_secret = decode(repeat('07', 16), 'hex')`); err != nil {
			t.Fatal(err)
		}
		var err error
		if stores[i], err = Open(t.Context(), Config{DSN: databases[i].DSN, Conns: 4, Unsafe: true, Audit: true}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stores[i].Close() })
	}
	return stores, databases
}

// anyChanges makes a few changes, no two about one resource. Some cannot be.
func anyChanges(t *testing.T, db *DB, r *rand.Rand, n int) []Change {
	t.Helper()
	var all []Change
	for range n {
		body := anyResource(r)
		if r.IntN(5) == 0 {
			body = strings.Replace(observation, `"107"`, fmt.Sprint(r.IntN(3)), 1)
		}
		d := decoded(t, body)
		k := fhir.Key{Type: d.Type(), ID: d.ID()}
		if slices.ContainsFunc(all, func(c Change) bool { return c.Key == k }) {
			continue
		}
		c := Change{Row{Key: k, Op: Delete}, Anything}
		if r.IntN(6) > 0 {
			row, err := db.Row(k, []Op{Create, Update, Patch}[r.IntN(3)], d)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range row.Gifts {
				if r.IntN(8) > 0 {
					row.Allowed = append(row.Allowed, g)
				}
			}
			if r.IntN(4) == 0 {
				row.Author = []access.Key{{Kind: access.Author, Of: "Organization/a"}}
			}
			c.Row = row
		}
		c.Origin = []string{"", "app"}[r.IntN(2)]
		c.Trail = &Trail{Interaction: "update", Request: fmt.Sprint(r.IntN(9)), Key: k, Patients: []string{"p1", "p2"}[:r.IntN(3)]}
		if r.IntN(12) == 0 {
			c.Expect = Expect(1 + r.IntN(3))
		}
		all = append(all, c)
	}
	return all
}

// oneByOne writes changes one after the other, which counts only if dry is not
// set.
func oneByOne(t *testing.T, db *DB, changes []Change, dry bool) (all []Written) {
	t.Helper()
	err := db.Atomically(t.Context(), dry, func(ctx context.Context, tx *Tx) error {
		for _, c := range changes {
			write := db.putAny
			if c.Op == Delete {
				write = db.deleteAny
			}
			w, err := write(ctx, tx.session, c.Row, c.Expect)
			if err != nil {
				return err
			}
			all = append(all, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stored returns what a database has, but for times and order.
func stored(t *testing.T, database *pgtest.Database) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	const set = `ARRAY(SELECT DISTINCT k FROM unnest(%s) k ORDER BY k)`
	for name, query := range map[string]string{
		"res": `SELECT (rid, type, ver, deleted, ` + fmt.Sprintf(set, "keys") + `, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts, hash, idx_gen, id)::text FROM res`,
		"ver": `SELECT (rid, ver, type, id, op, codec, hash, ` + fmt.Sprintf(set, "acl") + `, acl IS NULL, origin, body, words, past)::text FROM ver`,
		"rng": `SELECT (g.grp, g.lo, g.hi, g.rid, g.ver)::text FROM rng g JOIN res r USING (rid, ver)`,
		// What follows from what else is there is not compared, but checked.
		"access_grant": `SELECT (basis, target, key, step, leads)::text FROM access_grant`,
		"audit":        `SELECT (rid, patient, ver, type, outcome, id, interaction, request, client, agent, orgs, origin, patients, others, detail)::text FROM audit`,
	} {
		rows, err := database.Query(query + " ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], text)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// untimed leaves the times out.
func untimed(all []Written) []Written {
	all = slices.Clone(all)
	for i := range all {
		all[i].Updated = time.Time{}
	}
	return all
}

// TestWriteAllIsWritesOneByOne writes the same to two stores: to one at once, to
// the other one by one. They say the same, and have the same in the end.
func TestWriteAllIsWritesOneByOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			stores, databases := twins(t)
			r := rand.New(rand.NewPCG(seed, 3))
			refusals := 0
			for step := range 40 {
				changes := anyChanges(t, stores[0], r, 1+r.IntN(9))
				want := oneByOne(t, stores[1], changes, true)
				refused := slices.ContainsFunc(want, Written.refused)
				if refused {
					refusals++
				} else {
					oneByOne(t, stores[1], changes, false)
				}
				before := watch(t, databases[0])
				got, err := stores[0].WriteAll(t.Context(), changes, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(untimed(want), untimed(got)); diff != "" {
					t.Fatalf("step %d: (-one by one +at once)\n%s", step, diff)
				}
				if diff := cmp.Diff(stored(t, databases[1]), stored(t, databases[0])); diff != "" {
					t.Fatalf("step %d, refused %t: (-one by one +at once)\n%s", step, refused, diff)
				}
				before.exact(t, databases[0])
			}
			if refusals == 0 || refusals == 40 {
				t.Errorf("%d of 40 were refused", refusals)
			}
		})
	}
}

// A watched is who sees what at some moment.
type watched struct {
	keys map[int64][]int64 // effective ones of what there is, by rid
	vers map[int64]int
	seq  int64
}

func watch(t *testing.T, database *pgtest.Database) watched {
	t.Helper()
	w := watched{map[int64][]int64{}, map[int64]int{}, 0}
	rows, err := database.Query(`SELECT r.rid, r.ver, CASE WHEN NOT r.deleted THEN access_of(v.acl, r.rid) END FROM res r JOIN ver v USING (rid, ver)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var rid int64
		var ver int
		var keys []int64
		if err := rows.Scan(&rid, &ver, (*keyList)(&keys)); err != nil {
			t.Fatal(err)
		}
		w.vers[rid] = ver
		if keys != nil {
			w.keys[rid] = asSet(keys)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if err := database.QueryRow(`SELECT coalesce(max(seq), 0) FROM access_event`).Scan(&w.seq); err != nil {
		t.Fatal(err)
	}
	return w
}

// exact checks that the events since then say exactly how it has changed who sees
// what was there.
func (w watched) exact(t *testing.T, database *pgtest.Database) {
	t.Helper()
	now := watch(t, database)
	type event struct {
		Old, New []int64
		Made     bool
		Ver      int
		Reason   string
	}
	want, got := map[int64]event{}, map[int64]event{}
	for rid, old := range w.keys {
		e := event{old, now.keys[rid], now.vers[rid] != w.vers[rid], now.vers[rid], "changed"}
		there := e.New != nil
		switch {
		case !there:
			e.New, e.Reason = []int64{}, "deleted"
		case slices.Equal(e.Old, e.New):
			continue
		case holds(e.New, e.Old):
			e.Reason = "granted"
		case holds(e.Old, e.New):
			e.Reason = "withdrawn"
		}
		want[rid] = e
	}
	rows, err := database.Query(`SELECT rid, old_acl, new_acl, made, ver, reason FROM access_event WHERE seq > $1`, w.seq)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var rid int64
		var e event
		if err := rows.Scan(&rid, (*keyList)(&e.Old), (*keyList)(&e.New), &e.Made, &e.Ver, &e.Reason); err != nil {
			t.Fatal(err)
		}
		if _, twice := got[rid]; twice {
			t.Errorf("there are two events of %d", rid)
		}
		e.Old, e.New = asSet(e.Old), asSet(e.New)
		got[rid] = e
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events: (-want +got)\n%s", diff)
	}
}

// holds reports whether all has each of some.
func holds(all, some []int64) bool {
	return !slices.ContainsFunc(some, func(k int64) bool { return !slices.Contains(all, k) })
}

// TestEventsOfSingleWrites writes one by one: the events say exactly how each
// write has changed who sees what.
func TestEventsOfSingleWrites(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	r := rand.New(rand.NewPCG(8, 9))
	for range 250 {
		for _, c := range anyChanges(t, db, r, 1) {
			before := watch(t, database)
			var err error
			if c.Op == Delete {
				_, err = db.Delete(t.Context(), c.Key, c.Expect, "", nil)
			} else {
				_, err = db.Put(t.Context(), c.Row, c.Expect)
			}
			if err != nil {
				t.Fatal(err)
			}
			before.exact(t, database)
		}
	}
	for _, reason := range []string{"granted", "withdrawn", "changed", "deleted"} {
		if countOf(t, database, "access_event WHERE made AND reason = '"+reason+"'") == 0 {
			t.Errorf("no version came with a %s event", reason)
		}
	}
}

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A named names a version.
type named struct {
	key    fhir.Key
	number int
}

// A reader of a race notes what it is given.
type racer struct {
	name string
	next func(context.Context) (given []named, more bool, err error)
	seen map[named]int
	last map[fhir.Key]int
}

// step reads a page. A version that comes before an earlier one of its resource is
// out of order.
func (r *racer) step(t *testing.T) (more bool, n int) {
	given, more, err := r.next(t.Context())
	if err != nil {
		t.Errorf("%s: %v", r.name, err)
		return false, 0
	}
	for _, v := range given {
		r.seen[v]++
		if r.last[v.key] > v.number {
			t.Errorf("%s: version %d of %s comes after version %d", r.name, v.number, v.key, r.last[v.key])
		}
		r.last[v.key] = v.number
	}
	return more, len(given)
}

// drain reads until there is nothing more.
func (r *racer) drain(t *testing.T) {
	for {
		if more, n := r.step(t); !more && n == 0 {
			return
		}
	}
}

func newRacer(name string, next func(context.Context) ([]named, bool, error)) *racer {
	return &racer{name, next, map[named]int{}, map[fhir.Key]int{}}
}

// changesRacer reads the feed as a client.
func changesRacer(db *DB, name string, f Feed) *racer {
	return newRacer(name, func(ctx context.Context) (given []named, more bool, err error) {
		p, err := db.Changes(ctx, access.Trusted("test"), f)
		for _, e := range p.Entries {
			given = append(given, named{e.Key, e.Number})
		}
		f.After = p.Next
		return given, p.More, err
	})
}

// followRacer reads it as the server itself.
func followRacer(t *testing.T, db *DB) *racer {
	_, position, _, err := db.Follow(t.Context(), "", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return newRacer("follower", func(ctx context.Context) (given []named, more bool, err error) {
		all, next, more, err := db.Follow(ctx, position, nil, 17)
		for _, f := range all {
			given = append(given, named{f.Key, f.Number})
		}
		position = next
		return given, more, err
	})
}

// naiveRacer reads by the numbers alone, which must not do.
func naiveRacer(database *pgtest.Database, db *DB) *racer {
	last := int64(0)
	return newRacer("naive", func(ctx context.Context) (given []named, more bool, err error) {
		rows, err := database.QueryContext(ctx, `SELECT seq, type, id, ver FROM ver WHERE seq > $1 ORDER BY seq LIMIT 500`, last)
		if err != nil {
			return nil, false, err
		}
		defer rows.Close()
		for rows.Next() {
			var typ int16
			var n named
			if err := rows.Scan(&last, &typ, &n.key.ID, &n.number); err != nil {
				return nil, false, err
			}
			n.key.Type = db.names[typ]
			given = append(given, n)
		}
		return given, false, rows.Err()
	})
}

// committed returns every version that there is.
func committed(t *testing.T, database *pgtest.Database, db *DB) map[named]int {
	t.Helper()
	r := naiveRacer(database, db)
	r.drain(t)
	return r.seen
}

var errUndone = errors.New("this transaction is to be undone")

// A writer of a race writes random resources in transactions that stall before they
// commit, some of which are undone.
func raceWriter(db *DB, seed uint64, transactions int) {
	r := rand.New(rand.NewPCG(seed, 5))
	ctx := context.Background()
	for range transactions {
		var rows []Row
		if r.IntN(25) == 0 {
			// Who gives a record away meets everybody, so it does so alone.
			rows = append(rows, raceRow(db, r, raceGiver))
		} else {
			for range 1 + r.IntN(3) {
				rows = append(rows, raceRow(db, r, raceTask))
			}
		}
		slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.rid, b.rid) })
		rows = slices.CompactFunc(rows, func(a, b Row) bool { return a.rid == b.rid })
		if r.IntN(4) == 0 {
			changes := make([]Change, len(rows))
			for i, row := range rows {
				changes[i].Row = row
			}
			// What becomes of it is seen in the database.
			_, _ = db.WriteAll(ctx, changes, nil)
			continue
		}
		stall, undone := r.IntN(3) == 0, r.IntN(20) == 0
		_ = db.within(ctx, func(ctx context.Context, s *session) error {
			for _, row := range rows {
				if err := raceWrite(ctx, db, s, row); err != nil {
					return err
				}
			}
			if stall {
				if _, err := s.tx.ExecContext(ctx, `SELECT pg_sleep($1)`, r.Float64()*0.05); err != nil {
					return err
				}
			}
			if undone {
				return errUndone
			}
			return nil
		})
	}
}

func raceGiver(r *rand.Rand) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"pa%d","generalPractitioner":[{"reference":"Organization/or%d"}],"multipleBirthInteger":%d}`, r.IntN(3), r.IntN(4), r.IntN(1000))
}

func raceTask(r *rand.Rand) string {
	return fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","intent":"order","status":"%s","for":{"reference":"Patient/pa%d"},"owner":{"reference":"Organization/or%d"},"description":"%d"}`,
		r.IntN(100), []string{"requested", "failed"}[r.IntN(2)], r.IntN(3), r.IntN(4), r.IntN(1000))
}

func raceRow(db *DB, r *rand.Rand, content func(*rand.Rand) string) Row {
	body := content(r)
	resource, err := fhir.Decode("", []byte(body))
	if err != nil {
		panic(err)
	}
	k := fhir.Key{Type: resource.Type(), ID: resource.ID()}
	if r.IntN(8) == 0 {
		return Row{Key: k, Op: Delete, rid: db.secret.RID(k)}
	}
	row, err := db.Row(k, Update, resource)
	if err != nil {
		panic(err)
	}
	row.Allowed = row.Gifts
	return row
}

func raceWrite(ctx context.Context, db *DB, s *session, row Row) error {
	if row.Op == Delete {
		_, err := db.delete(ctx, s, row, Anything)
		return err
	}
	_, err := db.put(ctx, s, row, Anything)
	return err
}

// TestFeedRace: 24 writers, with stalls before the commit, transactions that are
// undone, connections that are cut and one transaction that stays open all the while.
// Every committed version is delivered exactly once, those of a resource in order, and
// all but those of the open transaction while it is open. A cursor that goes by numbers
// alone misses some, so the race would show it. Clients who see a part end with what
// they see.
func TestFeedRace(t *testing.T) {
	t.Parallel()
	watched, database := openInside(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN + " application_name=feedrace deadlock_timeout=30", Conns: 26, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	walking := openOn(t, database)
	walking.bounds.sorted, walking.bounds.walked = 5, 7
	open := mustPutOpen(t, watched)
	naive := naiveRacer(database, watched)
	racers := []*racer{changesRacer(watched, "large pages", Feed{Count: 200}), changesRacer(walking, "small pages", Feed{Count: 3}), followRacer(t, watched), naive}
	var replicas []*replica
	w := &feedWorld{rand.New(rand.NewPCG(1, 1)), watched}
	for n := range 3 {
		r := &replica{grant: staffOf(n), kept: kept{has: map[fhir.Key]string{}}, given: map[fhir.Key]bool{}}
		replicas = append(replicas, r)
	}
	var writing, reading sync.WaitGroup
	for n := range uint64(24) {
		writing.Go(func() { raceWriter(db, n, 12) })
	}
	var done atomic.Bool
	reading.Go(func() { cut(t, database, &done) })
	for _, r := range racers {
		reading.Go(func() {
			for !done.Load() {
				r.step(t)
			}
		})
	}
	for _, r := range replicas {
		reading.Go(func() {
			for !done.Load() {
				r.apply(t, watched, 5)
			}
		})
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()

	check := func(when string) {
		want := committed(t, database, watched)
		for _, r := range racers {
			if r != naive {
				r.drain(t)
				if diff := gocmp.Diff(want, r.seen, gocmp.AllowUnexported(named{})); diff != "" {
					t.Errorf("%s: %s: %s", when, r.name, diff)
				}
			}
		}
		for _, r := range replicas {
			for !r.apply(t, watched, 50) {
			}
			if diff := gocmp.Diff(w.shown(t, r.grant, nil), r.has); diff != "" {
				t.Errorf("%s: %+v: %s", when, r.grant.Terms(), diff)
			}
		}
	}
	check("while a transaction is open")
	want := committed(t, database, watched)
	if err := open(); err != nil {
		t.Fatal(err)
	}
	check("after it")
	naive.drain(t)
	missed := 0
	for v := range want {
		if naive.seen[v] == 0 {
			missed++
		}
	}
	t.Logf("%d versions; going by numbers alone misses %d", len(want), missed)
	if len(want) < 150 || missed == 0 {
		t.Errorf("%d versions, of which numbers alone miss %d: the race is too tame", len(want), missed)
	}
}

// staffOf returns the grant of a practice, or of who sees everything but for labels.
func staffOf(n int) access.Grant {
	parties := []access.Key{{Kind: access.Open}, {Kind: access.Party, Of: fmt.Sprintf("Organization/or%d", n)}}
	if n == 2 {
		return seeing(parties, nil, access.Argument{Param: "status", Value: "requested"})
	}
	return seeing(parties, nil)
}

// apply reads a page and applies it, and reports whether that was all.
func (r *replica) apply(t *testing.T, db *DB, count int) bool {
	p, err := db.Changes(t.Context(), r.grant, Feed{Count: count, After: r.cursor})
	if err != nil {
		t.Errorf("a client: %v", err)
		return true
	}
	for _, e := range p.Entries {
		if e.Deleted() {
			delete(r.has, e.Key)
			continue
		}
		r.has[e.Key] = content(&e.Version)
	}
	r.cursor = p.Next
	return !p.More && !p.Snapshot && len(p.Entries) == 0
}

// mustPutOpen writes in a transaction that stays open until the function is called
// that it returns.
func mustPutOpen(t *testing.T, db *DB) func() error {
	t.Helper()
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- func() error {
			tx, err := db.sql.BeginTx(context.Background(), nil)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
				return err
			}
			row, err := db.Row(fhir.Key{Type: "Task", ID: "open"}, Update, decoded(t, `{"resourceType":"Task","id":"open","intent":"order","status":"requested","owner":{"reference":"Organization/or1"}}`))
			if err != nil {
				return err
			}
			if _, err := db.put(context.Background(), &session{querier: tx, tx: tx}, row, Anything); err != nil {
				return err
			}
			close(began)
			<-end
			return tx.Commit()
		}()
	}()
	select {
	case <-began:
	case err := <-ended:
		t.Fatal(err)
	}
	return func() error {
		close(end)
		return <-ended
	}
}

// cut ends connections of the writers now and then.
func cut(t *testing.T, database *pgtest.Database, done *atomic.Bool) {
	for !done.Load() {
		const query = `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'feedrace' ORDER BY random() LIMIT 1) q, pg_sleep(0.15)`
		if _, err := database.Exec(query); err != nil {
			t.Error(err)
			return
		}
	}
}

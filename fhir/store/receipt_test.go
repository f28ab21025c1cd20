package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestReceipt keeps what became of a request, whole; another key is another
// matter, and so is another holder.
func TestReceipt(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	r := Receipt{Holder: "h", Key: "k", Digest: bytes.Repeat([]byte{7}, 32), Asked: []byte(`{"p":1}`), Body: bytes.Repeat([]byte("an answer "), 90)}
	mustPut(t, db, fmt.Sprintf(basic, "same", "1"))
	changes := []Change{
		changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "a", "1")), changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "same", "1")),
		{Row{Key: fhir.Key{Type: "Basic", ID: "none"}, Op: Delete}, Anything},
	}
	got, err := db.WriteAll(t.Context(), changes, &r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := db.Received(t.Context(), "h", "k")
	if err != nil || back == nil {
		t.Fatal(back, err)
	}
	want := &Received{r, got, []fhir.Key{{Type: "Basic", ID: "a"}, {Type: "Basic", ID: "same"}, {Type: "Basic", ID: "none"}}, back.At}
	if diff := cmp.Diff(want, back, cmp.Transformer("utc", func(t time.Time) time.Time { return t.UTC() })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := db.WriteAll(t.Context(), []Change{changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "b", "1"))}, &r); !errors.Is(err, ErrReceived) {
		t.Errorf("again: %v", err)
	}
	for _, other := range []Receipt{{Holder: "h", Key: "l", Digest: []byte{1}}, {Holder: "i", Key: "k", Digest: []byte{1}}} {
		if found, err := db.Received(t.Context(), other.Holder, other.Key); found != nil || err != nil {
			t.Error(found, err)
		}
		if err := db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error { return tx.Receive(ctx, other) }); err != nil {
			t.Error(err)
		}
		if err := db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error { return tx.Receive(ctx, other) }); !errors.Is(err, ErrReceived) {
			t.Error(err)
		}
	}
	if n := countOf(t, database, "ver"); n != 2 {
		t.Errorf("there are %d versions, want 2", n)
	}
}

// TestReceiptRace lets many carry out one request: one does, and each of the others
// is told that it is in flight or has been carried out.
func TestReceiptRace(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	var done, told atomic.Int32
	race(24, func(n int) {
		_, err := db.WriteAll(t.Context(), []Change{changeOf(t, db, Create, Absent, fmt.Sprintf(basic, fmt.Sprint(n), "1"))}, &Receipt{Holder: "h", Key: "k", Digest: []byte{1}})
		switch {
		case err == nil:
			done.Add(1)
		case errors.Is(err, ErrInFlight), errors.Is(err, ErrReceived):
			told.Add(1)
		default:
			t.Error(err)
		}
	})
	if n := countOf(t, database, "ver"); n != 1 || done.Load() != 1 || told.Load() != 23 {
		t.Errorf("%d have done it, %d were told, %d versions", done.Load(), told.Load(), n)
	}
}

// TestReceiptInFlight meets a request that has not ended yet: who asks what became
// of it waits until it has.
func TestReceiptInFlight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	r := Receipt{Holder: "h", Key: "k", Digest: []byte{1}}
	for _, fails := range []bool{true, false} {
		held, end, asked := make(chan struct{}), make(chan struct{}), make(chan *Received)
		failure := errors.New("no")
		ended := make(chan error)
		go func() {
			ended <- db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error {
				_, err := tx.Write(ctx, []Change{changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "b", "1"))}, &r)
				close(held)
				<-end
				if err == nil && fails {
					return failure
				}
				return err
			})
		}()
		<-held
		if _, err := db.WriteAll(t.Context(), nil, &r); !errors.Is(err, ErrInFlight) {
			t.Errorf("a second one: %v", err)
		}
		go func() {
			found, err := db.Resolve(t.Context(), "h", "k")
			if err != nil {
				t.Error(err)
			}
			asked <- found
		}()
		waitFor(t, db, func() bool {
			var waiting bool
			if err := db.sql.QueryRow(`SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND NOT granted)`).Scan(&waiting); err != nil {
				t.Error(err)
			}
			return waiting
		})
		close(end)
		if found := <-asked; (found == nil) != fails {
			t.Errorf("fails %t: found %+v", fails, found)
		}
		if err := <-ended; (err != nil) != fails {
			t.Errorf("fails %t: %v", fails, err)
		}
	}
}

// TestLostCommit ends connections while they write: what became of each request is
// found out, and done again it is done once. Each request is interrupted a few
// times at most, or on a slow machine none would ever come through.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	const writers, each, interruptions = 6, 15, 2
	blows := make(chan struct{}, writers*each*interruptions)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range blows {
			for !interrupt(t, database) {
				select {
				case <-stop:
					return
				default:
				}
			}
		}
	}()
	var lost atomic.Int32
	race(writers, func(n int) {
		for i := range each {
			key := fmt.Sprintf("%d-%d", n, i)
			for range interruptions {
				blows <- struct{}{}
			}
			for !once(t, db, key, &lost) {
			}
		}
	})
	close(stop)
	close(blows)
	<-stopped
	if n := countOf(t, database, "ver"); n != writers*each*20 {
		t.Errorf("there are %d versions, want %d", n, writers*each*20)
	}
	if lost.Load() == 0 {
		t.Error("no connection was lost")
	}
	t.Logf("%d connections were lost", lost.Load())
}

// interrupt ends one connection that is writing, and reports whether there was one.
func interrupt(t *testing.T, database *pgtest.Database) bool {
	done, err := database.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%write_batch%' AND state = 'active' LIMIT 1`)
	if err != nil {
		t.Error(err)
		return true
	}
	n, err := done.RowsAffected()
	return err != nil || n > 0
}

// once carries out a request, and reports whether it is known to have been.
func once(t *testing.T, db *DB, key string, lost *atomic.Int32) bool {
	var changes []Change
	for i := range 20 {
		changes = append(changes, changeOf(t, db, Create, Absent, fmt.Sprintf(basic, fmt.Sprintf("%s-%d-%d", key, i, time.Now().UnixNano()), key)))
	}
	_, err := db.WriteAll(t.Context(), changes, &Receipt{Holder: "h", Key: key, Digest: []byte{1}})
	if err == nil {
		return true
	}
	if errors.Is(err, ErrReceived) {
		return true
	}
	lost.Add(1)
	found, err := db.Resolve(t.Context(), "h", key)
	if err != nil {
		return false
	}
	return found != nil && len(found.Results) == 20
}

package store

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestWaits counts who waits for a connection, whether they get one or not, and nobody else.
func TestWaits(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	mustPut(t, db, `{"resourceType":"Patient","id":"a"}`)
	read := func(ctx context.Context) error {
		_, err := db.ReadContent(ctx, fhir.Key{Type: "Patient", ID: "a"})
		return err
	}
	if err := read(t.Context()); err != nil || db.Stats().WaitCount != 0 {
		t.Fatalf("%d waits where there are connections; %v", db.Stats().WaitCount, err)
	}
	const all = 8
	if !db.free.TryAcquire(all) {
		t.Fatal("a connection is held")
	}
	given := make(chan error, 1)
	go func() { given <- read(t.Context()) }()
	for db.Stats().WaitCount == 0 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, unavailable := errors.AsType[*Unavailable](read(over)); !unavailable {
		t.Error("there was a connection for who came second")
	}
	if n := db.Stats().WaitCount; n != 2 {
		t.Errorf("%d waits, want 2", n)
	}
	db.free.Release(all)
	if err := <-given; err != nil || db.Stats().WaitCount != 2 {
		t.Errorf("%d waits in the end, want 2; %v", db.Stats().WaitCount, err)
	}
}

// TestSearchWaits counts searches that wait for one of the connections that they may have, though
// there are others; a long one that waits for another long one has had one.
func TestSearchWaits(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	only := newTurn(t, db)
	if !db.turns.long.TryAcquire(db.turns.halfOfCores) {
		t.Fatal("the places of long searches are taken")
	}
	if err := only.lengthen(over, "_content"); err == nil || db.Stats().WaitCount != 0 {
		t.Fatalf("%d waits for a connection; %v", db.Stats().WaitCount, err)
	}
	if !db.turns.any.TryAcquire(6) {
		t.Fatal("the places of searches are taken")
	}
	if _, err := db.turn(over); err == nil || db.Stats().WaitCount != 1 {
		t.Errorf("%d waits, want 1; %v", db.Stats().WaitCount, err)
	}
}

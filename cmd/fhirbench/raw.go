package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// rawPrefix before the name of a workload runs the server's own statements
// straight on its database.
const rawPrefix = "raw-"

// rawBodies is how many bodies of each type are packed before the measurement.
const rawBodies = 64

// A rawTarget is the database behind a server: what it does with an op is the
// ceiling of what the server can do. Bodies are packed beforehand, and what is
// read stays packed.
type rawTarget struct {
	db    *store.DB
	next  atomic.Uint64
	mu    sync.Mutex
	packs map[packKind][]store.Row // guarded by mu
}

// packKind is what packed bodies can stand in for each other by: what is stored of a resource holds its id, so a body under
// another id must have one as long. It names the wrong one then, but it can be read.
type packKind struct {
	typeName string
	idLength int
}

func openRaw(ctx context.Context, c config) (*rawTarget, error) {
	db, err := store.Open(ctx, store.Config{DSN: c.dsn, Conns: c.clients, Unsafe: true})
	if err != nil {
		return nil, err
	}
	return &rawTarget{db: db, packs: map[packKind][]store.Row{}}, nil
}

func (t *rawTarget) close() {
	// The run is over; what a connection still has to say is of no interest.
	_ = t.db.Close()
}

func (t *rawTarget) do(ctx context.Context, o op) (answer, error) {
	switch o.kind {
	case create:
		return t.put(ctx, o, strings.ToLower(rand.Text()), store.Absent)
	case update:
		return t.put(ctx, o, o.id, store.Anything)
	case read:
		n, err := t.db.RawRead(ctx, fhir.Key{Type: o.typeName, ID: o.id})
		return answer{status: http.StatusOK, bytes: int64(n)}, err
	}
	return answer{}, fmt.Errorf("raw workloads know no %s", o.kind)
}

func (t *rawTarget) put(ctx context.Context, o op, id string, expect store.Expect) (answer, error) {
	packed, err := t.pack(o, len(id))
	if err != nil {
		return answer{}, err
	}
	w, err := t.db.Put(ctx, t.db.Renamed(packed, id), expect)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusOK, id: id, version: strconv.Itoa(w.Version)}
	if w.Outcome == store.Created {
		a.status = http.StatusCreated
	}
	return a, nil
}

// pack returns one of the packed bodies of o's type for an id of some length; while
// there are too few, it packs o's own.
func (t *rawTarget) pack(o op, idLength int) (store.Row, error) {
	kind := packKind{o.typeName, idLength}
	t.mu.Lock()
	defer t.mu.Unlock()
	if packs := t.packs[kind]; len(packs) == rawBodies {
		return packs[t.next.Add(1)%rawBodies], nil
	}
	r, err := fhir.Decode(o.typeName, o.body)
	if err != nil {
		return store.Row{}, err
	}
	row, err := t.db.Row(fhir.Key{Type: o.typeName, ID: strings.Repeat("x", idLength)}, store.Create, r)
	t.packs[kind] = append(t.packs[kind], row)
	return row, err
}

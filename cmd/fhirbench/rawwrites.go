package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// rawWrites has the server's own write path below HTTP and access, with rows that are made before the time is taken: what is
// left between it and Bundles is what HTTP, decoding and access take, and between it and raw batches what it looks at.
type rawWrites struct {
	*transactionBench
	db *store.DB
}

func openRawWrites(ctx context.Context, b *transactionBench) (*rawWrites, error) {
	db, err := store.Open(ctx, store.Config{DSN: b.dsn, Conns: b.clients, Unsafe: true})
	if err != nil {
		return nil, err
	}
	return &rawWrites{b, db}, nil
}

func (w *rawWrites) run(ctx context.Context, n int) (stretch, error) {
	batches := make([][]store.Change, max(1, n/w.bundle))
	for i := range batches {
		for _, o := range w.singlesOf(w.numbers(w.bundle), w.bundle) {
			c, err := w.change(o)
			if err != nil {
				return stretch{}, err
			}
			batches[i] = append(batches[i], c)
		}
	}
	took, err := spread(ctx, w.clients, len(batches), func(ctx context.Context, i int) error {
		all, err := w.db.WriteAll(ctx, batches[i], nil)
		for _, one := range all {
			if one.Outcome != store.Created {
				return fmt.Errorf("WriteAll: outcome %d, want %d", one.Outcome, store.Created)
			}
		}
		return err
	})
	return stretch{Resources: int64(len(batches) * w.bundle), Seconds: took.Seconds()}, err
}

// change makes a create as the server would for whoever may give everything.
func (w *rawWrites) change(o op) (store.Change, error) {
	r, err := fhir.Decode(o.typeName, o.body)
	if err != nil {
		return store.Change{}, err
	}
	row, err := w.db.Row(fhir.Key{Type: o.typeName, ID: strings.ToLower(rand.Text())}, store.Create, r)
	row.Allowed = row.Gifts
	return store.Change{Row: row, Expect: store.Absent}, err
}

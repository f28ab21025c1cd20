package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	waySingles = "single creates"
	wayRaw     = "raw batches"
	wayStore   = "store.WriteAll"
	// forms is how many filled-in forms the observations of single creates come from.
	forms = 100
)

// transactionBench compares creates in transactions with the same creates one by one, and with what the database does with
// their rows.
type transactionBench struct {
	config
	*httpTarget
	*generator
	raw    *rawBatches // nil without a database
	writes *rawWrites  // nil without a database
	number uint64      // of the next resource
}

// compareTransactions is the transaction workload.
func compareTransactions(ctx context.Context, c config, t *httpTarget, progress io.Writer) (r *comparison, err error) {
	c.typeName, c.people = allTypes, c.apart()
	b := &transactionBench{config: c, httpTarget: t, generator: &generator{seed: c.seed, practice: absentPractice()}}
	if err := b.settle(ctx); err != nil {
		return nil, fmt.Errorf("make the practice: %w", err)
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if err := b.warm(ctx); err != nil {
		return nil, err
	}
	bundles := fmt.Sprintf("Bundles of %d", c.bundle)
	r = newComparison(c)
	ways := []contender{
		{bundles, b.bundles}, {waySingles, b.singles},
		{wayRaw, func(ctx context.Context, n int) (stretch, error) { return b.raw.run(ctx, n, c.bundle) }},
		{wayStore, func(ctx context.Context, n int) (stretch, error) { return b.writes.run(ctx, n) }},
	}
	if b.raw == nil {
		ways = ways[:2]
	}
	if err := r.rounds(ctx, c, ways, progress); err != nil {
		return nil, err
	}
	r.divide(bundles, waySingles, 3)
	r.divide(bundles, wayRaw, 0.5)
	r.divide(wayStore, wayRaw, 0)
	r.Notes = append(r.Notes,
		"of ten resources: 4 Communication, 3 Task, 2 QuestionnaireResponse, 1 Observation; in Bundles, half name another entry by urn:uuid",
		fmt.Sprintf("%d patients, so that the Bundles under way are about different ones", c.people))
	return r, nil
}

// apart is how many patients there must be for the Bundles under way to be about different ones, as they are in practice; 0 if
// there are to be none.
func (c config) apart() int {
	if c.people == 0 {
		return 0
	}
	return max(c.people, c.bundle*(c.clients+2))
}

// settle makes what the resources refer to.
func (b *transactionBench) settle(ctx context.Context) error {
	if b.people == 0 {
		return publishForm(ctx, b.httpTarget, b.config)
	}
	var err error
	if b.practice, err = foundPractice(ctx, b.httpTarget, b.config); err != nil {
		return err
	}
	ops := make([]op, forms)
	for i := range ops {
		ops[i] = op{typeName: "QuestionnaireResponse", body: b.resource(held{typeName: "QuestionnaireResponse", number: practiceNumbers + uint64(i)})}
	}
	b.practice.filled, err = referTo(ctx, b.httpTarget, b.config, ops)
	return err
}

// warm runs each way once without measuring it, and takes the rows of the single creates for the raw one.
func (b *transactionBench) warm(ctx context.Context) error {
	n := b.perRound() / 10
	if _, err := b.bundles(ctx, n); err != nil {
		return err
	}
	if _, err := b.singles(ctx, n); err != nil || b.dsn == "" {
		return err
	}
	var err error
	if b.raw, err = openRawBatches(ctx, b.config); err != nil {
		return err
	}
	if err := b.raw.copyNewest(ctx, n); err != nil {
		return err
	}
	b.writes, err = openRawWrites(ctx, b)
	return err
}

func (b *transactionBench) close(ctx context.Context) error {
	var errs []error
	if b.writes != nil {
		errs = append(errs, b.writes.db.Close())
	}
	if b.raw != nil {
		errs = append(errs, b.raw.close(ctx))
	}
	return errors.Join(errs...)
}

// numbers takes n numbers for new resources.
func (b *transactionBench) numbers(n int) uint64 {
	b.number += uint64(n)
	return b.number - uint64(n)
}

func (b *transactionBench) bundles(ctx context.Context, n int) (stretch, error) {
	texts := make([][]byte, max(1, n/b.bundle))
	for i := range texts {
		texts[i] = b.bundleOf(b.numbers(b.bundle), b.bundle)
	}
	took, err := spread(ctx, b.clients, len(texts), func(ctx context.Context, i int) error { return b.transact(ctx, texts[i]) })
	return stretch{Resources: int64(len(texts) * b.bundle), Bytes: sizeOf(texts), Seconds: took.Seconds()}, err
}

// transact sends one Bundle, all of which must be created.
func (b *transactionBench) transact(ctx context.Context, text []byte) error {
	created := 0
	a, err := b.ask(ctx, asking{method: http.MethodPost, body: text, use: countCreated(&created)})
	if err != nil {
		return err
	}
	if err := a.must("transaction"); err != nil {
		return err
	}
	if created != b.bundle {
		return fmt.Errorf("transaction: %d of %d entries were created", created, b.bundle)
	}
	return nil
}

func (b *transactionBench) singles(ctx context.Context, n int) (stretch, error) {
	ops := b.singlesOf(b.numbers(n), n)
	s := stretch{Resources: int64(n)}
	for _, o := range ops {
		s.Bytes += int64(len(o.body))
	}
	took, err := spread(ctx, b.clients, n, func(ctx context.Context, i int) error {
		_, err := createOne(ctx, b.httpTarget, ops[i])
		return err
	})
	s.Seconds = took.Seconds()
	return s, err
}

func sizeOf(texts [][]byte) int64 {
	n := int64(0)
	for _, text := range texts {
		n += int64(len(text))
	}
	return n
}

// contender is one of the ways that are compared. It writes n resources.
type contender struct {
	name string
	run  func(ctx context.Context, n int) (stretch, error)
}

// defaultPerRound is how many resources each way writes in a round.
const defaultPerRound = 10_000

// perRound is how many resources each way writes in a round: whole Bundles, and enough for all clients.
func (c config) perRound() int {
	n := int(c.requests)
	if n == 0 {
		n = defaultPerRound
	}
	return max(1, n/c.bundle) * c.bundle
}

// rounds runs all ways in each round, beginning with another one each time.
func (r *comparison) rounds(ctx context.Context, c config, ways []contender, progress io.Writer) error {
	for round := range c.rounds {
		for i := range ways {
			w := ways[(round+i)%len(ways)]
			s, err := w.run(ctx, c.perRound())
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			r.add(w.name, s)
			fmt.Fprintf(progress, "fhirbench: round %d: %s: %.0f resources/s\n", round+1, w.name, s.rate())
		}
	}
	return nil
}

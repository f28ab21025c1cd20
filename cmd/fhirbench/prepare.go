package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// prepare makes on the target what the workload needs, outside the measured time, and returns the workers.
func prepare(ctx context.Context, c config, t target) ([]*worker, error) {
	p := absentPractice()
	if c.people > 0 {
		var err error
		if p, err = foundPractice(ctx, t, c); err != nil {
			return nil, fmt.Errorf("make the practice: %w", err)
		}
	}
	g := &generator{seed: c.seed, practice: p}
	set, err := createSet(ctx, c, t, g)
	if err != nil {
		return nil, fmt.Errorf("make the set: %w", err)
	}
	return staff(c, g, set), nil
}

func createSet(ctx context.Context, c config, t target, g *generator) ([]*held, error) {
	if !c.workload.needsSet() {
		return nil, nil
	}
	random := rand.New(rand.NewPCG(c.seed, 0))
	set := make([]*held, c.set)
	ops := make([]op, c.set)
	for i := range set {
		set[i] = &held{typeName: typeAt(c.typeName, random.IntN(100)), number: uint64(i)}
		ops[i] = op{typeName: set[i].typeName, body: g.resource(*set[i])}
	}
	answers, err := createAll(ctx, t, c.clients, ops)
	if err != nil {
		return nil, err
	}
	for i, a := range answers {
		set[i].id, set[i].version = a.id, a.version
		if a.version == "" && c.workload.name == "vread" {
			return nil, fmt.Errorf("create %s: the answer names no version to read", set[i].typeName)
		}
	}
	return set, nil
}

// staff deals the set out to the workers, and to each its own numbers for what it creates.
func staff(c config, g *generator, set []*held) []*worker {
	workers := make([]*worker, c.clients)
	for i := range workers {
		workers[i] = &worker{
			workload: c.workload, types: c.typeName, content: g,
			random: rand.New(rand.NewPCG(c.seed, uint64(i)+1)),
			number: uint64(len(set) + i), step: uint64(c.clients),
		}
	}
	for i, h := range set {
		w := workers[i%len(workers)]
		w.own = append(w.own, h)
	}
	return workers
}

// createAll sends all creates, several at a time, and stops at the first that is not answered with an id.
func createAll(ctx context.Context, t target, clients int, ops []op) ([]answer, error) {
	answers := make([]answer, len(ops))
	_, err := spread(ctx, clients, len(ops), func(ctx context.Context, i int) error {
		var err error
		if answers[i], err = createOne(ctx, t, ops[i]); err == nil && answers[i].id == "" {
			err = fmt.Errorf("create %s: the answer names no id", ops[i].typeName)
		}
		return err
	})
	return answers, err
}

func createOne(ctx context.Context, t target, o op) (answer, error) {
	a, err := t.do(ctx, o)
	switch {
	case errors.Is(err, context.Canceled):
		return answer{}, context.Cause(ctx)
	case err != nil:
		return answer{}, fmt.Errorf("create %s: %w", o.typeName, err)
	case !a.ok():
		return answer{}, fmt.Errorf("create %s: status %d: %s", o.typeName, a.status, excerpt(a.text))
	}
	return a, nil
}

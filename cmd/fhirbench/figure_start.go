package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const groupStart = "Start and memory"

// starts measures the memory of the servers after everything before, and how long they take to give their first answer.
func (f *figures) starts(ctx context.Context) error {
	f.resident("--auth=none", f.open)
	f.resident("with sign-in", f.signed)
	attached := func(ctx context.Context) (*served, error) { return f.attached(ctx, "--auth=none") }
	if err := f.startTimes(ctx, "first answer, of a database that runs", attached); err != nil {
		return err
	}
	if err := f.stop(); err != nil {
		return err
	}
	alone := func(ctx context.Context) (*served, error) {
		return launch(ctx, f.server, "--auth=none", "--data-dir", f.dataDir)
	}
	err := f.startTimes(ctx, "first answer, the database started as well", alone)
	return errors.Join(err, f.start(ctx))
}

func (f *figures) resident(name string, s *served) {
	now, most := s.resident()
	f.add(figure{Group: groupStart, Name: "resident memory, " + name, Unit: "MiB", Value: thousandths(now)})
	f.add(figure{Group: groupStart, Name: "the most it was, " + name, Unit: "MiB", Value: thousandths(most)})
}

// startTimes starts a server some times, and measures from its start to the end of the first answer that needs the database.
func (f *figures) startTimes(ctx context.Context, name string, start func(context.Context) (*served, error)) error {
	var took []float64
	for range f.rounds {
		one, err := f.startOnce(ctx, start)
		if err != nil {
			return err
		}
		took = append(took, thousandths(float64(one)/float64(time.Millisecond)))
	}
	f.add(figure{
		Group: groupStart, Name: name, Unit: "ms", Value: median(took), Low: slices.Min(took), High: slices.Max(took),
		Clients: 1, Rounds: len(took), Requests: uint64(len(took)),
	})
	return nil
}

func (f *figures) startOnce(ctx context.Context, start func(context.Context) (*served, error)) (took time.Duration, err error) {
	s, err := start(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.connect(ctx, ""); err != nil {
		return 0, err
	}
	first := f.set.at(0)
	if err := s.must(ctx, asking{method: http.MethodGet, address: first.typeName + "/" + first.id}); err != nil {
		return 0, fmt.Errorf("first answer: %w", err)
	}
	return time.Since(s.began), nil
}

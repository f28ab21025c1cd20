package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openconsult/openconsult/fhir/store"
)

func reindexCommand() *cobra.Command {
	return command("reindex", "Find anew what every resource is searched by, and show how far that is; servers may run meanwhile",
		func(ctx context.Context, s *settings, _ []string) error {
			log := newLog(s)
			db, err := openDatabase(ctx, s, log)
			if err != nil {
				return err
			}
			return errors.Join(reindexOn(ctx, s, db.dsn, log), db.stop())
		})
}

func reindexOn(ctx context.Context, s *settings, dsn string, log *slog.Logger) error {
	data, err := store.Open(ctx, store.Config{DSN: dsn, Conns: s.Conns, Unsafe: s.Unsafe, BaseURL: s.BaseURL, Log: log})
	if err != nil {
		return err
	}
	return errors.Join(reindex(ctx, data, newProgress(os.Stderr)), data.Close())
}

// reindex begins a reindexing and waits for its end. This process takes part: of
// all that run on the database one at a time does the work. What an interrupt
// leaves undone, the next server takes up.
func reindex(ctx context.Context, data *store.DB, shown progress) error {
	if err := data.StartReindex(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	worked := make(chan error, 1)
	go func() { worked <- data.RunIndexer(ctx) }()
	err := follow(ctx, data, shown)
	cancel()
	return errors.Join(err, <-worked)
}

// lookEvery is how often progress is read.
const lookEvery = 250 * time.Millisecond

// follow shows how a reindexing goes on until it has ended.
func follow(ctx context.Context, data *store.DB, shown progress) error {
	for {
		r, err := data.ReindexStatus(ctx)
		switch {
		case err != nil:
			shown.end(nil)
			return err
		case r != nil && !r.Running:
			shown.end(r)
			return unbuilt(r)
		case r != nil:
			shown.update(r)
		}
		select {
		case <-ctx.Done():
			shown.end(nil)
			return fmt.Errorf("interrupted; the next server takes the reindexing up: %w", ctx.Err())
		case <-time.After(lookEvery):
		}
	}
}

func unbuilt(r *store.Reindexing) error {
	if r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d resources could not be indexed and are found by what they were found by before; the log names them", r.Failed)
}

// A progress shows how far something is. It ends with nil when it was broken off.
type progress interface {
	update(r *store.Reindexing)
	end(r *store.Reindexing)
}

// newProgress returns a bar on a terminal and lines elsewhere.
func newProgress(out *os.File) progress {
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return newBar(out)
	}
	return &lineProgress{out: out, next: time.Now().Add(linesEvery)}
}

// linesEvery is how often a line is written.
const linesEvery = 5 * time.Second

// A lineProgress shows progress where nobody watches.
type lineProgress struct {
	out  io.Writer
	next time.Time // when to write again
}

func (l *lineProgress) update(r *store.Reindexing) {
	if time.Now().Before(l.next) {
		return
	}
	l.next = time.Now().Add(linesEvery)
	fmt.Fprintf(l.out, "reindexing: %d %%, %d resources, %s\n", r.Percent, r.Built, rate(r, time.Now()))
}

func (l *lineProgress) end(r *store.Reindexing) {
	if r != nil {
		fmt.Fprintf(l.out, "reindexed %d resources in %s, %s\n", r.Built, r.Ended.Sub(r.Started).Round(time.Millisecond), rate(r, r.Ended))
	}
}

// rate returns how many resources were done in a second, up to a moment.
func rate(r *store.Reindexing, at time.Time) string {
	took := at.Sub(r.Started).Seconds()
	if took <= 0 {
		return "0/s"
	}
	return fmt.Sprintf("%.0f/s", float64(r.Built)/took)
}

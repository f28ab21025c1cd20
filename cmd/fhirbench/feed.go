package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// lagWanted is what the feed's p99 is to stay under while all writers write.
const lagWanted = 500 * time.Millisecond

// version names a version as the server does.
type version struct {
	key    string // Type/id
	number int
}

// compareFeeds is the feed workload: writers at full speed while followers wait for what they write.
func compareFeeds(ctx context.Context, c config, t *httpTarget, progress io.Writer) (*comparison, error) {
	c.workload.mix, c.workload.growing = []share{{create, 70}, {update, 30}}, true
	workers, err := prepare(ctx, c, t)
	if err != nil {
		return nil, err
	}
	f, err := openFollowers(ctx, c)
	if err != nil {
		return nil, err
	}
	defer f.close()
	began := time.Now()
	if err := f.catchUp(ctx); err != nil {
		return nil, fmt.Errorf("follow what is there: %w", err)
	}
	fmt.Fprintf(progress, "fhirbench: the followers are at the present, %d entries after %v\n", f.entries(), time.Since(began).Round(time.Millisecond))
	r := newComparison(c)
	followed := f.begin(ctx)
	w, s, err := writeAll(ctx, c, t, workers)
	if err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	r.add("writes", s)
	f.stop.Store(true)
	// The followers may be waiting for something to happen. This ends it, and whether they see it themselves does not matter.
	if _, err := createOne(ctx, t, workers[0].create()); err != nil {
		return nil, err
	}
	if err := <-followed; err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	f.report(r, w)
	return r, nil
}

// written is when each version was acknowledged.
type written map[version]time.Time

func (w written) note(o op, a answer, at time.Time) {
	if v, ok := versionOf(o, a); ok {
		w[v] = at
	}
}

// firstWithout returns the version that was acknowledged first of those that were not seen.
func (w written) firstWithout(seen map[version]bool) (first version, at time.Time, there bool) {
	for v, t := range w {
		if !seen[v] && (!there || t.Before(at)) {
			first, at, there = v, t, true
		}
	}
	return first, at, there
}

// writeAll has every worker write until the time is over, or the number reached.
func writeAll(ctx context.Context, c config, t target, workers []*worker) (written, stretch, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]written, len(workers))
	start := time.Now()
	p := newPacer(c, start)
	var group sync.WaitGroup
	for i, w := range workers {
		all[i] = written{}
		group.Go(func() {
			if err := w.writeOn(ctx, p, t, all[i]); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	for _, w := range all[1:] {
		maps.Copy(all[0], w)
	}
	return all[0], stretch{Resources: int64(len(all[0])), Seconds: took.Seconds()}, context.Cause(ctx)
}

// writeOn writes until the run is over. Every answer must name the version that was made.
func (w *worker) writeOn(ctx context.Context, p pacer, t target, to written) error {
	for {
		o := w.next()
		if _, ok := p.next(ctx); !ok {
			return nil
		}
		a, err := createOne(ctx, t, o)
		if err != nil {
			return err
		}
		w.learn(o, a)
		before := len(to)
		to.note(o, a, time.Now())
		if len(to) == before {
			return fmt.Errorf("%s %s: the answer names no new version", o.kind, o.typeName)
		}
	}
}

// followers are clients that each keep up with the feed by themselves.
type followers struct {
	*httpTarget
	all  []*follower
	stop atomic.Bool // nothing more is written
}

func openFollowers(ctx context.Context, c config) (*followers, error) {
	c.clients = c.followers
	c.timeout += longPoll
	t, err := newHTTPTarget(ctx, c)
	if err != nil {
		return nil, err
	}
	f := &followers{httpTarget: t}
	for range c.followers {
		f.all = append(f.all, &follower{followers: f, address: "$changes?_count=1000"})
	}
	return f, nil
}

func (f *followers) entries() int64 {
	n := int64(0)
	for _, one := range f.all {
		n += one.entries
	}
	return n
}

// catchUp brings one follower to the present; the others go on from there.
func (f *followers) catchUp(ctx context.Context) error {
	err := f.all[0].catchUp(ctx)
	for _, one := range f.all[1:] {
		one.address = f.all[0].address
	}
	return err
}

// begin has all follow until what is written is over, and says then what went wrong.
func (f *followers) begin(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := spread(ctx, len(f.all), len(f.all), func(ctx context.Context, i int) error { return f.all[i].follow(ctx) })
		done <- err
	}()
	return done
}

// report joins what was written with what arrived.
func (f *followers) report(r *comparison, w written) {
	fromAnswer, fromTime := new(histogram), new(histogram)
	var missed, doubled, disordered, foreign, early int64
	for _, one := range f.all {
		seen := map[version]bool{}
		newest := map[string]int{}
		for _, a := range one.arrived {
			at, known := w[a.version]
			switch {
			case !known:
				foreign++
				continue
			case seen[a.version]:
				doubled++
				continue
			case a.number <= newest[a.key]:
				disordered++
			}
			seen[a.version], newest[a.key] = true, a.number
			if a.at.Before(at) {
				early++
			}
			fromAnswer.add(a.at.Sub(at))
			fromTime.add(a.at.Sub(a.updated))
		}
		missed += int64(len(w) - len(seen))
		if v, at, there := w.firstWithout(seen); there {
			r.Notes = append(r.Notes, fmt.Sprintf("missed, such as %s/_history/%d, acknowledged %v", v.key, v.number, at.UTC()))
		}
	}
	r.lag("from the acknowledgement", fromAnswer, lagWanted)
	r.lag("from lastUpdated, before the commit", fromTime, 0)
	r.count("followers", int64(len(f.all)))
	r.count("versions written", int64(len(w)))
	r.count("there before the acknowledgement", early)
	r.count("entries of others", foreign)
	r.count("pages", f.pages())
	r.mustBeNone("missed", missed)
	r.mustBeNone("doubled", doubled)
	r.mustBeNone("out of order", disordered)
}

func (f *followers) pages() int64 {
	n := int64(0)
	for _, one := range f.all {
		n += one.pages
	}
	return n
}

package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/openconsult/openconsult/fhir/store"
)

// A bar shows progress on a terminal, with rate and time left.
type bar struct {
	container *mpb.Progress
	bar       *mpb.Bar
	last      atomic.Pointer[store.Reindexing]
}

func newBar(out io.Writer) *bar {
	b := &bar{container: mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))}
	b.bar = b.container.AddBar(100,
		mpb.PrependDecorators(decor.Name("reindexing "), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.count() }), decor.AverageETA(decor.ET_STYLE_GO)))
	return b
}

func (b *bar) count() string {
	r := b.last.Load()
	if r == nil {
		return ""
	}
	at := r.Ended
	if r.Running {
		at = time.Now()
	}
	return fmt.Sprintf("%d resources, %s, left: ", r.Built, rate(r, at))
}

func (b *bar) update(r *store.Reindexing) {
	b.last.Store(r)
	b.bar.SetCurrent(int64(min(r.Percent, 99)))
}

func (b *bar) end(r *store.Reindexing) {
	if r == nil {
		b.bar.Abort(false)
	} else {
		b.last.Store(r)
		b.bar.SetCurrent(100)
	}
	b.container.Wait()
}

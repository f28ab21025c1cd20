package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A measure is how far something long is at a moment.
type measure struct {
	resources int64
	rejected  int64
	at, of    int64 // of what the time left is reckoned by, bytes or parts; of is 0 while the whole is not known
}

// A meter shows how far something is, with its rate and the time left: as a bar on a
// terminal, as lines elsewhere.
type meter struct {
	verb  string
	read  func() measure
	from  measure // where this run has begun
	began time.Time
	done  chan struct{}
	ended sync.WaitGroup
}

// startMeter begins to show what read returns. What it returns ends that.
func startMeter(out *os.File, verb string, read func() measure) (end func()) {
	m := &meter{verb: verb, read: read, from: read(), began: time.Now(), done: make(chan struct{})}
	m.ended.Add(1)
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		go m.draw(out)
	} else {
		go m.write(out)
	}
	return sync.OnceFunc(func() {
		close(m.done)
		m.ended.Wait()
	})
}

// write writes a line from time to time.
func (m *meter) write(out io.Writer) {
	defer m.ended.Done()
	tick := time.NewTicker(linesEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.done:
			return
		case now := <-tick.C:
			fmt.Fprintln(out, m.line(m.read(), now))
		}
	}
}

// line says how far it is in words.
func (m *meter) line(is measure, now time.Time) string {
	text := fmt.Sprintf("%s: ", m.verb)
	if is.of > 0 {
		text += fmt.Sprintf("%d %%, ", 100*min(is.at, is.of)/is.of)
	}
	return text + m.count(is, now)
}

// count says how much there was, how fast, and how long it will go on.
func (m *meter) count(is measure, now time.Time) string {
	took := now.Sub(m.began).Seconds()
	text := fmt.Sprintf("%d resources", is.resources)
	if took > 0 {
		text += fmt.Sprintf(", %.0f/s", float64(is.resources-m.from.resources)/took)
	}
	if is.rejected > 0 {
		text += fmt.Sprintf(", %d rejected", is.rejected)
	}
	if done := is.at - m.from.at; done > 0 && is.of > is.at {
		left := time.Duration(float64(is.of-is.at) / float64(done) * took * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// draw draws a bar on a terminal.
func (m *meter) draw(out io.Writer) {
	defer m.ended.Done()
	container := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
	bar := container.AddBar(0,
		mpb.PrependDecorators(decor.Name(m.verb+" "), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return m.count(m.read(), time.Now()) })))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		is := m.read()
		bar.SetTotal(max(is.of, is.at+1), false)
		bar.SetCurrent(is.at)
		select {
		case <-m.done:
			bar.SetTotal(m.read().at, true)
			container.Wait()
			return
		case <-tick.C:
		}
	}
}

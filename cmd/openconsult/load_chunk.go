package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"strconv"

	"golang.org/x/sync/semaphore"
)

const (
	chunkBytes = 4 << 20   // of lines that are sent together, about
	roomBytes  = 256 << 20 // of everything that is read and not stored yet
)

// A place is where a load is: everything before it is in chunks with lower numbers.
type place struct {
	Source int   `json:"source"` // index in the listing
	Offset int64 `json:"offset"` // in what the source holds, unpacked
	Line   int64 `json:"line"`   // how many lines, or entries, are before it
}

// A chunk is what is sent together. Where one ends follows from what is loaded alone,
// so that a load that goes on makes the same ones.
type chunk struct {
	number int64
	lines  []line
	end    place
	bytes  int64
	keys   []uint64
	done   chan struct{} // closed when it is stored
}

// whole reports whether the chunk is one Bundle to be carried out.
func (c *chunk) whole() bool {
	return len(c.lines) == 1 && c.lines[0].whole != "" && c.lines[0].why == nil
}

// batch returns lines as a Bundle of type batch.
func batch(lines []line) []byte {
	size := 100
	for i := range lines {
		size += len(lines[i].body) + 150
	}
	dst := append(make([]byte, 0, size), `{"resourceType":"Bundle","type":"batch","entry":[`...)
	for i := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = lines[i].entry(dst)
	}
	return append(dst, `]}`...)
}

// repeatKey names a request of a load, the same when the load is broken off and goes
// on, so that a server carries it out once.
func repeatKey(run string, number int64, body []byte) string {
	h := sha256.New()
	h.Write([]byte(run + "\x00" + strconv.FormatInt(number, 10) + "\x00"))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// A queue hands chunks to those who send them. It keeps two that write one resource
// apart, so that of two lines the later one holds, and it keeps memory bounded. It is
// one goroutine's, but for out and free.
type queue struct {
	out    chan *chunk
	room   *semaphore.Weighted
	seed   maphash.Seed
	flying []*chunk                 // handed out, oldest first
	keys   map[uint64]chan struct{} // what they write
}

func newQueue(jobs int) *queue {
	return &queue{out: make(chan *chunk, jobs), room: semaphore.NewWeighted(roomBytes), seed: maphash.MakeSeed(), keys: map[uint64]chan struct{}{}}
}

// key stands for the resource that a line writes.
func (q *queue) key(l *line) uint64 { return maphash.Comparable(q.seed, [2]string{l.typ, l.id}) }

// put hands out a chunk once nothing that it writes is being written.
func (q *queue) put(ctx context.Context, c *chunk) error {
	q.land()
	for _, k := range c.keys {
		if err := waitFor(ctx, q.keys[k]); err != nil {
			return err
		}
	}
	c.done = make(chan struct{})
	for _, k := range c.keys {
		q.keys[k] = c.done
	}
	q.flying = append(q.flying, c)
	select {
	case q.out <- c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// land forgets the chunks that are stored.
func (q *queue) land() {
	for len(q.flying) > 0 {
		c := q.flying[0]
		select {
		case <-c.done:
		default:
			return
		}
		for _, k := range c.keys {
			if q.keys[k] == c.done {
				delete(q.keys, k)
			}
		}
		q.flying = q.flying[1:]
	}
}

// settle waits until all that was handed out is stored.
func (q *queue) settle(ctx context.Context) error {
	for _, c := range q.flying {
		if err := waitFor(ctx, c.done); err != nil {
			return err
		}
	}
	q.land()
	return nil
}

// free is told by who has sent a chunk that it is stored.
func (q *queue) free(c *chunk) {
	q.room.Release(min(c.bytes, roomBytes))
	close(c.done)
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

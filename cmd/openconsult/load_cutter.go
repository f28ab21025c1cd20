package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir"
)

// A cutter cuts sources into chunks.
type cutter struct {
	options *loadOptions
	fetcher *fetcher
	queue   *queue
	begun   func(number int64) bool // reports whether a chunk was stored by an earlier run
	sight   *sight
	read    atomic.Int64 // bytes as they are stored

	next  *chunk
	count int64 // chunks so far
}

// maxLine is how long a line, or a Bundle that is carried out, may be, in bytes.
const maxLine = 128 << 20

// cut cuts all sources, from a place on.
func (c *cutter) cut(ctx context.Context, l *listing, from place) error {
	defer close(c.queue.out)
	for i := from.Source; i < len(l.sources); i++ {
		s := l.sources[i]
		at := place{Source: i}
		if i == from.Source {
			at = from
		} else if s.stage != l.sources[i-1].stage {
			if err := c.flush(ctx); err != nil {
				return err
			}
			if err := c.queue.settle(ctx); err != nil {
				return err
			}
		}
		if err := c.source(ctx, s, at); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return c.flush(ctx)
}

func (c *cutter) source(ctx context.Context, s source, at place) error {
	from := at.Offset
	if s.layout != perLine {
		from = 0 // what a Bundle holds is found from its beginning only
	}
	o, err := c.fetcher.open(ctx, s, from, &c.read)
	if err != nil {
		return err
	}
	begin := from
	if mark, _ := o.Peek(3); from == 0 && bytes.Equal(mark, []byte("\xEF\xBB\xBF")) {
		begin, _ = io.CopyN(io.Discard, o, 3)
	}
	if s.layout == byLook && isPerLine(o) {
		s.layout = perLine
		skipped, err := io.CopyN(io.Discard, o, max(at.Offset-begin, 0))
		if err != nil {
			return errors.Join(err, o.Close())
		}
		begin += skipped
	}
	if s.layout == perLine {
		at.Offset = begin
		return errors.Join(c.perLine(ctx, s, o, at), o.Close())
	}
	return errors.Join(c.document(ctx, s, o, at), o.Close())
}

// isPerLine reports whether a source looks as if it had one resource a line: its first
// line is a whole object and another one follows, or it is a long one that is no Bundle.
func isPerLine(o *opened) bool {
	head, _ := o.Peek(reading)
	first, rest, more := bytes.Cut(head, []byte("\n"))
	found, err := newSight().see(first)
	if more {
		rest = bytes.TrimSpace(rest)
		return err == nil && (len(rest) > 0 || found.typ != "Bundle")
	}
	return found.typ != "" && found.typ != "Bundle"
}

// perLine cuts NDJSON.
func (c *cutter) perLine(ctx context.Context, s source, o *opened, at place) error {
	for {
		raw, err := readLine(o.Reader)
		if err != nil && err != io.EOF {
			return err
		}
		if len(raw) > 0 {
			at.Offset += int64(len(raw))
			at.Line++
			raw = bytes.TrimRight(raw, "\r\n")
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			if err := c.add(ctx, c.line(s, at.Line, raw), at); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// readLine reads a line with its end. The bytes are the caller's.
func readLine(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return append(long, part...), err
		}
		long = append(long, part...)
		if len(long) > maxLine {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
	}
}

// line makes a line of a text.
func (c *cutter) line(s source, number int64, raw []byte) line {
	l := line{raw: raw, body: raw, source: s.name, number: number}
	found, err := c.sight.see(raw)
	if err != nil {
		l.why = err
		return l
	}
	l.typ, l.id = found.typ, found.id
	switch {
	case l.typ == "Bundle" && l.id == "" && (found.bundle == "batch" || found.bundle == "transaction"):
		l.whole = found.bundle
	case c.options.history && l.id == "":
		l.why = fhir.Errorf(fhir.BadRequest, fhir.Required, "id", "Without an id this cannot be kept as it was; load it without --history, or give it one.")
	case c.options.history:
		l.body, l.why = asHistory(raw, found.meta)
	case l.id == "" && !c.options.serverIDs:
		l.id = madeID(s.name, number, raw)
		l.body = withID(raw, found.typeEnd, l.id)
	}
	return l
}

// add adds a line that ends at a place to the chunk that is being filled.
func (c *cutter) add(ctx context.Context, l line, end place) error {
	var key uint64
	if l.why == nil && l.id != "" && l.whole == "" {
		key = c.queue.key(&l)
	}
	size := int64(len(l.raw) + len(l.body))
	if n := c.next; n != nil && (len(n.lines) >= c.options.batch || n.bytes+size > chunkBytes || l.whole != "" || n.has(key)) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	if c.next == nil {
		c.next = &chunk{}
	}
	n := c.next
	n.lines, n.end, n.bytes = append(n.lines, l), end, n.bytes+size
	if key != 0 {
		n.keys = append(n.keys, key)
	}
	if l.whole != "" {
		return c.flush(ctx)
	}
	return nil
}

func (c *chunk) has(key uint64) bool {
	if key == 0 {
		return false
	}
	for _, k := range c.keys {
		if k == key {
			return true
		}
	}
	return false
}

// flush hands out the chunk that is being filled, unless an earlier run has stored it.
func (c *cutter) flush(ctx context.Context) error {
	n := c.next
	if n == nil {
		return nil
	}
	c.next = nil
	n.number = c.count
	c.count++
	if c.begun(n.number) {
		return nil
	}
	if err := c.queue.room.Acquire(ctx, min(n.bytes, roomBytes)); err != nil {
		return context.Cause(ctx)
	}
	return c.queue.put(ctx, n)
}

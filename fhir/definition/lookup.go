package definition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxSame bounds how many stored resources may have one canonical URL.
const maxSame = 1000

// A flight is one look-up, which others wait for. The rest is set when done is closed.
type flight struct {
	done  chan struct{}
	epoch uint64
	known *known
	err   error
	alone bool // err is the end of who looked it up, and means nothing to others
}

// refresh looks a name up, or waits for somebody who does so. What it returns is not
// older than the call.
func (c *Catalog) refresh(ctx context.Context, e *entry) (*known, error) {
	epoch := e.epoch()
	for {
		e.mu.Lock()
		f := e.flight
		if f == nil {
			f = &flight{done: make(chan struct{}), epoch: e.epoch()}
			e.flight = f
			e.mu.Unlock()
			c.fly(ctx, e, f)
			return f.known, f.err
		}
		e.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a %s: %w", e.name.typ, context.Cause(ctx))
		}
		if f.known != nil && f.epoch >= epoch {
			return f.known, nil
		}
		if f.err != nil && !f.alone {
			return nil, f.err
		}
	}
}

// fly looks a name up for all who wait.
func (c *Catalog) fly(ctx context.Context, e *entry, f *flight) {
	finished := false
	defer func() {
		f.alone = !finished || ctx.Err() != nil
		e.mu.Lock()
		e.flight = nil
		e.mu.Unlock()
		close(f.done)
	}()
	k := &known{at: time.Since(c.start), epoch: f.epoch}
	k.all, f.err = c.lookUp(ctx, e)
	finished = true
	if f.err != nil {
		f.err = fmt.Errorf("find a %s by its canonical URL: %w", e.name.typ, f.err)
		return
	}
	k.newest = choose(k.all, "")
	f.known = k
	c.keep(e, k)
}

// keep makes k what is known, and forgets the texts that came along.
func (c *Catalog) keep(e *entry, k *known) {
	before := e.known.Load()
	for _, d := range k.all {
		if t, ok := d.source.(*text); ok && d != k.newest && (before == nil || !slices.Contains(before.all, d)) {
			t.bytes.Store(nil)
		}
	}
	e.known.Store(k)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.update(e)
}

// lookUp returns all definitions of a name. Those that are known already stay what
// they are.
func (c *Catalog) lookUp(ctx context.Context, e *entry) ([]*Definition, error) {
	if e.name.url == "" || isBase(e.name) {
		return nil, nil
	}
	all := c.builtIn(e.name)
	if c.stored == nil {
		return all, nil
	}
	stamps, err := c.stored.Current(ctx, e.name.typ, e.name.url)
	if err != nil {
		return nil, err
	}
	if len(stamps) > maxSame {
		return nil, fmt.Errorf("%d stored resources have this URL, more than %d", len(stamps), maxSame)
	}
	var before []*Definition
	if k := e.known.Load(); k != nil {
		before = k.all
	}
	for _, s := range stamps {
		i := slices.IndexFunc(before, func(d *Definition) bool { return d.Key == s.Key && d.Number == s.Number })
		if i >= 0 {
			all = append(all, before[i])
			continue
		}
		d, err := c.load(ctx, s)
		if err != nil {
			return nil, err
		}
		if d.URL == e.name.url && d.Type == e.name.typ {
			all = append(all, d)
		}
	}
	return all, nil
}

// load returns a stored definition with its text.
func (c *Catalog) load(ctx context.Context, s Stamp) (*Definition, error) {
	src, err := c.stored.Load(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("load version %d of %s: %w", s.Number, s.Key, err)
	}
	h, err := readHead(src)
	if err != nil {
		return nil, fmt.Errorf("read version %d of %s: %w", s.Number, s.Key, err)
	}
	t := &text{stamp: s}
	t.bytes.Store(&src)
	return &Definition{Type: s.Key.Type, URL: h.url, Version: h.version, Status: h.status, Key: s.Key, Number: s.Number, source: t}, nil
}

// fetch makes sure that the text of d is there.
func (c *Catalog) fetch(ctx context.Context, e *entry, d *Definition) error {
	t, ok := d.source.(*text)
	if !ok || t.bytes.Load() != nil {
		return nil
	}
	src, err := c.stored.Load(ctx, t.stamp)
	if err != nil {
		return fmt.Errorf("load version %d of %s: %w", t.stamp.Number, t.stamp.Key, err)
	}
	t.bytes.CompareAndSwap(nil, &src)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.update(e)
	return nil
}

// size returns the bytes of the text, 0 while it is not there.
func (t *text) size() int {
	if b := t.bytes.Load(); b != nil {
		return len(*b)
	}
	return 0
}

// A head is what stands at the top of a definition.
type head struct{ url, version, status string }

// readHead reads the head of a resource without decoding the rest.
func readHead(src []byte) (h head, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(src), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return head{}, errors.New("it is no JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return head{}, err
	}
	for h.url == "" || h.version == "" || h.status == "" {
		if d.PeekKind() == '}' {
			return h, nil
		}
		t, err := d.ReadToken()
		if err != nil {
			return head{}, err
		}
		if field := h.field(t.String()); field == nil || d.PeekKind() != '"' {
			err = d.SkipValue()
		} else if t, err = d.ReadToken(); err == nil {
			*field = t.String()
		}
		if err != nil {
			return head{}, err
		}
	}
	return h, nil
}

// field returns where a property is kept, nil for nowhere.
func (h *head) field(property string) *string {
	switch property {
	case "url":
		return &h.url
	case "version":
		return &h.version
	case "status":
		return &h.status
	}
	return nil
}

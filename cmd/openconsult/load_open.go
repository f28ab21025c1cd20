package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// reading is how much of a source is read at a time, in bytes.
const reading = 256 << 10

// An opened source gives what it holds, unpacked.
type opened struct {
	*bufio.Reader
	closers []io.Closer
}

// Close closes the source.
func (o *opened) Close() error {
	var problems []error
	for _, c := range o.closers {
		problems = append(problems, c.Close())
	}
	return errors.Join(problems...)
}

// open opens a source at an offset of what it holds, unpacked. What is read of it,
// as it is stored, is added to read.
func (f *fetcher) open(ctx context.Context, s source, from int64, read *atomic.Int64) (*opened, error) {
	raw, err := f.raw(ctx, s)
	if err != nil {
		return nil, err
	}
	counted := bufio.NewReaderSize(&counting{raw, read}, reading)
	head, err := counted.Peek(2)
	if err != nil && err != io.EOF {
		return nil, errors.Join(fmt.Errorf("read %s: %w", s.name, err), raw.Close())
	}
	o := &opened{counted, []io.Closer{raw}}
	if len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		unpacked, err := gzip.NewReader(counted)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("unpack %s: %w", s.name, err), raw.Close())
		}
		o.Reader, o.closers = bufio.NewReaderSize(unpacked, reading), []io.Closer{unpacked, raw}
	} else if file, ok := raw.(*os.File); ok && from > 0 && file != os.Stdin {
		if _, err := file.Seek(from, io.SeekStart); err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", s.name, err), raw.Close())
		}
		read.Add(from - int64(counted.Buffered()))
		counted.Reset(&counting{raw, read})
		return o, nil
	}
	if _, err := io.CopyN(io.Discard, o, from); err != nil {
		return nil, errors.Join(fmt.Errorf("go on in %s at byte %d: %w", s.name, from, err), o.Close())
	}
	return o, nil
}

func (f *fetcher) raw(ctx context.Context, s source) (io.ReadCloser, error) {
	switch {
	case s.name == "-":
		return os.Stdin, nil
	case s.web:
		return &download{ctx: ctx, fetcher: f, source: s}, nil
	}
	file, err := os.Open(s.name)
	if err != nil {
		return nil, fmt.Errorf("open what to load: %w", err)
	}
	return file, nil
}

// A counting reader counts what goes through it.
type counting struct {
	io.Reader
	read *atomic.Int64
}

// Read reads and counts.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// A download reads what is at an address, and goes on where it was when the
// connection is lost.
type download struct {
	ctx     context.Context
	fetcher *fetcher
	source  source
	at      int64
	body    io.ReadCloser // nil between connections
	lost    int           // connections in a row that gave nothing
}

// maxLost is how many connections in a row may be lost.
const maxLost = 8

// Read reads on, if need be over another connection.
func (d *download) Read(b []byte) (int, error) {
	var p pauses
	for {
		n, err := d.readOn(b)
		d.at += int64(n)
		if n > 0 {
			d.lost = 0
			return n, nil
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		_ = d.Close()
		if d.lost++; d.lost > maxLost || d.ctx.Err() != nil || isAnswer(err) {
			return 0, err
		}
		p.tries++
		if err := p.wait(d.ctx, 0); err != nil {
			return 0, err
		}
	}
}

func (d *download) readOn(b []byte) (int, error) {
	if d.body == nil {
		r, err := d.fetcher.get(d.ctx, d.source, d.at)
		if err != nil {
			return 0, err
		}
		d.body = r.Body
	}
	return d.body.Read(b)
}

// Close ends the connection.
func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	body := d.body
	d.body = nil
	return body.Close()
}

// An unexpected answer to a download will be the same the next time.
type unexpected struct{ answer error }

// Error says what was answered.
func (u *unexpected) Error() string { return u.answer.Error() }

func isAnswer(err error) bool {
	_, ok := errors.AsType[*unexpected](err)
	return ok
}

// get asks for what is at the address of a source, from a byte on.
func (f *fetcher) get(ctx context.Context, s source, from int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.name, nil)
	if err != nil {
		return nil, fmt.Errorf("read the address %s: %w", s.name, err)
	}
	r.Header.Set("Accept", "application/fhir+ndjson, application/fhir+json;q=0.9, application/json;q=0.8, */*;q=0.5")
	if from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	if token, err := f.tokens.get(ctx); err != nil {
		return nil, err
	} else if token != "" && s.token {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", s.name, err)
	}
	switch {
	case answer.StatusCode == http.StatusPartialContent && from > 0:
		return answer, nil
	case answer.StatusCode == http.StatusOK:
		if _, err := io.CopyN(io.Discard, answer.Body, from); err != nil {
			return nil, errors.Join(fmt.Errorf("get %s from byte %d: %w", s.name, from, err), answer.Body.Close())
		}
		return answer, nil
	}
	discard(answer)
	err = fmt.Errorf("get %s: the answer is %s", s.name, answer.Status)
	if passing(answer.StatusCode, nil) {
		return nil, err
	}
	return nil, &unexpected{err}
}

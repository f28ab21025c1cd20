package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// asking is a request that is no plain interaction with one resource.
type asking struct {
	method string
	// address is relative to the base, or absolute.
	address string
	body    []byte
	// header has what is to be sent beside the usual, nil for nothing.
	header http.Header
	// use reads the body of a success and returns its size; nil reads it and drops it.
	use func(io.Reader) (int64, error)
}

// told is an answer with its headers.
type told struct {
	answer
	header http.Header
}

// must returns an error for an answer that is no success.
func (a told) must(what string) error {
	if a.ok() {
		return nil
	}
	return fmt.Errorf("%s: status %d: %s", what, a.status, excerpt(a.text))
}

// ask sends a request and reads the whole answer.
func (t *httpTarget) ask(ctx context.Context, q asking) (told, error) {
	r, err := t.asked(ctx, q)
	if err != nil {
		return told{}, fmt.Errorf("%s %s: %w", q.method, q.address, err)
	}
	var a told
	err = t.wires.exchange(r, func(resp *http.Response) error {
		a.header = resp.Header
		if a.answer, err = take(refused(resp), op{kind: read}); err != nil || !a.ok() {
			return err
		}
		use := q.use
		if use == nil {
			use = func(body io.Reader) (int64, error) { return io.Copy(io.Discard, body) }
		}
		a.bytes, err = use(resp.Body)
		return err
	})
	if err != nil {
		return told{}, fmt.Errorf("%s %s: %w", q.method, q.address, err)
	}
	return a, nil
}

func (t *httpTarget) asked(ctx context.Context, q asking) (*http.Request, error) {
	target, err := t.resolve(q.address)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, "", body)
	if err != nil {
		return nil, err
	}
	h := t.headers.Load()
	r.URL, r.Host, r.Header = target, target.Host, h.plain
	if q.body != nil {
		r.Header = h.withBody
	}
	if q.header != nil {
		r.Header = r.Header.Clone()
		for name, values := range q.header {
			r.Header[name] = values
		}
	}
	return r, h.err
}

// resolve makes an address that the server or a workload names an absolute one.
func (t *httpTarget) resolve(address string) (*url.URL, error) {
	if strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://") {
		return url.Parse(address)
	}
	if address == "" {
		return url.Parse(t.base.String())
	}
	return url.Parse(t.base.String() + "/" + address)
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// search sends a GET to an address, relative or absolute, and hands its body on.
func (t *httpTarget) search(ctx context.Context, address string, use func(io.Reader) (int64, error)) (answer, error) {
	target, err := url.Parse(address)
	if err == nil && target.Host == "" {
		target, err = url.Parse(t.base.String() + "/" + address)
	}
	if err != nil {
		return answer{}, fmt.Errorf("search: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "", nil)
	if err != nil {
		return answer{}, fmt.Errorf("search: %w", err)
	}
	h := t.headers.Load()
	if h.err != nil {
		return answer{}, fmt.Errorf("search: %w", h.err)
	}
	r.URL, r.Host, r.Header = target, target.Host, h.plain
	var a answer
	err = t.wires.exchange(r, func(resp *http.Response) error {
		if a, err = take(refused(resp), op{kind: read}); err != nil || !a.ok() {
			return err
		}
		a.bytes, err = use(resp.Body)
		return err
	})
	if err != nil {
		return answer{}, fmt.Errorf("search %s: %w", address, err)
	}
	return a, nil
}

// refused returns r with no body to read, unless it is a refusal.
func refused(r *http.Response) *http.Response {
	if r.StatusCode >= http.StatusMultipleChoices {
		return r
	}
	empty := *r
	empty.Body = http.NoBody
	return &empty
}

package main

import (
	"context"
	"io"
	"net/http"
)

// search sends a GET to an address, relative or absolute, and hands its body on.
func (t *httpTarget) search(ctx context.Context, address string, use func(io.Reader) (int64, error)) (answer, error) {
	a, err := t.ask(ctx, asking{method: http.MethodGet, address: address, use: use})
	return a.answer, err
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

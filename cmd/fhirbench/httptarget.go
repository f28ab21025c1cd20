package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

const mediaType = "application/fhir+json"

// httpTarget is a FHIR server behind HTTP/1.1, with one connection kept open for each client. It takes no compression: the
// bytes counted are those of the resource, and unpacking them is not the server's work. It follows no redirect, which would
// measure two requests as one.
type httpTarget struct {
	wires   *wires
	base    url.URL
	headers atomic.Pointer[headers]
	stop    context.CancelFunc // ends the renewal of the token
}

func newHTTPTarget(ctx context.Context, c config) (*httpTarget, error) {
	base, err := url.Parse(c.base)
	if err != nil {
		return nil, fmt.Errorf("-base: %w", err)
	}
	if c.tokenCommand != "" {
		if c.token, err = printedToken(ctx, c.tokenCommand); err != nil {
			return nil, err
		}
	}
	t := &httpTarget{wires: newWires(base, c), base: *base}
	t.headers.Store(newHeaders(c.token, c.prefer))
	ctx, t.stop = context.WithCancel(ctx)
	if c.tokenCommand != "" {
		go t.renew(ctx, c)
	}
	return t, nil
}

func (t *httpTarget) close() {
	t.stop()
	t.wires.close()
}

func (t *httpTarget) do(ctx context.Context, o op) (answer, error) {
	request, err := t.request(ctx, o)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", o.kind, o.typeName, err)
	}
	var a answer
	err = t.wires.exchange(request, func(r *http.Response) error {
		a, err = take(r, o)
		return err
	})
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", o.kind, o.typeName, err)
	}
	return a, nil
}

func (t *httpTarget) request(ctx context.Context, o op) (*http.Request, error) {
	path := t.base.Path + "/" + o.typeName
	method := http.MethodPost
	switch o.kind {
	case read:
		method, path = http.MethodGet, path+"/"+o.id
	case vread:
		method, path = http.MethodGet, path+"/"+o.id+"/_history/"+o.version
	case update:
		method, path = http.MethodPut, path+"/"+o.id
	case remove:
		method, path = http.MethodDelete, path+"/"+o.id
	}
	var body io.Reader
	if o.body != nil {
		body = bytes.NewReader(o.body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "", body)
	if err != nil {
		return nil, err
	}
	address := t.base
	address.Path = path
	h := t.headers.Load()
	r.URL, r.Host, r.Header = &address, address.Host, h.plain
	if o.body != nil {
		r.Header = h.withBody
	}
	return r, h.err
}

// take reads the whole answer, which also frees the connection for the next request.
func take(r *http.Response, o op) (answer, error) {
	a := answer{status: r.StatusCode}
	if !a.ok() {
		const longestText = 2000
		text, err := io.ReadAll(io.LimitReader(r.Body, longestText))
		if err != nil {
			return answer{}, err
		}
		rest, err := io.Copy(io.Discard, r.Body)
		a.text, a.bytes = string(text), int64(len(text))+rest
		return a, err
	}
	if o.body != nil {
		a.id, a.version = named(r.Header)
	}
	if o.kind == create && a.id == "" {
		return takeNames(r.Body, a)
	}
	n, err := io.Copy(io.Discard, r.Body)
	a.bytes = n
	return a, err
}

// named reads the id and version of what was written from the headers that
// https://hl7.org/fhir/R4/http.html#create asks for.
func named(h http.Header) (id, version string) {
	version = strings.Trim(strings.TrimPrefix(h.Get("ETag"), "W/"), `"`)
	path, after, found := strings.Cut(h.Get("Location"), "/_history/")
	if found {
		version = after
	}
	return path[strings.LastIndexByte(path, '/')+1:], version
}

// takeNames reads id and version from the body, for servers that send no Location.
func takeNames(body io.Reader, a answer) (answer, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return answer{}, err
	}
	a.bytes = int64(len(text))
	var resource struct {
		ID   string `json:"id"`
		Meta struct {
			VersionID string `json:"versionId"`
		} `json:"meta"`
	}
	// A body that is no resource leaves the names empty, which the caller reports where it needs them.
	if json.Unmarshal(text, &resource) == nil {
		a.id, a.version = resource.ID, resource.Meta.VersionID
	}
	return a, nil
}

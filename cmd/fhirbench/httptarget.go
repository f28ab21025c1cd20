package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const mediaType = "application/fhir+json"

// httpTarget is a FHIR server behind HTTP/1.1, with one connection kept open for each client.
type httpTarget struct {
	client http.Client
	base   string
	header http.Header
	prefer string
}

func newHTTPTarget(c config) *httpTarget {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	header := http.Header{"Accept": {mediaType}, "User-Agent": {"fhirbench"}}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	t := &httpTarget{base: c.base, header: header, prefer: c.prefer}
	t.client = http.Client{
		Timeout: c.timeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: c.timeout, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConns:        c.clients,
			MaxIdleConnsPerHost: c.clients,
			Protocols:           &protocols,
			// The bytes counted are those of the resource, and unpacking them is not the server's work.
			DisableCompression: true,
			ReadBufferSize:     16 << 10,
			WriteBufferSize:    16 << 10,
		},
		// A redirect is an answer of the server's own, and following it would measure two requests as one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t
}

func (t *httpTarget) close() { t.client.CloseIdleConnections() }

func (t *httpTarget) do(ctx context.Context, o op) (answer, error) {
	request, err := t.request(ctx, o)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", o.kind, o.typeName, err)
	}
	response, err := t.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a, err := take(response, o)
	if err != nil {
		return answer{}, fmt.Errorf("body of the answer to %s %s: %w", o.kind, o.typeName, err)
	}
	return a, nil
}

func (t *httpTarget) request(ctx context.Context, o op) (*http.Request, error) {
	address := t.base + "/" + o.typeName
	method := http.MethodPost
	switch o.kind {
	case read:
		method, address = http.MethodGet, address+"/"+url.PathEscape(o.id)
	case vread:
		method, address = http.MethodGet, address+"/"+url.PathEscape(o.id)+"/_history/"+url.PathEscape(o.version)
	case update:
		method, address = http.MethodPut, address+"/"+url.PathEscape(o.id)
	case remove:
		method, address = http.MethodDelete, address+"/"+url.PathEscape(o.id)
	}
	var body io.Reader
	if o.body != nil {
		body = bytes.NewReader(o.body)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	t.setHeader(r, o)
	return r, nil
}

func (t *httpTarget) setHeader(r *http.Request, o op) {
	r.Header = t.header.Clone()
	if o.body == nil {
		return
	}
	r.Header.Set("Content-Type", mediaType)
	if t.prefer != "" {
		r.Header.Set("Prefer", "return="+t.prefer)
	}
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

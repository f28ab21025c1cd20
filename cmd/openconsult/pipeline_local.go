package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/store"
)

// An inProcess is a server without network, inside of a command: the same that
// serve runs, for a caller who is trusted.
type inProcess struct {
	handler http.Handler
	stop    []func() error // last one first
}

// inProcessBase returns the address that a server inside of the command has: its
// public one, so that it knows its own addresses in what it stores.
func inProcessBase(s *settings) string {
	if s.BaseURL != "" {
		return s.BaseURL
	}
	return "http://localhost/fhir"
}

// newInProcess opens the database of s and makes a server on it, one that works on jobs
// if that is asked for. It tells no subscribers: servers do.
func newInProcess(ctx context.Context, s *settings, jobs bool) (*inProcess, error) {
	db, err := reachDatabase(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	p := &inProcess{stop: []func() error{db.stop}}
	if err := p.serve(ctx, s, db, jobs); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *inProcess) serve(ctx context.Context, s *settings, db *database, jobs bool) error {
	log := slog.New(slog.DiscardHandler)
	data, err := store.Open(ctx, store.Config{DSN: db.dsn, Conns: s.Conns, Unsafe: s.Unsafe, BaseURL: s.BaseURL, Audit: s.audits(), Log: log})
	if err != nil {
		return err
	}
	p.stop = append(p.stop, data.Close)
	checks, closeChecks, err := openChecks(s, data, db)
	if err != nil {
		return err
	}
	p.stop = append(p.stop, closeChecks)
	x := &errands{settings: s, log: log, dsn: db.dsn, base: inProcessBase(s), grants: trustLocal(operator), share: bulk.LocalJobs}
	engine, err := x.newEngine(data, checks)
	if err != nil {
		return err
	}
	config := api.Config{
		Engine:   engine,
		Log:      log,
		BaseURL:  s.BaseURL,
		Version:  version(),
		Limits:   api.Limits{Body: s.MaxBody, Bundle: s.MaxBundle, Binary: s.MaxBinary},
		Writable: newDisk(s, db).writable,
		Caller:   func(*http.Request) (access.Grant, error) { return access.Trusted(operator), nil },
	}
	if err := x.open(data, &config); err != nil {
		return err
	}
	p.stop = append(p.stop, x.close)
	server, err := api.New(config)
	if err != nil {
		return err
	}
	x.perform, p.handler = server.Performer(), server.Handler()
	p.work(ctx, data.RunPulse)
	if jobs {
		p.work(ctx, x.jobs.Run)
	}
	return nil
}

// operator is the client that a command on a database acts as.
const operator = "operator"

// work has something done until p is closed.
func (p *inProcess) work(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	p.stop = append(p.stop, func() error {
		cancel()
		return <-done
	})
}

func (p *inProcess) close() error {
	var problems []error
	for i := len(p.stop) - 1; i >= 0; i-- {
		problems = append(problems, p.stop[i]())
	}
	return errors.Join(problems...)
}

// RoundTrip has the handler answer a request. The body of the answer is passed on
// while it is written.
func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	asked.RequestURI, asked.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	asked.Proto, asked.ProtoMajor, asked.ProtoMinor = "HTTP/1.1", 1, 1
	if asked.Host == "" {
		asked.Host = r.URL.Host
	}
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	body, out := io.Pipe()
	w := &answering{header: http.Header{}, out: out, begun: make(chan struct{})}
	go func() {
		defer asked.Body.Close()
		p.handler.ServeHTTP(w, asked)
		w.WriteHeader(http.StatusOK)
		_ = out.Close()
	}()
	select {
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	case <-w.begun:
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: r,
	}, nil
}

// An answering is an answer that is being written. It is one goroutine's.
type answering struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	once   sync.Once
	begun  chan struct{}
	out    *io.PipeWriter
}

// Header returns the headers to be sent.
func (w *answering) Header() http.Header { return w.header }

// WriteHeader sends the status and the headers.
func (w *answering) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write sends some of the body.
func (w *answering) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(b)
}

// Flush is here for handlers that ask for it: what is written is passed on at once.
func (w *answering) Flush() { w.WriteHeader(http.StatusOK) }

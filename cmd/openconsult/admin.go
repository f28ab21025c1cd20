package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/store"
)

// An admin is the listener for those who run the server. It shows nothing of
// what is stored.
type admin struct {
	listener net.Listener // nil is off
	data     *store.DB
	leaving  atomic.Bool
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	sent     *prometheus.CounterVec
	let      *prometheus.HistogramVec // in, or not
	doubts   prometheus.Counter
}

func newAdmin(s *settings, data *store.DB) (*admin, error) {
	a := &admin{data: data, sent: newSent(), let: newAdmission(), doubts: newDoubts()}
	a.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "openconsult_request_seconds",
		Help:    "Time to answer requests, by method, route and status.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	}, []string{"method", "route", "status"})
	a.registry = newRegistry(a)
	if s.AdminAddr == "" {
		return a, nil
	}
	var err error
	if a.listener, err = net.Listen("tcp", s.AdminAddr); err != nil {
		return nil, fmt.Errorf("listen on --admin-addr: %w", err)
	}
	return a, nil
}

// startAdmin is newAdmin, with metrics that need the database and the certificate of a
// server. What close returns gives a connection back.
func startAdmin(s *settings, data *store.DB, db *database, log *slog.Logger) (a *admin, close func() error, err error) {
	if a, err = newAdmin(s, data); err != nil {
		return nil, nil, err
	}
	if err := a.observeMachine(s, db); err != nil {
		return nil, nil, err
	}
	pool, err := sql.Open("postgres", db.dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(1)
	return a, pool.Close, a.registry.Register(newBacklog(a, pool, log))
}

func (a *admin) address() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

func (a *admin) observe(o api.Observation) {
	a.requests.WithLabelValues(o.Method, o.Route, strconv.Itoa(o.Status)).Observe(o.Took.Seconds())
	observeAdmission(a.let, o)
}

func (a *admin) notReady() { a.leaving.Store(true) }

func (a *admin) run(ctx context.Context, log *slog.Logger) error {
	if a.listener == nil {
		<-ctx.Done()
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /health", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return run(ctx, a.listener, mux, func() {}, log)
}

// ready says whether requests can be answered now.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	if a.leaving.Load() {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	if err := a.data.Ping(r.Context()); err != nil {
		http.Error(w, "the database does not answer, or is used by a newer program", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

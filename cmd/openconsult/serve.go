package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/api/web"
	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/store"
)

// The times of a graceful stop.
const (
	drain = 25 * time.Second       // for requests under way
	grace = 200 * time.Millisecond // between saying that we are not ready, taking no more connections, and no more requests
)

func serveCommand() *cobra.Command {
	return command("serve", "Serve FHIR until interrupted", func(ctx context.Context, s *settings, _ []string) error {
		return serve(ctx, s, newLog(s))
	})
}

// The heap of a server is small and made anew with every request, so collecting
// it less often costs little memory and saves much time. Under a large body the
// limit sees to it that the heap does not grow by the same factor.
const (
	collectAt   = 200       // percent of what is in use; GOGC
	memoryLimit = 256 << 20 // bytes; GOMEMLIMIT
)

// tuneMemory sets how memory is collected, unless the environment does.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func serve(ctx context.Context, s *settings, log *slog.Logger) error {
	tuneMemory()
	if err := checkAuth(s); err != nil {
		return err
	}
	certificate, err := certificate(s)
	if err != nil {
		return err
	}
	// Whether the address is free is known before the database is touched.
	listener, err := net.Listen("tcp", s.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on --addr: something else listens on %s already, perhaps another server; stop it or give another --addr: %w", s.Addr, err)
	}
	if err != nil {
		return fmt.Errorf("listen on --addr: %w", err)
	}
	defer listener.Close()
	db, err := openDatabase(ctx, s, log)
	if err != nil {
		return err
	}
	err = serveOn(ctx, s, log, db, secured(listener, certificate))
	return errors.Join(err, db.stop())
}

func secured(l net.Listener, certificate *tls.Certificate) net.Listener {
	if certificate == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}, NextProtos: []string{"h2", "http/1.1"}})
}

func serveOn(ctx context.Context, s *settings, log *slog.Logger, db *database, listener net.Listener) error {
	base := s.BaseURL
	if base == "" && s.Auth == "smart" {
		base = localBase(listener, s)
	}
	data, err := store.Open(ctx, store.Config{DSN: db.dsn, Conns: s.Conns, Unsafe: s.Unsafe, BaseURL: base, Audit: s.audits(), Log: log})
	if err != nil {
		return err
	}
	return errors.Join(serveData(ctx, s, log, db, listening{listener, base, data}), data.Close())
}

// A listening is a server's address, its public one, and its data.
type listening struct {
	listener net.Listener
	base     string
	data     *store.DB
}

func serveData(ctx context.Context, s *settings, log *slog.Logger, db *database, l listening) error {
	admin, closeAdmin, err := startAdmin(s, l.data, db, log)
	if err != nil {
		return err
	}
	defer closeAdmin()
	proxies, err := s.proxies()
	if err != nil {
		return err
	}
	checks, closeChecks, err := openChecks(s, l.data, db)
	if err != nil {
		return err
	}
	defer closeChecks()
	x := &errands{settings: s, log: log, dsn: db.dsn, base: cmp.Or(l.base, localBase(l.listener, s)), grants: trustLocal("trusted"), share: bulk.LocalJobs, sent: admin.sent}
	engine, err := x.readyEngine(ctx, l.data, checks)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	config := api.Config{
		Engine:   engine,
		Log:      log,
		BaseURL:  l.base,
		Version:  version(),
		Limits:   api.Limits{Body: s.MaxBody, Bundle: s.MaxBundle, Binary: s.MaxBinary, Conns: l.data.Stats().MaxOpenConnections},
		Purge:    s.Purge,
		Proxies:  proxies,
		Stopping: ctx.Done(),
		Writable: newDisk(s, db).writable,
		Observe:  admin.observe,
		Doubted:  admin.doubts.Inc,
	}
	r, err := admitCallers(ctx, s, db, &config)
	if err != nil {
		return err
	}
	if r != nil {
		defer r.pool.Close()
		x.grants, x.share = r.signIn.Regrant, bulk.OtherJobs
		group.Go(func() error { return keepKeys(ctx, r.authority, log) })
	}
	if err := x.open(l.data, &config); err != nil {
		return err
	}
	server, err := api.New(config)
	if err != nil {
		return errors.Join(err, x.close())
	}
	x.perform = server.Performer()
	log.Info("serving", "fhir", l.listener.Addr().String(), "admin", admin.address(), "version", version())
	group.Go(func() error { return run(ctx, l.listener, server.Handler(), admin.notReady, log) })
	group.Go(func() error { return admin.run(ctx, log) })
	group.Go(func() error { return sweep(ctx, checks.Terms, log) })
	group.Go(func() error { return scan(ctx, s, engine, log) })
	x.run(ctx, group, l.data)
	tellDemo(ctx, s, r, log)
	return errors.Join(group.Wait(), x.close())
}

// admitCallers has c ask who sends a request, or trust everybody. The registry is nil
// then; otherwise its pool is to be closed at the end.
func admitCallers(ctx context.Context, s *settings, db *database, c *api.Config) (*registry, error) {
	if s.Auth == "none" {
		trustAll(c, s, c.Log)
		return nil, nil
	}
	return startSignIn(ctx, s, db, c)
}

// tellDemo says how to try a server that has the demo.
func tellDemo(ctx context.Context, s *settings, r *registry, log *slog.Logger) {
	if !s.Demo {
		return
	}
	if err := showDemo(ctx, os.Stdout, s, r); err != nil {
		log.WarnContext(ctx, "how to try the demo cannot be told", "error", err)
	}
}

// trustAll has a server trust whoever reaches it.
func trustAll(c *api.Config, s *settings, log *slog.Logger) {
	c.Caller = func(r *http.Request) (access.Grant, error) {
		return auth.Local(s.BaseURL, r.Host, r.Header.Get("Origin"))
	}
	if base := strings.TrimRight(s.BaseURL, "/"); base == "" || base != originOf(base) {
		c.Pages = map[string]http.Handler{web.FrontPath: web.Open(cmp.Or(base, "/fhir"))}
	}
	log.Warn("there is no sign-in: whoever reaches this address may read and change everything", "auth", "none")
}

// localBase returns the address of a server that was given none: on the machine
// it runs on.
func localBase(l net.Listener, s *settings) string {
	scheme := "http"
	if s.TLS != "" || s.TLSCert != "" {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return ""
	}
	return scheme + "://localhost:" + port + "/fhir"
}

// audits reports whether who did what is recorded.
func (s *settings) audits() bool { return s.Audit == "on" || s.Audit == "auto" && s.Auth != "none" }

// run serves handler until ctx is done, then lets the requests under way finish.
func run(ctx context.Context, l net.Listener, handler http.Handler, leaving func(), log *slog.Logger) error {
	server := &http.Server{
		Handler:           parting(ctx, handler),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	leaving()
	time.Sleep(grace)
	// Shutdown drops requests that it has not begun to read, so those on
	// connections that are there already get a moment.
	_ = l.Close()
	<-done
	time.Sleep(grace)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}

// parting tells clients, once ctx is done, to come back on another connection.
// One that is kept could be closed just when the next request is on its way.
func parting(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// checkAuth makes sure that a server without sign-in can only be reached from
// its own machine, and that one with sign-in has an address to be known by.
func checkAuth(s *settings) error {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("read --addr: %w", err)
	}
	switch local := auth.IsLoopback(host); {
	case s.Auth == "none" && !local:
		return fmt.Errorf("--auth=none serves on loopback only: use --addr 127.0.0.1:PORT, not %s", s.Addr)
	case s.Auth == "smart" && !local && s.BaseURL == "" && !s.Demo:
		return fmt.Errorf("with --addr %s the server is reached under a name that it does not know: give --base-url, such as https://fhir.example.org/fhir", s.Addr)
	case s.Auth != "none" && s.Auth != "smart":
		return fmt.Errorf("--auth is smart or none")
	}
	return nil
}

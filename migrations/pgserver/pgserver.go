package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// role is the superuser of a private cluster, and database the one database made in it.
	role     = "openconsult"
	database = "openconsult"

	// stopPatience bounds the wait for a shutdown, which ends with a checkpoint.
	stopPatience = 2 * time.Minute
)

// Config says where a cluster lives. Only Dir is required.
type Config struct {
	// Dir holds everything of the cluster. It is made if it does not exist.
	Dir string

	// Log receives starts, restarts and stops; nil discards them.
	Log *slog.Logger

	// BinDir is the directory of the PostgreSQL programs. Empty means to look in PATH and where distributions put them.
	BinDir string

	// Settings are PostgreSQL settings that replace the tuned ones, such as {"shared_buffers": "64MB"}. With fsync=off, initdb does not
	// wait for the disk either.
	Settings map[string]string
}

// Server is a running cluster. Its methods may be called from several goroutines.
type Server struct {
	cluster *cluster
	lock    *os.File

	mu      sync.Mutex
	process *postmaster

	once     sync.Once
	quit     chan struct{} // closed by Stop and Detach
	done     chan struct{} // closed when supervision has ended
	restarts atomic.Int64
}

// Start makes the cluster if there is none, starts it or adopts the one that still runs, and returns when it answers. Recovery after a
// crash takes as long as it takes: the context bounds it. From then on a postmaster that dies is started again until [Server.Stop].
func Start(ctx context.Context, cfg Config) (*Server, error) {
	c, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	held, err := acquire(c.path("lock"))
	if err != nil {
		return nil, err
	}
	s := &Server{cluster: c, lock: held, quit: make(chan struct{}), done: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.abandon(), held.Close())
	}
	go s.supervise()
	return s, nil
}

// DSN is a lib/pq connection string for the cluster's database. It stays the same over restarts.
func (s *Server) DSN() string { return s.cluster.dsn(database) }

// Dir is the absolute path of the cluster's directory.
func (s *Server) Dir() string { return s.cluster.dir }

// PID is the process id of the present postmaster. It changes with a restart.
func (s *Server) PID() int { return s.current().pid }

// Restarts counts how often a postmaster that died was replaced.
func (s *Server) Restarts() int64 { return s.restarts.Load() }

// Done is closed when nobody looks after the cluster any more, after [Server.Stop] or [Server.Detach].
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends all sessions, shuts PostgreSQL down cleanly and waits for its end; one that recovers from a crash is ended as it is, and
// recovers at the next start. An error means that it still runs after two minutes;
// no data is lost in any case. A second call does nothing.
func (s *Server) Stop() error {
	var err error
	s.once.Do(func() { err = s.end((*Server).abandon) })
	return err
}

// Detach leaves PostgreSQL running for others and gives up the directory: another [Start] adopts it.
func (s *Server) Detach() error {
	var err error
	s.once.Do(func() { err = s.end(func(*Server) error { return nil }) })
	return err
}

func (s *Server) end(last func(*Server) error) error {
	close(s.quit)
	<-s.done
	return errors.Join(last(s), s.lock.Close())
}

// abandon shuts down the present postmaster, if any.
func (s *Server) abandon() error {
	p := s.current()
	if p == nil {
		return nil
	}
	s.cluster.log.Info("stopping postgres", "pid", p.pid)
	how := fast
	if s.cluster.isRecovering() {
		how = immediate
	}
	return p.end(how, stopPatience)
}

// open brings the cluster from whatever state its directory is in to answering.
func (s *Server) open(ctx context.Context) error {
	if err := s.cluster.create(ctx); err != nil {
		return err
	}
	s.cluster.keepSockets()
	if err := s.cluster.configure(ctx); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	if err := s.cluster.createDatabase(ctx); err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	return nil
}

func (s *Server) current() *postmaster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (s *Server) setCurrent(p *postmaster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
}

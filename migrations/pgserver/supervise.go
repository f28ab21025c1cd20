package pgserver

import (
	"context"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// supervise replaces a postmaster that dies, until the server quits. It never gives up: a full disk, for one, is cleared one day.
func (s *Server) supervise() {
	defer close(s.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	for s.awaitDeath(ctx) {
		s.revive(ctx)
	}
}

// awaitDeath says whether the postmaster died before the server quit.
func (s *Server) awaitDeath(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.current().exited:
		return ctx.Err() == nil
	}
}

func (s *Server) revive(ctx context.Context) {
	log := s.cluster.log
	log.Warn("postgres ended; starting it again", "pid", s.current().pid)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if wait(ctx, pause) != nil {
			return
		}
		err := s.launch(ctx)
		if err == nil {
			s.restarts.Add(1)
			return
		}
		if ctx.Err() != nil {
			return
		}
		log.Error("postgres does not start", "err", err)
	}
}

package conformance_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// The states of a wire.
const (
	whole   int32 = iota
	mute          // nothing gets through until it is whole again
	cutting       // an answer is lost, and its connection breaks off
)

// A wire is between a server and its database, and can fail.
type wire struct {
	dsn   string
	state atomic.Int32
	spare atomic.Int32 // how many answers still get through before one is lost
	trips atomic.Int64 // how often somebody has asked the database and waited for its answer
}

// cluster returns a migrated database of the test's own that can be stopped.
func cluster(t *testing.T) *pgserver.Server {
	t.Helper()
	c := pgtest.Cluster(t)
	db, err := sql.Open("postgres", c.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrations.Up(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	return c
}

// newWire leads to a cluster.
func newWire(t *testing.T, c *pgserver.Server) *wire {
	t.Helper()
	const socket = ".s.PGSQL.5432"
	dir := pgtest.Dir(t)
	l, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{dsn: fmt.Sprintf("%s host='%s'", c.DSN(), dir)} // the later of two settings holds
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", filepath.Join(c.Dir(), "run", socket))
			if err != nil {
				from.Close()
				continue
			}
			background := new(atomic.Bool)
			go w.ask(from, to, background)
			go w.answer(to, from, background)
		}
	}()
	return w
}

// ask takes questions to the database until one end is closed, and notes whether
// they are those of an indexer, which comes by at any time.
func (w *wire) ask(from, to net.Conn, background *atomic.Bool) {
	var said speech
	w.carry(from, to, func(b []byte) bool {
		w.trips.Add(said.questions(b))
		if bytes.Contains(b, []byte("SELECT FROM reindex_job")) {
			background.Store(true)
		}
		return true
	})
}

// answer takes answers back, but for one that is to be lost.
func (w *wire) answer(from, to net.Conn, background *atomic.Bool) {
	w.carry(from, to, func([]byte) bool {
		if background.Load() || w.state.Load() != cutting || w.spare.Add(-1) >= 0 || !w.state.CompareAndSwap(cutting, whole) {
			return true
		}
		w.spare.Store(0)
		return false
	})
}

// carry takes bytes in one direction, unless pass stops them, until one end is
// closed.
func (w *wire) carry(from, to net.Conn, pass func([]byte) bool) {
	defer from.Close()
	defer to.Close()
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		for w.state.Load() == mute {
			time.Sleep(time.Millisecond)
		}
		if !pass(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A speech is what a client says to Postgres, as far as it was heard.
// https://www.postgresql.org/docs/15/protocol-message-formats.html
type speech struct {
	begun bool   // the startup message, which has no type, is over
	head  []byte // of the next message, as much as there is
	rest  int    // how many bytes of the last message are to come
}

// questions returns after how many messages of b the client waits: those that are a query or end
// a series of others.
func (s *speech) questions(b []byte) (n int64) {
	for len(b) > 0 {
		if s.rest > 0 {
			skip := min(s.rest, len(b))
			s.rest, b = s.rest-skip, b[skip:]
			continue
		}
		need := 5
		if !s.begun {
			need = 4
		}
		take := min(need-len(s.head), len(b))
		s.head, b = append(s.head, b[:take]...), b[take:]
		if len(s.head) < need {
			break
		}
		s.rest = int(binary.BigEndian.Uint32(s.head[need-4:])) - 4
		if s.begun && (s.head[0] == 'Q' || s.head[0] == 'S') {
			n++
		}
		s.begun, s.head = true, s.head[:0]
	}
	return n
}

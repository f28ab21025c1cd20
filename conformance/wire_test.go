package conformance_test

import (
	"context"
	"database/sql"
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
	cutting       // the next answer is lost, and its connection breaks off
)

// A wire is between a server and its database, and can fail.
type wire struct {
	dsn   string
	state atomic.Int32
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
			go w.carry(from, to, false)
			go w.carry(to, from, true)
		}
	}()
	return w
}

// carry takes bytes in one direction until one end is closed.
func (w *wire) carry(from, to net.Conn, answers bool) {
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
		if answers && w.state.CompareAndSwap(cutting, whole) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

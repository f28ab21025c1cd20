package store

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// silence is how long the database may say nothing in the middle of a statement.
// It ends statements by itself before that, so a longer silence means that it
// hangs or cannot be reached any more.
const silence = statementTimeout + 2*time.Second

// slowestLink is the least rate, in bytes a second, at which a statement must go
// out.
const slowestLink = 1 << 20

// A dialer makes connections to Postgres.
type dialer struct {
	net     net.Dialer
	silence time.Duration // zero waits for ever
}

// Dial connects without a limit of time.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout connects within a limit of time.
func (d dialer) DialTimeout(network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext connects until ctx is done.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &link{Conn: c, silence: d.silence}, nil
}

// A link is a connection that never ends in silence, and never by a bare EOF.
// lib/pq takes that for a statement that can safely be sent again, and
// database/sql then does: a write that was committed and whose answer was lost
// would run twice, and be refused for what its first run did.
type link struct {
	net.Conn
	silence  time.Duration
	starting atomic.Bool // no statement was sent yet: lib/pq has set a deadline of its own
}

// SetDeadline is called by lib/pq with a moment before the start of a session
// and with zero after it.
func (l *link) SetDeadline(t time.Time) error {
	l.starting.Store(!t.IsZero())
	return l.Conn.SetDeadline(t)
}

// Read reads what the database says.
func (l *link) Read(b []byte) (int, error) {
	if l.starting.Load() {
		n, err := l.Conn.Read(b)
		return n, lost("dial", l.Conn, err)
	}
	if err := l.limit(l.SetReadDeadline, 0); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(b)
	return n, lost("read", l.Conn, err)
}

// Write sends a statement.
func (l *link) Write(b []byte) (int, error) {
	if !l.starting.Load() {
		if err := l.limit(l.SetWriteDeadline, time.Duration(len(b)/slowestLink)*time.Second); err != nil {
			return 0, err
		}
	}
	return l.Conn.Write(b)
}

func (l *link) limit(set func(time.Time) error, more time.Duration) error {
	if l.silence == 0 {
		return nil
	}
	return set(time.Now().Add(l.silence + more))
}

// lost returns err as one of the network during op.
func lost(op string, c net.Conn, err error) error {
	e, ok := errors.AsType[*net.OpError](err)
	switch {
	case err == nil, ok && e.Op == op:
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &net.OpError{Op: op, Net: c.RemoteAddr().Network(), Addr: c.RemoteAddr(), Err: err}
}

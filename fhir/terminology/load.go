package terminology

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"time"
)

// An origin says what a code system in tables was read from.
type origin struct {
	source string // "CodeSystem/id", or what stands for it
	number int    // of its version
	kept   bool   // it cannot be read again when it is asked for
}

// lock returns the text whose hash is the advisory lock of o.
func (o origin) lock() string { return fmt.Sprintf("terminology %s %d", o.source, o.number) }

// A reading is a code system as it is read in.
type reading struct {
	header
	properties []string // that concepts may have, beside those that one has
	concepts   iter.Seq2[*concept, error]
}

// load reads a code system into the tables, unless it is there, and opens it. One
// server reads it; the others that want it wait. Concepts are read once; codes that
// come twice and empty ones are left out. What is broken off is never used, and
// removed by the next [Service.Sweep].
//
// It goes in in many short transactions: one that is open for a minute would hold
// back all that waits for the oldest one, such as _since of an export.
func (s *Service) load(ctx context.Context, o origin, from reading) (*table, error) {
	conn, release, err := s.turn(ctx, o)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return s.open(ctx, s.config.DB, o)
	}
	whole := false
	defer func() { release(whole) }()
	if t, err := s.open(ctx, conn, o); t != nil || err != nil {
		whole = err == nil
		return t, err
	}
	h := from.header
	const begin = `INSERT INTO terminology_system (source, number, state, kept, url, version, name, title, content, case_sensitive, hierarchy, language, supplements)
		VALUES ($1, $2, 'loading', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING system`
	w := &writer{conn: conn, head: &h, index: newIndex(&h)}
	for _, p := range from.properties {
		w.index.properties[p] = true
	}
	if err := conn.QueryRowContext(ctx, begin, o.source, o.number, o.kept, h.url, h.version, h.name, h.title, h.content, h.caseSensitive, h.hierarchy, h.language, h.supplements).Scan(&w.system); err != nil {
		return nil, fmt.Errorf("begin to read in a code system: %w", err)
	}
	if err := w.write(ctx, from.concepts); err != nil {
		return nil, fmt.Errorf("read in a code system: %w", err)
	}
	whole = true
	return s.open(ctx, conn, o)
}

// The pauses between two looks at whether another server has read a code system in.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// turn waits until this server may read o in, and returns the session that has the
// lock, or nil when another one has read it in.
func (s *Service) turn(ctx context.Context, o origin) (*sql.Conn, func(whole bool), error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		conn, err := s.config.DB.Conn(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("get a session to read a code system in: %w", err)
		}
		var mine bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, o.lock()).Scan(&mine); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("take the lock of a code system: %w", err), discard(conn))
		}
		if mine {
			return conn, func(whole bool) { giveBack(ctx, conn, o, whole) }, nil
		}
		if err := conn.Close(); err != nil {
			return nil, nil, fmt.Errorf("give a session back: %w", err)
		}
		if t, err := s.open(ctx, s.config.DB, o); t != nil || err != nil {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("wait for a code system: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// giveBack gives the lock of o and the session back. A session that was left in the
// middle of something, or cannot do so, ends, and its lock with it.
func giveBack(ctx context.Context, conn *sql.Conn, o origin, whole bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if whole {
		_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, o.lock())
		whole = err == nil
	}
	if !whole {
		_ = discard(conn) // it is of no use any more
		return
	}
	_ = conn.Close()
}

// discard ends a session.
func discard(conn *sql.Conn) error {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // it returns just that
	return conn.Close()
}

// The times after which what is not used goes.
const (
	supersededFor = time.Hour           // beside a newer version of the same source
	unusedFor     = 30 * 24 * time.Hour // otherwise; it is read in again when it is asked for
)

// Sweep removes code systems from the tables that are broken off, superseded, or have
// not been used for long. It may be called at any time, by several servers at once.
func (s *Service) Sweep(ctx context.Context) error {
	const retire = `UPDATE terminology_system s SET state = 'gone'
		WHERE state = 'ready' AND (used < clock_timestamp() - $2 * interval '1 second' AND NOT kept
			OR used < clock_timestamp() - $1 * interval '1 second'
				AND EXISTS (SELECT FROM terminology_system n WHERE n.source = s.source AND n.number > s.number AND n.state = 'ready'))`
	if _, err := s.config.DB.ExecContext(ctx, retire, supersededFor.Seconds(), unusedFor.Seconds()); err != nil {
		return fmt.Errorf("find code systems that are not used: %w", err)
	}
	// Who reads one in holds its lock; a statement that takes it gives it back at its end.
	const broken = `UPDATE terminology_system SET state = 'gone' WHERE state = 'loading'
		AND pg_try_advisory_xact_lock(hashtextextended('terminology ' || source || ' ' || number, 0))`
	if _, err := s.config.DB.ExecContext(ctx, broken); err != nil {
		return fmt.Errorf("find code systems that were not read to their end: %w", err)
	}
	rows, err := s.config.DB.QueryContext(ctx, `SELECT system FROM terminology_system WHERE state = 'gone'`)
	if err != nil {
		return fmt.Errorf("list code systems that go: %w", err)
	}
	gone, err := integers(rows)
	if err != nil {
		return fmt.Errorf("list code systems that go: %w", err)
	}
	for _, system := range gone {
		if err := s.remove(ctx, system); err != nil {
			return fmt.Errorf("remove a code system: %w", err)
		}
	}
	return nil
}

// remove deletes what belongs to a code system that is gone, in short transactions.
func (s *Service) remove(ctx context.Context, system int) error {
	const rows = 20_000
	for _, statement := range []string{
		`DELETE FROM terminology_concept WHERE ctid = ANY (ARRAY(SELECT ctid FROM terminology_concept WHERE system = $1 LIMIT $2))`,
		`DELETE FROM terminology_above WHERE ctid = ANY (ARRAY(SELECT ctid FROM terminology_above WHERE system = $1 LIMIT $2))`,
		`DELETE FROM terminology_set WHERE ctid = ANY (ARRAY(SELECT ctid FROM terminology_set WHERE system = $1 LIMIT $2))`,
	} {
		for {
			done, err := s.config.DB.ExecContext(ctx, statement, system, rows)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				break
			}
		}
	}
	_, err := s.config.DB.ExecContext(ctx, `DELETE FROM terminology_system WHERE system = $1 AND state = 'gone'`, system)
	return err
}

// integers reads rows of one number.
func integers(rows *sql.Rows) (all []int, err error) {
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// A Follower has one of all servers on a database follow the feed for a purpose. What comes of
// a page is stored in one transaction with the place behind the page, and only while nobody
// else has taken over: each version counts once, whoever is killed when.
//
// Its table has one row with the columns position, node, fence and lease. The position is
// empty until the feed is followed for the first time. The lease is the time until which the
// server with that node may follow; the fence is one more with each server that takes over.
//
// Store, SQL, Table, Node, Name and Take are needed.
type Follower struct {
	Store *DB
	SQL   *sql.DB // where the table is: the database of Store
	Table string  // a constant of the package that owns it
	Node  string  // what this server is called, and no other one
	Name  string  // what it is for, in messages: "the planning of timers"

	// Take returns what comes of a page of the feed, which may be empty. One goroutine of a
	// server calls it, and Load, Before and Rest. A fault ends the turn of this server.
	Take func(ctx context.Context, page []Followed) (Taken, error)

	// Types returns those of the resources that Take is given. With nil, or no type, it is all.
	Types func() []string
	// Load is called when this server begins to follow, before anything else; nil does nothing.
	Load func(ctx context.Context) error
	// Rest is called when there is nothing left to take, between looks; nil does nothing.
	Rest func(ctx context.Context) error
	// Before returns what is to be stored of what was written before the place from which the
	// feed is followed: at the first time, or since nobody knows when because the place was
	// lost, as by a restore. It comes in pages: each one after a word that is empty for the
	// first, with the word for the next one, which is empty at the end. A page may come again.
	// With nil there is nothing of the kind.
	Before func(ctx context.Context, after string, lost bool) (Taken, string, error)

	Page    int                                                              // versions in a page; 500 if zero
	Lease   time.Duration                                                    // after it, another server may take over from one that is silent; 10 seconds if zero
	Now     func() time.Time                                                 // nil, or the zero Time, for that of the database
	Wait    func(ctx context.Context, d time.Duration, wake <-chan struct{}) // nil for [Wait]
	Crashed func() bool                                                      // whether this server does as if it were killed: it stores nothing, and lets leases run out; nil for never
	Log     *slog.Logger                                                     // nil for none
}

// A Taken is what comes of a page of the feed.
type Taken struct {
	Keep  func(ctx context.Context, tx *sql.Tx) error // stores it, in the transaction of the place; nil if there is nothing to store
	Kept  func()                                      // is called when it is stored; nil does nothing
	More  bool                                        // there is more to take at once, whatever the feed has
	Again bool                                        // the page is to be read again, as when Types has changed; nothing is stored
}

const (
	followIdle   = time.Second            // between looks when nobody says that there is something
	followGather = 100 * time.Millisecond // between looks at least: what is written meanwhile is looked at together
	followRetry  = time.Second            // before trying again, twice as long each time up to
	followCalm   = 5 * time.Second
)

// errTakenOver means that another server follows now.
var errTakenOver = errors.New("another server has taken over")

// A term is the time in which this server follows.
type term struct {
	*Follower
	fence    int64
	position string
	stored   time.Time // when the lease was renewed last, by the clock of this server
	steps    int
}

// Run follows whenever the lease can be had, until ctx is done and nothing is under way any
// more. What fails is logged and tried again, after a pause that becomes longer.
func (f Follower) Run(ctx context.Context) {
	f.fill()
	for faults := 0; ctx.Err() == nil; {
		t, err := f.takeOver(ctx)
		if t != nil {
			err = t.serve(ctx)
			t.giveUp(ctx)
		}
		switch {
		case err == nil || errors.Is(err, errTakenOver) || ctx.Err() != nil:
			faults = 0
		case t != nil && t.steps > 0:
			faults = 1
		default:
			faults++
		}
		if faults > 0 {
			f.complain(ctx, err)
		}
		f.Wait(ctx, min(followCalm, followRetry<<min(max(0, faults-1), 8)), nil)
	}
}

func (f *Follower) fill() {
	f.Page, f.Lease = cmp.Or(f.Page, 500), cmp.Or(f.Lease, 10*time.Second)
	if f.Types == nil {
		f.Types = func() []string { return nil }
	}
	if f.Wait == nil {
		f.Wait = Wait
	}
	if f.Crashed == nil {
		f.Crashed = func() bool { return false }
	}
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
}

// complain says that something has failed. What is only to be waited for is no error.
func (f *Follower) complain(ctx context.Context, err error) {
	level := slog.LevelError
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unavailable {
		level = slog.LevelWarn
	}
	f.Log.Log(ctx, level, "the feed is not followed; it is tried again", "for", f.Name, "error", err)
}

// at returns the time for a statement, NULL for that of the database.
func (f *Follower) at() sql.NullTime {
	if f.Now == nil {
		return sql.NullTime{}
	}
	now := f.Now()
	return sql.NullTime{Time: now, Valid: !now.IsZero()}
}

// today returns the time where it does not matter which server's it is.
func (f *Follower) today() time.Time {
	if now := f.at(); now.Valid {
		return now.Time
	}
	return time.Now()
}

// statement puts the name of the table into a statement.
func (f *Follower) statement(format string) string {
	return fmt.Sprintf(format, pq.QuoteIdentifier(f.Table))
}

// Begin makes sure that the feed is followed from here on, at the latest: what is written
// after it returns is not missed because nobody had followed until then. It is for a Follower
// without Before.
func (f Follower) Begin(ctx context.Context) error {
	_, err := f.begin(ctx)
	return err
}

// begin returns the place in the feed, which is that of now if there was none.
func (f *Follower) begin(ctx context.Context) (position string, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	err = f.SQL.QueryRowContext(ctx, f.statement(`SELECT position FROM %s`)).Scan(&position)
	if err == nil && position == "" {
		if _, position, _, err = f.Store.Follow(ctx, "", nil, 1); err == nil {
			// Another server may have been faster.
			const begin = `UPDATE %s SET position = CASE WHEN position = '' THEN $1 ELSE position END RETURNING position`
			err = f.SQL.QueryRowContext(ctx, f.statement(begin), position).Scan(&position)
		}
	}
	if err != nil {
		return "", fmt.Errorf("begin to follow the feed for %s: %w", f.Name, err)
	}
	return position, nil
}

// takeOver returns a term if nobody has the lease, and nil otherwise.
func (f *Follower) takeOver(ctx context.Context) (*term, error) {
	// A lease that was taken and is not known of would keep everybody out until it runs out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	const take = `WITH c AS (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now)
		UPDATE %s SET node = $2, fence = fence + 1, lease = now + $3 * interval '1 millisecond' FROM c WHERE lease <= now RETURNING fence, position`
	t := &term{Follower: f, stored: f.today()}
	err := f.SQL.QueryRowContext(ctx, f.statement(take), f.at(), f.Node, f.Lease.Milliseconds()).Scan(&t.fence, &t.position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over %s: %w", f.Name, err)
	}
	return t, nil
}

// giveUp lets others follow at once, unless they do already.
func (t *term) giveUp(ctx context.Context) {
	if t.Crashed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := t.SQL.ExecContext(ctx, t.statement(`UPDATE %s SET lease = '-infinity' WHERE fence = $1`), t.fence); err != nil {
		t.Log.WarnContext(ctx, "the lease of who follows the feed runs out by itself", "for", t.Name, "error", err)
	}
}

// serve follows until the lease or ctx is lost, or something fails.
func (t *term) serve(ctx context.Context) (err error) {
	if t.position == "" && t.Before == nil {
		t.position, err = t.begin(ctx)
	}
	if err == nil && t.Load != nil {
		err = t.Load(ctx)
	}
	for err == nil && ctx.Err() == nil {
		err = t.look(ctx)
	}
	return err
}

// look takes a page, and waits if there is nothing left to take.
func (t *term) look(ctx context.Context) error {
	pulse, began := t.Store.Pulse(), t.today()
	more, err := t.step(ctx)
	if err == nil && !more && t.Rest != nil {
		err = t.Rest(ctx)
	}
	// Pages of which nothing comes are passed without storing anything, also many of them.
	if err == nil && t.today().Sub(t.stored) >= t.Lease/3 {
		err = t.commit(ctx, t.position, Taken{})
	}
	if err != nil {
		return err
	}
	if t.steps++; more {
		return nil
	}
	t.Wait(ctx, followIdle, pulse)
	if early := followGather - t.today().Sub(began); early > 0 {
		t.Wait(ctx, early, nil)
	}
	return nil
}

// step takes one page of the feed. When it fails, what Take knows may be ahead of what is
// stored: it is loaded anew.
func (t *term) step(ctx context.Context) (more bool, err error) {
	if t.position == "" {
		return true, t.startOver(ctx, false)
	}
	page, next, more, err := t.Store.Follow(ctx, t.position, t.Types(), t.Page)
	if errors.Is(err, ErrFollowing) {
		t.Log.ErrorContext(ctx, "the place in the feed is lost; it is followed from now on, and what can be found of before is searched for", "for", t.Name, "error", err)
		return true, t.startOver(ctx, true)
	}
	if err != nil {
		return false, fmt.Errorf("follow the feed: %w", err)
	}
	got, err := t.Take(ctx, page)
	switch {
	case err != nil:
		return false, err
	case ctx.Err() != nil:
		return false, ctx.Err()
	case got.Again:
		return true, nil
	case got.Keep == nil:
		t.position = next
		return more || got.More, nil
	}
	return more || got.More, t.commit(ctx, next, got)
}

// startOver follows the feed from now on, and stores what is wanted of before.
func (t *term) startOver(ctx context.Context, lost bool) error {
	_, now, _, err := t.Store.Follow(ctx, "", nil, 1)
	if err != nil {
		return fmt.Errorf("follow the feed: %w", err)
	}
	if t.Before == nil {
		return t.commit(ctx, now, Taken{})
	}
	for after := ""; ; {
		got, next, err := t.Before(ctx, after, lost)
		if err != nil {
			return err
		}
		position := t.position
		if next == "" {
			position = now // not before all of it is stored
		}
		if err := t.commit(ctx, position, got); err != nil || next == "" {
			return err
		}
		after = next
	}
}

// commit stores what came of a page, and the place behind it, in one transaction: all of it, or
// nothing when another server has taken over.
func (t *term) commit(ctx context.Context, position string, got Taken) error {
	if t.Crashed() {
		return errTakenOver
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	var err error
	if got.Keep == nil {
		err = t.move(ctx, t.SQL, position)
	} else {
		err = t.keep(ctx, position, got.Keep)
	}
	if err != nil {
		return fmt.Errorf("store what comes of the feed for %s: %w", t.Name, err)
	}
	t.position, t.stored = position, t.today()
	if got.Kept != nil {
		got.Kept()
	}
	return nil
}

// keep stores what came of a page, and then the place.
func (t *term) keep(ctx context.Context, position string, keep func(context.Context, *sql.Tx) error) error {
	tx, err := t.SQL.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if err := t.move(ctx, tx, position); err != nil {
		return err
	}
	if err := keep(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// move stores the place and renews the lease, unless another server has taken over. None does
// before the transaction that it is in has ended.
func (t *term) move(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, position string) error {
	const renew = `UPDATE %s SET position = $3, lease = coalesce($1::timestamptz, clock_timestamp()) + $4 * interval '1 millisecond' WHERE fence = $2 RETURNING true`
	var mine bool
	err := on.QueryRowContext(ctx, t.statement(renew), t.at(), t.fence, position, t.Lease.Milliseconds()).Scan(&mine)
	if errors.Is(err, sql.ErrNoRows) {
		return errTakenOver
	}
	return err
}

// Wait returns when d is over, ctx is done, or wake gives something or is closed, as that of
// [DB.Pulse] is, whichever comes first. A nil wake never does.
func Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// How often the pulse looks for changes while somebody waits for one, how long it
// lets changes gather at least, and of how many it looks who would see them.
const (
	pulsePeriod = 100 * time.Millisecond
	pulsePause  = 50 * time.Millisecond
	pulseRows   = 1000
)

// pulses are who waits for changes. The zero value has nobody.
type pulses struct {
	mu      sync.Mutex
	running int           // how many RunPulse there are
	ended   bool          // the last one has ended
	next    chan struct{} // closed at the next change; nil if nobody waits for any
	all     map[*Watch]struct{}
	byKey   map[int64]map[*Watch]struct{}
	beats   chan struct{} // tells the pulse that there is something to do
}

func newPulses() *pulses {
	return &pulses{all: map[*Watch]struct{}{}, byKey: map[int64]map[*Watch]struct{}{}, beats: make(chan struct{}, 1)}
}

// beat has the pulse look now.
func (p *pulses) beat() {
	select {
	case p.beats <- struct{}{}:
	default:
	}
}

// A Watch waits for a change that somebody may see.
type Watch struct {
	pulses *pulses
	types  []string // nil: any
	origin string   // whose versions do not count
	sights map[string]searchsql.Sight
	keys   []int64 // of which what is seen has one; nil if it may have none
	change chan struct{}
}

// Pulse returns a channel that is closed at the next change of anybody, soon after it
// is committed. It is never closed while no [DB.RunPulse] runs.
func (db *DB) Pulse() <-chan struct{} {
	p := db.pulses
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
		p.beat()
	}
	return p.next
}

// Pulses reports whether a [DB.RunPulse] runs.
func (db *DB) Pulses() bool {
	db.pulses.mu.Lock()
	defer db.pulses.mu.Unlock()
	return db.pulses.running > 0
}

// Watch waits for changes that g may show by the feed f: after what [DB.Changes]
// returns later than this, none is missed, though some may concern nothing that is
// shown. Whoever gets one calls Stop. It takes no connection.
func (db *DB) Watch(g access.Grant, f Feed) *Watch {
	w := &Watch{pulses: db.pulses, types: f.Types, origin: f.NotOrigin, sights: map[string]searchsql.Sight{}, change: make(chan struct{})}
	types := f.Types
	if len(types) == 0 {
		types = []string{""}
	}
	s, everything := db.sights(db.Registry(), g), false
	for _, typ := range types {
		sight := s.of(access.MaySearch, typ)
		w.sights[typ] = sight
		for _, b := range sight {
			everything = everything || b.All
			w.keys = append(w.keys, b.Parties...)
		}
	}
	if everything {
		w.keys = nil
	}
	w.pulses.add(w)
	return w
}

// Change returns a channel that is closed at such a change.
func (w *Watch) Change() <-chan struct{} { return w.change }

// Ended reports whether the server stops, so that there is nothing more to wait for.
func (w *Watch) Ended() bool {
	w.pulses.mu.Lock()
	defer w.pulses.mu.Unlock()
	return w.pulses.ended
}

// Stop ends w, which may be nil.
func (w *Watch) Stop() {
	if w == nil {
		return
	}
	w.pulses.mu.Lock()
	defer w.pulses.mu.Unlock()
	w.pulses.remove(w)
}

func (p *pulses) add(w *Watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[w] = struct{}{}
	for _, key := range w.keys {
		if p.byKey[key] == nil {
			p.byKey[key] = map[*Watch]struct{}{}
		}
		p.byKey[key][w] = struct{}{}
	}
	if len(p.all) == 1 {
		p.beat()
	}
}

// remove takes w out, with the lock held.
func (p *pulses) remove(w *Watch) {
	delete(p.all, w)
	for _, key := range w.keys {
		if delete(p.byKey[key], w); len(p.byKey[key]) == 0 {
			delete(p.byKey, key)
		}
	}
}

// wake ends w's wait, with the lock held.
func (p *pulses) wake(w *Watch) {
	p.remove(w)
	close(w.change)
}

// awaited reports whether anybody waits.
func (p *pulses) awaited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil || len(p.all) > 0
}

// wakeAll ends every wait.
func (p *pulses) wakeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal()
	for w := range p.all {
		p.wake(w)
	}
}

// signal tells those who wait for any change, with the lock held.
func (p *pulses) signal() {
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}

// A stirred is what a change is about: a version, or who sees a resource.
type stirred struct {
	typ    string
	origin string // of a version
	keys   []int64
}

// wakeFor ends the waits of those who may see one of some changes.
func (p *pulses) wakeFor(changes []stirred) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal()
	var wide []*Watch
	for w := range p.all {
		if w.keys == nil {
			wide = append(wide, w)
		}
	}
	for _, c := range changes {
		var woken []*Watch
		for _, w := range wide {
			if w.sees(c) {
				woken = append(woken, w)
			}
		}
		for _, key := range c.keys {
			for w := range p.byKey[key] {
				if w.sees(c) {
					woken = append(woken, w)
				}
			}
		}
		for _, w := range woken {
			if _, waits := p.all[w]; waits {
				p.wake(w)
			}
		}
	}
}

// sees reports whether c may matter to w.
func (w *Watch) sees(c stirred) bool {
	if w.types != nil && !slices.Contains(w.types, c.typ) || w.origin != "" && w.origin == c.origin {
		return false
	}
	sight, ok := w.sights[c.typ]
	if !ok {
		sight = w.sights[""]
	}
	return slices.ContainsFunc(sight, func(b searchsql.Branch) bool { return b.Admits(c.typ, c.keys) })
}

// RunPulse watches for changes, of this server and of others, until ctx is done. It
// looks ten times a second while somebody waits, at once when this server has written,
// and not at all otherwise. One look serves all who wait, whoever they are: only those
// are woken who may see a change. What cannot be looked at now is tried again.
func (db *DB) RunPulse(ctx context.Context) error {
	db.pulses.ran(1)
	defer db.pulses.wakeAll()
	defer db.pulses.ran(-1)
	var at *feedMoment
	for {
		if !db.pulses.awaited() {
			at = nil
		}
		wait := pulsePeriod
		if at == nil {
			wait = time.Hour
		}
		select {
		case <-ctx.Done():
			return nil
		case <-db.pulses.beats:
		case <-time.After(wait):
		}
		var err error
		if at, err = db.beat(ctx, at); err != nil && ctx.Err() == nil {
			db.log.Warn("changes cannot be looked for", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pulsePause):
		}
	}
}

func (p *pulses) ran(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running += n
	p.ended = p.running == 0
}

// beat wakes who waits for what has come since at. Without that it is not known what
// has come since they looked, so it wakes them all.
func (db *DB) beat(ctx context.Context, at *feedMoment) (*feedMoment, error) {
	if !db.pulses.awaited() {
		return nil, nil
	}
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	now, high, err := db.begin(ctx, time.Now())
	switch {
	case err != nil:
		return at, err
	case at == nil:
		db.pulses.wakeAll()
		return &now, nil
	case at.quiet(now):
		return &now, nil
	}
	w := &feedReader{db: db, at: feedCursor{phase: feedWithin, feedSpan: feedSpan{then: *at, now: now, high: high}}}
	if !w.small() {
		db.pulses.wakeAll()
		return &now, nil
	}
	changes, err := w.stirred(ctx)
	switch {
	case err != nil:
		return at, err
	case len(changes) >= pulseRows:
		db.pulses.wakeAll()
	case len(changes) > 0:
		db.pulses.wakeFor(changes)
	}
	return &now, nil
}

// stirred reads what the changes of the window are about.
func (w *feedReader) stirred(ctx context.Context) (changes []stirred, err error) {
	q := &query{}
	w.whole, w.what = true, `SELECT v.type, coalesce(v.origin, ''), r.keys FROM ver v JOIN res r ON r.rid = v.rid AND r.type = v.type WHERE v.rid = c.rid AND v.ver = c.ver AND NOT r.deleted`
	w.read(q, w.sorted(q), fmt.Sprintf("seq LIMIT %d", pulseRows))
	add := func(rows *sql.Rows) error {
		var given bool
		var seq, rid int64
		var number int
		var xid string
		var typ sql.NullInt16
		c := stirred{}
		var origin sql.NullString
		err := rows.Scan(&given, &seq, &xid, &rid, &number, &typ, &origin, (*keyList)(&c.keys))
		c.typ, c.origin = w.db.names[typ.Int16], origin.String
		changes = append(changes, c)
		return err
	}
	if err := w.connected(ctx, q, add); err != nil {
		return nil, err
	}
	q = &query{}
	fmt.Fprintf(&q.sql, `SELECT v.type, e.old_acl, e.new_acl FROM access_event e, LATERAL (SELECT v.type FROM ver v WHERE v.rid = e.rid ORDER BY v.ver DESC LIMIT 1) v
		WHERE (e.xid >= %s::xid8 OR e.xid = ANY (%s::xid8[])) AND pg_visible_in_snapshot(e.xid, %s::pg_snapshot) LIMIT %d`,
		q.arg(fmt.Sprint(w.at.then.xmax)), q.arg(w.at.then.xids()), q.arg(w.at.now.String()), pulseRows)
	err = w.connected(ctx, q, func(rows *sql.Rows) error {
		var typ int16
		var before, after pq.Int64Array
		err := rows.Scan(&typ, &before, &after)
		changes = append(changes, stirred{typ: w.db.names[typ], keys: before}, stirred{typ: w.db.names[typ], keys: after})
		return err
	})
	return changes, err
}

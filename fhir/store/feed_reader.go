package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A feedReader reads one page of the feed for one caller.
type feedReader struct {
	Feed
	db       *DB
	registry *search.Registry
	sights   *sights
	whole    bool   // the caller sees everything of what is asked for
	what     string // what is read of each change; empty is what the caller is told

	at       feedCursor
	examined int                    // changes that were looked at
	contents map[versionOf]*Version // that were read besides
	states   map[int64]formerState  // of resources at the beginning of the window
	gone     map[int64]bool         // resources of which the page has said so last
}

// A versionOf names a version of a resource.
type versionOf struct {
	rid    int64
	number int
}

// A feedRow is a change as it was read.
type feedRow struct {
	FeedEntry
	given bool // there is no version of it
	seq   int64
	xid   string
	rid   int64

	passed  bool // keys alone do not keep it out of sight
	deleted bool // there is no resource now
	current int  // the current version

	before, after, live, self, atEnd []int64 // keys, see seenColumns
	end                              int     // version at the end of the window, negative for a deletion, 0 for none
	purged                           bool    // the version is another one than the change was of
}

func (db *DB) feedReader(g access.Grant, f Feed) *feedReader {
	r := db.Registry()
	w := &feedReader{Feed: f, db: db, registry: r, sights: db.sights(r, g), contents: map[versionOf]*Version{}, states: map[int64]formerState{}, gone: map[int64]bool{}}
	w.whole = w.unlimited()
	return w
}

// needs is what it takes to see something in the feed.
func (w *feedReader) needs() access.Permission { return access.MaySearch }

// limited reports whether there may be something that the caller does not see.
func (w *feedReader) limited() bool { return !w.whole }

func (w *feedReader) unlimited() bool {
	if len(w.Types) == 0 {
		return w.sight("").Unlimited()
	}
	return !slices.ContainsFunc(w.Types, func(typ string) bool { return !w.sight(typ).Unlimited() })
}

// sight returns what is seen of a type.
func (w *feedReader) sight(typ string) searchsql.Sight { return w.sights.of(w.needs(), typ) }

// blind reports whether the caller sees nothing at all of what is asked for.
func (w *feedReader) blind() bool {
	if len(w.Types) == 0 {
		return len(w.sight("")) == 0
	}
	return !slices.ContainsFunc(w.Types, func(typ string) bool { return len(w.sight(typ)) > 0 })
}

// connected runs a statement when there is a connection for it. To find the few that
// are seen among many may take as long as a search does, so that takes a turn.
func (w *feedReader) connected(ctx context.Context, q *query, read func(*sql.Rows) error) error {
	if w.limited() {
		turn, err := w.db.turn(ctx)
		if err != nil {
			return err
		}
		defer turn.end()
	} else {
		if err := w.db.wait(ctx); err != nil {
			return err
		}
		defer w.db.free.Release(1)
	}
	rows, err := w.db.sql.QueryContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return readFault("read the feed", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return readFault("read the feed", err)
		}
	}
	return readOr("read the feed", rows.Err())
}

// run reads changes by a statement.
func (w *feedReader) run(ctx context.Context, q *query) ([]*feedRow, error) {
	var all []*feedRow
	err := w.connected(ctx, q, func(rows *sql.Rows) error {
		r, err := w.scan(rows)
		all = append(all, r)
		return err
	})
	w.examined += len(all)
	return all, err
}

// scan reads one change. Columns that are NULL belong to one that is out of sight.
func (w *feedReader) scan(rows *sql.Rows) (*feedRow, error) {
	r := &feedRow{}
	var typ, codec sql.NullInt16
	var id, op, origin sql.NullString
	var number, current, end sql.NullInt64
	var updated sql.NullTime
	var fresh, past, deleted sql.NullBool
	var of int
	var number16 int16
	body := unpacking{bodies: w.db.bodies, codec: &number16}
	to := []any{&r.given, &r.seq, &r.xid, &r.rid, &of, &typ, &id, &number, &updated, &op, &fresh, &origin, &past, &codecColumn{&codec, &number16}, &body}
	if w.limited() {
		to = append(to, &deleted, &current, (*keyList)(&r.before), (*keyList)(&r.after), (*keyList)(&r.live), (*keyList)(&r.self), &end, (*keyList)(&r.atEnd))
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	if r.passed = typ.Valid; !r.passed {
		return r, nil
	}
	r.Key.Type, r.Key.ID, r.Number, r.Updated = w.db.names[typ.Int16], id.String, int(number.Int64), updated.Time
	r.Fresh, r.Origin, r.Past = fresh.Bool, origin.String, past.Bool
	r.purged = r.Number != of
	r.deleted, r.current, r.end = deleted.Bool, int(current.Int64), int(end.Int64)
	return r, r.fill(op.String, body.stored)
}

// A codecColumn reads the codec of the body that comes next.
type codecColumn struct {
	column *sql.NullInt16
	codec  *int16
}

// Scan reads the column.
func (c *codecColumn) Scan(src any) error {
	err := c.column.Scan(src)
	*c.codec = c.column.Int16
	return err
}

// moment returns the time now for a cursor.
func (w *feedReader) moment() int64 { return w.now().Unix() }

// beginQuery takes a snapshot, between two looks at how far the sequence is.
const beginQuery = `SELECT low, taken::text, next, high FROM feed_begin()`

// begin takes a snapshot.
func (db *DB) begin(ctx context.Context, at time.Time) (m feedMoment, high int64, err error) {
	if err := db.wait(ctx); err != nil {
		return m, 0, err
	}
	defer db.free.Release(1)
	var text string
	var next uint32
	if err := db.sql.QueryRowContext(ctx, beginQuery).Scan(&m.low, &text, &next, &high); err != nil {
		return m, 0, readFault("take a snapshot", err)
	}
	m.at = at.Unix()
	if m.snapshot, err = parseSnapshot(text); err != nil {
		return m, 0, err
	}
	if !m.extend(next) {
		m.low = 0 // nothing is known of what goes on
	}
	return m, high, nil
}

// quiet reports whether no transaction has ended between m and a later moment.
func (m feedMoment) quiet(later feedMoment) bool {
	return !slices.ContainsFunc(m.running, later.done) && !later.endedSince(m.xmax)
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir/access"
)

// The reasons of entries of the feed.
const (
	ReasonDeleted = "deleted"            // the resource was deleted
	ReasonEntered = "entered-your-scope" // it was there, and is seen only since
	ReasonLeft    = "left-your-scope"    // it is there, and is not seen any more
	ReasonError   = "entered-in-error"   // its author has taken it back
)

// A verdict is what becomes of a change.
type verdict uint8

const (
	hidden  verdict = iota
	carried         // the version is delivered
	removed         // it is told that the resource is gone, if the caller had it
)

// judge decides on changes, and returns those that are delivered.
//
// Every change makes a state of its resource from the one before: its content and
// its keys. A version is delivered if its state was in sight, it is so by itself
// with what it has been given meanwhile, and its resource is in sight both now and as
// of the end of the window. If only the state before was in sight, and the resource
// was as of the beginning of the window, so that the caller has it or could have it,
// the resource is gone for them. So whoever has read a window to its end has nothing
// that was out of sight at its end, and what is still missing of what was in sight has
// gone since: a later window tells so.
func (w *feedReader) judge(ctx context.Context, rows []*feedRow) ([]*feedRow, error) {
	verdicts := make([]verdict, len(rows))
	var gone []*feedRow
	for i, r := range rows {
		var err error
		if verdicts[i], err = w.verdict(ctx, r); err != nil {
			return nil, err
		}
		if verdicts[i] == removed {
			gone = append(gone, r)
		}
	}
	if err := w.formerStates(ctx, gone); err != nil {
		return nil, err
	}
	var delivered []*feedRow
	for i, r := range rows {
		switch verdicts[i] {
		case carried:
			delivered = append(delivered, r)
			delete(w.gone, r.rid)
		case removed:
			had, err := w.had(ctx, r)
			if err != nil {
				return nil, err
			}
			if had && !w.gone[r.rid] {
				delivered = append(delivered, w.tombstone(r))
				w.gone[r.rid] = true
			}
		}
	}
	return delivered, nil
}

// tombstone returns r without content.
func (w *feedReader) tombstone(r *feedRow) *feedRow {
	t := *r
	switch {
	case r.Deleted():
		t.Reason = ReasonDeleted
	case slices.Contains(r.afterwards(), w.db.secret.Access(access.Key{Kind: access.Label, Of: access.Retracted})):
		t.Reason = ReasonError
	default:
		t.Reason = ReasonLeft
	}
	t.Stored, t.Op, t.Fresh = nil, Delete, false
	return &t
}

func (w *feedReader) verdict(ctx context.Context, r *feedRow) (verdict, error) {
	if !r.passed {
		return hidden, nil
	}
	if w.whole {
		if r.Deleted() {
			r.Reason = ReasonDeleted
		}
		return carried, nil
	}
	before, err := w.wasSeen(ctx, r)
	if err != nil {
		return hidden, err
	}
	after, err := w.isSeen(ctx, r)
	switch {
	case err != nil || !after && !before || after && before && r.given:
		return hidden, err
	case !after:
		return removed, nil
	}
	if !before && (r.given || !r.Fresh) {
		r.Reason = ReasonEntered
	}
	return w.stillSeen(ctx, r)
}

// wasSeen reports whether the state before a change was in sight.
func (w *feedReader) wasSeen(ctx context.Context, r *feedRow) (bool, error) {
	switch {
	case r.given:
		return w.shows(ctx, r, r.Number, r.before, r.purged)
	case r.Fresh:
		return false, nil
	case r.before == nil:
		return w.shows(ctx, r, r.Number-1, r.afterwards(), true)
	}
	return w.shows(ctx, r, r.Number-1, r.before, true)
}

// isSeen reports whether the state that a change made was in sight.
func (w *feedReader) isSeen(ctx context.Context, r *feedRow) (bool, error) {
	if r.Deleted() && !r.purged {
		return false, nil
	}
	return w.shows(ctx, r, r.Number, r.afterwards(), r.purged)
}

// afterwards returns the keys that a resource had after a change.
func (r *feedRow) afterwards() []int64 {
	if r.after == nil {
		return r.live
	}
	return r.after
}

// stillSeen decides on a version that was in sight when it was made.
func (w *feedReader) stillSeen(ctx context.Context, r *feedRow) (verdict, error) {
	if r.deleted || r.purged || r.end <= 0 {
		return hidden, nil
	}
	atEnd, self := r.atEnd, r.self
	if atEnd == nil {
		atEnd = r.live
	}
	if r.Number == r.current {
		self = r.live
	}
	for _, state := range []struct {
		number int
		keys   []int64
	}{{r.current, r.live}, {r.end, atEnd}, {r.Number, self}} {
		if seen, err := w.shows(ctx, r, state.number, state.keys, false); err != nil || !seen {
			return hidden, err
		}
	}
	return carried, nil
}

// shows reports whether a version of the resource of r is in sight with some keys. If
// its content matters and was purged, it is what lost says.
func (w *feedReader) shows(ctx context.Context, r *feedRow, number int, keys []int64, lost bool) (bool, error) {
	sight := w.sight(r.Key.Type)
	if sight.Unlimited() {
		return true, nil
	}
	asks := false
	for _, b := range sight {
		if keys == nil || !b.Admits(r.Key.Type, keys) {
			continue
		}
		if b.Where == nil {
			return true, nil
		}
		asks = true
	}
	if !asks {
		return false, nil
	}
	content, err := w.content(ctx, r, number)
	if err != nil {
		return false, err
	}
	if content == nil {
		return lost, nil
	}
	v := *content
	v.Keys = keys
	return w.db.sees(sight, w.registry, &v)
}

// content returns a version of the resource of r, nil if it was purged.
func (w *feedReader) content(ctx context.Context, r *feedRow, number int) (*Version, error) {
	if number == r.Number && r.Stored != nil {
		return &r.Version, nil
	}
	of := versionOf{r.rid, number}
	v, known := w.contents[of]
	if !known {
		var err error
		if v, err = w.db.VRead(ctx, r.Key, number); err != nil {
			return nil, err
		}
		w.contents[of] = v
	}
	return v, nil
}

// A formerState is what there was of a resource at the beginning of a window.
type formerState struct {
	number int     // of its version, 0 for none, negative for one that was purged
	keys   []int64 // nil if those are that it has now
}

// formerQuery looks up the last version that a snapshot shows, or whether it was
// purged, and the keys that it had then.
const formerQuery = `SELECT g.rid, coalesce(
		(SELECT CASE v.op WHEN 'D' THEN 0 ELSE v.ver END FROM ver v WHERE v.rid = g.rid AND pg_visible_in_snapshot(v.xid, $2::pg_snapshot) ORDER BY v.ver DESC LIMIT 1),
		(SELECT CASE WHEN v.ver > 1 THEN -1 ELSE 0 END FROM ver v WHERE v.rid = g.rid ORDER BY v.ver LIMIT 1), 0),
	(SELECT e.old_acl FROM access_event e WHERE e.rid = g.rid AND NOT pg_visible_in_snapshot(e.xid, $2::pg_snapshot) ORDER BY e.seq LIMIT 1)
	FROM unnest($1::bigint[]) g (rid)`

// formerStates looks up what there was of the resources of some changes at the
// beginning of the window.
func (w *feedReader) formerStates(ctx context.Context, of []*feedRow) error {
	var rids pq.Int64Array
	for _, r := range of {
		if _, known := w.states[r.rid]; !known {
			rids = append(rids, r.rid)
			w.states[r.rid] = formerState{}
		}
	}
	if len(rids) == 0 {
		return nil
	}
	q := &query{args: []any{rids, w.at.then.String()}}
	fmt.Fprint(&q.sql, formerQuery)
	return w.connected(ctx, q, func(rows *sql.Rows) error {
		var rid int64
		var s formerState
		err := rows.Scan(&rid, &s.number, (*keyList)(&s.keys))
		w.states[rid] = s
		return err
	})
}

// had reports whether the resource of r was in sight at the beginning of the window.
func (w *feedReader) had(ctx context.Context, r *feedRow) (bool, error) {
	s := w.states[r.rid]
	switch {
	case s.number == 0:
		return false, nil
	case s.keys == nil:
		s.keys = r.live
	}
	return w.shows(ctx, r, s.number, s.keys, true)
}

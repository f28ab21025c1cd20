package store

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// leastRID is before all RIDs.
const leastRID = math.MinInt64

// state reads a page of the first state, which is that of the earlier snapshot of the
// cursor, and reports whether there is more of it.
func (w *feedReader) state(ctx context.Context, p *FeedPage) (more bool, err error) {
	var page []*feedRow
	for !w.blind() {
		n := w.Count - len(page) + 1
		rows, at, err := w.standing(ctx, n)
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			seen, err := w.stood(ctx, r)
			if err != nil {
				return false, err
			}
			if seen {
				page = append(page, r)
			}
		}
		if len(page) > w.Count {
			page, more = page[:w.Count], true
			w.at.place = page[w.Count-1].rid
			break
		}
		if at.last {
			break
		}
		w.at.place = at.place
		if more = w.examined >= feedExamined; more {
			break
		}
	}
	if n := len(page); n > 0 && !more {
		page[n-1].Settled = true
	}
	w.fill(p, page)
	return more, nil
}

// stood reports whether r, a version of the first state, is in sight.
func (w *feedReader) stood(ctx context.Context, r *feedRow) (bool, error) {
	if !r.passed || r.Deleted() {
		return false, nil
	}
	if w.whole {
		return true, nil
	}
	v, err := w.stillSeen(ctx, r)
	return v == carried, err
}

// A reached is how far a statement has come.
type reached struct {
	place int64
	last  bool // there is nothing behind it
}

// standing reads the versions of the next n resources that were current.
func (w *feedReader) standing(ctx context.Context, n int) ([]*feedRow, reached, error) {
	if w.whole {
		q := w.everything(n)
		rows, err := w.run(ctx, q)
		return rows, arrived(rows, n), err
	}
	rids, err := w.inSight(ctx, n)
	if err != nil || len(rids) == 0 {
		return nil, reached{last: true}, err
	}
	rows, err := w.run(ctx, w.former(rids))
	at := reached{rids[len(rids)-1], len(rids) < n}
	return rows, at, err
}

func arrived(rows []*feedRow, n int) reached {
	if len(rows) == 0 {
		return reached{last: true}
	}
	return reached{rows[len(rows)-1].rid, len(rows) < n}
}

// formerVersion is the version of a resource r that a snapshot shows last.
const formerVersion = `LATERAL (SELECT v.xid, v.ver, v.op FROM ver v WHERE v.rid = r.rid AND pg_visible_in_snapshot(v.xid, %s::pg_snapshot) ORDER BY v.ver DESC LIMIT 1) v`

// everything returns the statement for the next n resources, deleted ones included:
// that may have happened since.
func (w *feedReader) everything(n int) *query {
	q := &query{}
	typ := ""
	if len(w.Types) == 1 {
		typ = w.Types[0]
	}
	where := "rid > " + q.arg(w.at.place)
	if len(w.Types) > 0 {
		where += " AND type = ANY (" + q.arg(w.numbers()) + "::smallint[])"
	}
	arm := fmt.Sprintf(`SELECT false AS given, 0 AS seq, coalesce(v.xid, '0'::xid8) AS xid, r.rid, CASE WHEN v.op <> 'D' THEN v.ver ELSE 0 END AS ver
		FROM (SELECT rid FROM %s WHERE %s ORDER BY rid LIMIT %d) r LEFT JOIN `+formerVersion+` ON true`,
		w.db.tables.Of(typ), where, n, q.arg(w.at.then.String()))
	w.read(q, []string{arm}, fmt.Sprintf("rid LIMIT %d", n))
	return q
}

// former returns the statement for the versions of some resources that were current
// when the snapshot was taken.
func (w *feedReader) former(rids pq.Int64Array) *query {
	q := &query{}
	// Behind every seq there are the keys of now.
	arm := fmt.Sprintf(`SELECT false AS given, %d AS seq, v.xid, r.rid, v.ver FROM unnest(%s::bigint[]) r (rid), `+formerVersion+` WHERE v.op <> 'D'`,
		math.MaxInt64, q.arg(rids), q.arg(w.at.then.String()))
	w.read(q, []string{arm}, fmt.Sprintf("rid LIMIT %d", len(rids)))
	return q
}

// inSight returns the RIDs of the next n resources that the caller sees now.
func (w *feedReader) inSight(ctx context.Context, n int) (pq.Int64Array, error) {
	turn, err := w.db.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := w.db.searching(w.db.sql, w.registry, w.sights.grant)
	s.turn = turn
	of, err := s.parts(ctx, &search.Query{Types: w.Types, Count: n})
	if err != nil {
		return nil, err
	}
	walk := newWalk(of...)
	walk.page = true
	if w.at.place != leastRID {
		walk.after = []searchsql.Value{{Text: strconv.FormatInt(w.at.place, 10)}}
	}
	rows, err := s.take(ctx, walk, n)
	if err != nil {
		return nil, err
	}
	if moved, err := w.db.generationMoved(ctx, w.db.sql, s.registry.Generation, s.generation); moved || err != nil {
		if err == nil {
			err = fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The search parameters are being changed; try again.")
		}
		return nil, err
	}
	rids := make(pq.Int64Array, len(rows))
	for i, r := range rows {
		rids[i] = r.rid
	}
	return rids, nil
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/lib/pq"
)

// What is looked at for one page at most, and by one statement at least when not
// everything is in sight.
const (
	feedExamined = 20_000
	feedBatch    = 500
)

// changes reads a page of the window that the cursor is in, or else of the one up to
// now.
func (w *feedReader) changes(ctx context.Context, p *FeedPage) error {
	if w.at.phase == feedWithin {
		if err := w.window(ctx, p); err != nil || len(p.Entries) > 0 || p.More {
			return err
		}
	}
	now, high, err := w.db.begin(ctx, w.now())
	if err != nil {
		return err
	}
	if w.at.then.quiet(now) || w.blind() {
		w.at.then = now
		return nil
	}
	if err := w.enter(ctx, now, high); err != nil {
		return err
	}
	return w.window(ctx, p)
}

// enter begins the window up to now.
func (w *feedReader) enter(ctx context.Context, now feedMoment, high int64) error {
	w.at.phase, w.at.now, w.at.high, w.at.place, w.at.open = feedWithin, now, high, 0, 0
	if w.at.then.low > 0 || w.at.then.xmax == 0 || w.small() {
		return nil
	}
	// It was not known where the numbers of the window begin.
	q := &query{}
	xmax := q.arg(fmt.Sprint(w.at.then.xmax))
	fmt.Fprintf(&q.sql, `SELECT least((SELECT min(seq) FROM ver WHERE xid >= %[1]s::xid8), (SELECT min(seq) FROM access_event WHERE xid >= %[1]s::xid8))`, xmax)
	return w.connected(ctx, q, func(rows *sql.Rows) error {
		var least sql.NullInt64
		err := rows.Scan(&least)
		w.at.then.low = max(0, least.Int64-1)
		return err
	})
}

// window reads the next page of a window, and goes on to what comes after it when it
// is at its end.
func (w *feedReader) window(ctx context.Context, p *FeedPage) error {
	var page []*feedRow
	for {
		rows, at, err := w.next(ctx, w.Count-len(page)+1)
		if err != nil {
			return err
		}
		more, err := w.judge(ctx, rows)
		if err != nil {
			return err
		}
		page = append(page, more...)
		switch {
		case len(page) > w.Count:
			page = page[:w.Count]
			w.at.place = page[w.Count-1].seq
			return w.deliver(ctx, p, page)
		case at.last:
			w.finish(p, page)
			return nil
		}
		w.at.place = at.place
		if w.examined >= feedExamined {
			return w.deliver(ctx, p, page)
		}
	}
}

// next reads the next changes of the window, more of them than n if not all of them
// are in sight, and says how far it has come.
func (w *feedReader) next(ctx context.Context, n int) ([]*feedRow, reached, error) {
	if w.limited() {
		n = max(n, feedBatch)
	}
	rows, err := w.run(ctx, w.candidates(n))
	switch {
	case err != nil:
		return nil, reached{}, err
	case len(rows) == n:
		return rows, reached{place: rows[n-1].seq}, nil
	case w.small():
		return rows, reached{last: true}, nil
	}
	w.examined += feedBatch // what was walked over takes time, too
	return rows, reached{w.end(), w.end() >= w.at.high}, nil
}

// finish ends the window with a page.
func (w *feedReader) finish(p *FeedPage, page []*feedRow) {
	w.settle(page, nil, 0)
	w.fill(p, page)
	w.at.phase, w.at.feedSpan, w.at.place, w.at.open = feedBetween, feedSpan{then: w.at.now}, 0, 0
}

// deliver makes page one after which the window goes on.
func (w *feedReader) deliver(ctx context.Context, p *FeedPage, page []*feedRow) error {
	open, greatest, err := w.unfinished(ctx, page)
	if err != nil {
		return err
	}
	w.settle(page, open, greatest)
	w.fill(p, page)
	p.More = true
	return nil
}

func (w *feedReader) fill(p *FeedPage, page []*feedRow) {
	p.Entries = make([]FeedEntry, len(page))
	for i, r := range page {
		p.Entries[i] = r.FeedEntry
	}
}

// settle says of each entry whether the changes up to it are whole transactions. Those
// that are open go on after the page, up to greatest.
func (w *feedReader) settle(page []*feedRow, open map[string]bool, greatest int64) {
	last := map[string]int64{}
	for _, r := range page {
		last[r.xid] = r.seq
		if open[r.xid] {
			last[r.xid] = greatest
		}
	}
	for _, r := range page {
		w.at.open = max(w.at.open, last[r.xid])
		r.Settled = r.seq >= w.at.open
	}
}

// unfinished returns the transactions of a page that go on after it with changes that
// the caller sees, and the greatest seq of those.
func (w *feedReader) unfinished(ctx context.Context, page []*feedRow) (open map[string]bool, greatest int64, err error) {
	open = map[string]bool{}
	var left []string
	for _, r := range page {
		if !slices.Contains(left, r.xid) {
			left = append(left, r.xid)
		}
	}
	if w.whole {
		return w.unfinishedWhole(ctx, left)
	}
	before := int64(math.MaxInt64)
	for range unfinishedLooks {
		if len(left) == 0 {
			return open, greatest, nil
		}
		rows, err := w.run(ctx, w.of(left, before, feedBatch))
		if err != nil {
			return nil, 0, err
		}
		done := len(rows) < feedBatch
		if !done {
			before = rows[len(rows)-1].seq
		}
		seen, err := w.judge(ctx, rows)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range seen {
			open[r.xid], greatest = true, max(greatest, r.seq)
		}
		if done {
			return open, greatest, nil
		}
		left = slices.DeleteFunc(left, func(xid string) bool { return open[xid] })
	}
	// Of what is left it is not known; it is taken to go on as far as was not looked.
	for _, xid := range left {
		open[xid] = true
	}
	return open, max(greatest, before), nil
}

// unfinishedWhole does so for who sees everything.
func (w *feedReader) unfinishedWhole(ctx context.Context, xids []string) (open map[string]bool, greatest int64, err error) {
	q, open := &query{}, map[string]bool{}
	arm := w.versions(q, fmt.Sprintf("xid = ANY (%s::xid8[]) AND seq > %s", q.arg(pq.StringArray(xids)), q.arg(w.at.place)))
	fmt.Fprintf(&q.sql, "SELECT xid::text, max(seq) FROM (%s) c GROUP BY xid", arm)
	err = w.connected(ctx, q, func(rows *sql.Rows) error {
		var xid string
		var last int64
		err := rows.Scan(&xid, &last)
		open[xid], greatest = true, max(greatest, last)
		return err
	})
	return open, greatest, err
}

// unfinishedLooks is how often it is looked for what transactions do after a page.
const unfinishedLooks = 20

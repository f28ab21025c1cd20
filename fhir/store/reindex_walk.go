package store

import (
	"context"
	"math"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// The bounds of what one transaction of the indexer deals with.
const (
	chunkRows  = 500
	chunkBytes = 16 << 20 // of bodies; the last one may lie beyond
)

// A window is a walk over the rids in order: what comes next, and how wide a step
// is. Rids are spread evenly, so the width is all that is needed to have a chunk
// of rows at a time.
type window struct {
	next  int64
	width uint64
	over  bool // there is no next
}

// The widths of a window: of a tenth of a per cent of all resources to begin
// with, and so much that Postgres is through with it in good time.
const (
	firstWidth = 1 << 54
	quick      = 100 * time.Millisecond
	slow       = time.Second
)

// last returns the last rid of the window.
func (w window) last() int64 {
	if uint64(math.MaxInt64-w.next) < w.width {
		return math.MaxInt64
	}
	return w.next + int64(w.width) - 1
}

// adapt makes the next step wider when there was little to do in this one.
func (w *window) adapt(full bool, took time.Duration) {
	switch {
	case took > slow:
		w.width = max(w.width/2, 1<<32)
	case !full && took < quick:
		w.width = min(w.width*2, 1<<62)
	}
}

// advance goes on behind last.
func (w *window) advance(last int64) { w.next, w.over = last+1, last == math.MaxInt64 }

// run does what is left of a job.
func (x *indexer) run(ctx context.Context, j *job) error {
	wanted, err := x.wanted(ctx, j)
	if err != nil {
		return err
	}
	if !wanted {
		return x.end(ctx, j, "stopped")
	}
	if err := x.publish(ctx); err != nil {
		return err
	}
	if err := x.outlast(ctx); err != nil {
		return err
	}
	x.db.log.Info("building search rows", "job", j.id, "types", x.names(j.types), "percent", percent(&j.walk.next))
	for !j.walk.over {
		if err := x.step(ctx, j); err != nil {
			return err
		}
	}
	for code, n := range j.lacking {
		x.db.log.Warn("the expression of a search parameter is in error for some resources: it does not find them", "code", code, "resources", n, "job", j.id)
	}
	return x.end(ctx, j, "done")
}

// note counts for which parameters a row has no values since their expressions
// are in error.
func (j *job) note(failed []*search.Param) {
	for _, p := range failed {
		if j.lacking == nil {
			j.lacking = map[string]int{}
		}
		j.lacking[p.Code]++
	}
}

func (x *indexer) names(types []int64) []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = x.db.names[int16(t)]
	}
	return names
}

// wanted reports whether a job for a parameter has one that waits for it. It may
// have been changed or retired since.
func (x *indexer) wanted(ctx context.Context, j *job) (wanted bool, err error) {
	if j.types == nil {
		return true, nil
	}
	const query = `SELECT EXISTS (SELECT FROM search_param WHERE gen = $1 AND state = 'building')`
	if err := x.conn.QueryRowContext(ctx, query, j.generation).Scan(&wanted); err != nil {
		return false, readFault("look for a search parameter", err)
	}
	return wanted, nil
}

// outlast waits until nobody can still write a row by older search parameters
// than those that this connection sees. A writer compares the generation in the
// snapshot of its statement. So first every statement with an older snapshot must
// have ended; then every transaction that had such statements. Statements take
// new snapshots, so a transaction that only goes on is not waited for.
func (x *indexer) outlast(ctx context.Context) error {
	const statements = `SELECT NOT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND age(backend_xmin) > age(($1::xid8)::xid))`
	const transactions = `SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8`
	for _, over := range []string{statements, transactions} {
		var now string
		if err := x.conn.QueryRowContext(ctx, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`).Scan(&now); err != nil {
			return readFault("read the snapshot", err)
		}
		if err := x.until(ctx, over, now); err != nil {
			return err
		}
	}
	return nil
}

// until asks again and again whether a query is true.
func (x *indexer) until(ctx context.Context, query, arg string) error {
	const first, longest, remarkable = 2 * time.Millisecond, 250 * time.Millisecond, 5 * time.Second
	begun, said := time.Now(), false
	for pause := first; ; pause = min(2*pause, longest) {
		var is bool
		if err := x.conn.QueryRowContext(ctx, query, arg).Scan(&is); err != nil {
			return readFault("wait for older transactions", err)
		}
		if is {
			return nil
		}
		if !said && time.Since(begun) > remarkable {
			x.db.log.Warn("building search rows has to wait for an older transaction in the database, such as that of a backup")
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// A chunk is what one transaction of the indexer builds.
type chunk struct {
	rows   []builtRow
	failed []int64 // rids
	last   int64   // rid up to which all is done then
	full   bool    // there is more in the window
}

// A builtRow is what a version is found by.
type builtRow struct {
	Row
	version int
	keyed   bool // it has access keys
}

// step builds the rows of one window.
func (x *indexer) step(ctx context.Context, j *job) error {
	begun := time.Now()
	c, err := x.build(ctx, j)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	if err := x.adopt(ctx, c); err != nil {
		return err
	}
	tx, err := x.conn.BeginTx(ctx, nil)
	if err != nil {
		return readFault("begin a transaction", err)
	}
	if err := x.write(ctx, tx, j, c); err != nil {
		_ = tx.Rollback() // the failure before is what counts
		return err
	}
	if err := tx.Commit(); err != nil {
		return fault("commit search rows", err)
	}
	j.walk.adapt(c.full, took)
	j.walk.advance(c.last)
	if time.Since(x.told) > pollTime {
		return x.publish(ctx)
	}
	return nil
}

// build reads the resources of a window whose rows are old, and makes new ones.
func (x *indexer) build(ctx context.Context, j *job) (chunk, error) {
	c := chunk{last: j.walk.last()}
	rows, err := x.conn.QueryContext(ctx, chunkQuery(j))
	if err != nil {
		return c, readFault("read a chunk of resources", err)
	}
	defer rows.Close()
	var read, of int
	var last int64
	for rows.Next() {
		var r builtRow
		var rid int64
		var typ, codec int16
		var k fhir.Key
		body := unpacking{bodies: x.db.bodies, codec: &codec}
		if err := rows.Scan(&of, &rid, &typ, &k.ID, &r.version, &r.keyed, &codec, &body); err != nil {
			return c, readFault("read a chunk of resources", err)
		}
		read, last, k.Type = read+1, rid, x.db.names[typ]
		if r.Row, err = x.db.restore(k, body.stored, !r.keyed); err != nil {
			x.db.log.Error("a search row cannot be built", "rid", rid, "version", r.version, "error", err)
			c.failed = append(c.failed, rid)
			continue
		}
		r.rid, r.typ = rid, typ
		j.note(r.columns.failed)
		c.rows = append(c.rows, r)
	}
	if err := rows.Err(); err != nil {
		return c, readFault("read a chunk of resources", err)
	}
	if c.full = of == chunkRows || read < of; c.full {
		c.last = last
	}
	return c, nil
}

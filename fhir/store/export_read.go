package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// An Exporter takes what is exported.
type Exporter struct {
	// Render appends a version to dst as it is written. It is called by several
	// goroutines. What v points to is good until it returns; a deletion has nothing
	// Stored.
	Render func(dst []byte, v *Version) ([]byte, error)

	// Write takes what was rendered, in the order of the list. It is called by one
	// goroutine, and may take its time: no connection waits for it.
	Write func([]byte) error
}

// The bounds of what of an export is held in memory.
const (
	exportRows   = 1000 // read by one statement
	segmentBytes = 64 << 10
)

// ReadExport has those versions of l, which are of a type, that g shows written. A
// version that was purged since is left out. It reads a page while the one before is being
// written, and unpacks on all cores.
func (db *DB) ReadExport(ctx context.Context, g access.Grant, typ string, l List, to Exporter) error {
	p := db.past(g, History{Type: typ})
	if len(p.sight) == 0 {
		return nil
	}
	if p.granular {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Scopes with conditions cannot export.")
	}
	if !p.sight.Unlimited() {
		if err := searchable(p.registry); err != nil {
			return err
		}
	}
	// Of a prepared statement bodies come as they are, and not as hex.
	statement, err := db.sql.PrepareContext(ctx, p.exportQuery())
	if err != nil {
		return readFault("read an export", err)
	}
	defer statement.Close()
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan *exportPage)
	group.Go(func() error {
		defer close(pages)
		for part := range slices.Chunk(l, exportRows) {
			page, err := p.exported(ctx, statement, part)
			if err != nil {
				return err
			}
			select {
			case pages <- page:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		for page := range pages {
			if err := page.write(ctx, db.bodies, to); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// An exportPage is some versions as they are stored.
type exportPage struct {
	typ    string
	rows   []exportRow
	packed []byte // all bodies, one behind the other
}

// An exportRow is one version, whose packed body ends in packed at end.
type exportRow struct {
	id      string
	number  int
	updated time.Time
	op      Op
	codec   int16
	end     int
}

// exported reads a page.
func (p *past) exported(ctx context.Context, statement *sql.Stmt, l List) (*exportPage, error) {
	rids, versions := l.columns()
	if err := p.db.wait(ctx); err != nil {
		return nil, err
	}
	defer p.db.free.Release(1)
	rows, err := statement.QueryContext(ctx, rids, versions, p.db.types[p.Type])
	if err != nil {
		return nil, readFault("read an export", err)
	}
	defer rows.Close()
	page := &exportPage{typ: p.Type, rows: make([]exportRow, 0, len(l)), packed: make([]byte, 0, 512*len(l))}
	for rows.Next() {
		if err := page.scan(rows); err != nil {
			return nil, readFault("read an export", err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read an export", err)
	}
	return page, nil
}

// exportQuery looks each version up by key, in the order of the list: the fence
// leaves no other way.
func (p *past) exportQuery() string {
	_, source, where := p.seen()
	text := `SELECT v.id, v.ver, v.updated, v.op, v.codec, v.body
	FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS k (rid, ver, n),
		LATERAL (SELECT * FROM ver v WHERE v.rid = k.rid AND v.ver = k.ver AND v.type = $3 OFFSET 0) v` + source + ` WHERE true`
	for _, w := range where {
		text += " AND " + w
	}
	return text + " ORDER BY k.n"
}

func (p *exportPage) scan(rows *sql.Rows) error {
	var r exportRow
	var op string
	var body sql.RawBytes
	if err := rows.Scan(&r.id, &r.number, &r.updated, &op, &r.codec, &body); err != nil {
		return err
	}
	p.packed = append(p.packed, body...)
	r.op, r.end = Op(op[0]), len(p.packed)
	p.rows = append(p.rows, r)
	return nil
}

// write renders the rows on all cores, and writes them in order.
func (p *exportPage) write(ctx context.Context, b *bodies, to Exporter) error {
	segments := min(runtime.GOMAXPROCS(0), len(p.rows))
	rendered := make([][]byte, segments)
	group, _ := errgroup.WithContext(ctx)
	for i := range segments {
		lo, hi := i*len(p.rows)/segments, (i+1)*len(p.rows)/segments
		group.Go(func() (err error) {
			rendered[i], err = p.render(lo, hi, b, to)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, text := range rendered {
		for piece := range slices.Chunk(text, segmentBytes) {
			if err := to.Write(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// render renders the rows from lo to before hi.
func (p *exportPage) render(lo, hi int, b *bodies, to Exporter) ([]byte, error) {
	var dst, stored []byte
	begin := 0
	if lo > 0 {
		begin = p.rows[lo-1].end
	}
	for i := lo; i < hi; i++ {
		r := &p.rows[i]
		packed := p.packed[begin:r.end]
		begin = r.end
		v := Version{Key: fhir.Key{Type: p.typ, ID: r.id}, Number: r.number, Updated: r.updated, Op: r.op}
		if r.op != Delete {
			var err error
			if stored, err = b.unpackTo(stored[:0], r.codec, packed); err != nil {
				return nil, fmt.Errorf("read an export: %w", err)
			}
			v.Stored = stored
		}
		var err error
		if dst, err = to.Render(dst, &v); err != nil {
			return nil, err
		}
		if i == lo {
			dst = slices.Grow(dst, len(dst)*(hi-lo))
		}
	}
	return dst, nil
}

// unpackTo appends what packed is of to dst. Unlike unpack it keeps nothing.
func (b *bodies) unpackTo(dst []byte, codec int16, packed []byte) ([]byte, error) {
	switch {
	case codec == codecRaw:
		return append(dst, packed...), nil
	case codec == codecZstd && len(packed) <= largeBody:
		return b.decoder.DecodeAll(packed, dst)
	}
	return b.unpack(codec, packed)
}

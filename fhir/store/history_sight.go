package store

import (
	"context"
	"database/sql"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A past is a history while it is read for one caller.
type past struct {
	History
	db       *DB
	registry *search.Registry
	sight    searchsql.Sight
	granular bool   // what is in sight takes the bodies to tell
	purpose  string // what cursors are good for

	at   cursor               // the version that was read last
	last cursor               // the version that was shown last
	gone map[fhir.Key]sighted // deleted resources
}

// sighted says whether something is in sight.
type sighted bool

// past prepares a history for g.
func (db *DB) past(g access.Grant, h History) *past {
	needs := access.MaySearch
	if h.ID != "" {
		needs = access.MayRead
	}
	r := db.Registry()
	sight := db.sights(r, g).of(needs, h.Type)
	return &past{
		History: h, db: db, registry: r, sight: sight, granular: !sight.Unlimited() && sight.Granular(),
		purpose: purpose(h, g.ID()), gone: map[fhir.Key]sighted{},
	}
}

// An entry is a version of a history as it was read.
type entry struct {
	Version
	cursor cursor
	gone   bool // the resource is deleted
}

// batch reads the next n versions that SQL lets through. The total is that of the
// statement.
func (p *past) batch(ctx context.Context, n int, total *int) ([]entry, error) {
	if !p.sight.Unlimited() {
		// To find the few that are seen among many may take as long as a search does.
		turn, err := p.db.turn(ctx)
		if err != nil {
			return nil, err
		}
		defer turn.end()
	}
	q := p.query(n)
	rows, err := p.db.sql.QueryContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, readFault("read history", err)
	}
	defer rows.Close()
	var all []entry
	for rows.Next() {
		e, err := p.scan(rows, total)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read history", err)
	}
	return all, nil
}

// scan reads one version and moves the place of p to it.
func (p *past) scan(rows *sql.Rows, total *int) (entry, error) {
	var e entry
	var op string
	var typ, codec int16
	body := unpacking{bodies: p.db.bodies, codec: &codec}
	to := []any{&p.at.snapshot, total, &p.at.seq, &typ, &e.Key.ID, &e.Number, &e.Updated, &op, &e.Fresh, &codec, &body}
	if p.granular {
		to = append(to, &e.gone, (*pq.Int64Array)(&e.Keys))
	}
	if err := rows.Scan(to...); err != nil {
		return e, readFault("read history", err)
	}
	e.Key.Type = p.db.names[typ]
	p.at.updated = e.Updated
	e.cursor = p.at
	return e, e.fill(op, body.stored)
}

// sees reports whether an entry is in sight, of which SQL said so but for the
// conditions of granular scopes. A deletion is seen if the version before meets
// them, and so is a resource that is deleted.
func (p *past) sees(ctx context.Context, e entry) (bool, error) {
	if !p.granular {
		return true, nil
	}
	if seen, err := p.seesVersion(ctx, e.Version); err != nil || !seen || !e.gone {
		return seen, err
	}
	seen, known := p.gone[e.Key]
	if known {
		return bool(seen), nil
	}
	v, err := p.db.Read(ctx, e.Key)
	if err != nil || v == nil {
		return false, err
	}
	s, err := p.seesVersion(ctx, *v)
	p.gone[e.Key] = sighted(s)
	return s, err
}

// seesVersion reports whether one version is in sight, or the one before it if it
// is a deletion.
func (p *past) seesVersion(ctx context.Context, v Version) (bool, error) {
	if v.Deleted() {
		before, err := p.db.VRead(ctx, v.Key, v.Number-1)
		if err != nil || before == nil {
			return false, err
		}
		v.Stored, v.Updated = before.Stored, before.Updated
	}
	return p.db.sees(p.sight, p.registry, &v)
}

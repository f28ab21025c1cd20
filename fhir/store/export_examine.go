package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// examineRows is how many resources are looked at one by one at a time.
const examineRows = 500

// examinedQuery reads the versions that an instant has of resources, with the keys
// of these and of the current ones. What was purged since is not there.
const examinedQuery = `
SELECT v.rid, v.id, v.ver, v.updated, v.op, CASE WHEN $3 THEN v.codec ELSE 0 END, CASE WHEN $3 THEN v.body END,
	CASE WHEN $4 THEN access_of(v.acl, v.rid) END,
	CASE WHEN $4 THEN (SELECT access_of(n.acl, n.rid) FROM ver n WHERE n.rid = v.rid ORDER BY n.ver DESC LIMIT 1) END
FROM unnest($1::bigint[]) AS k (rid), LATERAL (
	SELECT * FROM ver v WHERE v.rid = k.rid AND pg_visible_in_snapshot(v.xid, $2::pg_snapshot) ORDER BY v.ver DESC LIMIT 1) v
WHERE v.type = $5`

// examine adds to part what the export has of some resources.
func (p *planner) examine(ctx context.Context, rids []int64, part *Planned) error {
	unlimited := p.past.sight.Unlimited()
	content := p.Where != nil || p.Patients != nil
	q := &query{args: []any{int8s(rids), p.At.Snapshot, content, !unlimited, p.db.types[p.Type]}}
	q.sql.WriteString(examinedQuery)
	var all []examined
	err := p.rows(ctx, q, func(rows *sql.Rows) error {
		e, err := p.scan(rows)
		all = append(all, e)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range all {
		has, err := p.has(ctx, &e)
		if err != nil {
			return err
		}
		at := Placed{e.rid, int32(e.Number)}
		switch {
		case !has:
		case e.Deleted():
			part.Deletions = append(part.Deletions, at)
		default:
			part.Versions = append(part.Versions, at)
		}
	}
	return nil
}

// An examined is a version that is looked at.
type examined struct {
	Version
	rid     int64
	current []int64 // effective keys of the current version
}

func (p *planner) scan(rows *sql.Rows) (examined, error) {
	e := examined{Version: Version{Key: fhir.Key{Type: p.Type}}}
	var op string
	var codec int16
	body := unpacking{bodies: p.db.bodies, codec: &codec}
	if err := rows.Scan(&e.rid, &e.Key.ID, &e.Number, &e.Updated, &op, &codec, &body, (*keyList)(&e.Keys), (*keyList)(&e.current)); err != nil {
		return e, err
	}
	return e, e.fill(op, body.stored)
}

// has reports whether the export has e. A deletion is exported if the content
// before it would have been.
func (p *planner) has(ctx context.Context, e *examined) (bool, error) {
	if e.Updated.Before(p.Since) || e.Deleted() && p.Since.IsZero() {
		return false, nil
	}
	for _, keys := range [][]int64{e.Keys, e.current} {
		seen, err := p.db.sees(p.past.sight, p.registry, &Version{Key: e.Key, Keys: keys})
		if err != nil || !seen {
			return false, err
		}
	}
	if p.Where == nil && p.Patients == nil {
		return true, nil
	}
	v := e.Version
	if v.Deleted() {
		before, err := p.db.VRead(ctx, v.Key, v.Number-1)
		if err != nil || before == nil {
			return false, err
		}
		v.Stored = before.Stored
	}
	return p.holds(&v, e.rid)
}

// holds reports whether the content of v is what the export asks for.
func (p *planner) holds(v *Version, rid int64) (bool, error) {
	r, err := fhir.Decode(v.Key.Type, v.Stored)
	if err != nil {
		return false, fmt.Errorf("decode a stored %s: %w", v.Key.Type, err)
	}
	ix, err := p.registry.Index(r.Root(), v.Key.ID)
	if err != nil {
		return false, fmt.Errorf("index a stored %s: %w", v.Key.Type, err)
	}
	ix.Updated = v.Updated
	if p.Patients != nil && !slices.ContainsFunc(ix.Members, func(m search.Member) bool {
		return slices.Contains(p.members, p.db.secret.Compartment(m.Compartment))
	}) {
		return false, nil
	}
	c := candidate{index: ix, root: r.Root(), rid: rid, secret: &p.db.secret}
	return p.Where == nil || c.holds(search.Or(p.Where)), nil
}

package store

import (
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A Row is a version ready to be written. [DB.Row] makes it.
type Row struct {
	Key    fhir.Key
	Op     Op
	Origin string // the client that writes it; empty for none
	Stored []byte // the stored form of the resource, which nobody changes

	Index *search.Index // what the content is found by, nil in a deletion
	Keys  []access.Key  // access keys that the content gives it
	Gifts []access.Gift // that the content gives to others

	Author  []access.Key  // keys of its writer's side, to be added to those that the version before has
	Allowed []access.Gift // those of Gifts that may be given if they are new; a trusted writer's are all of them
	Trail   *Trail        // line of audit to be written along with the version; nil for none
	Past    bool          // it is loaded as history, and starts no notification

	own, sources []int64 // hashes of Keys, and of those that others may give to

	resource   *fhir.Resource
	definition *definition // of a SearchParameter that is to be in force
	typ        int16
	rid        int64
	hash       int64
	codec      int16
	body       []byte
	columns    columns
}

// columns are the search columns of a row, as they are sent to Postgres.
type columns struct {
	generation  int // of the registry that they were made by
	keys, refs  []byte
	times       [6][]byte // t1, t1h, t2, …; nil for NULL
	s1          any       // a string, or nil for NULL
	strs, sorts string
	words       []byte
	ranges      ranges

	failed []*search.Param // whose expression is in error for the resource; not sent
}

// ranges are rows of rng, as arrays of one length.
type ranges struct {
	groups, lows, highs []byte
	none                bool
}

// Row makes r ready to be stored under k: packs it, and finds out what it is to
// be found by, who may see it and what it gives to others. A resource that cannot be indexed and a SearchParameter that is
// active but cannot be used are an Unprocessable [*fhir.Outcome].
func (db *DB) Row(k fhir.Key, op Op, r *fhir.Resource) (Row, error) {
	typ, rid, err := db.number(k)
	if err != nil {
		return Row{}, err
	}
	row := Row{Key: k, Op: op, Stored: r.Stored(k.ID), resource: r, typ: typ, rid: rid}
	if k.Type == parameterType {
		if row.definition, err = db.definition(r.Root()); err != nil {
			return Row{}, err
		}
	}
	if row.columns, row.Index, err = db.secret.columns(db.Registry(), r.Root(), k.ID); err != nil {
		return Row{}, err
	}
	db.authorize(&row, r.Root())
	row.hash = db.secret.Body(row.Stored)
	row.codec, row.body = db.bodies.pack(row.Stored)
	return row, nil
}

// authorize finds out who may see the resource at root, with the index of row, and
// what it gives to others.
func (db *DB) authorize(row *Row, root fhir.Node) {
	row.Keys = access.Keys(row.Index, root)
	row.Gifts = access.Gifts(row.Index, root, row.Keys)
	row.own, row.sources = db.secret.Accesses(row.Keys), db.secret.targets(row.Keys)
}

// columns makes the search columns of the resource at root, and its index.
func (s *secret) columns(registry *search.Registry, root fhir.Node, id string) (columns, *search.Index, error) {
	ix, err := registry.Index(root, id)
	if err != nil {
		return columns{}, nil, fmt.Errorf("index a %s: %w", root.Type().Name, err)
	}
	c := sent(s.Row(ix, search.WordsOf(root, false)), registry.Generation)
	c.failed = ix.Failed
	return c, ix, nil
}

// sent returns the columns of r as Postgres gets them.
func sent(r searchsql.Row, generation int) columns {
	c := columns{
		generation: generation,
		keys:       int8s(r.Keys),
		refs:       int8s(r.Refs),
		strs:       r.Strs,
		sorts:      r.Sorts,
		words:      r.Words,
	}
	for i, span := range r.Times {
		if span.Set {
			c.times[2*i], c.times[2*i+1] = timestamp(span.Lo), timestamp(span.Hi)
		}
	}
	if r.S1 != "" {
		c.s1 = r.S1
	}
	n := len(r.Ranges)
	c.ranges = ranges{array(oidInt8, n), array(oidFloat8, n), array(oidFloat8, n), n == 0}
	for _, x := range r.Ranges {
		c.ranges.groups = appendInt8(c.ranges.groups, x.Group)
		c.ranges.lows, c.ranges.highs = appendFloat8(c.ranges.lows, x.Lo), appendFloat8(c.ranges.highs, x.Hi)
	}
	return c
}

// args appends what the statements that write search rows have from $5 on.
func (c *columns) args(args []any) []any {
	return append(c.searched(args), c.ranges.groups, c.ranges.lows, c.ranges.highs)
}

// searched appends those of them that are not ranges.
func (c *columns) searched(args []any) []any {
	return append(args, c.generation, c.keys, c.refs, c.times[0], c.times[1], c.times[2], c.times[3], c.times[4], c.times[5], c.s1, c.strs, c.sorts)
}

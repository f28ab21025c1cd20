package searchsql

import "strconv"

// A Count asks how many rows there are.
type Count struct {
	Arms  []Arm
	Limit int // no more are counted of each arm; 0 for all
}

// Statement writes c: one number.
func (c *Count) Statement(t *Tables) Statement {
	b := &Builder{}
	b.SQL("SELECT ")
	b.joined(len(c.Arms), " + ", func(i int) {
		b.SQL("(SELECT count(*) FROM (")
		c.Arms[i].rows(b, t, func() { b.SQL("r.rid") })
		if c.Limit > 0 {
			b.SQL(" LIMIT ", strconv.Itoa(c.Limit))
		}
		b.SQL(") n)")
	})
	return b.Statement()
}

// IDs asks for the RIDs of rows, in order, and nothing else.
type IDs struct {
	Arm   Arm
	After *int64 // those behind it; nil for all
	Limit int    // 0 for all
}

// Statement writes q: one RID in each row.
func (q *IDs) Statement(t *Tables) Statement {
	b := &Builder{}
	b.SQL("WITH s AS MATERIALIZED (")
	q.Arm.rows(b, t, func() { b.SQL("r.rid") })
	b.SQL(")\nSELECT rid FROM s")
	page(b, "rid", q.After, q.Limit)
	return b.Statement()
}

// page writes the part of numbers in order.
func page(b *Builder, column string, after *int64, limit int) {
	if after != nil {
		b.SQL(" WHERE ", column, " > ")
		b.Int(*after)
	}
	b.SQL(" ORDER BY ", column)
	if limit > 0 {
		b.SQL(" LIMIT ", strconv.Itoa(limit))
	}
}

// Pointing asks for what rows refer to by one of some parameters: RIDs, or URLs.
// With it go a _has whose rows are few, from end to end, and the links of
// resources that are included.
type Pointing struct {
	Arm   Arm
	Salts []int64 // of the parameters
	Among []int64 // only what is one of them counts; nil for all
	After *int64  // what is behind it; nil for all
	Limit int     // 0 for all
}

// Statement writes q: in each row one target, each once, in order.
func (q *Pointing) Statement(t *Tables) Statement {
	b := &Builder{}
	b.SQL("WITH s AS MATERIALIZED (")
	q.Arm.rows(b, t, func() { b.SQL("r.keys, r.refs") })
	b.SQL("),\nt AS (SELECT DISTINCT x FROM s, unnest(s.refs) x WHERE (")
	b.joined(len(q.Salts), " OR ", func(i int) {
		b.SQL("s.keys @> ARRAY[x # ")
		b.Int(q.Salts[i])
		b.SQL("]")
	})
	b.SQL(")")
	if q.Among != nil {
		b.SQL(" AND x = ANY (")
		b.Ints(q.Among)
		b.SQL(")")
	}
	b.SQL(")\nSELECT x FROM t")
	page(b, "x", q.After, q.Limit)
	return b.Statement()
}

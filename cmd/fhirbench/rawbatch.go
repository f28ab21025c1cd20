package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rawBatches writes rows straight into the tables, many in one statement, without asking what is there, who may see it, or
// what it gives to others: the ceiling of what a server can do with the same keys and bodies. The rows are copies of those
// that the server has written, with new ids; a key that only one of them had is new in each copy, as it would be. The packed
// bodies still have the old ids, so the copies are taken out again in the end.
type rawBatches struct {
	config
	db     *sql.DB
	layout rawLayout
	rows   []rawRow
	rare   map[string]bool // keys that one row alone has
	taken  int
	rids   [][]byte // of the copies
}

// rawRow is what stands about one resource in the tables, each row as its columns, each column as Postgres sends it.
type rawRow struct {
	partition string
	res, ver  composite
	ranges    []composite
}

func openRawBatches(ctx context.Context, c config) (*rawBatches, error) {
	// Bytes are sent as they are, and the settings of a session are those of the server.
	db, err := sql.Open("postgres", c.dsn+" binary_parameters=yes jit=off")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db.SetMaxIdleConns(c.clients)
	b := &rawBatches{config: c, db: db}
	if b.layout, err = readLayout(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// close takes the copies out again, also when ctx is done.
func (b *rawBatches) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	for rids := range slices.Chunk(b.rids, 10_000) {
		const query = `WITH gone AS (SELECT unnest($1::bigint[]) AS rid),
			r AS (DELETE FROM res USING gone WHERE res.rid = gone.rid),
			g AS (DELETE FROM rng USING gone WHERE rng.rid = gone.rid)
			DELETE FROM ver USING gone WHERE ver.rid = gone.rid`
		if _, err := b.db.ExecContext(ctx, query, arrayOf(oidInt8, rids)); err != nil {
			return errors.Join(fmt.Errorf("take the raw batches out again: %w", err), b.db.Close())
		}
	}
	return b.db.Close()
}

// newestQuery finds the resources that were written last.
const newestQuery = `
SELECT r.tableoid::regclass::text, record_send(r), record_send(v), ARRAY(SELECT record_send(g) FROM rng g WHERE g.rid = v.rid AND g.ver = v.ver)
FROM (SELECT * FROM ver ORDER BY seq DESC LIMIT $1) v JOIN res r ON r.rid = v.rid AND r.type = v.type AND r.ver = v.ver
WHERE NOT r.deleted`

// copyNewest takes the n rows that were written last.
func (b *rawBatches) copyNewest(ctx context.Context, n int) error {
	rows, err := b.db.QueryContext(ctx, newestQuery, n)
	if err != nil {
		return fmt.Errorf("copy the newest rows: %w", err)
	}
	defer rows.Close()
	b.rows = nil
	for rows.Next() {
		var r rawRow
		var res, ver []byte
		var ranges byteArrays
		if err := rows.Scan(&r.partition, &res, &ver, &ranges); err != nil {
			return fmt.Errorf("copy the newest rows: %w", err)
		}
		r.res, r.ver = parseComposite(res), parseComposite(ver)
		for _, one := range ranges {
			r.ranges = append(r.ranges, parseComposite(one))
		}
		b.rows = append(b.rows, r)
	}
	if len(b.rows) == 0 && rows.Err() == nil {
		return fmt.Errorf("copy the newest rows: there are none")
	}
	b.findRare()
	return rows.Err()
}

// findRare finds the keys that one row alone has.
func (b *rawBatches) findRare() {
	seen := map[string]int{}
	for _, r := range b.rows {
		for key := range elements(r.res[b.layout.res.at["keys"]].data) {
			seen[string(key)]++
		}
	}
	b.rare = map[string]bool{}
	for key, n := range seen {
		if n == 1 {
			b.rare[key] = true
		}
	}
}

// run writes n resources in batches, which are made before the time is taken.
func (b *rawBatches) run(ctx context.Context, n, size int) (stretch, error) {
	partitions := map[string]bool{}
	for _, r := range b.rows {
		partitions[r.partition] = true
	}
	names := slices.Sorted(maps.Keys(partitions))
	statement, err := b.db.PrepareContext(ctx, b.layout.statement(names))
	if err != nil {
		return stretch{}, fmt.Errorf("prepare the statement of a batch: %w", err)
	}
	defer statement.Close()
	batches := make([][]any, max(1, n/size))
	for i := range batches {
		batches[i] = b.batch(names, size)
	}
	took, err := spread(ctx, b.clients, len(batches), func(ctx context.Context, i int) error {
		if _, err := statement.ExecContext(ctx, batches[i]...); err != nil {
			return fmt.Errorf("write a batch: %w", err)
		}
		return nil
	})
	return stretch{Resources: int64(len(batches) * size), Seconds: took.Seconds()}, err
}

// batch makes the arguments of one statement: the rows of each partition, the versions, and the ranges.
func (b *rawBatches) batch(partitions []string, size int) []any {
	res := map[string][][]byte{}
	var vers, ranges [][]byte
	for range size {
		r := b.rows[b.taken%len(b.rows)]
		b.taken++
		rid, id := fresh(), []byte(strings.ToLower(rand.Text()))
		b.rids = append(b.rids, rid)
		res[r.partition] = append(res[r.partition], r.res.with(b.layout.res, map[string][]byte{
			"rid": rid, "id": id, "keys": b.renewed(r.res[b.layout.res.at["keys"]].data),
		}))
		vers = append(vers, r.ver.with(b.layout.ver, map[string][]byte{"rid": rid, "id": id}))
		for _, one := range r.ranges {
			ranges = append(ranges, one.with(b.layout.rng, map[string][]byte{"rid": rid}))
		}
	}
	var args []any
	for _, name := range partitions {
		args = append(args, arrayOf(b.layout.res.oid, res[name]))
	}
	return append(args, arrayOf(b.layout.ver.oid, vers), arrayOf(b.layout.rng.oid, ranges))
}

// renewed returns an array of keys with new ones for those that are rare.
func (b *rawBatches) renewed(keys []byte) []byte {
	keys = slices.Clone(keys)
	for key := range elements(keys) {
		if b.rare[string(key)] {
			copy(key, fresh())
		}
	}
	return keys
}

// fresh draws a number of eight bytes.
func fresh() []byte {
	n := make([]byte, 8)
	rand.Read(n)
	return n
}

// rawLayout is what the tables look like.
type rawLayout struct{ res, ver, rng tableLayout }

type tableLayout struct {
	name    string
	oid     uint32 // of the type of its rows
	columns []string
	at      map[string]int // place of each column
}

func readLayout(ctx context.Context, db *sql.DB) (rawLayout, error) {
	var l rawLayout
	for name, to := range map[string]*tableLayout{"res": &l.res, "ver": &l.ver, "rng": &l.rng} {
		*to = tableLayout{name: name, at: map[string]int{}}
		rows, err := db.QueryContext(ctx, `SELECT c.reltype::bigint, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
			WHERE c.oid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, name)
		if err != nil {
			return l, fmt.Errorf("read the columns of %s: %w", name, err)
		}
		for rows.Next() {
			var column string
			if err := rows.Scan(&to.oid, &column); err != nil {
				return l, fmt.Errorf("read the columns of %s: %w", name, err)
			}
			to.at[column] = len(to.columns)
			to.columns = append(to.columns, column)
		}
		if err := rows.Err(); err != nil {
			return l, fmt.Errorf("read the columns of %s: %w", name, err)
		}
	}
	return l, nil
}

// insert returns the part of a statement that inserts the rows of a parameter. What the database gives by itself it gives anew.
func (t tableLayout) insert(into string, parameter int) string {
	var names, values []string
	for _, c := range t.columns {
		switch c {
		case "xid", "seq":
			continue
		case "updated":
			values = append(values, "date_trunc('milliseconds', clock_timestamp())")
		default:
			values = append(values, "x."+c)
		}
		names = append(names, c)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM unnest($%d::%s[]) x",
		into, strings.Join(names, ", "), strings.Join(values, ", "), parameter, t.name)
}

// statement writes rows of the partitions, versions and ranges.
func (l rawLayout) statement(partitions []string) string {
	var parts []string
	for i, name := range partitions {
		parts = append(parts, fmt.Sprintf("r%d AS (%s)", i+1, l.res.insert(name, i+1)))
	}
	n := len(partitions)
	parts = append(parts, fmt.Sprintf("v AS (%s)", l.ver.insert("ver", n+1)))
	return "WITH " + strings.Join(parts, ",\n") + "\n" + l.rng.insert("rng", n+2)
}

// composite is a row as its columns.
type composite []field

type field struct {
	oid  uint32
	data []byte // nil for NULL
}

// parseComposite takes apart what record_send makes: the number of columns, and of each type, length and content.
func parseComposite(text []byte) composite {
	c := make(composite, binary.BigEndian.Uint32(text))
	text = text[4:]
	for i := range c {
		c[i].oid = binary.BigEndian.Uint32(text)
		size := int32(binary.BigEndian.Uint32(text[4:]))
		text = text[8:]
		if size >= 0 {
			c[i].data, text = text[:size:size], text[size:]
		}
	}
	return c
}

// with writes the row with other content in some columns.
func (c composite) with(t tableLayout, other map[string][]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(c)))
	for i, f := range c {
		if data, changed := other[t.columns[i]]; changed {
			f.data = data
		}
		b = appendSized(binary.BigEndian.AppendUint32(b, f.oid), f.data)
	}
	return b
}

// appendSized writes content after its length, which says NULL for nil.
func appendSized(b, data []byte) []byte {
	if data == nil {
		return binary.BigEndian.AppendUint32(b, 1<<32-1)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
}

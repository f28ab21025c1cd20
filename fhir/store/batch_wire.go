package store

import (
	"encoding/binary"
	"strings"
)

// The OIDs of further types.
const (
	oidBool        = 16
	oidBytes       = 17
	oidInt8Array   = 1016
	oidFloat8Array = 1022
)

// rowFields is how many attributes a write_row has.
const rowFields = 42

// batchRows returns changes as a write_row[], which needs no parsing: one
// array, however many keys each row has.
func (db *DB) batchRows(changes []Change) ([]byte, error) {
	size := 20
	for i := range changes {
		size += 1024 + len(changes[i].body) + 2*len(changes[i].columns.keys)
	}
	b := make(record, 0, size)
	b.head(db.rowType, len(changes))
	for i := range changes {
		at := len(b)
		b.int(0) // how long the row is
		b.int(rowFields)
		if err := db.row(&b, &changes[i]); err != nil {
			return nil, err
		}
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b, nil
}

// row appends the attributes of a write_row.
func (db *DB) row(b *record, c *Change) error {
	b.text(string(c.Op))
	b.int2(c.typ)
	b.int8(c.rid)
	b.text(c.Key.ID)
	b.int8(c.hash)
	b.int4(int32(c.Expect))
	b.int2(c.codec)
	b.flag(c.Past)
	b.text(c.Origin)
	b.bytes(oidBytes, c.body)
	b.bytes(oidBytes, c.columns.words)
	if c.Op == Delete {
		b.nulls(oidInt8Array, 6)
	} else if err := db.authority(b, c); err != nil {
		return err
	}
	b.columns(&c.columns)
	db.trail(b, c.Trail)
	return nil
}

// authority appends who sees a version and what it gives.
func (db *DB) authority(b *record, c *Change) error {
	given, err := db.secret.given(&c.Row)
	if err != nil {
		return err
	}
	for _, keys := range [][]byte{int8s(c.own), int8s(c.sources), int8s(db.secret.Accesses(c.Author)), given.targets, given.keys, given.marks} {
		b.bytes(oidInt8Array, keys)
	}
	return nil
}

// columns appends what a version is found by.
func (b *record) columns(c *columns) {
	b.bytes(oidInt8Array, c.keys)
	b.bytes(oidInt8Array, c.refs)
	for _, t := range c.times {
		b.bytes(oidTime, t)
	}
	s1, _ := c.s1.(string)
	b.maybe(s1)
	if c.keys == nil {
		b.nulls(oidText, 2)
	} else {
		b.text(c.strs)
		b.text(c.sorts)
	}
	if c.ranges.none || c.keys == nil {
		b.nulls(oidInt8Array, 1)
		b.nulls(oidFloat8Array, 2)
		return
	}
	b.bytes(oidInt8Array, c.ranges.groups)
	b.bytes(oidFloat8Array, c.ranges.lows)
	b.bytes(oidFloat8Array, c.ranges.highs)
}

// trail appends a line of audit.
func (db *DB) trail(b *record, t *Trail) {
	if t == nil || db.audit == nil {
		b.nulls(oidText, 2)
		b.nulls(oidInt2, 1)
		b.nulls(oidText, 5)
		b.nulls(oidInt8, 1)
		b.nulls(oidInt8Array, 1)
		b.nulls(oidText, 1)
		return
	}
	b.text(clean(t.Interaction))
	b.text(clean(t.Request))
	b.int2(t.Outcome)
	for _, s := range []string{t.Client, t.Agent, strings.Join(t.Organizations, " "), t.Origin, strings.Join(t.Patients, " ")} {
		b.maybe(clean(s))
	}
	rids := db.secret.concerned(t)
	if len(rids) == 0 {
		b.nulls(oidInt8, 1)
	} else {
		b.int8(rids[0])
	}
	if len(rids) < 2 {
		b.nulls(oidInt8Array, 1)
	} else {
		b.bytes(oidInt8Array, int8s(rids[1:]))
	}
	b.maybe(clean(detailText(t.Detail)))
}

// A record is an array of rows as Postgres receives it in binary: each attribute
// has its type, its length and its value.
type record []byte

// head begins an array of n rows.
func (b *record) head(oid uint32, n int) {
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0
	}
	b.int(dimensions)
	b.int(0) // has no NULL
	b.int(oid)
	if n > 0 {
		b.int(uint32(n))
		b.int(1) // the first index
	}
}

func (b *record) int(n uint32) { *b = binary.BigEndian.AppendUint32(*b, n) }

func (b *record) attribute(oid uint32, n int) {
	b.int(oid)
	b.int(uint32(n))
}

func (b *record) int2(n int16) {
	b.attribute(oidInt2, 2)
	*b = binary.BigEndian.AppendUint16(*b, uint16(n))
}

func (b *record) int4(n int32) {
	b.attribute(oidInt4, 4)
	b.int(uint32(n))
}

func (b *record) int8(n int64) {
	b.attribute(oidInt8, 8)
	*b = binary.BigEndian.AppendUint64(*b, uint64(n))
}

// flag appends true, or NULL.
func (b *record) flag(set bool) {
	if !set {
		b.nulls(oidBool, 1)
		return
	}
	b.attribute(oidBool, 1)
	*b = append(*b, 1)
}

func (b *record) text(s string) {
	b.attribute(oidText, len(s))
	*b = append(*b, s...)
}

// maybe appends s, or NULL if it is empty.
func (b *record) maybe(s string) {
	if s == "" {
		b.nulls(oidText, 1)
		return
	}
	b.text(s)
}

// bytes appends a value that is in binary already; nil is NULL.
func (b *record) bytes(oid uint32, v []byte) {
	if v == nil {
		b.nulls(oid, 1)
		return
	}
	b.attribute(oid, len(v))
	*b = append(*b, v...)
}

func (b *record) nulls(oid uint32, n int) {
	for range n {
		b.int(oid)
		b.int(1<<32 - 1)
	}
}

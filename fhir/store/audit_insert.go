package store

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// recordQuery stores lines. Behind an attempt of which nobody knows what became it
// takes [onceMore] at its end, which takes a sixth longer.
const recordQuery = `
INSERT INTO audit (at, seq, outcome, ver, type, rid, patient, id, interaction, request, client, agent, orgs, origin, patients, others, detail)
SELECT at, seq, outcome, ver, type, rid, patient, id, interaction, request, client, agent, orgs, origin, patients, string_to_array(others, ' ')::bigint[], detail::jsonb
FROM unnest($1::timestamptz[], $2::bigint[], $3::smallint[], $4::integer[], $5::smallint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[],
	$11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
	AS l (at, seq, outcome, ver, type, rid, patient, id, interaction, request, client, agent, orgs, origin, patients, others, detail)`

// onceMore leaves out the lines that are stored.
const onceMore = ` ON CONFLICT (at, seq) DO NOTHING`

// insert stores a batch; again says that it may be stored already.
func (r *recorder) insert(batch []taken, again bool) error {
	columns := make([]column, 17)
	for i, oid := range []uint32{oidTime, oidInt8, oidInt2, oidInt4, oidInt2, oidInt8, oidInt8} {
		columns[i] = newColumn(oid, len(batch))
	}
	for i := 7; i < len(columns); i++ {
		columns[i] = newColumn(oidText, len(batch))
	}
	for _, l := range batch {
		r.add(columns, l)
	}
	args := make([]any, len(columns))
	for i, c := range columns {
		args[i] = []byte(c)
	}
	query := recordQuery
	if again {
		query += onceMore
	}
	if _, err := r.pool.ExecContext(r.life, query, args...); err != nil {
		return fault("store lines of audit", err)
	}
	return nil
}

// add appends l to the columns, which are in the order of recordQuery.
func (r *recorder) add(c []column, l taken) {
	c[0].int8(l.at - epoch)
	c[1].int8(l.seq)
	c[2].int2(l.Outcome)
	c[3].int4(int32(l.Version))
	if typ, ok := r.types[l.Key.Type]; ok {
		c[4].int2(typ)
	} else {
		c[4].null()
	}
	if l.Key.ID == "" {
		c[5].null()
	} else {
		c[5].int8(r.secret.RID(l.Key))
	}
	others := r.patients(&c[6], &l.Trail)
	for i, s := range []string{l.Key.ID, l.Interaction, l.Request, l.Client, l.Agent, strings.Join(l.Organizations, " "), l.Origin, strings.Join(l.Patients, " "), others} {
		// What a line cannot be without may be empty, and is not NULL.
		c[7+i].text(s, i == 1 || i == 2)
	}
	c[16].text(detailText(l.Detail), false)
}

// patients appends the rid of the first patient that t is found by, and returns
// those of the others.
func (r *recorder) patients(first *column, t *Trail) string {
	rids := r.secret.concerned(t)
	if len(rids) == 0 {
		first.null()
		return ""
	}
	first.int8(rids[0])
	var others []byte
	for _, rid := range rids[1:] {
		if len(others) > 0 {
			others = append(others, ' ')
		}
		others = strconv.AppendInt(others, rid, 10)
	}
	return string(others)
}

// The OIDs of further elements of arrays.
const (
	oidInt2 = 21
	oidInt4 = 23
	oidText = 25
	oidTime = 1184
)

// A column is an array of values of which some are NULL, as Postgres gets it.
type column []byte

func newColumn(oid uint32, n int) column {
	c := make(column, 0, 20+16*n)
	c = binary.BigEndian.AppendUint32(c, 1) // dimension
	c = binary.BigEndian.AppendUint32(c, 1) // may have NULLs
	c = binary.BigEndian.AppendUint32(c, oid)
	c = binary.BigEndian.AppendUint32(c, uint32(n))
	return binary.BigEndian.AppendUint32(c, 1) // the first index
}

func (c *column) int8(n int64) { *c = appendInt8(*c, n) }

func (c *column) int4(n int32) {
	*c = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(*c, 4), uint32(n))
}

func (c *column) int2(n int16) {
	*c = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(*c, 2), uint16(n))
}

func (c *column) null() { *c = binary.BigEndian.AppendUint32(*c, 1<<32-1) }

// text appends s, which is NULL when it is empty unless that is kept.
func (c *column) text(s string, keep bool) {
	if s == "" && !keep {
		c.null()
		return
	}
	s = clean(s)
	*c = append(binary.BigEndian.AppendUint32(*c, uint32(len(s))), s...)
}

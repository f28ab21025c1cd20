package searchsql

import (
	"math"
	"strconv"
)

// column writes the value of k on the alias r, NULL for none.
func (k Key) column(b *Builder) {
	switch k.source {
	case fromRID:
		b.SQL("r.rid")
	case fromID:
		b.SQL("r.id")
	case fromUpdated:
		b.SQL("r.updated")
	case fromSlot:
		b.SQL("r.t", strconv.Itoa(k.slot))
	case fromName:
		b.SQL("r.s1")
	default:
		k.place(b)
	}
}

// place writes the least or the greatest value in res.sorts.
func (k Key) place(b *Builder) {
	if k.param == nil {
		b.SQL(`NULL::text COLLATE "C"`)
		return
	}
	greatest := k.Descending != k.missing // whatever way it is read
	if !greatest {
		b.SQL("nullif(split_part(")
		writePlace(b, k.param)
		b.SQL(`, E'\x1e', 1), '')`)
		return
	}
	b.SQL("nullif(split_part(")
	writePlace(b, k.param)
	b.SQL(`, E'\x1e', -1), '')`)
}

// isTime reports whether k is a time column.
func (k Key) isTime() bool { return k.source == fromSlot || k.source == fromUpdated }

// isAlways reports whether every row has a value.
func (k Key) isAlways() bool {
	return k.source == fromRID || k.source == fromID || k.source == fromUpdated
}

// literal writes a value of k.
func (k Key) literal(b *Builder, v Value) {
	switch {
	case k.source == fromRID:
		b.Int(v.rid())
	case k.isTime():
		n, _ := v.number()
		b.SQL("'", slotTime(n), "'::timestamptz")
	default:
		b.Arg(v.Text)
	}
}

// result writes what Value.Scan reads.
func (k Key) result(b *Builder, column string) {
	if k.isTime() {
		b.SQL("'", timeMark, "' || (extract(epoch FROM ", column, ") * 1000000)::bigint")
		return
	}
	b.SQL("'", textMark, "' || ", column)
}

// direction writes the order of a column that has missing values unless always
// is set.
func (k Key) direction(b *Builder, always bool) {
	if k.Descending {
		b.SQL(" DESC")
	}
	switch {
	case always || k.isAlways():
	case k.missing:
		b.SQL(" NULLS FIRST")
	case k.Descending:
		b.SQL(" NULLS LAST")
	}
}

// A keyset writes what lies behind a place in an order.
type keyset struct {
	keys   []Key
	values []Value
	column func(b *Builder, i int) // writes the column of key i
}

// behind writes that a row lies behind the place, by the keys from i on.
func (s keyset) behind(b *Builder, i int) {
	k, v := s.keys[i], s.values[i]
	if v.Missing {
		b.SQL("(")
		if k.missing {
			s.column(b, i)
			b.SQL(" IS NOT NULL OR ")
		}
		s.column(b, i)
		b.SQL(" IS NULL AND ")
		s.behind(b, i+1)
		b.SQL(")")
		return
	}
	b.SQL("(")
	s.compare(b, i, k.further())
	if i+1 < len(s.keys) {
		b.SQL(" OR ")
		s.compare(b, i, " = ")
		b.SQL(" AND ")
		s.behind(b, i+1)
	}
	if !k.missing && !k.isAlways() {
		b.SQL(" OR ")
		s.column(b, i)
		b.SQL(" IS NULL")
	}
	b.SQL(")")
}

func (s keyset) compare(b *Builder, i int, operator string) {
	s.column(b, i)
	b.SQL(operator)
	s.keys[i].literal(b, s.values[i])
}

func (k Key) further() string {
	if k.Descending {
		return " < "
	}
	return " > "
}

// inIndex writes that a row with a value for the first key lies behind the place,
// so that an index on that key and the RID finds where to go on.
func (s keyset) inIndex(b *Builder) {
	if len(s.keys) == 2 {
		b.SQL("(")
		s.column(b, 0)
		b.SQL(", r.rid)", s.keys[0].further(), "(")
		s.keys[0].literal(b, s.values[0])
		b.SQL(", ")
		s.keys[1].literal(b, s.values[1])
		b.SQL(")")
		return
	}
	if len(s.keys) > 2 {
		operator := " >= "
		if s.keys[0].Descending {
			operator = " <= "
		}
		s.compare(b, 0, operator)
		b.SQL(" AND ")
	}
	s.behind(b, 0)
}

// slotTime returns the time of a slot, which may be open.
func slotTime(micros float64) string {
	switch {
	case math.IsInf(micros, -1):
		return openBegin
	case math.IsInf(micros, 1):
		return openEnd
	}
	return timeText(micros)
}

package searchsql

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A Statement is SQL text with its arguments. Without arguments it takes one
// round trip and is planned with all its numbers.
type Statement struct {
	SQL  string
	Args []any
}

// A Builder writes a statement. Text of a client enters through Arg only; the
// other methods take what cannot be text.
type Builder struct {
	sql  strings.Builder
	args []any
}

// SQL writes fixed parts of a statement, as they stand in the source code.
func (b *Builder) SQL(parts ...string) {
	for _, p := range parts {
		b.sql.WriteString(p)
	}
}

// Arg binds v and writes its place in the text.
func (b *Builder) Arg(v any) {
	b.args = append(b.args, v)
	b.SQL("$", strconv.Itoa(len(b.args)))
}

// Int writes a bigint.
func (b *Builder) Int(n int64) {
	// Without the quotes the smallest number would be a numeric with a sign before it.
	b.SQL("'", strconv.FormatInt(n, 10), "'::bigint")
}

// Ints writes an array of bigint.
func (b *Builder) Ints(ns []int64) {
	b.SQL("'{")
	for i, n := range ns {
		if i > 0 {
			b.SQL(",")
		}
		b.SQL(strconv.FormatInt(n, 10))
	}
	b.SQL("}'::bigint[]")
}

// Float writes a double precision, which may be infinite.
func (b *Builder) Float(f float64) {
	b.SQL("'", strconv.FormatFloat(f, 'g', -1, 64), "'::float8")
}

// Time writes a moment given in microseconds since 1970, which may be infinite.
func (b *Builder) Time(micros float64) { b.SQL("'", timeText(micros), "'::timestamptz") }

// Statement returns what was written.
func (b *Builder) Statement() Statement { return Statement{b.sql.String(), b.args} }

// joined writes n items with a word between them.
func (b *Builder) joined(n int, word string, item func(i int)) {
	for i := range n {
		if i > 0 {
			b.SQL(word)
		}
		item(i)
	}
}

// timeText returns a whole number of microseconds since 1970 as Postgres reads
// it.
func timeText(micros float64) string {
	switch {
	case math.IsInf(micros, -1):
		return "-infinity"
	case math.IsInf(micros, 1):
		return "infinity"
	}
	t := time.UnixMicro(int64(micros)).UTC()
	if t.Year() > 0 {
		return t.Format("2006-01-02 15:04:05.999999Z")
	}
	return t.AddDate(1-2*t.Year(), 0, 0).Format("2006-01-02 15:04:05.999999Z BC")
}

package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What lib/pq gets as bytes it sends in binary, for which Postgres needs no
// parsing: arrays of keys are most of what a write has to say.
// https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES

// The OIDs of the elements of arrays.
const (
	oidInt8   = 20
	oidFloat8 = 701
)

// int8s returns a bigint[].
func int8s(v []int64) []byte {
	b := array(oidInt8, len(v))
	for _, n := range v {
		b = appendInt8(b, n)
	}
	return b
}

// appendInt8 appends an element of a bigint[].
func appendInt8(b []byte, n int64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// array begins an array of n elements of eight bytes.
func array(oid uint32, n int) []byte {
	b := make([]byte, 0, 20+12*n)
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0
	}
	b = binary.BigEndian.AppendUint32(b, dimensions)
	b = binary.BigEndian.AppendUint32(b, 0) // has no NULL
	b = binary.BigEndian.AppendUint32(b, oid)
	if n > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = binary.BigEndian.AppendUint32(b, 1) // the first index
	}
	return b
}

// appendFloat8 appends an element of a double precision[].
func appendFloat8(b []byte, f float64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

// Open ends of dates. They are stored as moments before and after all that FHIR
// can write, since the width of an infinite range could not be indexed.
const (
	beginning = -188_395_027_200_000_000 // 4001 BC
	end       = 568_971_820_800_000_000  // 20000 AD
)

// epoch is the zero of a timestamptz, in microseconds since 1970.
const epoch = 946_684_800_000_000

// timestamp returns a timestamptz from microseconds since 1970, which may be
// infinite.
func timestamp(micros float64) []byte {
	t := int64(min(max(micros, beginning), end))
	return binary.BigEndian.AppendUint64(nil, uint64(t-epoch))
}

// A keyList takes a bigint[] that has no NULL, which comes as text. It is nil for
// NULL only.
type keyList []int64

// Scan reads a column.
func (l *keyList) Scan(value any) error {
	*l = nil
	if value == nil {
		return nil
	}
	text, ok := value.([]byte)
	if !ok || len(text) < 2 || text[0] != '{' {
		return fmt.Errorf("%v is no array of numbers", value)
	}
	rest := string(text[1 : len(text)-1])
	*l = make(keyList, 0, strings.Count(rest, ",")+1)
	for rest != "" {
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		n, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return fmt.Errorf("an array of numbers: %w", err)
		}
		*l = append(*l, n)
	}
	return nil
}

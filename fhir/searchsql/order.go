package searchsql

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Key is one key of the order of a search, for the rows of one type.
type Key struct {
	Descending bool

	source  source
	slot    int
	param   *search.Param // nil: the type does not have it
	missing bool          // what has no value comes first
}

// source says which column a Key is.
type source uint8

const (
	fromSorts source = iota
	fromRID
	fromID
	fromUpdated
	fromSlot
	fromName
)

// Order returns the keys of the rows of a type: those of orders, for which param
// returns the parameter that the type has for a code, and last, so that no two
// rows are equal, the RID. Without orders that is all. What has no value comes
// last in both directions.
func Order(orders []search.Order, param func(code string) *search.Param) []Key {
	keys := make([]Key, 0, len(orders)+1)
	for _, o := range orders {
		keys = append(keys, newKey(param(o.Param.Code), o))
	}
	// An index is read to one side: its RIDs go with its values.
	return append(keys, Key{source: fromRID, Descending: len(orders) > 0 && orders[0].Descending})
}

func newKey(p *search.Param, o search.Order) Key {
	k := Key{Descending: o.Descending, param: p}
	switch {
	case o.Param.Code == "_id":
		k.source = fromID
	case o.Param.Code == "_lastUpdated":
		k.source = fromUpdated
	case p == nil:
	case slot(p) > 0:
		k.source, k.slot = fromSlot, slot(p)
	case isMainName(p) && !o.Descending:
		k.source = fromName
	}
	return k
}

// Reverse returns the keys of the opposite order.
func Reverse(keys []Key) []Key {
	reversed := make([]Key, len(keys))
	for i, k := range keys {
		k.Descending, k.missing = !k.Descending, !k.missing
		reversed[i] = k
	}
	return reversed
}

// Walkable reports whether there is an index in the order of keys.
func Walkable(keys []Key) bool {
	switch keys[0].source {
	case fromRID, fromUpdated, fromSlot, fromName:
		return true
	}
	return false
}

// A Value is the value of a row for one Key. Values of one parameter compare by
// their Text, whatever column they are from.
type Value struct {
	Text    string `json:"t,omitempty"`
	Missing bool   `json:"m,omitempty"`
}

// What stands before the text of a key that Postgres returns.
const (
	textMark = "="
	timeMark = "@"
)

// Scan reads what [Page] has a statement return for a key.
func (v *Value) Scan(from any) error {
	var s string
	switch from := from.(type) {
	case nil:
		*v = Value{Missing: true}
		return nil
	case string:
		s = from
	case []byte:
		s = string(from)
	}
	if text, ok := strings.CutPrefix(s, textMark); ok {
		*v = Value{Text: text}
		return nil
	}
	micros, err := strconv.ParseFloat(strings.TrimPrefix(s, timeMark), 64)
	if err != nil || !strings.HasPrefix(s, timeMark) {
		return fmt.Errorf("read a sort key: %T is none", from)
	}
	*v = Value{Text: string(appendNumber(nil, opened(micros)))}
	return nil
}

// Before the first date of R4, and behind the last, all times of slots are open
// ends. In microseconds since 1970: the years -99 and 10100.
const (
	beforeDates = -65_300_000_000e6
	behindDates = 256_560_000_000e6
)

// opened returns the time of a slot as values have it, which know infinities.
func opened(micros float64) float64 {
	switch {
	case micros < beforeDates:
		return math.Inf(-1)
	case micros > behindDates:
		return math.Inf(1)
	}
	return micros
}

// number returns what appendNumber wrote.
func (v Value) number() (float64, bool) {
	b, err := hex.DecodeString(v.Text)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	n := binary.BigEndian.Uint64(b)
	if n>>63 == 1 {
		return math.Float64frombits(n &^ (1 << 63)), true
	}
	return math.Float64frombits(^n), true
}

// Compare returns which of two rows comes first by keys: negative for a. The
// rows may be of two types whose keys are for the same orders.
func Compare(keys []Key, a, b []Value) int {
	for i, k := range keys {
		if c := k.compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (k Key) compare(a, b Value) int {
	if a.Missing || b.Missing {
		switch {
		case a.Missing == b.Missing:
			return 0
		case a.Missing == k.missing:
			return -1
		}
		return 1
	}
	c := cmp.Compare(a.Text, b.Text)
	if k.source == fromRID {
		c = cmp.Compare(a.rid(), b.rid())
	}
	if k.Descending {
		return -c
	}
	return c
}

func (v Value) rid() int64 {
	n, _ := strconv.ParseInt(v.Text, 10, 64)
	return n
}

// check returns an error when values, which came from outside, are none of keys.
func check(keys []Key, values []Value) error {
	refused := fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link does not belong to this search; start again from the first page.")
	if len(keys) != len(values) {
		return refused
	}
	for i, k := range keys {
		v, ok := values[i], true
		switch {
		case k.source == fromRID:
			_, err := strconv.ParseInt(v.Text, 10, 64)
			ok = err == nil && !v.Missing
		case v.Missing:
			ok = k.source != fromID && k.source != fromUpdated
		case k.source == fromSlot || k.source == fromUpdated:
			_, ok = v.number()
		}
		if !ok {
			return refused
		}
	}
	return nil
}

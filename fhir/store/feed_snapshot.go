package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq"
)

// A snapshot says which transactions are done for who looks: those below xmax that
// are not running. The zero snapshot has none done.
// https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
type snapshot struct {
	xmax    uint64
	running []uint64 // below xmax, ascending
}

// parseSnapshot reads a pg_snapshot: "xmin:xmax:xid,xid".
func parseSnapshot(text string) (snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, fmt.Errorf("%q is no snapshot", text)
	}
	xmax, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return snapshot{}, fmt.Errorf("read a snapshot: %w", err)
	}
	s := snapshot{xmax: xmax}
	if parts[2] == "" {
		return s, nil
	}
	for word := range strings.SplitSeq(parts[2], ",") {
		xid, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return snapshot{}, fmt.Errorf("read a snapshot: %w", err)
		}
		s.running = append(s.running, xid)
	}
	slices.Sort(s.running)
	return s, nil
}

// String writes s as a pg_snapshot. That of the zero snapshot shows nothing.
func (s snapshot) String() string {
	xmax := max(s.xmax, 1)
	xmin := xmax
	if len(s.running) > 0 {
		xmin = s.running[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d:", xmin, xmax)
	for i, xid := range s.running {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(xid, 10))
	}
	return b.String()
}

// done reports whether a transaction is done.
func (s snapshot) done(xid uint64) bool {
	_, running := slices.BinarySearch(s.running, xid)
	return xid < s.xmax && !running
}

// mostExtended is by how many transactions a snapshot is extended at most.
const mostExtended = 2000

// extend makes s one up to the transaction that was the next one, of which the last 32
// bits are given: those from xmax on were not done either. It does nothing and returns
// false if those are very many, as with savepoints.
func (s *snapshot) extend(next uint32) bool {
	ahead := next - uint32(s.xmax)
	if ahead > mostExtended {
		return false
	}
	for range ahead {
		s.running = append(s.running, s.xmax)
		s.xmax++
	}
	return true
}

// endedSince reports whether a transaction from xid on is done.
func (s snapshot) endedSince(xid uint64) bool {
	if xid >= s.xmax {
		return false
	}
	from, _ := slices.BinarySearch(s.running, xid)
	return uint64(len(s.running)-from) < s.xmax-xid
}

// xids returns the running transactions as Postgres takes them.
func (s snapshot) xids() any {
	words := make(pq.StringArray, len(s.running))
	for i, xid := range s.running {
		words[i] = strconv.FormatUint(xid, 10)
	}
	return words
}

// append writes s in few bytes: running transactions lie close together.
func (s snapshot) append(b []byte) []byte {
	b = binary.AppendUvarint(b, s.xmax)
	b = binary.AppendUvarint(b, uint64(len(s.running)))
	above := s.xmax
	for _, xid := range slices.Backward(s.running) {
		b = binary.AppendUvarint(b, above-xid)
		above = xid
	}
	return b
}

// errPacked says that bytes are not what was packed.
var errPacked = errors.New("the bytes of a cursor are out of shape")

// An unpacker takes numbers off packed bytes. After an error it gives zeros.
type unpacker struct {
	rest []byte
	err  error
}

func (u *unpacker) uint() uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 {
		u.rest, u.err = nil, errPacked
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) int() int64 {
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.rest, u.err = nil, errPacked
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

// bytes takes n bytes off.
func (u *unpacker) bytes(n int) []byte {
	if len(u.rest) < n {
		u.rest, u.err = nil, errPacked
		return make([]byte, n)
	}
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

// snapshot reads what append wrote.
func (u *unpacker) snapshot() snapshot {
	s := snapshot{xmax: u.uint()}
	n := u.uint()
	if n > uint64(len(u.rest)) {
		u.err = errPacked
		return snapshot{}
	}
	above := s.xmax
	for range n {
		step := u.uint()
		if step == 0 || step > above {
			u.err = errPacked
			return snapshot{}
		}
		above -= step
		s.running = append(s.running, above)
	}
	slices.Reverse(s.running)
	return s
}

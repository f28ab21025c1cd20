package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir/search"
)

// An Instantaneous is what all resources were at one moment: the versions that one
// snapshot of the database shows, whenever they are asked for.
type Instantaneous struct {
	Snapshot string // as Postgres writes it

	// Safe is a time such that whatever the snapshot does not show was made at it or
	// later: what to ask for as Since the next time, so that nothing is missed.
	Safe time.Time
}

// Instant returns the state of this moment. It takes two round trips.
func (db *DB) Instant(ctx context.Context) (Instantaneous, error) {
	var now Instantaneous
	var err error
	// The time comes first: what is not visible to a statement after it is no older.
	if now.Safe, err = db.SafeTime(ctx); err != nil {
		return now, err
	}
	if err := db.sql.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text`).Scan(&now.Snapshot); err != nil {
		return now, readFault("take a snapshot", err)
	}
	return now, nil
}

// An Export says which resources of one type are exported: each in the version that
// was current at an instant.
type Export struct {
	At       Instantaneous
	Type     string
	Since    time.Time          // versions made at or after it, and deletions; zero for all that was there
	Where    []search.Condition // for which one of these holds; nil for no condition. None leads to other resources
	Patients []string           // in the compartment of one of these patients; nil: it does not matter
}

// A Placed is one version of a resource, named by its number and that of the
// resource.
type Placed struct {
	RID     int64
	Version int32
}

// A List is versions of resources of one type, in the order of their RIDs. What is
// exported under it is the same at every time, as long as it may be seen.
type List []Placed

// Append appends l to dst in the form that [ParseList] reads: about ten bytes for
// each version.
func (l List) Append(dst []byte) []byte {
	var last int64
	for _, p := range l {
		dst = binary.AppendUvarint(dst, uint64(p.RID-last))
		dst = binary.AppendUvarint(dst, uint64(p.Version))
		last = p.RID
	}
	return dst
}

// ParseList reads what [List.Append] wrote.
func ParseList(b []byte) (List, error) {
	l := make(List, 0, len(b)/10)
	var last int64
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("read a list of versions: it ends within the %d. one", len(l)+1)
		}
		version, m := binary.Uvarint(b[n:])
		if m <= 0 || version == 0 || version > 1<<31-1 {
			return nil, fmt.Errorf("read a list of versions: the %d. one has no number", len(l)+1)
		}
		last += int64(step)
		l, b = append(l, Placed{last, int32(version)}), b[n+m:]
	}
	return l, nil
}

// sort puts l in the order of RIDs, each once.
func (l List) sort() List {
	slices.SortFunc(l, func(a, b Placed) int {
		if a.RID < b.RID {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(l, func(a, b Placed) bool { return a.RID == b.RID })
}

// columns returns the numbers of l as two arrays for a statement.
func (l List) columns() (rids, versions []byte) {
	r, v := make([]int64, len(l)), make([]int64, len(l))
	for i, p := range l {
		r[i], v[i] = p.RID, int64(p.Version)
	}
	return int8s(r), int8s(v)
}

package store

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A position is a place between two matches in the order of a search: the sort
// keys of the match that it stands next to. It stays where it is when matches
// come and go.
type position struct {
	Format   int               `json:"f"`
	Back     bool              `json:"b,omitempty"` // the page ends here, it does not begin
	Keys     []searchsql.Value `json:"k"`
	Snapshot string            `json:"s,omitempty"` // what the first page saw, if the order is one by lastUpdated
}

// positionFormat is the format of a position, so that it can grow.
const positionFormat = 1

// String writes p for [DB.Search].
func (p *position) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("a position has only words and numbers: " + err.Error())
	}
	return string(b)
}

// parsePosition reads what String wrote of an order with n keys. The empty
// string is the beginning and gives nil.
func parsePosition(after string, n int) (*position, error) {
	if after == "" {
		return nil, nil
	}
	p := &position{}
	if err := json.Unmarshal([]byte(after), p); err != nil || p.Format != positionFormat || len(p.Keys) != n || strings.Trim(p.Snapshot, "0123456789:,") != "" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link does not belong to this search; start again from the first page.")
	}
	return p, nil
}

// turn finds out which pages there are beside the one with the given rows, which
// came in the direction of at and may be one too many. It returns those of the
// page in their order.
func (m *Matches) turn(q *search.Query, w *walk, at *position, rows []*found) []*found {
	more := len(rows) > q.Count
	rows = rows[:min(len(rows), q.Count)]
	back := at != nil && at.Back
	if back {
		slices.Reverse(rows)
	}
	if len(rows) == 0 {
		return nil
	}
	if more || back {
		m.Next = (&position{Format: positionFormat, Keys: rows[len(rows)-1].keys, Snapshot: w.snapshot}).String()
	}
	if back && more || at != nil && !back {
		m.Prev = (&position{Format: positionFormat, Back: true, Keys: rows[0].keys, Snapshot: w.snapshot}).String()
	}
	return rows
}

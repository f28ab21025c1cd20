package terminology

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/lib/pq"
)

// A place is a concept with where it is among the others.
type place struct {
	concept
	ordinal int32
	above   []int32 // sorted
}

// isBelow reports whether p is at an ordinal, or below it.
func (p *place) isBelow(ordinal int32) bool {
	if p.ordinal == ordinal {
		return true
	}
	_, found := slices.BinarySearch(p.above, ordinal)
	return found
}

// weight returns about how many bytes p takes.
func (p *place) weight() int {
	n := 400 + len(p.code) + len(p.display) + len(p.definition) + 4*len(p.above)
	for _, c := range p.parents {
		n += 16 + len(c)
	}
	for _, d := range p.designations {
		n += 100 + len(d.language) + len(d.value) + len(d.use.System) + len(d.use.Code) + len(d.use.Display)
	}
	for _, x := range p.properties {
		n += 48 + len(x.code) + len(x.kind) + len(x.value)
	}
	return n
}

// A conceptName names a concept in the memory, by its code or by its place.
type conceptName struct {
	system  int
	code    string // as it was asked for
	ordinal int32  // of one that is not asked for by its code, plus one
}

// statements are prepared when they are needed first.
type statements struct {
	mu  sync.Mutex
	all map[string]*sql.Stmt
}

func (p *statements) get(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.all[text]; s != nil {
		return s, nil
	}
	s, err := db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if p.all == nil {
		p.all = map[string]*sql.Stmt{}
	}
	p.all[text] = s
	return s, nil
}

// query runs a prepared statement whose first argument is the code system. Each of
// them has a row for a system that is not gone, if there is nothing else with NULL.
func (t *table) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := t.service.tables.prepared.get(ctx, t.service.config.DB, text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, append([]any{t.system}, args...)...)
}

// What a place is read from. Every row is there as long as the system is: it and its
// rows are seen in one snapshot.
const (
	placeColumns = `SELECT c.ordinal, c.code, c.display, c.definition, c.inactive, c.abstract, c.detail, a.parents, a.above
		FROM terminology_system s LEFT JOIN terminology_concept c ON c.system = s.system AND `
	placeAbove = ` LEFT JOIN terminology_above a ON a.system = c.system AND a.ordinal = c.ordinal
		WHERE s.system = $1 AND s.state = 'ready'`

	byCode    = placeColumns + `c.code = ANY ($2)` + placeAbove
	byFolded  = placeColumns + `c.folded = ANY ($2)` + placeAbove
	byOrdinal = placeColumns + `c.ordinal = ANY ($2)` + placeAbove
)

// find returns the place of a code, nil if there is none.
func (t *table) find(ctx context.Context, code string) (*place, error) {
	found, err := t.findAll(ctx, []string{code})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// findAll returns the places of codes, nil where there is none, in one round trip or
// without.
func (t *table) findAll(ctx context.Context, codes []string) ([]*place, error) {
	if err := t.use(ctx); err != nil {
		return nil, err
	}
	found := make([]*place, len(codes))
	var missing []string
	for i, code := range codes {
		known, ok := t.service.tables.concepts.get(conceptName{system: t.system, code: code})
		if found[i] = known; !ok && len(code) <= longestCode && storable(code) == code && code != "" {
			missing = append(missing, code)
		}
	}
	for batch := range slices.Chunk(missing, 5000) {
		read, err := t.readCodes(ctx, batch)
		if err != nil {
			return nil, err
		}
		for i, code := range codes {
			if p := read[code]; p != nil && found[i] == nil {
				found[i] = p
			}
		}
	}
	return found, nil
}

// readCodes reads the places of codes from the tables. Where case does not matter,
// the code that is written the same goes before the first that is not.
func (t *table) readCodes(ctx context.Context, codes []string) (map[string]*place, error) {
	statement, keys := byCode, codes
	if !t.h.caseSensitive {
		statement, keys = byFolded, make([]string, len(codes))
		for i, code := range codes {
			keys[i] = strings.ToLower(code)
		}
	}
	all, err := t.places(ctx, statement, pq.Array(keys))
	if err != nil {
		return nil, err
	}
	exact, folded := map[string]*place{}, map[string]*place{}
	for _, p := range all {
		exact[p.code] = p
		if low := strings.ToLower(p.code); folded[low] == nil || folded[low].ordinal > p.ordinal {
			folded[low] = p
		}
	}
	read := make(map[string]*place, len(codes))
	for i, code := range codes {
		p := exact[code]
		if p == nil && !t.h.caseSensitive {
			p = folded[keys[i]]
		}
		if p != nil {
			read[code] = p
			t.service.tables.concepts.put(conceptName{system: t.system, code: code}, p, p.weight())
		}
	}
	return read, nil
}

// places reads what a statement finds.
func (t *table) places(ctx context.Context, statement string, keys any) ([]*place, error) {
	rows, err := t.query(ctx, statement, keys)
	if err != nil {
		return nil, fmt.Errorf("read concepts from tables: %w", err)
	}
	defer rows.Close()
	var all []*place
	there := false
	for rows.Next() {
		there = true
		p, err := scanPlace(rows)
		if err != nil {
			return nil, fmt.Errorf("read concepts from tables: %w", err)
		}
		if p != nil {
			all = append(all, p)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read concepts from tables: %w", err)
	}
	if !there {
		return nil, t.gone()
	}
	return all, nil
}

// scanPlace reads a row, nil if it has no concept.
func scanPlace(rows *sql.Rows) (*place, error) {
	var ordinal sql.NullInt32
	var code, display, meaning, text sql.NullString
	var inactive, abstract sql.NullBool
	p := &place{}
	if err := rows.Scan(&ordinal, &code, &display, &meaning, &inactive, &abstract, &text, pq.Array(&p.parents), pq.Array(&p.above)); err != nil {
		return nil, err
	}
	if !ordinal.Valid {
		return nil, nil
	}
	p.ordinal = ordinal.Int32
	p.code, p.display, p.definition = code.String, display.String, meaning.String
	p.inactive, p.abstract = inactive.Bool, abstract.Bool
	return p, new(detail).read(text.String, &p.concept)
}

// at returns the concepts at ordinals, in their order.
func (t *table) at(ctx context.Context, ordinals []int32) ([]concept, error) {
	if err := t.use(ctx); err != nil {
		return nil, err
	}
	known := make(map[int32]*place, len(ordinals))
	var missing []int32
	for _, o := range ordinals {
		p, ok := t.service.tables.concepts.get(conceptName{system: t.system, ordinal: o + 1})
		if known[o] = p; !ok {
			missing = append(missing, o)
		}
	}
	for batch := range slices.Chunk(missing, 5000) {
		all, err := t.places(ctx, byOrdinal, pq.Array(batch))
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			known[p.ordinal] = p
			t.service.tables.concepts.put(conceptName{system: t.system, ordinal: p.ordinal + 1}, p, p.weight())
		}
	}
	found := make([]concept, 0, len(ordinals))
	for _, o := range ordinals {
		if p := known[o]; p != nil {
			found = append(found, p.concept)
		}
	}
	return found, nil
}

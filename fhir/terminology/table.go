package terminology

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/singleflight"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// tables are the code systems that are kept in the database. The zero value is ready.
type tables struct {
	once     sync.Once
	opening  singleflight.Group
	opened   *recent[string, *table] // by the lock of their origin
	hashes   *recent[*definition.Definition, string]
	concepts *recent[conceptName, *place]
	sets     *recent[string, bits]
	prepared statements
}

// The bounds of what is kept in memory of all code systems in tables.
const (
	mostOpened   = 1000
	mostHashes   = 1000
	conceptBytes = 32 << 20
	setBytes     = 32 << 20
)

func (t *tables) ready() *tables {
	t.once.Do(func() {
		t.opened = newRecent[string, *table](mostOpened)
		t.hashes = newRecent[*definition.Definition, string](mostHashes)
		t.concepts = newRecent[conceptName, *place](conceptBytes)
		t.sets = newRecent[string, bits](setBytes)
	})
	return t
}

// Opening a code system takes at most readingFor, and whoever needs it waits for
// patience.
const (
	readingFor = 30 * time.Minute
	patience   = 8 * time.Second
)

// tabled returns the code system d as it is in the tables. If it is not there it is
// read in, which goes on when ctx is done. The error is an Outcome when that takes
// long, or cannot be.
func (s *Service) tabled(ctx context.Context, d *definition.Definition) (system, error) {
	o, err := s.originOf(d)
	if err != nil {
		return nil, err
	}
	t := s.tables.ready()
	if known, ok := t.opened.get(o.lock()); ok {
		return known, nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, patience, errReading)
	defer cancel()
	answer := t.opening.DoChan(o.lock(), func() (any, error) {
		working, done := context.WithTimeout(context.WithoutCancel(ctx), readingFor)
		defer done()
		return s.obtain(working, o, d)
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		return a.Val.(*table), nil
	case <-waiting.Done():
		return nil, fmt.Errorf("wait for a code system: %w", context.Cause(waiting))
	}
}

// errReading is told to who does not wait any longer.
var errReading = fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The code system is large and is being read in; ask again in a minute.")

// obtain opens o, which is read in if need be. What panics is an error: nobody else
// would catch it.
func (s *Service) obtain(ctx context.Context, o origin, d *definition.Definition) (t *table, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("read in a code system: panic of type %T", p)
		}
	}()
	if t, err = s.open(ctx, s.config.DB, o); t == nil && err == nil {
		if t, err = s.readIn(ctx, o, d); err == nil {
			// What cannot be removed now is found again the next time.
			_ = s.Sweep(ctx)
		}
	}
	if err == nil {
		s.tables.opened.put(o.lock(), t, 1)
	}
	return t, err
}

// readIn reads the concepts of d in.
func (s *Service) readIn(ctx context.Context, o origin, d *definition.Definition) (*table, error) {
	root, err := d.Root()
	if err != nil {
		return nil, fmt.Errorf("read the code system %s: %w", d.Canonical(), err)
	}
	b := builder{meanings: meanings(root)}
	b.concepts(root, "")
	from := reading{header: headerOf(d, root), concepts: func(yield func(*concept, error) bool) {
		for i := range b.all {
			if !yield(&b.all[i], nil) {
				return
			}
		}
	}}
	for p := range root.Each("property") {
		from.properties = append(from.properties, p.Child("code").Text())
	}
	return s.load(ctx, o, from)
}

// originOf says where d comes from. What is not stored has the hash of its content
// for a name.
func (s *Service) originOf(d *definition.Definition) (origin, error) {
	if d.Key != (fhir.Key{}) {
		return origin{source: d.Key.String(), number: d.Number}, nil
	}
	hashes := s.tables.ready().hashes
	if known, ok := hashes.get(d); ok {
		return origin{source: known}, nil
	}
	root, err := d.Root()
	if err != nil {
		return origin{}, fmt.Errorf("read the code system %s: %w", d.Canonical(), err)
	}
	source := fmt.Sprintf("sha256:%x", sha256.Sum256(root.Raw()))
	hashes.put(d, source, 1)
	return origin{source: source}, nil
}

// A table is a code system in tables.
type table struct {
	service *Service
	origin  origin
	system  int
	h       header
	allowed map[string]bool // properties that can be asked for
	shape   *listed         // that knows what filters are, without a concept

	mu   sync.Mutex
	used time.Time // when that was stored last
}

// A querier is a pool, or the session that is at hand.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// open opens a code system that was read in; nil if it was not.
func (s *Service) open(ctx context.Context, q querier, o origin) (*table, error) {
	const find = `UPDATE terminology_system SET used = clock_timestamp() WHERE source = $1 AND number = $2 AND state = 'ready'
		RETURNING system, url, version, name, title, content, case_sensitive, hierarchy, language, supplements, concepts, properties`
	s.tables.ready()
	t := &table{service: s, origin: o, allowed: map[string]bool{}, used: time.Now()}
	var properties []string
	h := &t.h
	err := q.QueryRowContext(ctx, find, o.source, o.number).Scan(&t.system, &h.url, &h.version, &h.name, &h.title, &h.content,
		&h.caseSensitive, &h.hierarchy, &h.language, &h.supplements, &h.count, pq.Array(&properties))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open a code system in tables: %w", err)
	}
	for _, p := range properties {
		t.allowed[p] = true
	}
	t.shape = &listed{h: t.h, allowed: t.allowed}
	return t, nil
}

// errGone is told when a code system was removed from the tables under the feet of
// who has it open, which takes more than an hour without a question.
var errGone = fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The code system has been replaced; ask again.")

// gone forgets t, so that it is opened anew.
func (t *table) gone() error {
	t.service.tables.opened.drop(t.origin.lock())
	return errGone
}

// useEvery is how often it is stored that a code system is used.
const useEvery = 5 * time.Minute

// use stores that t is used, once in a while.
func (t *table) use(ctx context.Context) error {
	t.mu.Lock()
	due := time.Since(t.used) > useEvery
	if due {
		t.used = time.Now()
	}
	t.mu.Unlock()
	if !due {
		return nil
	}
	done, err := t.service.config.DB.ExecContext(ctx, `UPDATE terminology_system SET used = clock_timestamp() WHERE system = $1 AND state = 'ready'`, t.system)
	if err != nil {
		return fmt.Errorf("store that a code system is used: %w", err)
	}
	if n, err := done.RowsAffected(); err == nil && n == 0 {
		return t.gone()
	}
	return nil
}

func (t *table) head() *header { return &t.h }

func (t *table) concept(ctx context.Context, code string) (*concept, error) {
	p, err := t.find(ctx, code)
	if p == nil || err != nil {
		return nil, err
	}
	return &p.concept, nil
}

func (t *table) subsumes(ctx context.Context, ancestor, descendant string) (bool, error) {
	found, err := t.findAll(ctx, []string{ancestor, descendant})
	if err != nil || found[0] == nil || found[1] == nil {
		return false, err
	}
	return found[1].isBelow(found[0].ordinal), nil
}

func (t *table) holds(ctx context.Context, code string, all []filter) (bool, error) {
	p, err := t.find(ctx, code)
	if p == nil || err != nil {
		return false, err
	}
	return t.passes(ctx, p, all)
}

// passes reports whether all filters hold for p.
func (t *table) passes(ctx context.Context, p *place, all []filter) (bool, error) {
	for _, f := range all {
		if _, err := t.shape.one(f); err != nil {
			return false, err
		}
	}
	for _, f := range all {
		if ok, err := t.pass(ctx, p, f); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// pass reports whether a filter holds for p, by one probe where that is enough.
func (t *table) pass(ctx context.Context, p *place, f filter) (bool, error) {
	if f.property == "concept" || f.property == "code" {
		switch f.op {
		case "is-a", "descendent-of", "is-not-a", "generalizes":
			root, err := t.find(ctx, f.value)
			if err != nil {
				return false, err
			}
			return related(p, root, f.op), nil
		}
	}
	set, err := t.where(ctx, f)
	return err == nil && set.has(p.ordinal), err
}

// related reports whether p is to root, which may be nil, as an operator says.
func related(p, root *place, op string) bool {
	switch {
	case root == nil:
		return op == "is-not-a"
	case op == "generalizes":
		return root.isBelow(p.ordinal)
	case op == "descendent-of":
		return p.ordinal != root.ordinal && p.isBelow(root.ordinal)
	}
	return p.isBelow(root.ordinal) == (op == "is-a")
}

// key names a set of t in the memory.
func (t *table) key(parts ...string) string {
	return fmt.Sprintf("%d\x00%s", t.system, strings.Join(parts, "\x00"))
}

package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// How old statistics may become: those of tables that Postgres has not analysed
// yet are soon of use.
const (
	statisticsAge = time.Minute
	unknownAge    = 5 * time.Second
)

// knowledge keeps the newest statistics. The zero value knows nothing.
type knowledge struct {
	newest  atomic.Pointer[statistics]
	reading atomic.Bool
}

// statistics is what Postgres knows of the rows of res, by its last ANALYZE.
type statistics struct {
	read  time.Time
	parts map[int16]*partition // by resource type, those with a partition of their own
	other *partition           // of the other types
	known bool                 // every partition was analysed
}

// A partition is what is known of one partition of res.
type partition struct {
	rows  float64             // negative: not analysed yet
	keys  map[int64]float64   // the share of rows that have a common key
	least float64             // the least share in keys; what is not in there has less
	times map[string]timeline // by column
	types map[int16]float64   // the share of rows of a type
}

// statistics returns the newest ones at hand and sees to it that they do not
// grow old. It never waits.
func (db *DB) statistics(now time.Time) *statistics {
	s := db.known.newest.Load()
	age := statisticsAge
	if s != nil && !s.known {
		age = unknownAge
	}
	if (s == nil || now.Sub(s.read) > age) && db.known.reading.CompareAndSwap(false, true) {
		go func() {
			defer db.known.reading.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
			defer cancel()
			// What is at hand goes on serving; the next search tries again.
			if err := db.readStatistics(ctx); err != nil {
				db.log.Warn("the statistics of the search rows cannot be read", "error", err)
			}
		}()
	}
	if s == nil {
		return &statistics{other: &partition{rows: -1}}
	}
	return s
}

const partitionsQuery = `SELECT c.relname, c.reltuples, pg_get_expr(c.relpartbound, c.oid)
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'res'::regclass`

// columnsQuery turns arrays of unknown element types into such as can be read.
const columnsQuery = `SELECT tablename, attname, null_frac,
	CASE WHEN attname = 'keys' THEN most_common_elems::text END,
	CASE WHEN attname = 'keys' THEN most_common_elem_freqs END,
	CASE WHEN attname = 'type' THEN most_common_vals::text END,
	CASE WHEN attname <> 'keys' THEN most_common_freqs END,
	CASE WHEN attname NOT IN ('keys', 'type') THEN ARRAY(SELECT extract(epoch FROM b)::float8 * 1e6 FROM unnest(most_common_vals::text::timestamptz[]) b) END,
	CASE WHEN attname NOT IN ('keys', 'type') THEN ARRAY(SELECT extract(epoch FROM b)::float8 * 1e6 FROM unnest(histogram_bounds::text::timestamptz[]) b) END
	FROM pg_stats WHERE attname IN ('keys', 'type', 'updated', 't1', 't2', 't3')
	AND (quote_ident(schemaname) || '.' || quote_ident(tablename))::regclass IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'res'::regclass)`

// readStatistics reads them anew: two statements on catalogs.
func (db *DB) readStatistics(ctx context.Context) error {
	s := &statistics{read: time.Now(), parts: map[int16]*partition{}, other: &partition{rows: -1}, known: true}
	named, err := db.readPartitions(ctx, s)
	if err != nil {
		return err
	}
	rows, err := db.sql.QueryContext(ctx, columnsQuery)
	if err != nil {
		return readFault("read statistics", err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		var nulls float64
		var keys, types pq.Int64Array
		var keyShares, shares, times, bounds pq.Float64Array
		if err := rows.Scan(&table, &column, &nulls, &keys, &keyShares, &types, &shares, &times, &bounds); err != nil {
			return readFault("read statistics", err)
		}
		p := named[table]
		if p == nil {
			continue
		}
		switch column {
		case "keys":
			p.common(keys, keyShares)
		case "type":
			for i, t := range types {
				p.types[int16(t)] = shares[i]
			}
		default:
			p.times[column] = timeline{common: times, shares: shares, bounds: bounds, rest: 1 - nulls - sum(shares)}
		}
	}
	if err := rows.Err(); err != nil {
		return readFault("read statistics", err)
	}
	db.known.newest.Store(s)
	return nil
}

func (db *DB) readPartitions(ctx context.Context, s *statistics) (map[string]*partition, error) {
	rows, err := db.sql.QueryContext(ctx, partitionsQuery)
	if err != nil {
		return nil, readFault("read partitions", err)
	}
	defer rows.Close()
	named := map[string]*partition{}
	for rows.Next() {
		var name, bound string
		p := &partition{keys: map[int64]float64{}, times: map[string]timeline{}, types: map[int16]float64{}}
		if err := rows.Scan(&name, &p.rows, &bound); err != nil {
			return nil, readFault("read partitions", err)
		}
		named[name] = p
		s.place(p, bound)
	}
	return named, readOr("read partitions", rows.Err())
}

func readOr(doing string, err error) error {
	if err == nil {
		return nil
	}
	return readFault(doing, err)
}

// place files p under the types that its bound names: FOR VALUES IN ('140').
func (s *statistics) place(p *partition, bound string) {
	s.known = s.known && p.rows >= 0
	numbers := strings.FieldsFunc(bound, func(r rune) bool { return r < '0' || r > '9' })
	if len(numbers) == 0 {
		s.other = p
	}
	for _, text := range numbers {
		if n, err := strconv.ParseInt(text, 10, 16); err == nil {
			s.parts[int16(n)] = p
		}
	}
}

// common takes over the common elements. Behind their shares Postgres gives the
// least and the greatest of them, and that of NULL.
func (p *partition) common(keys []int64, shares []float64) {
	if len(shares) < len(keys) || len(keys) == 0 {
		return
	}
	for i, k := range keys {
		p.keys[k] = shares[i]
	}
	p.least = slices.Min(shares[:len(keys)])
}

// share returns the share of rows that have key. One that is not common is
// taken for well below the least that is; of rows that nobody has counted, for
// nearly nothing.
func (p *partition) share(key int64) float64 {
	if f, ok := p.keys[key]; ok {
		return f
	}
	return max(p.least/4, 1/max(p.rows, 1000))
}

// A timeline is what is known of a column of times, in microseconds since 1970.
type timeline struct {
	common []float64 // times that many rows have
	shares []float64 // the shares of rows that have them
	bounds []float64 // of parts that hold equally many of the other times
	rest   float64   // the share of rows that have other times
}

func sum(shares []float64) float64 {
	total := 0.0
	for _, s := range shares {
		total += s
	}
	return total
}

// between returns the share of rows whose time lies between lo and hi.
func (t timeline) between(lo, hi float64) float64 {
	if len(t.common) != len(t.shares) || len(t.common)+len(t.bounds) == 0 {
		return 1
	}
	share := 0.0
	for i, at := range t.common {
		if lo <= at && at <= hi {
			share += t.shares[i]
		}
	}
	if n := len(t.bounds); n > 1 {
		share += t.rest * max(rank(t.bounds, hi)-rank(t.bounds, lo), 0.5/float64(n))
	}
	return share
}

// rank returns which share of the values lies below v.
func rank(bounds []float64, v float64) float64 {
	i, _ := slices.BinarySearch(bounds, v)
	if i == 0 {
		return 0
	}
	if i == len(bounds) {
		return 1
	}
	part := 0.5
	if width := bounds[i] - bounds[i-1]; width > 0 && width < 1e18 {
		part = (v - bounds[i-1]) / width
	}
	return (float64(i-1) + part) / float64(len(bounds)-1)
}

// of returns the partition of a type and how many rows it has of that type. The
// number is negative when nobody has counted.
func (s *statistics) of(typ int16) (p *partition, rows float64) {
	if p, ok := s.parts[typ]; ok {
		return p, p.rows
	}
	if s.other.rows < 0 || len(s.other.types) == 0 {
		return s.other, s.other.rows
	}
	share, ok := s.other.types[typ]
	if !ok {
		share = 1 / max(s.other.rows, 1000)
	}
	return s.other, s.other.rows * share
}

package store

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// rawQuery is the least that stores rows so that they are found: neither locks,
// nor versions before, nor who is given what.
const rawQuery = `
WITH u AS (
	INSERT INTO res (rid, type, id, ver, deleted, updated, hash, idx_gen, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts)
	SELECT rid, type, id, 1, false, now(), hash, $2, own || keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts FROM unnest($1::write_row[])),
g AS (INSERT INTO rng (grp, lo, hi, rid, ver) SELECT g.grp, g.lo, g.hi, r.rid, 1 FROM unnest($1::write_row[]) r, unnest(r.grps, r.los, r.his) g (grp, lo, hi))
INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, body, words)
SELECT now(), rid, 1, type, id, op::"char", codec, hash, own, body, words FROM unnest($1::write_row[])`

const (
	batchSize  = 100
	batchBlock = 2400 // rows written in a turn
)

// BenchmarkBatch writes resources one by one, a hundred at a time, and by the
// least SQL there is, in short turns on one cluster that waits for the disk. The
// rows are made beforehand. It reports the rates of resources.
func BenchmarkBatch(b *testing.B) {
	cluster := pgtest.Cluster(b)
	names := []string{"single", "batch", "raw"}
	sides := make([]*batching, len(names))
	for i := range sides {
		sides[i] = newBatching(b, cluster.DSN())
		sides[i].rows(b)
	}
	write := []func(*batching, []Change) error{(*batching).single, (*batching).batch, (*batching).raw}
	var times [3][]float64
	for b.Loop() {
		for i, side := range sides {
			all := side.rows(b)
			began := time.Now()
			if err := write[i](side, all); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(began).Seconds())
		}
	}
	var rates [3]float64
	for i := range times {
		slices.Sort(times[i])
		rates[i] = batchBlock / times[i][len(times[i])/2]
		b.ReportMetric(rates[i], names[i]+"/s")
	}
	b.ReportMetric(rates[1]/rates[0], "batch/single")
	b.ReportMetric(rates[1]/rates[2], "batch/raw")
}

const (
	pulse = `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
		"code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}],"text":"Heart rate"},"subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/e%d"},
		"effectiveDateTime":"2026-03-01T10:%02d:00Z","issued":"2026-03-01T10:59:00Z","valueQuantity":{"value":%d,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}`
	condition = `{"resourceType":"Condition","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},
		"code":{"coding":[{"system":"http://snomed.info/sct","code":"195662009","display":"Acute viral pharyngitis (disorder)"}],"text":"Acute viral pharyngitis (disorder)"},
		"subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/e%d"},"onsetDateTime":"2026-03-01T10:%02d:00Z","recordedDate":"2026-03-01"}`
)

// A batching is a store to write to.
type batching struct {
	db *DB
	n  int
	b  *testing.B
}

func newBatching(b *testing.B, dsn string) *batching {
	b.Helper()
	admin, err := sql.Open("postgres", dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	name := "bench" + strings.ToLower(rand.Text()[:10])
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		b.Fatal(err)
	}
	own := dsn + " dbname=" + name
	pool, err := sql.Open("postgres", own)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if err := migrations.Up(b.Context(), pool); err != nil {
		b.Fatal(err)
	}
	db, err := Open(b.Context(), Config{DSN: own, Conns: 8})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	s := &batching{db: db, b: b}
	for i := range 50 {
		trusted(b, db, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","managingOrganization":{"reference":"Organization/o"}}`, i))
	}
	if err := s.batch(s.rows(b)); err != nil {
		b.Fatal(err)
	}
	return s
}

// rows makes a block of rows of two kinds.
func (s *batching) rows(b *testing.B) []Change {
	b.Helper()
	var all []Change
	for range batchBlock {
		s.n++
		text := fmt.Sprintf(pulse, s.n%50, s.n%5, s.n%60, s.n%100)
		if s.n%4 == 0 {
			text = fmt.Sprintf(condition, s.n%50, s.n%7, s.n%60)
		}
		r := decoded(b, text)
		row, err := s.db.Row(fhir.Key{Type: r.Type(), ID: fmt.Sprint("n", s.n)}, Create, r)
		if err != nil {
			b.Fatal(err)
		}
		row.Allowed = row.Gifts
		all = append(all, Change{row, Absent})
	}
	return all
}

func (s *batching) single(all []Change) error {
	return s.share(all, 32, func(part []Change) error {
		for _, c := range part {
			if w, err := s.db.Put(s.b.Context(), c.Row, c.Expect); err != nil || w.Outcome != Created {
				return fmt.Errorf("%+v, %w", w, err)
			}
		}
		return nil
	})
}

func (s *batching) batch(all []Change) error {
	return s.share(all, 8, func(part []Change) error {
		for some := range slices.Chunk(part, batchSize) {
			if done, err := s.db.WriteAll(s.b.Context(), some, nil); err != nil || done[0].Outcome != Created {
				return fmt.Errorf("%+v, %w", done, err)
			}
		}
		return nil
	})
}

func (s *batching) raw(all []Change) error {
	return s.share(all, 8, func(part []Change) error {
		for some := range slices.Chunk(part, batchSize) {
			rows, err := s.db.batchRows(some)
			if err != nil {
				return err
			}
			if _, err := s.db.sql.Exec(rawQuery, rows, s.db.Registry().Generation); err != nil {
				return err
			}
		}
		return nil
	})
}

// share has n at a time work at equal parts of all.
func (s *batching) share(all []Change, n int, work func([]Change) error) error {
	var group errgroup.Group
	for part := range slices.Chunk(all, (len(all)+n-1)/n) {
		group.Go(func() error { return work(part) })
	}
	return group.Wait()
}

package store_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgserver"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

const observed = `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
	"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2026-03-01T10:00:00Z","valueQuantity":{"value":%d,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}`

// BenchmarkAudit writes and reads with an audit and without, in short turns, on a
// cluster that waits for the disk. What other programs do to the machine
// meanwhile falls on both. It reports the rate that is left with an audit.
func BenchmarkAudit(b *testing.B) {
	cluster := pgtest.Cluster(b)
	for _, name := range []string{"create", "read"} {
		b.Run(name, func(b *testing.B) {
			var sides [2]*audited
			for i := range sides {
				sides[i] = newAudited(b, cluster, i == 1)
			}
			var times [2][]float64
			for b.Loop() {
				for i, side := range sides {
					began := time.Now()
					side.block(b, name)
					times[i] = append(times[i], time.Since(began).Seconds())
				}
			}
			slices.Sort(times[0])
			slices.Sort(times[1])
			off, on := times[0][len(times[0])/2], times[1][len(times[1])/2]
			b.ReportMetric(100*off/on, "%left")
			b.ReportMetric(auditBlock/on, "on/s")
			b.ReportMetric(auditBlock/off, "off/s")
		})
	}
}

// auditBlock is how much is done in one turn, by eight at a time.
const auditBlock = 4000

type audited struct {
	db *store.DB
	n  atomic.Int64
}

func newAudited(b *testing.B, cluster *pgserver.Server, audits bool) *audited {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{DSN: freshSchema(b, cluster.DSN()), Conns: 8, Audit: audits, AuditQueue: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	a := &audited{db: db}
	a.block(b, "create")
	a.block(b, "create")
	return a
}

// block does one thing auditBlock times, and waits until it is recorded.
func (a *audited) block(b *testing.B, name string) {
	do := a.create
	if name == "read" {
		do = a.read
	}
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range auditBlock / 8 {
				if err := do(b, a.n.Add(1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	if _, err := a.db.Lines(b.Context(), store.Lines{Limit: 1}); err != nil {
		b.Fatal(err)
	}
}

func (a *audited) create(b *testing.B, n int64) error {
	row, err := a.db.Row(fhir.Key{Type: "Observation", ID: fmt.Sprintf("o-%d", n)}, store.Create, decode(b, fmt.Sprintf(observed, n%5000, n%100)))
	if err != nil {
		return err
	}
	row.Trail = &store.Trail{Request: "01890a5d-ac96-774b-bcce-b302099a8057", Interaction: "create", Client: "app", Agent: "Practitioner/p1", Organizations: []string{"o1"}, Origin: "192.0.2.7",
		Patients: []string{fmt.Sprintf("p%d", n%5000)}}
	_, err = a.db.Put(b.Context(), row, store.Absent)
	return err
}

func (a *audited) read(b *testing.B, n int64) error {
	v, err := a.db.Read(b.Context(), fhir.Key{Type: "Observation", ID: fmt.Sprintf("o-%d", 1+n%800)})
	if err != nil {
		return err
	}
	return a.db.Record(b.Context(), store.Trail{Request: "01890a5d-ac96-774b-bcce-b302099a8057", Interaction: "read", Client: "app", Agent: "Practitioner/p1", Organizations: []string{"o1"}, Origin: "192.0.2.7",
		Key: v.Key, Version: v.Number, Patients: a.db.PatientsOf(v)})
}

// freshSchema returns how to reach a database with tables of its own.
func freshSchema(b *testing.B, dsn string) string {
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
	return own
}

package bulk_test

import (
	"context"
	"database/sql"
	"fmt"
	"syscall"
	"testing"

	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/migrations"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestDatabaseKilled kills the database while an export is planned, and between two
// fetches: the files are the same bytes.
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Cluster(t)
	db, err := sql.Open("postgres", cluster.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w := open(t, &pgtest.Database{DSN: cluster.DSN(), DB: db}, killed())
	for n := range 300 {
		w.put(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, n))
	}
	id := w.export(w.trusted(), bulk.Export{})
	stop := w.run(w.bulk)
	w.reach(`SELECT count(*) FROM bulk_file WHERE job = $1`, id, 5)
	kill(t, cluster.PID())
	first := w.content(w.trusted(), w.await(w.trusted(), id))
	if len(first.versions) != 300 {
		t.Errorf("%d resources", len(first.versions))
	}
	stop()
	kill(t, cluster.PID())
	w.awake()
	again := w.server(killed())
	w.run(again)
	w.bulk = again
	if second := w.content(w.trusted(), w.await(w.trusted(), id)); second.sum != first.sum {
		t.Errorf("%v after the database was killed, %v before", second.names, first.names)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// awake waits until the database answers.
func (w *world) awake() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for w.store.Ping(ctx) != nil {
		if ctx.Err() != nil {
			w.Fatal("the database does not come back")
		}
	}
}

package bulk_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// jobs wants so many jobs not to be finished.
func (w *world) jobs(what string, want int) {
	w.Helper()
	if b, err := bulk.ReadBacklog(w.Context(), w.database.DB); err != nil || b.Jobs != want {
		w.Errorf("%s: %d jobs, want %d; %v", what, b.Jobs, want, err)
	}
}

// TestBacklog counts jobs that are not finished.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.New(t), bulk.Config{})
	w.jobs("at first", 0)
	first, second := w.export(w.trusted(), bulk.Export{}), w.export(w.trusted(), bulk.Export{})
	w.jobs("when two have begun", 2)
	if _, err := w.database.ExecContext(t.Context(), `UPDATE bulk_job SET state = 'failed' WHERE id = $1`, first); err != nil {
		t.Fatal(err)
	}
	w.jobs("when one has failed", 1)
	w.run(w.bulk)
	w.await(w.trusted(), second)
	w.jobs("when the other is done", 0)
}

package oauth_test

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// C17: anybody may ask for authorization, so there is a bound on what is open.
func TestC17OpenRequestsAreBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const fill = `INSERT INTO oauth_request (hash, client, asked, expires) SELECT sha256(n::text::bytea), 'spa', '{}', $1 FROM generate_series(1, 9999) AS n`
	if _, err := w.db.ExecContext(t.Context(), fill, w.clock.Now().Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	last, err := w.Ask(t.Context(), request(nil))
	if err != nil {
		t.Fatalf("the 10000th: %v", err)
	}
	_, err = w.Ask(t.Context(), request(nil))
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Busy {
		t.Errorf("the 10001st: %v", err)
	}
	if _, err := w.Asked(t.Context(), last.ID); err != nil {
		t.Errorf("one that was let in: %v", err)
	}
	w.clock.pass(10*time.Minute + time.Second)
	if _, err := w.Ask(t.Context(), request(nil)); err != nil {
		t.Errorf("ten minutes later: %v", err)
	}
}

package subscription

import (
	"context"
	"database/sql"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// A Clock says what time it is, and waits. The times that servers must agree on
// are those of the database; only tests have a Clock that says otherwise.
type Clock interface {
	// Now returns the time, or the zero Time to go by the database.
	Now() time.Time
	// Wait returns when d is over, ctx is done, or wake gives something or is
	// closed, whichever comes first. A nil wake never does.
	Wait(ctx context.Context, d time.Duration, wake <-chan struct{})
}

// systemClock is the Clock of every server.
type systemClock struct{}

// Now returns the zero Time.
func (systemClock) Now() time.Time { return time.Time{} }

// Wait waits.
func (systemClock) Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	store.Wait(ctx, d, wake)
}

// now returns the time for a statement, NULL for that of the database.
func (e *Engine) now() sql.NullTime {
	t := e.clock.Now()
	return sql.NullTime{Time: t, Valid: !t.IsZero()}
}

// today returns the time where it does not matter which server's it is.
func (e *Engine) today() time.Time {
	if t := e.clock.Now(); !t.IsZero() {
		return t
	}
	return time.Now()
}

package timer

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// The table with the place up to which timers are planned, and what that is for.
const (
	feedTable = "timer_feed"
	feedName  = "the planning of timers"
)

// A Backlog is what there is to do about timers on all servers of a database.
type Backlog struct {
	Late time.Duration // for how long the oldest alarm has been due that has not sounded; 0 if there is none
}

// ReadBacklog reads it by one statement on db, by the time of the database.
func ReadBacklog(ctx context.Context, db *sql.DB) (Backlog, error) {
	// An alarm that is tried again is due later, but not by more than six minutes, so the
	// index bounds what is read.
	const query = `SELECT greatest(coalesce(extract(epoch FROM clock_timestamp() - min(at)) * 1000000, 0), 0)::bigint FROM timer
		WHERE next < 'infinity' AND kind <> '' AND next < clock_timestamp() + interval '6 minutes'`
	var late int64
	if err := db.QueryRowContext(ctx, query).Scan(&late); err != nil {
		return Backlog{}, fmt.Errorf("ask how late timers are: %w", err)
	}
	return Backlog{Late: time.Duration(late) * time.Microsecond}, nil
}

// ReadPlace returns how far timers are planned by the feed of data. Its table is read by db.
func ReadPlace(ctx context.Context, data *store.DB, db *sql.DB) (store.Place, error) {
	return store.Follower{Store: data, SQL: db, Table: feedTable, Name: feedName}.Place(ctx)
}

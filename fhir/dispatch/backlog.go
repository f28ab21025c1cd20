package dispatch

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// The table with the place up to which messages are taken up, and what that is for.
const (
	feedTable = "dispatch_feed"
	feedName  = "the search for messages to be sent"
)

// A Backlog is what there is to send on all servers of a database.
type Backlog struct {
	Late    time.Duration // for how long the oldest message has been due that nobody works at; 0 if there is none
	Failing int           // messages whose last turn failed within a server, which are tried again
}

// ReadBacklog reads it by two statements on db, by the time of the database.
func ReadBacklog(ctx context.Context, db *sql.DB) (Backlog, error) {
	const late = `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(due)) * 1000000, 0)::bigint FROM dispatch_message
		WHERE due < 'infinity' AND due <= clock_timestamp() AND lease <= clock_timestamp()`
	// A message that is tried again is due later, but not by more than six minutes, so the
	// index bounds what is read.
	const failing = `SELECT count(*) FROM dispatch_message WHERE due < 'infinity' AND due < clock_timestamp() + interval '6 minutes' AND faults > 0`
	var b Backlog
	var micros int64
	if err := db.QueryRowContext(ctx, late).Scan(&micros); err != nil {
		return Backlog{}, fmt.Errorf("ask how late messages are: %w", err)
	}
	if err := db.QueryRowContext(ctx, failing).Scan(&b.Failing); err != nil {
		return Backlog{}, fmt.Errorf("count messages that fail: %w", err)
	}
	b.Late = time.Duration(micros) * time.Microsecond
	return b, nil
}

// ReadPlace returns how far messages are taken up by the feed of data. Its table is read by db.
func ReadPlace(ctx context.Context, data *store.DB, db *sql.DB) (store.Place, error) {
	return store.Follower{Store: data, SQL: db, Table: feedTable, Name: feedName}.Place(ctx)
}

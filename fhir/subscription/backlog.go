package subscription

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// The table with the place up to which subscriptions are matched, and what that is for.
const (
	feedTable = "subscription_feed"
	feedName  = "the matching of subscriptions"
)

// A Backlog is what there is to tell on all servers of a database.
type Backlog struct {
	Lag      time.Duration  // age of the oldest notification that no endpoint has taken, of subscriptions that are not in error; 0 if there is none
	Statuses map[string]int // how many subscriptions have a status; each status is there, also with none
}

// ReadBacklog reads it by two statements on db, by the time of the database.
func ReadBacklog(ctx context.Context, db *sql.DB) (Backlog, error) {
	const lag = `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(e.numbered)) * 1000000, 0)::bigint FROM subscription s
		JOIN subscription_event e ON e.subscription = s.id AND e.number = s.delivered + 1 WHERE s.pushes AND s.status IN ('requested', 'active') AND s.delivered < s.last`
	var micros int64
	if err := db.QueryRowContext(ctx, lag).Scan(&micros); err != nil {
		return Backlog{}, fmt.Errorf("ask how late notifications are: %w", err)
	}
	statuses, err := countStatuses(ctx, db)
	if err != nil {
		return Backlog{}, fmt.Errorf("count subscriptions: %w", err)
	}
	return Backlog{Lag: time.Duration(micros) * time.Microsecond, Statuses: statuses}, nil
}

func countStatuses(ctx context.Context, db *sql.DB) (map[string]int, error) {
	const query = `SELECT n, count(s.id) FROM unnest(ARRAY['requested', 'active', 'error', 'off']) n LEFT JOIN subscription s ON s.status = n GROUP BY n`
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var status string
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return nil, err
		}
		all[status] = n
	}
	return all, rows.Err()
}

// ReadPlace returns how far subscriptions are matched by the feed of data. Its table is read by db.
func ReadPlace(ctx context.Context, data *store.DB, db *sql.DB) (store.Place, error) {
	return store.Follower{Store: data, SQL: db, Table: feedTable, Name: feedName}.Place(ctx)
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openconsult/openconsult/fhir/store"
)

const (
	backlogPatience = 3 * time.Second // for all that is asked at one scrape
	lagPage         = 20              // changes of one look behind a place in the feed
	lagLooks        = 10              // looks at most
)

// A backlog tells what there is still to do, of all servers on the database: what
// they have not read of the feed, told subscribers, sounded, sent. It asks the
// database at each scrape, on one connection of its own.
type backlog struct {
	data    *store.DB
	pool    *sql.DB
	leaving func() bool
	log     *slog.Logger

	ready, up, followed, lag *prometheus.Desc
	subscriptions            *prometheus.Desc
	amounts                  []amount
}

// An amount is a number that one statement says.
type amount struct {
	desc  *prometheus.Desc
	query string
}

func newBacklog(a *admin, pool *sql.DB, log *slog.Logger) *backlog {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &backlog{
		data: a.data, pool: pool, leaving: a.leaving.Load, log: log,
		ready:         desc("openconsult_ready", "1 if /readyz answers 200, else 0."),
		up:            desc("openconsult_database_up", "1 if the database says what there is to do, else 0; the rest is then not known."),
		followed:      desc("openconsult_feed_followed", "1 if some server follows the feed for this purpose, else 0.", "follower"),
		lag:           desc("openconsult_feed_lag_seconds", "Age of the oldest change that was not looked at for this purpose; 0 if there is none.", "follower"),
		subscriptions: desc("openconsult_subscriptions", "Subscriptions by status.", "status"),
		amounts: []amount{
			{desc("openconsult_subscription_lag_seconds", "Age of the oldest notification that no endpoint has taken, of subscriptions that are not in error."), subscriptionLag},
			{desc("openconsult_timer_late_seconds", "For how long the oldest alarm has been due and has not sounded."), timerLate},
			{desc("openconsult_dispatch_late_seconds", "For how long the oldest message has been due that nobody works at."), dispatchLate},
			{desc("openconsult_dispatch_failing", "Messages whose last turn failed within this server, which are tried again."), dispatchFailing},
			{desc("openconsult_bulk_jobs_waiting", "Exports, imports and deferred requests that are not finished."), jobsWaiting},
		},
	}
}

// Rows that are tried again are due later, but not by more than six minutes, so an index
// bounds what is read.
const (
	subscriptionLag = `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(e.numbered)), 0) FROM subscription s
		JOIN subscription_event e ON e.subscription = s.id AND e.number = s.delivered + 1 WHERE s.pushes AND s.status IN ('requested', 'active') AND s.delivered < s.last`
	timerLate = `SELECT greatest(coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0), 0) FROM timer
		WHERE next < 'infinity' AND kind <> '' AND next < clock_timestamp() + interval '6 minutes'`
	dispatchLate = `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(due)), 0) FROM dispatch_message
		WHERE due < 'infinity' AND due <= clock_timestamp() AND lease <= clock_timestamp()`
	dispatchFailing = `SELECT count(*) FROM dispatch_message WHERE due < 'infinity' AND due < clock_timestamp() + interval '6 minutes' AND faults > 0`
	jobsWaiting     = `SELECT count(*) FROM bulk_job WHERE state = 'waiting'`

	// Every status is there, also with none.
	subscriptionCounts = `SELECT n, count(s.id) FROM unnest(ARRAY['requested', 'active', 'error', 'off']) n LEFT JOIN subscription s ON s.status = n GROUP BY n`
	followersQuery     = `SELECT 'subscription', position, lease > clock_timestamp() FROM subscription_feed
		UNION ALL SELECT 'timer', position, lease > clock_timestamp() FROM timer_feed
		UNION ALL SELECT 'dispatch', position, lease > clock_timestamp() FROM dispatch_feed`
)

// Describe names what Collect gives.
func (b *backlog) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.ready, b.up, b.followed, b.lag, b.subscriptions} {
		c <- d
	}
	for _, a := range b.amounts {
		c <- a.desc
	}
}

// Collect asks the database.
func (b *backlog) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogPatience)
	defer cancel()
	ready := !b.leaving() && b.data.Ping(ctx) == nil
	c <- prometheus.MustNewConstMetric(b.ready, prometheus.GaugeValue, truth(ready))
	err := b.ask(ctx, c)
	if err != nil {
		b.log.Warn("what there is to do is not known", "error", err)
	}
	c <- prometheus.MustNewConstMetric(b.up, prometheus.GaugeValue, truth(err == nil))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ask gives what the database says, up to the first fault.
func (b *backlog) ask(ctx context.Context, c chan<- prometheus.Metric) error {
	for _, a := range b.amounts {
		var n float64
		if err := b.pool.QueryRowContext(ctx, a.query).Scan(&n); err != nil {
			return fmt.Errorf("ask what there is to do: %w", err)
		}
		c <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, n)
	}
	if err := b.countSubscriptions(ctx, c); err != nil {
		return err
	}
	return b.askFollowers(ctx, c)
}

func (b *backlog) countSubscriptions(ctx context.Context, c chan<- prometheus.Metric) error {
	rows, err := b.pool.QueryContext(ctx, subscriptionCounts)
	if err != nil {
		return fmt.Errorf("count subscriptions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var status string
		var n float64
		if err := rows.Scan(&status, &n); err != nil {
			return fmt.Errorf("count subscriptions: %w", err)
		}
		c <- prometheus.MustNewConstMetric(b.subscriptions, prometheus.GaugeValue, n, status)
	}
	return rows.Err()
}

// A follower is somebody who follows the feed, and where they have come to.
type follower struct {
	name, position string
	followed       bool
}

func (b *backlog) followers(ctx context.Context) ([]follower, error) {
	rows, err := b.pool.QueryContext(ctx, followersQuery)
	if err != nil {
		return nil, fmt.Errorf("ask who follows the feed: %w", err)
	}
	defer rows.Close()
	var all []follower
	for rows.Next() {
		var f follower
		if err := rows.Scan(&f.name, &f.position, &f.followed); err != nil {
			return nil, fmt.Errorf("ask who follows the feed: %w", err)
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

func (b *backlog) askFollowers(ctx context.Context, c chan<- prometheus.Metric) error {
	all, err := b.followers(ctx)
	if err != nil {
		return err
	}
	for _, f := range all {
		lag, err := b.behind(ctx, f.position)
		if err != nil {
			return err
		}
		c <- prometheus.MustNewConstMetric(b.followed, prometheus.GaugeValue, truth(f.followed), f.name)
		c <- prometheus.MustNewConstMetric(b.lag, prometheus.GaugeValue, lag.Seconds(), f.name)
	}
	return nil
}

// behind returns how old the first change behind a position is; 0 if there is none, or
// the position is not that of this feed, and whoever follows is to begin anew.
func (b *backlog) behind(ctx context.Context, position string) (time.Duration, error) {
	if position == "" {
		return 0, nil
	}
	for range lagLooks {
		page, next, more, err := b.data.Follow(ctx, position, nil, lagPage)
		if errors.Is(err, store.ErrFollowing) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("look behind a place in the feed: %w", err)
		}
		for _, f := range page {
			if !f.Past { // what was loaded as history is older than its arrival
				return max(0, time.Since(f.Updated)), nil
			}
		}
		if !more {
			return 0, nil
		}
		position = next
	}
	return 0, nil
}

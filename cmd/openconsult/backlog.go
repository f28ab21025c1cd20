package main

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/subscription"
	"github.com/openconsult/openconsult/fhir/timer"
)

const backlogPatience = 3 * time.Second // for all that is asked at one scrape

// A backlog tells what there is still to do, of all servers on the database: what
// they have not read of the feed, told subscribers, sounded, sent. It asks the
// packages that do these at each scrape, on one connection of its own.
type backlog struct {
	data    *store.DB
	pool    *sql.DB
	leaving func() bool
	log     *slog.Logger

	ready, up, followed, lag         *prometheus.Desc
	subscriptions, subscriptionLag   *prometheus.Desc
	timerLate, dispatchLate, failing *prometheus.Desc
	jobs                             *prometheus.Desc
}

func newBacklog(a *admin, pool *sql.DB, log *slog.Logger) *backlog {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &backlog{
		data: a.data, pool: pool, leaving: a.leaving.Load, log: log,
		ready:           desc("openconsult_ready", "1 if /readyz answers 200, else 0."),
		up:              desc("openconsult_database_up", "1 if the database says what there is to do, else 0; the rest is then not known."),
		followed:        desc("openconsult_feed_followed", "1 if some server follows the feed for this purpose, else 0.", "follower"),
		lag:             desc("openconsult_feed_lag_seconds", "Age of the oldest change that was not looked at for this purpose; 0 if there is none.", "follower"),
		subscriptions:   desc("openconsult_subscriptions", "Subscriptions by status.", "status"),
		subscriptionLag: desc("openconsult_subscription_lag_seconds", "Age of the oldest notification that no endpoint has taken, of subscriptions that are not in error."),
		timerLate:       desc("openconsult_timer_late_seconds", "For how long the oldest alarm has been due and has not sounded."),
		dispatchLate:    desc("openconsult_dispatch_late_seconds", "For how long the oldest message has been due that nobody works at."),
		failing:         desc("openconsult_dispatch_failing", "Messages whose last turn failed within this server, which are tried again."),
		jobs:            desc("openconsult_bulk_jobs_waiting", "Exports, imports and deferred requests that are not finished."),
	}
}

// Describe names what Collect gives.
func (b *backlog) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.ready, b.up, b.followed, b.lag, b.subscriptions, b.subscriptionLag, b.timerLate, b.dispatchLate, b.failing, b.jobs} {
		c <- d
	}
}

// A giver gives a metric its value, with those of its labels.
type giver func(metric *prometheus.Desc, value float64, labels ...string)

// Collect asks the packages.
func (b *backlog) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogPatience)
	defer cancel()
	give := func(metric *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, value, labels...)
	}
	give(b.ready, truth(!b.leaving() && b.data.Ping(ctx) == nil))
	err := b.ask(ctx, give)
	if err != nil {
		b.log.Warn("what there is to do is not known", "error", err)
	}
	give(b.up, truth(err == nil))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ask gives what there is to do, up to the first fault.
func (b *backlog) ask(ctx context.Context, give giver) error {
	for _, of := range []func(context.Context, giver) error{b.askSubscriptions, b.askTimers, b.askDispatch, b.askJobs, b.askFollowers} {
		if err := of(ctx, give); err != nil {
			return err
		}
	}
	return nil
}

func (b *backlog) askSubscriptions(ctx context.Context, give giver) error {
	told, err := subscription.ReadBacklog(ctx, b.pool)
	if err != nil {
		return err
	}
	give(b.subscriptionLag, told.Lag.Seconds())
	for status, n := range told.Statuses {
		give(b.subscriptions, float64(n), status)
	}
	return nil
}

func (b *backlog) askTimers(ctx context.Context, give giver) error {
	told, err := timer.ReadBacklog(ctx, b.pool)
	if err != nil {
		return err
	}
	give(b.timerLate, told.Late.Seconds())
	return nil
}

func (b *backlog) askDispatch(ctx context.Context, give giver) error {
	told, err := dispatch.ReadBacklog(ctx, b.pool)
	if err != nil {
		return err
	}
	give(b.dispatchLate, told.Late.Seconds())
	give(b.failing, float64(told.Failing))
	return nil
}

func (b *backlog) askJobs(ctx context.Context, give giver) error {
	told, err := bulk.ReadBacklog(ctx, b.pool)
	if err != nil {
		return err
	}
	give(b.jobs, float64(told.Jobs))
	return nil
}

func (b *backlog) askFollowers(ctx context.Context, give giver) error {
	for _, f := range []struct {
		name string
		read func(context.Context, *store.DB, *sql.DB) (store.Place, error)
	}{{"subscription", subscription.ReadPlace}, {"timer", timer.ReadPlace}, {"dispatch", dispatch.ReadPlace}} {
		p, err := f.read(ctx, b.data, b.pool)
		if err != nil {
			return err
		}
		give(b.followed, truth(p.Followed), f.name)
		give(b.lag, p.Lag.Seconds(), f.name)
	}
	return nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/subscription"
	"github.com/openconsult/openconsult/fhir/timer"
)

// Errands are what a server does without being asked at that moment: it tells
// subscribers, works on jobs, and sees what is due.
type errands struct {
	settings *settings
	log      *slog.Logger
	dsn      string
	base     string // public address of the API
	share    bulk.Share
	sent     *prometheus.CounterVec // counts messages given to channels; nil counts none

	grants        func(ctx context.Context, holder string) (access.Grant, error)
	perform       func(context.Context, bulk.Performance) bulk.Response
	subscriptions *subscription.Engine
	jobs          *bulk.Engine
	timers        *timer.Engine
	dispatch      *dispatch.Engine
	engine        *interaction.Engine
}

// trustLocal returns what gives trusted systems the grant of client. Nobody else
// has one without sign-in.
func trustLocal(client string) func(context.Context, string) (access.Grant, error) {
	return func(_ context.Context, holder string) (access.Grant, error) {
		if holder != access.LocalHolder {
			return access.Grant{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "This was set up on a server with sign-in, and goes on there only.")
		}
		return access.Trusted(client), nil
	}
}

// subscribe is asked about every Subscription. The engine is there before the first
// request is.
func (x *errands) subscribe(ctx context.Context, w interaction.Subscribing) (*fhir.Resource, error) {
	return x.subscriptions.Check(ctx, w)
}

// newEngine makes what performs interactions, and what sends messages by other channels, which
// it asks what can be sent.
func (x *errands) newEngine(data *store.DB, checks *interaction.Checks) (*interaction.Engine, error) {
	scanner, err := x.settings.scanner()
	if err != nil {
		return nil, err
	}
	senders, err := x.settings.senders(x.base)
	if err != nil {
		return nil, err
	}
	if x.sent != nil {
		countSent(senders, x.sent)
	}
	x.dispatch, err = dispatch.New(dispatch.Config{Store: data, DSN: x.dsn, Channels: senders, Link: x.settings.messageLink(x.base), Log: x.log})
	if err != nil {
		return nil, err
	}
	return interaction.New(interaction.Config{
		Store: data, Subscribe: x.subscribe, Checks: checks, Scanner: scanner, Senders: x.dispatch, Conversation: conversation(x.settings),
	}), nil
}

// readyEngine makes an engine, and stores the packages that the operator names.
func (x *errands) readyEngine(ctx context.Context, data *store.DB, checks *interaction.Checks) (*interaction.Engine, error) {
	engine, err := x.newEngine(data, checks)
	if err != nil {
		return nil, err
	}
	return engine, installPackages(ctx, x.settings, engine, x.log)
}

// open makes what tells subscribers and works on jobs, and has c serve it.
func (x *errands) open(data *store.DB, c *api.Config) (err error) {
	guard := x.settings.guard(x.base)
	x.subscriptions, err = subscription.New(subscription.Config{
		Store: data, Engine: c.Engine, DSN: x.dsn, Base: x.base, Grants: x.grants, Log: x.log,
		HTTP: bearer.NewClient(guard), Refuses: guard.CheckURL, Full: x.full,
	})
	if err != nil {
		return err
	}
	x.jobs, err = bulk.New(bulk.Config{
		Store: data, Engine: c.Engine, DSN: x.dsn, Grants: x.grants, Takes: x.share, Log: x.log, HTTP: bearer.NewClient(guard),
		Perform: func(ctx context.Context, p bulk.Performance) bulk.Response { return x.perform(ctx, p) },
	})
	if err != nil {
		return errors.Join(err, x.subscriptions.Close())
	}
	x.timers, err = timer.New(timer.Config{
		Store: data, DSN: x.dsn, Types: interaction.AlarmTypes(), Log: x.log,
		Plan: c.Engine.PlanAlarms, Sound: c.Engine.SoundAlarm, All: c.Engine.AlarmingTasks,
	})
	if err != nil {
		return errors.Join(err, x.subscriptions.Close(), x.jobs.Close())
	}
	c.Subscriptions, c.Bulk, c.Dispatch, x.engine = x.subscriptions, x.jobs, x.dispatch, c.Engine
	return nil
}

// full reports whether whole resources may be sent to an endpoint: on this machine
// for a server that is known on it only, and otherwise if the operator says so.
func (x *errands) full(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	return isLocal(x.base) && isLocal(endpoint) || slices.Contains(x.settings.FullTo, u.Hostname()+":"+port)
}

// keepEvents is how long changes of who sees what are kept for the feed: somewhat
// longer than a cursor is good for.
const keepEvents = 31 * 24 * time.Hour

// run has all of it at work until ctx is done.
func (x *errands) run(ctx context.Context, group *errgroup.Group, data *store.DB) {
	for what, work := range map[string]func(context.Context) error{
		"tell subscribers":    x.subscriptions.Run,
		"work on jobs":        x.jobs.Run,
		"see what is due":     x.timers.Run,
		"watch for changes":   data.RunPulse,
		"remove what is old":  func(ctx context.Context) error { return data.RunJanitor(ctx, keepEvents) },
		"rebuild search rows": data.RunIndexer,
		"send messages":       func(ctx context.Context) error { return x.dispatch.Run(ctx, x.engine) },
	} {
		group.Go(func() error {
			if err := work(ctx); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		})
	}
}

// close gives the connections back. That a database is gone, which they led to, is
// no failure by then.
func (x *errands) close() error {
	if err := errors.Join(x.subscriptions.Close(), x.jobs.Close(), x.timers.Close(), x.dispatch.Close()); err != nil {
		x.log.Warn("connections were not given back", "error", err)
	}
	return nil
}

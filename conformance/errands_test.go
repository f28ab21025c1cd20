package conformance_test

import (
	"context"
	"errors"
	"testing"

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

// errands are what a server under test does without being asked at that moment, put
// together as the program does.
type errands struct {
	data          *store.DB
	dsn           string
	grants        func(context.Context, string) (access.Grant, error)
	perform       func(context.Context, bulk.Performance) bulk.Response
	subscriptions *subscription.Engine
	jobs          *bulk.Engine
	timers        *timer.Engine
	dispatch      *dispatch.Engine
	engine        *interaction.Engine
	idle          bool // there are none but to rebuild search rows
}

// hook returns what is asked about Subscriptions.
func (x *errands) hook() func(context.Context, interaction.Subscribing) (*fhir.Resource, error) {
	if x.idle {
		return nil
	}
	return x.subscribe
}

func (x *errands) subscribe(ctx context.Context, w interaction.Subscribing) (*fhir.Resource, error) {
	return x.subscriptions.Check(ctx, w)
}

// open makes them for the server that c configures, on this machine.
func (x *errands) open(t *testing.T, c *api.Config) {
	t.Helper()
	if x.idle {
		return
	}
	guard := bearer.Guard{AllowLoopback: true}
	var err error
	x.subscriptions, err = subscription.New(subscription.Config{
		Store: x.data, Engine: c.Engine, DSN: x.dsn, Base: c.BaseURL, Grants: x.grants, Log: c.Log, HTTP: bearer.NewClient(guard), Refuses: guard.CheckURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.jobs, err = bulk.New(bulk.Config{
		Store: x.data, Engine: c.Engine, DSN: x.dsn, Grants: x.grants, Log: c.Log, HTTP: bearer.NewClient(guard),
		Perform: func(ctx context.Context, p bulk.Performance) bulk.Response { return x.perform(ctx, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	x.timers, err = timer.New(timer.Config{
		Store: x.data, DSN: x.dsn, Types: interaction.AlarmTypes(), Log: c.Log,
		Plan: c.Engine.PlanAlarms, Sound: c.Engine.SoundAlarm, All: c.Engine.AlarmingTasks,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Subscriptions, c.Bulk, c.Dispatch, x.engine = x.subscriptions, x.jobs, x.dispatch, c.Engine
}

// run has them at work until the function that it returns is called.
func (x *errands) run() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	all := []func(context.Context) error{x.data.RunIndexer}
	if !x.idle {
		all = append(all, x.subscriptions.Run, x.jobs.Run, x.timers.Run, x.data.RunPulse, func(ctx context.Context) error { return x.dispatch.Run(ctx, x.engine) })
	}
	for _, work := range all {
		group.Go(func() error { return work(ctx) })
	}
	return func() error {
		cancel()
		err := group.Wait()
		if !x.idle {
			// The database may be gone, which is no failure of the server.
			_ = errors.Join(x.subscriptions.Close(), x.jobs.Close(), x.timers.Close(), x.dispatch.Close())
		}
		return err
	}
}

// trustLocal gives the grant of a server without sign-in back.
func trustLocal(context.Context, string) (access.Grant, error) { return access.Trusted("test"), nil }

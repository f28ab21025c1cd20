package main

import (
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A watched is an admin with all its metrics, and what it tells of.
type watched struct {
	admin *admin
	data  *store.DB
	pool  *sql.DB
}

// watchServer returns the admin of a server with a private database, with a certificate and a
// channel, that has answered a request.
func watchServer(t *testing.T) *watched {
	t.Helper()
	cluster := pgtest.Cluster(t)
	if err := migrate(t.Context(), cluster.DSN()); err != nil {
		t.Fatal(err)
	}
	cert, key := pemFiles(t)
	s := &settings{DataDir: cluster.Dir(), DiskFree: 5, TLSCert: cert, TLSKey: key}
	w := &watched{data: openAudited(t, cluster.DSN())}
	a, stop, err := startAdmin(s, w.data, &database{dsn: cluster.DSN(), private: cluster}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop() })
	if w.pool, err = sql.Open("postgres", cluster.DSN()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.pool.Close() })
	w.admin = a
	a.observe(api.Observation{Method: "GET", Route: "/:type/:id", Status: 200, Took: time.Millisecond, Class: "read", Admitted: true})
	countSent(map[consultation.Channel]dispatch.Sender{consultation.ChannelSMS: {Provider: &dispatch.Webhook{URL: "http://127.0.0.1:1/", Client: http.DefaultClient}}}, a.sent)
	return w
}

// openAudited returns a store with an audit.
func openAudited(t *testing.T, dsn string) *store.DB {
	t.Helper()
	data, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 2, Unsafe: true, Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	return data
}

func (w *watched) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := w.pool.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// put stores a resource.
func (w *watched) put(t *testing.T) {
	t.Helper()
	r, err := fhir.Decode("Basic", []byte(`{"resourceType":"Basic","id":"a","code":{"text":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	row, err := w.data.Row(fhir.Key{Type: "Basic", ID: "a"}, store.Update, r)
	if err != nil {
		t.Fatal(err)
	}
	row.Allowed = row.Gifts
	if _, err := w.data.Put(t.Context(), row, store.Anything); err != nil {
		t.Fatal(err)
	}
}

// values returns what is exposed now, by name and labels as in the text format.
func values(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

// expect holds metrics against the least and the most that they may be.
func (w *watched) expect(t *testing.T, what string, want map[string][2]float64) {
	t.Helper()
	got := values(t, w.admin.registry)
	for name, bounds := range want {
		if v, known := got[name]; !known || v < bounds[0] || v > bounds[1] {
			t.Errorf("%s: %s is %v (known: %v), want %v", what, name, v, known, bounds)
		}
	}
}

// TestBacklog makes sure that each metric has what its package says.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := watchServer(t)
	zero, one := [2]float64{0, 0}, [2]float64{1, 1}
	w.expect(t, "at first", map[string][2]float64{
		"openconsult_ready": one, "openconsult_database_up": one, "openconsult_database_restarts_total": zero,
		"openconsult_timer_late_seconds": zero, "openconsult_dispatch_late_seconds": zero, "openconsult_dispatch_failing": zero,
		"openconsult_subscription_lag_seconds": zero, "openconsult_bulk_jobs_waiting": zero, "openconsult_subscriptions status=error": zero,
		"openconsult_feed_followed follower=timer": zero, "openconsult_feed_lag_seconds follower=timer": zero,
		"openconsult_disk_free_ratio": {0.0001, 1}, "openconsult_disk_free_minimum_ratio": {0.05, 0.05},
		"openconsult_writes_unknown_total": zero, "openconsult_audit_lines_waiting": zero, "openconsult_audit_lines_waiting_max": {10_000, 10_000}, "openconsult_database_waits_total": zero,
	})
	_, position, _, err := w.data.Follow(t.Context(), "", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, `UPDATE timer_feed SET position = '`+position+`', lease = clock_timestamp() + interval '1 minute'`)
	w.exec(t, `UPDATE subscription_feed SET lease = clock_timestamp() + interval '1 minute'`)
	w.put(t)
	w.exec(t, `UPDATE ver SET updated = updated - interval '90 seconds'`)
	w.exec(t, `INSERT INTO timer (type, id, kind, due, every, at, next) SELECT 'Task', 'a', 'overdue', now, 0, now - interval '5 minutes', now FROM clock_timestamp() now`)
	w.exec(t, `INSERT INTO dispatch_message (id, request, made, due, faults) SELECT n::text, '', now, now - interval '2 minutes', n FROM clock_timestamp() now, generate_series(0, 3) n`)
	w.exec(t, `INSERT INTO bulk_job (id, kind, state, owner, holder, asked, created, expires) SELECT n::text, 'export', 'waiting', '', 'x', '{}', now, now
		FROM clock_timestamp() now, generate_series(1, 4) n`)
	w.exec(t, `INSERT INTO subscription (id, version, status, changed, handle, criteria, filters, pushes, host, most, ends, last, delivered, due)
		SELECT s, 1, s, now, '', '', '{}', true, '', 1, 'infinity', 1, 0, now FROM clock_timestamp() now, unnest(ARRAY['active', 'error']) s`)
	w.exec(t, `INSERT INTO subscription_event SELECT 'active', 1, 'Task', 'x', 1, now, now - interval '10 minutes' FROM clock_timestamp() now`)
	w.admin.doubts.Inc()
	w.expect(t, "then", map[string][2]float64{
		"openconsult_feed_followed follower=timer": one, "openconsult_feed_lag_seconds follower=timer": {89, 120},
		"openconsult_feed_followed follower=dispatch": zero, "openconsult_feed_lag_seconds follower=dispatch": zero,
		"openconsult_feed_followed follower=subscription": one, "openconsult_feed_lag_seconds follower=subscription": zero,
		"openconsult_timer_late_seconds": {300, 330}, "openconsult_dispatch_late_seconds": {120, 150}, "openconsult_dispatch_failing": {3, 3},
		"openconsult_subscription_lag_seconds": {600, 630}, "openconsult_subscriptions status=error": one, "openconsult_subscriptions status=requested": zero,
		"openconsult_bulk_jobs_waiting": {4, 4}, "openconsult_writes_unknown_total": one,
	})
	w.admin.notReady()
	w.expect(t, "while stopping", map[string][2]float64{"openconsult_ready": zero, "openconsult_database_up": one})
}

// TestBacklogWithoutDatabase has a scrape answered also when there is nobody to ask.
func TestBacklogWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := watchServer(t)
	if err := w.data.Close(); err != nil {
		t.Fatal(err)
	}
	w.expect(t, "with the store closed", map[string][2]float64{"openconsult_ready": {0, 0}})
	if got := values(t, w.admin.registry)["openconsult_database_up"]; got != 1 {
		t.Errorf("the database is up: %v", got) // nobody has begun to follow, so the store is not asked
	}
	w.exec(t, `ALTER TABLE timer RENAME TO gone`)
	w.expect(t, "with a table that is gone", map[string][2]float64{"openconsult_database_up": {0, 0}, "openconsult_build_info version=" + version(): {1, 1}})
}

// TestCounted counts what comes of messages.
func TestCounted(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{200, 400, 503, 200}[asked.Add(1)-1])
	}))
	defer gateway.Close()
	sent, registry := newSent(), prometheus.NewRegistry()
	registry.MustRegister(sent)
	all := map[consultation.Channel]dispatch.Sender{consultation.ChannelSMS: {Provider: &dispatch.Webhook{URL: gateway.URL, Client: gateway.Client()}}, consultation.ChannelPush: {}}
	countSent(all, sent)
	for range 4 {
		_, _ = all[consultation.ChannelSMS].Provider.Send(t.Context(), dispatch.Message{Channel: consultation.ChannelSMS})
	}
	got := values(t, registry)
	for result, want := range map[string]float64{resultTaken: 2, resultFailed: 1, resultRejected: 1} {
		if n := got["openconsult_dispatch_attempts_total channel=sms result="+result]; n != want {
			t.Errorf("%s: %v, want %v", result, n, want)
		}
	}
	if all[consultation.ChannelPush].Provider != nil {
		t.Error("a channel that does not send got something that counts")
	}
}

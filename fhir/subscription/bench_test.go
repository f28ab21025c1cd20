package subscription

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/search"
)

// BenchmarkLookUp looks up versions that fire none of 1,000 subscriptions. Each
// version has the keys that a real Task has.
func BenchmarkLookUp(b *testing.B) {
	w := newWorld(b)
	defer w.clock.hold()()
	for _, n := range []int{1, 1000} {
		all := newWatches(w.store.Registry(), w.store.DrivingKeys)
		for i := range n {
			if err := all.add(&watch{id: fmt.Sprint(i), typ: "Task", topic: topicOf(canonicalBase + "task-changed"), query: fmt.Sprintf("owner=Organization/%d", i)}, all); err != nil {
				b.Fatal(err)
			}
		}
		keys := keysOf(b, w, task(fmt.Sprint("x", n), "consultation", "requested", `,"owner":{"reference":"Organization/none"},"for":{"reference":"Patient/1"},"authoredOn":"2026-01-01T00:00:00Z"`))
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(len(keys)), "keys")
			for b.Loop() {
				if got := all.candidates("Task", keys); len(got) > 0 {
					b.Fatalf("%d candidates", len(got))
				}
			}
		})
	}
}

// keysOf stores a resource and returns the keys of its row, as the feed tells them.
func keysOf(t testing.TB, w *world, body string) []int64 {
	t.Helper()
	_, position, _, err := w.store.Follow(t.Context(), "", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.put(body)
	page, _, _, err := w.store.Follow(t.Context(), position, nil, 1)
	if err != nil || len(page) != 1 || page[0].Keys == nil {
		t.Fatalf("%v, %v", page, err)
	}
	return page[0].Keys
}

// TestLookUpFindsAll makes sure that what is looked up by keys is what all rules
// held against a version would find.
func TestLookUpFindsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.clock.hold()()
	r := w.store.Registry()
	all := newWatches(r, w.store.DrivingKeys)
	queries := []string{
		"status=ready", "status:not=ready", "owner=Organization/1", "owner=Organization/1,Organization/2", "owner=Organization/1&status=ready,requested", "owner:missing=true",
		"code=" + kinds + "consultation", "code=" + kinds, "code=consultation", "patient=Patient/1", "_id=a", "_lastUpdated=gt2020-01-01", "authored-on=lt2027", "code:text=Con", "identifier=x|1", "priority=urgent",
	}
	for i, q := range queries {
		if err := all.add(&watch{id: fmt.Sprint(i), typ: "Task", query: q}, all); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	driven := 0
	for _, body := range []string{
		task("a", "consultation", "ready"), task("b", "consultation", "requested", `,"owner":{"reference":"Organization/1"},"authoredOn":"2026-01-01"`),
		task("c", "abort", "ready", `,"owner":{"reference":"Organization/2"},"for":{"reference":"Patient/1"},"priority":"urgent"`),
		`{"resourceType":"Task","id":"d","status":"ready","intent":"order","code":{"text":"Consult"},"identifier":[{"system":"x","value":"1"}]}`,
	} {
		keys := keysOf(t, w, body)
		d := documentOf(t, r, body)
		d.index.Updated = time.Now()
		want, got := map[string]bool{}, map[string]bool{}
		for id, watch := range all.byID {
			if search.Match(watch.rules[0].current, d.index, nil) {
				want[id] = true
			}
		}
		found := all.candidates("Task", keys)
		if len(found) < len(queries) {
			driven++
		}
		for _, r := range found {
			if got[r.of.id] {
				t.Errorf("%s comes twice", queries[int(r.of.id[0]-'0')])
			}
			got[r.of.id] = true
		}
		for id := range want {
			if !got[id] {
				var i int
				fmt.Sscan(id, &i)
				t.Errorf("%s is not looked up for %s", queries[i], body)
			}
		}
		if every := all.candidates("Task", nil); len(every) != len(queries) {
			t.Errorf("%d candidates without keys, want all %d", len(every), len(queries))
		}
	}
	if driven == 0 {
		t.Error("nothing is looked up by keys")
	}
	for i := range queries {
		all.remove(fmt.Sprint(i))
	}
	if len(all.byType) > 0 || len(all.byID) > 0 {
		t.Errorf("something is left: %v", all.byType)
	}
}

// BenchmarkCatchUp delivers what waits for one subscription, one event after the
// other, by the real clock.
func BenchmarkCatchUp(b *testing.B) {
	w := newWorld(b)
	at := w.endpoint()
	var got atomic.Int64
	all := make(chan struct{})
	last := int64(-1)
	at.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got.Add(1) == atomic.LoadInt64(&last) {
			close(all)
		}
	})
	e := w.newEngine(func(c *Config) { c.Clock = nil })
	e.busy = func(int) {}
	w.put(hook("s", at.URL+"/s"))
	stop := w.run(e)
	for status := ""; status != active; status, _ = w.status("s") {
	}
	stop()
	w.put(task("x", "consultation", "requested"))
	v := w.put(task("x", "consultation", "received"))
	const fill = `WITH u AS (UPDATE subscription SET last = last + $1, due = now() RETURNING last - $1 AS before)
		INSERT INTO subscription_event SELECT 's', before + n, 'Task', 'x', $2, now(), now() FROM u, generate_series(1, $1) n`
	if _, err := w.db.Exec(fill, b.N, v.Number); err != nil {
		b.Fatal(err)
	}
	atomic.StoreInt64(&last, got.Load()+int64(b.N))
	b.ResetTimer()
	w.run(e)
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkWrite creates Tasks by several clients while nothing, or one server with
// 1,000 subscriptions that none of them is about, follows the feed.
func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{-1, 0, 1000} {
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			w := newWorld(b)
			at := w.endpoint()
			at.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			defer w.clock.hold()()
			if n >= 0 {
				e := w.newEngine(func(c *Config) { c.Clock = nil })
				e.busy = func(int) {}
				pulse, stop := context.WithCancel(b.Context())
				defer stop()
				go func() { _ = w.store.RunPulse(pulse) }()
				for i := range n {
					filters := fmt.Sprintf(`,"_criteria":{"extension":[%s]}`, filter(fmt.Sprintf("Task?owner=Organization/%d", i)))
					w.put(strings.Replace(hook(fmt.Sprint("s", i), fmt.Sprintf("%s/%d", at.URL, i)), `,"channel"`, filters+`,"channel"`, 1))
				}
				w.run(e)
				for done := 0; done < n; {
					if err := w.db.QueryRow(`SELECT count(*) FROM subscription WHERE status = 'active' AND due = 'infinity'`).Scan(&done); err != nil {
						b.Fatal(err)
					}
				}
			}
			var made atomic.Int64
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					w.put(task(fmt.Sprint("w", made.Add(1)), "consultation", "requested", `,"owner":{"reference":"Organization/none"}`))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

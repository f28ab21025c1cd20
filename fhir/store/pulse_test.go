package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestPulse: who waits is woken by what they may see, whether it comes, changes or
// goes, by nothing else, and when the server stops.
func TestPulse(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	other := openOn(t, database)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- db.RunPulse(ctx) }()

	all := access.Trusted("test")
	a, b := staffOf(0), staffOf(1)
	task := func(organization int, n int) string {
		return fmt.Sprintf(`{"resourceType":"Task","id":"t","intent":"order","status":"requested","owner":{"reference":"Organization/or%d"},"description":"%d"}`, organization, n)
	}
	// The first to wait is woken once for nothing: it is not known what came before.
	first := db.Watch(all, Feed{})
	<-first.Change()

	watchA, watchB, watchPatients := db.Watch(a, Feed{}), db.Watch(b, Feed{}), db.Watch(all, Feed{Types: []string{"Patient"}})
	waits := func(w *Watch) bool {
		select {
		case <-w.Change():
			return false
		default:
			return true
		}
	}
	anything := db.Pulse()
	trusted(t, other, task(0, 1))
	<-watchA.Change()
	<-anything
	if !waits(watchB) || !waits(watchPatients) {
		t.Error("who does not see a Task is woken by it")
	}
	watchA, anything = db.Watch(a, Feed{}), db.Pulse()
	trusted(t, other, task(1, 2))
	<-watchB.Change()
	<-watchA.Change()
	<-anything
	if !waits(watchPatients) {
		t.Error("who asked for Patients is woken by a Task")
	}
	watchB = db.Watch(b, Feed{})
	if _, err := other.Delete(t.Context(), fhir.Key{Type: "Task", ID: "t"}, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	<-watchB.Change()
	if !db.Pulses() || !waits(watchPatients) || watchPatients.Ended() {
		t.Error("a deletion ends what it should not")
	}
	last := db.Watch(a, Feed{})
	last.Stop()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-watchPatients.Change()
	if !watchPatients.Ended() || db.Pulses() || !waits(last) {
		t.Error("not everybody is told that the server stops")
	}
	if len(db.pulses.all)+len(db.pulses.byKey) > 0 {
		t.Errorf("%d still wait", len(db.pulses.all))
	}
}

// BenchmarkPulse wakes the few among 10,000 waiters who see a change.
func BenchmarkPulse(b *testing.B) {
	db, _ := openInside(b)
	for n := range 10_000 {
		defer db.Watch(patientGrant(n), Feed{}).Stop()
	}
	changes := []stirred{{typ: "Task", keys: db.secret.Accesses([]access.Key{{Kind: access.Record, Of: "Patient/x"}, {Kind: access.Patient, Of: "Patient/pa7"}})}}
	for b.Loop() {
		db.pulses.wakeFor(changes)
	}
}

// TestDrivingKeys: whatever meets conditions has one of the keys that are said of them,
// and most of the rest has none.
func TestDrivingKeys(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	_, position, _, err := db.Follow(t.Context(), "", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(db, 3)
	w.fill(t)
	var all []Followed
	for more := true; more; {
		var some []Followed
		if some, position, more, err = db.Follow(t.Context(), position, []string{"Task", "Observation"}, 7); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	driven, met, hits := 0, 0, 0
	for range 300 {
		typ, params := w.request()
		if typ != "Task" && typ != "Observation" {
			continue
		}
		q, err := db.Registry().Parse(search.Request{Types: []string{typ}, Params: params})
		if err != nil {
			t.Fatal(err)
		}
		keys, ok := db.DrivingKeys(typ, q.Where)
		if ok {
			driven++
		}
		matched := map[fhir.Key]bool{}
		for _, d := range w.matches(q) {
			matched[d.index.Key] = true
		}
		for _, f := range all {
			if f.Keys == nil || f.Key.Type != typ {
				continue
			}
			hit := intersecting(f.Keys, keys)
			if hit && ok {
				hits++
			}
			if matched[f.Key] {
				met++
				if ok && !hit {
					t.Errorf("%s meets %v and has none of its keys", f.Key, params)
				}
			}
		}
	}
	t.Logf("%d searches have keys, %d times something is met, %d hits", driven, met, hits)
	if driven < 30 || met < 30 {
		t.Errorf("only %d searches have keys, and only %d times something is met", driven, met)
	}
	never, ok := db.DrivingKeys("Task", []search.Condition{search.IDs{}})
	if !ok || len(never) > 0 {
		t.Errorf("what nothing meets has the keys %v, %t", never, ok)
	}
}

func intersecting(a, b []int64) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

package interaction_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/timer"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// An alarmed is a server with a clock that is set, and its timers.
type alarmed struct {
	*world
	mu  sync.Mutex
	now time.Time
}

func newAlarmed(t testing.TB, now time.Time) *alarmed {
	t.Helper()
	a := &alarmed{now: now}
	dsn := pgtest.New(t).DSN
	db, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	e := interaction.New(interaction.Config{Store: db, Now: a.clock, Checks: &interaction.Checks{StructureOnly: true}})
	a.world = &world{t: t, engine: e, trusted: e.System(interaction.Origin{})}
	for _, body := range []string{
		`{"resourceType":"Organization","id":"prac"}`, `{"resourceType":"Organization","id":"hosp"}`, `{"resourceType":"Organization","id":"duty"}`,
		`{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/prac"}}`,
		`{"resourceType":"PractitionerRole","id":"gp","organization":{"reference":"Organization/prac"}}`,
		`{"resourceType":"HealthcareService","id":"other","providedBy":{"reference":"Organization/hosp"}}`,
		`{"resourceType":"HealthcareService","id":"clinic","providedBy":{"reference":"Organization/hosp"},"extension":[{"url":"` + consultation.ResponseSLA + `","extension":[` +
			`{"url":"escalation-contact","valueReference":{"reference":"Organization/duty"}},` +
			`{"url":"unread-escalation-after","valueDuration":{"value":1,"system":"http://unitsofmeasure.org","code":"h"}}]}]}`,
	} {
		a.put(body)
	}
	return a
}

func (a *alarmed) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *alarmed) at(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
}

// ask stores a Task of advice and guidance.
func (a *alarmed) ask(id, status, elements string) {
	a.t.Helper()
	a.put(`{"resourceType":"Task","id":"` + id + `","status":"` + status + `","intent":"order","code":{"coding":[{"system":"` + consultation.KindSystem + `","code":"advice-and-guidance"}]},` +
		`"for":{"reference":"Patient/p"},"requester":{"reference":"Organization/prac"},"owner":{"reference":"Organization/hosp"},"groupIdentifier":{"system":"` + consultation.ThreadSystem + `","value":"thread-` + id + `"}` + elements + `}`)
}

// planned returns the alarms of a Task as "kind time", in UTC.
func (a *alarmed) planned(k string) string {
	a.t.Helper()
	all, err := a.engine.PlanAlarms(a.t.Context(), key(k))
	if err != nil {
		a.t.Fatal(err)
	}
	var lines []string
	for _, x := range all {
		lines = append(lines, x.Kind+" "+x.Due.Format("01-02 15:04"))
	}
	return strings.Join(lines, ", ")
}

// sounds has the alarm of a kind sound that a Task has, and reports whether it did.
func (a *alarmed) sounds(k, kind string) bool {
	a.t.Helper()
	all, err := a.engine.PlanAlarms(a.t.Context(), key(k))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, x := range all {
		if x.Kind == kind {
			return a.sound(x)
		}
	}
	a.t.Fatalf("%s has no %s", k, kind)
	return false
}

func (a *alarmed) sound(x timer.Alarm) bool {
	a.t.Helper()
	if x.At.IsZero() {
		x.At = x.Due
	}
	told, err := a.engine.SoundAlarm(a.t.Context(), x)
	if err != nil {
		a.t.Fatal(err)
	}
	return told
}

// count wants a search to find so many.
func (a *alarmed) count(query string, want int) {
	a.t.Helper()
	got, err := finds(a.t.(*testing.T), a.trusted, query)
	if n := len(strings.Fields(got)); err != nil || n != want {
		a.t.Errorf("%s finds %q, %v; want %d", query, got, err, want)
	}
}

const due = `,"restriction":{"period":{"start":"2026-03-06T13:30:00Z","end":"2026-03-09T13:00:00Z"}}`

// TestAlarms plans and tells what a Task has, by the clocks of the service that its owner provides.
func TestAlarms(t *testing.T) {
	t.Parallel()
	a := newAlarmed(t, time.Date(2026, 3, 9, 11, 0, 0, 0, time.UTC))
	a.ask("t", "accepted", due)
	if got, want := a.planned("Task/t"), "task-due-soon 03-09 11:00, task-overdue 03-09 13:00"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	alarms, err := a.engine.PlanAlarms(t.Context(), key("Task/t"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !a.sound(alarms[0]) {
			t.Error("what is due soon is not told")
		}
	}
	a.count("Communication?part-of=Task/t&category=alert&recipient=Organization/hosp", 1)
	a.count("Task?code=message-receipt&part-of=Task/t&status=ready", 2)
	a.at(time.Date(2026, 3, 9, 13, 0, 0, 0, time.UTC))
	var all sync.WaitGroup
	for range 8 { // as by several servers
		all.Go(func() {
			if told, err := a.engine.SoundAlarm(t.Context(), timer.Alarm{Key: key("Task/t"), Kind: alarms[1].Kind, Due: alarms[1].Due, At: alarms[1].Due}); !told || err != nil {
				t.Errorf("told %v, %v", told, err)
			}
		})
	}
	all.Wait()
	a.count("Communication?part-of=Task/t&category=alert", 2)
	a.count("Communication?part-of=Task/t&recipient=Organization/prac", 2)
	a.count("Task?code=message-receipt&owner=Organization/prac&status=ready", 2)
	if a.sound(alarms[0]) {
		t.Error("what is overdue is told to be due soon")
	}
	receipts, err := finds(t, a.trusted, "Task?code=message-receipt&part-of=Task/t")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range strings.Fields(receipts) {
		if got := a.planned(k); got != "" {
			t.Errorf("an alert that nobody reads has the alarm %s", got)
		}
	}
}

// TestAlarmMovedOn is about Tasks that have moved on when their alarm sounds: it is not told.
func TestAlarmMovedOn(t *testing.T) {
	t.Parallel()
	a := newAlarmed(t, time.Date(2026, 3, 9, 13, 0, 0, 0, time.UTC))
	for id, change := range map[string]func(id string){
		"paused":   func(id string) { a.ask(id, "on-hold", due) },
		"answered": func(id string) { a.ask(id, "completed", due) },
		"moved":    func(id string) { a.ask(id, "accepted", strings.Replace(due, "09T13:00", "10T13:00", 1)) },
		"gone": func(id string) {
			if _, err := a.trusted.Delete(t.Context(), key("Task/"+id), store.Anything); err != nil {
				t.Error(err)
			}
		},
	} {
		a.ask(id, "accepted", due)
		alarms, err := a.engine.PlanAlarms(t.Context(), key("Task/"+id))
		if err != nil || len(alarms) != 2 {
			t.Fatal(alarms, err)
		}
		change(id)
		if a.sound(alarms[1]) {
			t.Errorf("%s: it is told", id)
		}
		a.count("Communication?part-of=Task/"+id, 0)
	}
}

// TestAlarmStat is about a stat Task that nobody opens: the contact of the service is told, again
// and again.
func TestAlarmStat(t *testing.T) {
	t.Parallel()
	a := newAlarmed(t, time.Date(2026, 3, 8, 3, 0, 0, 0, time.UTC))
	a.ask("t", "requested", `,"priority":"stat","authoredOn":"2026-03-08T03:00:00Z"`)
	if got, want := a.planned("Task/t"), "stat-not-opened 03-08 03:10"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	first := time.Date(2026, 3, 8, 3, 10, 0, 0, time.UTC)
	x := timer.Alarm{Key: key("Task/t"), Kind: "stat-not-opened", Due: first, Every: 10 * time.Minute}
	for i := range 3 {
		x.At = first.Add(time.Duration(i) * x.Every)
		for range 2 {
			if !a.sound(x) {
				t.Error("it is not told")
			}
		}
	}
	a.count("Communication?recipient=Organization/duty&category=alert", 3)
	a.ask("t", "received", `,"priority":"stat","authoredOn":"2026-03-08T03:00:00Z"`)
	if got := a.planned("Task/t"); got != "" {
		t.Errorf("opened, it has %s", got)
	}
}

// TestAlarmMessages is about messages that nobody reads, and consultations that nobody files.
func TestAlarmMessages(t *testing.T) {
	t.Parallel()
	a := newAlarmed(t, time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC))
	a.ask("t", "completed", "")
	for id, priority := range map[string]string{"routine": "routine", "urgent": "urgent"} {
		a.put(`{"resourceType":"Communication","id":"` + id + `","status":"completed","priority":"` + priority + `","sent":"2026-03-09T12:00:00Z","partOf":[{"reference":"Task/t"}],` +
			`"category":[{"coding":[{"system":"` + consultation.CategorySystem + `","code":"advice-and-guidance"}]}],"sender":{"reference":"Organization/hosp"},"recipient":[{"reference":"PractitionerRole/gp"}]}`)
		a.put(`{"resourceType":"Task","id":"receipt-` + id + `","status":"ready","intent":"order","code":{"coding":[{"system":"` + consultation.KindSystem + `","code":"message-receipt"}]},` +
			`"partOf":[{"reference":"Task/t"}],"focus":{"reference":"Communication/` + id + `"},"owner":{"reference":"PractitionerRole/gp"}}`)
	}
	if got := a.planned("Task/receipt-routine"); got != "response-not-opened 03-11 18:30" {
		t.Errorf("routine: %s", got)
	}
	if got := a.planned("Task/receipt-urgent"); got != "response-not-opened 03-09 13:00" {
		t.Errorf("urgent: %s", got)
	}
	if !a.sounds("Task/receipt-urgent", "response-not-opened") {
		t.Error("it is not told")
	}
	a.count("Communication?recipient=Organization/prac&part-of=Task/t&category=alert", 1)
	consulted := `{"resourceType":"Task","id":"c","status":"%s","intent":"order","code":{"coding":[{"system":"` + consultation.KindSystem + `","code":"consultation"}]},"owner":{"reference":"Organization/prac"},"requester":{"reference":"Patient/p"},"lastModified":"2026-03-0%dT12:00:00Z"}`
	a.put(fmt.Sprintf(consulted, "in-progress", 5))
	a.put(fmt.Sprintf(consulted, "completed", 6))
	before := a.planned("Task/c")
	if !strings.HasPrefix(before, "filing-overdue ") {
		t.Errorf("completed: %s", before)
	}
	a.put(fmt.Sprintf(consulted, "completed", 7))
	if got := a.planned("Task/c"); got != before {
		t.Errorf("an edit moves it from %s to %s", before, got)
	}
}

// TestAlarmingTasks lists what may have alarms when it is not known what has changed.
func TestAlarmingTasks(t *testing.T) {
	t.Parallel()
	a := newAlarmed(t, time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC))
	want := map[string]bool{}
	for i := range 230 {
		id := fmt.Sprintf("open-%03d", i)
		a.ask(id, "requested", "")
		want[id] = true
	}
	a.ask("done", "completed", "")
	a.put(`{"resourceType":"Task","id":"plain","status":"requested","intent":"order"}`)
	for after := ""; ; {
		keys, next, err := a.engine.AlarmingTasks(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if !want[k.ID] {
				t.Errorf("%s is there, or twice", k)
			}
			delete(want, k.ID)
		}
		if after = next; after == "" {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("missing %v", want)
	}
}

// BenchmarkPlanAlarms is what a version of a Task costs in the background.
func BenchmarkPlanAlarms(b *testing.B) {
	a := newAlarmed(b, time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC))
	a.ask("t", "accepted", due)
	for b.Loop() {
		if all, err := a.engine.PlanAlarms(b.Context(), key("Task/t")); len(all) != 2 || err != nil {
			b.Fatal(all, err)
		}
	}
}

package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// settle sends once more what is to be sent until it is answered.
func (o *ordeal) settle() {
	over := o.now()
	awaitLong(o, "a write by each server when all is over", func() bool { return o.wroteSince(over) })
}

// drain waits until everybody who is to be told something has been told.
func (o *ordeal) drain() {
	base := o.front.Load().base
	o.consultations.room.again(base)
	over := o.now()
	for _, f := range o.readers {
		// The stop is for clients at work; what is left is read by the test.
		f.tortureLog = newTortureLog()
		f.began = o.began
		for deadline := time.Now().Add(5 * patience); time.Duration(f.idle.Load()) <= over && !o.t.Failed(); f.follow() {
			if time.Now().After(deadline) {
				o.t.Errorf("%s does not come to the end of the feed", f.name)
			}
		}
	}
	o.say("the feed is read to its end; %d messages were told of by then", len(o.subscribers.versionsTold()))
	var want int
	if err := o.clock.QueryRowContext(o.t.Context(), `SELECT count(*) FROM ver JOIN res_type t USING (type) WHERE t.name = 'Communication' AND op <> 'D'`).Scan(&want); err != nil {
		o.t.Error(err)
	}
	for so := -1; so < len(o.subscribers.versionsTold()) && so < want; {
		so = len(o.subscribers.versionsTold())
		if !awaitLong(o, "more messages to be told", func() bool { n := len(o.subscribers.versionsTold()); return n >= want || n > so+500 }) {
			o.diagnose()
			return
		}
	}
	o.say("%d messages are told of", want)
}

// diagnose writes down what servers do, and where they are in the feed.
func (o *ordeal) diagnose() {
	for _, query := range []string{
		`SELECT row_to_json(f)::text FROM subscription_feed f`,
		`SELECT row_to_json(s)::text FROM subscription s`,
		`SELECT row_to_json(a)::text FROM pg_stat_activity a WHERE datname = current_database()`,
		`SELECT json_build_object('now', pg_catalog.clock_timestamp(), 'ahead', by)::text FROM ahead`,
	} {
		rows, err := o.clock.Query(query)
		if err != nil {
			o.t.Error(err)
			continue
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				o.t.Error(err)
			}
			o.say("%s", line)
		}
		rows.Close()
	}
	for name, p := range map[string]*process{"the server": o.front.Load(), "the other server": o.back} {
		x, err := request{method: http.MethodGet, path: "/debug/pprof/goroutine?debug=1"}.send(o.client, p.admin)
		o.say("%s does %v\n%s", name, err, x.answer)
	}
}

// awaitLong is await for what may take longer, on a machine with other things to do.
func awaitLong(o *ordeal, what string, done func() bool) bool {
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); o.pause(100 * time.Millisecond) {
		if done() {
			return true
		}
	}
	o.t.Errorf("waited %v in vain: %s", 2*patience, what)
	return false
}

// tortureTypes are those of all resources that come to be.
var tortureTypes = []string{"Basic", "Communication", "Observation", "Organization", "Patient", "Provenance", "Questionnaire", "QuestionnaireResponse", "Subscription", "Task"}

// gather reads everything that the server has, with the newest version of each resource.
func (o *ordeal) gather() (*evidence, map[string]spoken) {
	e := &evidence{efforts: o.efforts, traces: map[string][]trace{}, audited: map[string]bool{}, feeds: map[string][]string{}, hearings: map[string]hearing{}}
	newest := map[string]spoken{}
	for _, typ := range tortureTypes {
		for next := "/fhir/" + typ + "/_history?_count=500"; next != ""; {
			next = o.gatherPage(e, newest, next)
		}
	}
	// Histories begin with what is newest.
	for _, all := range e.traces {
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	for _, f := range o.readers {
		e.feeds[f.name] = f.got
	}
	o.gatherAudit(e)
	e.hearings["whole"] = hearing{wholeWanted(e), o.subscribers.versionsTold()}
	want := toldWanted(e)
	// It has a queue of its own, which may be behind that of the other when its receiver was away.
	awaitLong(o, "who is told ids only to have been told all", func() bool { return len(o.subscribers.told.events()) >= len(want) })
	e.hearings["told"] = hearing{want, o.subscribers.told.events()}
	return e, newest
}

// gatherPage takes a page of a history, and returns the address of the next one.
func (o *ordeal) gatherPage(e *evidence, newest map[string]spoken, path string) string {
	x, err := request{method: http.MethodGet, path: path}.send(o.client, o.front.Load().base)
	var page torturePage
	if err != nil || x.status != http.StatusOK || json.Unmarshal([]byte(x.answer), &page) != nil {
		o.t.Errorf("read %s: %v\n%s", path, err, x)
		return ""
	}
	for _, one := range page.Entry {
		key, t := one.key(), trace{version: one.version(), deleted: one.Request.Method == http.MethodDelete}
		if !t.deleted {
			t.marker, t.together, t.only, t.group = labelIn(one.Resource, "marker"), labelIn(one.Resource, "together"), labelIn(one.Resource, "only"), labelIn(one.Resource, "group")
			t.content = canonical(o.t, one.Resource)
			s := spoken{key: key}
			if err := json.Unmarshal(one.Resource, &s); err != nil && !strings.HasPrefix(key, "Questionnaire/") { // whose code is a list
				o.t.Errorf("read %s: %v", key, err)
			}
			t.status = s.Status
			if len(e.traces[key]) == 0 {
				newest[key] = s
			}
		}
		e.traces[key] = append(e.traces[key], t)
	}
	return page.next()
}

// gatherAudit reads what the audit says of versions.
func (o *ordeal) gatherAudit(e *evidence) {
	rows, err := o.clock.QueryContext(o.t.Context(), `SELECT t.name, a.id, a.ver FROM audit a JOIN res_type t USING (type) WHERE a.ver > 0`)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var typ, id string
		var version int
		if err := rows.Scan(&typ, &id, &version); err != nil {
			o.t.Fatal(err)
		}
		e.audited[fmt.Sprintf("%s/%s/%d", typ, id, version)] = true
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
}

// wholeWanted is what who is sent each version of complete messages is to be sent.
func wholeWanted(e *evidence) (all []string) {
	for key, list := range e.traces {
		for _, v := range list {
			if strings.HasPrefix(key, "Communication/") && v.status == "completed" {
				all = append(all, fmt.Sprintf("%s/%d", key, v.version))
			}
		}
	}
	return all
}

// toldWanted is what who is told of messages that have come is to be told: each once,
// and once more if it was deleted and came again.
func toldWanted(e *evidence) (all []string) {
	for key, list := range e.traces {
		for i, v := range list {
			if strings.HasPrefix(key, "Communication/") && v.status == "completed" && (i == 0 || list[i-1].status != "completed") {
				all = append(all, key)
			}
		}
	}
	return all
}

// judgeTables asks the tables for everything that must not be, and holds search rows
// and access keys against what the content gives.
func (o *ordeal) judgeTables(e *evidence) {
	checkTables(o.t, o.dir)
	rows := checkRows(o.t, privateDSN(o.dir), nearby)
	var versions int
	if err := o.clock.QueryRowContext(o.t.Context(), `SELECT count(*) FROM ver`).Scan(&versions); err != nil {
		o.t.Error(err)
	}
	for _, all := range e.traces {
		versions -= len(all)
	}
	if versions != 0 {
		o.t.Errorf("the tables have %d versions more than the histories that were read", versions)
	}
	o.say("%d search rows are what their resources give", rows)
}

// A measure is what the server that lives through everything takes up.
type measure struct {
	at                time.Duration
	resident, heap    int64 // bytes
	goroutines, files int
}

func (m measure) String() string {
	return fmt.Sprintf("after %.0fs: memory %d MB, heap %d MB, %d goroutines, %d files", m.at.Seconds(), m.resident>>20, m.heap>>20, m.goroutines, m.files)
}

// warm is when what a server takes up is measured first, as a part of the run.
const warm = 4

// watch measures, once it is warm and when all is over, what the server that lives
// through everything takes up while nobody asks it anything.
func (o *ordeal) watch(duration time.Duration) {
	if o.now() < duration/warm || duration > 0 && len(o.measured) > 0 && o.now()-o.measured[len(o.measured)-1].at < duration/8 {
		return
	}
	o.gate.Lock()
	defer o.gate.Unlock()
	m := o.measure()
	// What a blow has left to do may go on for a while.
	for range 20 {
		o.pause(250 * time.Millisecond)
		if next := o.measure(); next.goroutines >= m.goroutines {
			break
		} else {
			m = next
		}
	}
	o.measured = append(o.measured, m)
	o.say("%s", m)
}

// pause waits, also when the run is over.
func (o *ordeal) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

var gauges = regexp.MustCompile(`(?m)^(go_goroutines|go_memstats_heap_alloc_bytes) (\S+)$`)

// measure collects garbage first.
func (o *ordeal) measure() measure {
	m := measure{at: o.now()}
	for _, path := range []string{"/debug/pprof/heap?gc=1", "/metrics"} {
		x, err := request{method: http.MethodGet, path: path}.send(o.client, o.back.admin)
		if err != nil {
			o.t.Errorf("measure: %v", err)
			return m
		}
		for _, g := range gauges.FindAllStringSubmatch(x.answer, -1) {
			value, err := strconv.ParseFloat(g[2], 64)
			if err != nil {
				o.t.Errorf("measure: %v", err)
			}
			if g[1] == "go_goroutines" {
				m.goroutines = int(value)
			} else {
				m.heap = int64(value)
			}
		}
	}
	m.resident, _ = o.back.memory(o.t)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", o.back.cmd.Process.Pid))
	if err != nil {
		o.t.Errorf("measure: %v", err)
	}
	m.files = len(files)
	return m
}

// judgeGrowth wants a server to take up at the end about what it took up when it was
// warm.
func judgeGrowth(f *flaws, first, last measure) {
	for _, one := range []struct {
		what               string
		first, last, bound int64
	}{
		{"bytes of memory", first.resident, last.resident, first.resident*3/2 + 64<<20},
		{"bytes of heap", first.heap, last.heap, first.heap*3/2 + 16<<20},
		{"goroutines", int64(first.goroutines), int64(last.goroutines), int64(first.goroutines) + 25},
		{"files", int64(first.files), int64(last.files), int64(first.files) + 25},
	} {
		if one.last > one.bound {
			f.add("leak", "%d %s at first, %d in the end", one.first, one.what, one.last)
		}
	}
}

package conformance_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	tortureSeed     = flag.Uint64("torture.seed", 0, "what TestTorture does and when; 0 takes TORTURE_SEED, or the time")
	tortureDuration = flag.Duration("torture.duration", 0, "how long TestTorture tortures; 0 is two minutes, and 20 seconds with -short")
)

// An ordeal is a run of the torture.
type ordeal struct {
	*rig
	*tortureLog
	*rand.Rand // of the blows; used by the test's own goroutine
	seed       uint64
	passes     *passes
	plots      *plots
	client     *http.Client

	subscribers   *subscribers
	consultations *consultations
	readers       []*tortureReader
	snooper       *snooper
	struck        map[string]int
	measured      []measure
	renewed       time.Duration
}

// seedOf returns the seed of a run.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	if *tortureSeed > 0 {
		return *tortureSeed
	}
	if text := os.Getenv("TORTURE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("read TORTURE_SEED: %v", err)
		}
		return seed
	}
	return uint64(time.Now().UnixNano()) % 1_000_000
}

// TestTorture lets writers, searchers, readers of the feed, subscribers and people who
// consult each other work on two servers of one database, while one server and the
// database are killed and stopped, connections are cut, receivers are down and the clock
// of the database is stepped. Afterwards everything that anybody was told is held
// against what is stored.
func TestTorture(t *testing.T) {
	t.Parallel()
	duration := *tortureDuration
	if duration == 0 {
		duration = 2 * time.Minute
		if testing.Short() {
			duration = 20 * time.Second
		}
	}
	o := newOrdeal(t)
	t.Logf("torture with -torture.seed=%d for %v", o.seed, duration)
	ended := o.begin()
	o.beat(duration)
	o.heal()
	o.settle()
	close(o.stop)
	ended()
	o.drain()
	o.watch(0)
	e, all := o.gather()
	flaws := e.judge()
	o.consultations.judge(&flaws, all)
	o.judgeTables(e)
	judgeGrowth(&flaws, o.measured[0], o.measured[len(o.measured)-1])
	o.report(e, flaws, duration)
}

// newOrdeal starts the servers and makes the world of the run.
func newOrdeal(t *testing.T) *ordeal {
	t.Helper()
	o := &ordeal{rig: newRig(t), tortureLog: newTortureLog(), seed: seedOf(t), passes: &passes{token: map[string]string{}}, plots: &plots{}, struck: map[string]int{}}
	o.Rand = rand.New(rand.NewPCG(o.seed, 1))
	o.client = o.passes.client("system")
	t.Cleanup(o.client.CloseIdleConnections)
	o.complete()
	run(t, o.program, "client", "add", "--id=torture", "--name=Torture", "--all", "--role=administer,labels,assert-author,assert-patient,operate", "--clearance=*", "--scope=system/*.cruds", "--dsn="+privateDSN(o.dir))
	for _, side := range []string{"practice", "hospital"} {
		run(t, o.program, "client", "add", "--id="+side, "--name="+side, "--org="+side, "--scope=system/*.cruds", "--dsn="+privateDSN(o.dir))
	}
	if err := o.passes.renew(o.rig); err != nil {
		t.Fatal(err)
	}
	// Who follows from the beginning, when nothing is there, gets every version.
	for i, way := range []int{byFront, byBack} {
		f := newTortureReader(newToiler(o, fmt.Sprintf("reader%d", i), way), []int{20, 200}[i])
		f.follow()
		o.readers = append(o.readers, f)
	}
	o.consultations = newConsultations(o)
	o.subscribers = newSubscribers(o)
	return o
}

// begin starts all clients, and returns what waits for them to end.
func (o *ordeal) begin() (wait func()) {
	var group sync.WaitGroup
	start := func(w *toiler, pace time.Duration, do func()) { group.Go(func() { w.run(pace, do) }) }
	for i, way := range []int{byFront, byFront, byBack} {
		w := newToiler(o, fmt.Sprintf("writer%d", i), way)
		start(w, 60*time.Millisecond, w.toil)
	}
	for i, way := range []int{byFront, byBack} {
		w := newToiler(o, fmt.Sprintf("searcher%d", i), way)
		start(w, 200*time.Millisecond, w.search)
	}
	for _, f := range o.readers {
		start(f.toiler, 100*time.Millisecond, f.follow)
	}
	w := newToiler(o, "records", byFront)
	start(w, 200*time.Millisecond, w.record)
	talks := newToiler(o, "talks", byFront)
	start(talks, 150*time.Millisecond, func() { o.consultations.consult(talks) })
	o.snooper = &snooper{toiler: newToiler(o, "ada", byBack), cursor: "$changes?_count=50"}
	o.snooper.client = o.passes.client("ada")
	start(o.snooper.toiler, 150*time.Millisecond, o.snooper.snoop)
	group.Go(o.keepPasses)
	return group.Wait
}

// keepPasses renews tokens before they end, as soon as the database is there.
func (o *ordeal) keepPasses() {
	for !o.ended() {
		o.rest(time.Second)
		if o.now()-o.renewed < 3*time.Minute {
			continue
		}
		if err := o.passes.renew(o.rig); err == nil {
			o.renewed = o.now()
		}
	}
}

// report says what came of the run.
func (o *ordeal) report(e *evidence, flaws flaws, duration time.Duration) {
	const shown = 5
	seen := map[string]int{}
	for _, one := range flaws {
		if seen[one.what]++; seen[one.what] <= shown {
			o.t.Errorf("%s: %s", one.what, one.detail)
		}
	}
	acknowledged, unknown, versions, fed := 0, 0, 0, 0
	for _, one := range e.efforts {
		if one.writes() && one.fate == stored {
			acknowledged++
		}
		if one.writes() && one.fate == doubtful {
			unknown++
		}
	}
	for _, list := range e.traces {
		versions += len(list)
	}
	crashes := 0
	for _, f := range o.readers {
		fed += len(f.got)
		crashes += f.crashes
	}
	lines := []string{
		fmt.Sprintf("seed             %d, %v", o.seed, duration),
		"blows            " + o.strikes(),
		fmt.Sprintf("requests         %d: %s", o.requests, counts(o.answers)),
		fmt.Sprintf("writes           %d acknowledged, %d unknown, lost %d, torn %d, twice %d, not asked for %d", acknowledged, unknown, flaws.count("lost"), flaws.count("torn"), flaws.count("twice"), flaws.count("unsent")),
		fmt.Sprintf("order            %d resources, not to be explained %d, undecided %d, stale searches %d, versions missing %d", len(e.traces), flaws.count("order"), flaws.count("undecided"), flaws.count("stale")+flaws.count("stray"), flaws.count("gap")),
		fmt.Sprintf("feed             %d versions to each of %d readers, %d delivered, %d crashes of readers, missed %d, doubled %d, out of order %d", versions, len(o.readers), fed, crashes, flaws.count("missed"), flaws.count("doubled"), flaws.count("disordered")),
		fmt.Sprintf("hooks            %d and %d events, %d deliveries refused, wrong %d", len(e.hearings["whole"].got), len(e.hearings["told"].got), o.subscribers.refused.Load(), flaws.count("hook")),
		fmt.Sprintf("consultations    %d forms, %d conversations with %d steps, %d questions that take one answer, wrong %d", len(o.consultations.room.sent), len(o.consultations.talks.told), o.consultations.talks.steps.Load(), o.consultations.asked.Load(), flaws.count("reply")),
		fmt.Sprintf("audit            %d lines, missing %d", len(e.audited), flaws.count("unaudited")),
		fmt.Sprintf("patient          %d looks, %d with something to see", o.snooper.looks, o.snooper.seen),
	}
	for i, m := range []measure{o.measured[0], o.measured[len(o.measured)-1]} {
		lines = append(lines, fmt.Sprintf("%-16s %s", []string{"resources first", "resources last"}[i], m))
	}
	o.t.Logf("torture\n%s", strings.Join(lines, "\n"))
}

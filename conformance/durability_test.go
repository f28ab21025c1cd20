package conformance_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const writers = 8

// begin starts the writers and returns what stops them.
func (l *ledger) begin() (end func()) {
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() { l.writer(fmt.Sprintf("w%d", i)).run(stop) })
	}
	return sync.OnceFunc(func() {
		close(stop)
		group.Wait()
	})
}

// A crash kills something of a server and its private database.
type crash struct {
	name   string
	server bool // the server is killed before the rest
	spared int  // how many processes of the database live on; -1 is all
	what   func(t *testing.T, dir string)
}

// crashes are the ways to die, in the order in which the test goes through them.
var crashes = []crash{
	{"both", true, 0, func(t *testing.T, dir string) { killDatabase(t, dir) }},
	{"the server", true, -1, func(*testing.T, string) {}},
	{"the database", false, 0, func(t *testing.T, dir string) { killDatabase(t, dir) }},
	{"a session", false, 1, func(t *testing.T, dir string) { kill(t, slices.Max(databaseProcesses(dir))) }},
	{"the postmaster", false, 0, func(t *testing.T, dir string) { kill(t, postmaster(dir)) }},
}

// TestKill9 kills the server, its database and both, in the middle of writes of
// several clients. Whatever was acknowledged must be there afterwards, whatever
// was refused must not, and everything else wholly or not at all.
func TestKill9(t *testing.T) {
	t.Parallel()
	kills, between := 10, 1000
	if testing.Short() {
		kills, between = 3, 150
	}
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	l := newLedger(t, p)
	end := l.begin()
	defer end()
	var recoveries []time.Duration
	for i := range kills {
		before, _ := l.acknowledged()
		if !await(t, "writes before a kill", func() bool { n, _ := l.acknowledged(); return n >= before+between }) {
			break
		}
		c := crashes[i%len(crashes)]
		took, ok := l.survive(c, program, dir)
		if !ok {
			break
		}
		recoveries = append(recoveries, took)
	}
	end()
	if l.statusCounts()["503"] == 0 {
		t.Error("no request met a database that was away")
	}
	lost, appeared := l.verify(l.program.Load().base)
	checkTables(t, dir)
	checkRows(t, privateDSN(dir), "")
	slices.Sort(recoveries)
	t.Logf("%d kills, %d acknowledged, %d lost, %d in doubt (%d stored), %d refused; recovered in %v; answers: %s",
		len(recoveries), l.count(stored), lost, l.count(doubtful), appeared, l.count(refused), recoveries, counts(l.statusCounts()))
}

// survive lets a crash happen and returns how long it took until a write that
// was begun after it was acknowledged.
func (l *ledger) survive(c crash, program, dir string) (took time.Duration, ok bool) {
	p, old := l.program.Load(), databaseProcesses(dir)
	began := time.Now()
	if c.server {
		p.kill()
	}
	c.what(l.t, dir)
	// The sessions of a dead postmaster may go on for a moment.
	if c.spared >= 0 && !await(l.t, "the end of the database", func() bool { return len(common(old, databaseProcesses(dir))) <= c.spared }) {
		return 0, false
	}
	died := time.Now()
	if c.server {
		p = launch(l.t, program, "--data-dir="+dir)
		l.program.Store(p)
	}
	if !await(l.t, "a write after "+c.name+" was killed", func() bool { _, newest := l.acknowledged(); return newest.After(died) }) {
		return 0, false
	}
	took = time.Since(began).Round(time.Millisecond)
	l.checkSurvivors(c, p, old[0], postmaster(dir))
	l.t.Logf("killed %-14s: writes again after %v", c.name, took)
	return took, true
}

// checkSurvivors makes sure that the server lives after a crash, and that a
// database that was left alone was adopted rather than replaced.
func (l *ledger) checkSurvivors(c crash, p *process, old, now int) {
	select {
	case <-p.ended:
		l.t.Errorf("the server ended when %s was killed", c.name)
	default:
	}
	if kept := c.spared != 0; kept != (now == old) {
		l.t.Errorf("after %s was killed the postmaster is process %d; it was %d", c.name, now, old)
	}
	adopted := strings.Contains(p.said.String(), "adopted the running postgres")
	if c.server && adopted != (c.spared != 0) {
		l.t.Errorf("after %s was killed, the new server adopted the running database: %v", c.name, adopted)
	}
}

// common returns what is in both lists.
func common(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(n int) bool { return !slices.Contains(b, n) })
}

// counts writes numbers by name.
func counts(m map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%d × %s, ", m[name], name)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// TestGracefulStop ends a server under load. Whatever it has begun it finishes.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	l := newLedger(t, p)
	end := l.begin()
	defer end()
	await(t, "writes before the stop", func() bool { n, _ := l.acknowledged(); return n >= 300 })
	slow := beginUpload(t, p.base)
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	await(t, "the server to say that it stops", func() bool {
		resp, err := http.Get(p.admin + "/readyz")
		if err != nil {
			return true
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	slow.finish(t)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	end()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took > 30*time.Second {
		t.Errorf("the stop took %v, want at most 30s", took)
	}
	if left := databaseProcesses(dir); len(left) > 0 {
		t.Errorf("processes %v of the database still run", left)
	}
	// A reset comes from the kernel, for a connection that nobody took.
	if n := l.statusCounts()["no answer"]; n > 0 {
		t.Errorf("%d requests were taken and not answered", n)
	}
	p = launch(t, program, "--data-dir="+dir)
	lost, appeared := l.verify(p.base)
	if appeared > 0 {
		t.Errorf("%d writes were done and not answered", appeared)
	}
	t.Logf("stopped in %v; %d acknowledged, %d lost; answers: %s", took.Round(time.Millisecond), l.count(stored), lost, counts(l.statusCounts()))
}

// TestTwoServersOneDatabase lets clients of two servers race for each version of
// a resource.
func TestTwoServersOneDatabase(t *testing.T) {
	t.Parallel()
	program, dsn := build(t), "--dsn="+testDSN(t)
	common := "--base-url=http://fhir.example.org/fhir"
	servers := []*process{launch(t, program, dsn, common, "--unsafe"), launch(t, program, dsn, common, "--unsafe")}
	const rounds = 50
	wins := [2]int{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	defer client.CloseIdleConnections()
	var winners []string
	for round := range rounds {
		winner, content := race(t, client, servers, round)
		wins[winner]++
		winners = append(winners, content)
	}
	var histories [2]string
	for i, p := range servers {
		x, err := request{method: "GET", path: "/fhir/Communication/raced/_history?_count=1000"}.send(client, p.base)
		if err != nil {
			t.Fatal(err)
		}
		// Before the entries stands the time of the answer.
		_, histories[i], _ = strings.Cut(x.answer, `"entry":`)
	}
	if histories[0] != histories[1] || histories[0] == "" {
		t.Errorf("the servers tell different histories\n%s\n%s", histories[0], histories[1])
	}
	for i, k := range walk(t, servers[0].base+"/Communication/raced/_history?_count=1000") {
		if want := winners[rounds-1-i]; k.version != rounds-i || k.content != want {
			t.Errorf("version %d is %s; want version %d, %s", k.version, k.content, rounds-i, want)
		}
	}
	if wins[0] == 0 || wins[1] == 0 {
		t.Errorf("one server won all rounds, so they did not race: %v", wins)
	}
	t.Logf("%d versions; won by the first server %d, by the second %d", rounds, wins[0], wins[1])
}

// race sends eight different next versions at once, by turns to the one and the
// other server, and returns which server stored one, and what.
func race(t *testing.T, client *http.Client, servers []*process, round int) (winner int, content string) {
	t.Helper()
	header := [2]string{"If-Match", fmt.Sprintf(`W/"%d"`, round)}
	want := http.StatusOK
	if round == 0 {
		header, want = [2]string{"If-None-Match", "*"}, http.StatusCreated
	}
	answers := make([]exchange, writers)
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		r := request{method: "PUT", path: "/fhir/Communication/raced", headers: [][2]string{header}, body: contentOf("Communication", fmt.Sprintf("r%d-%d", round, i), "raced")}
		group.Go(func() { answers[i], errs[i] = r.send(client, servers[i%2].base) })
	}
	group.Wait()
	won := 0
	for i, x := range answers {
		switch {
		case errs[i] != nil:
			t.Fatal(errs[i])
		case x.status == want:
			won++
			winner, content = i%2, contentText(x.tree)
		case x.status != http.StatusPreconditionFailed:
			t.Errorf("round %d\n%s", round, x)
		}
	}
	if won != 1 {
		t.Fatalf("round %d was won by %d writers, want 1", round, won)
	}
	return winner, content
}

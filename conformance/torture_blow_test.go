package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A blow is something that is done to a run.
type blow struct {
	name   string
	strike func(o *ordeal)
}

// blows are all that there are. Each of them is over when it returns, but for the
// clock and for receivers that are down.
func blows() []blow {
	return []blow{
		{"kill -9 server", func(o *ordeal) { o.killFront() }},
		{"kill -9 database", func(o *ordeal) { o.killAll(databaseProcesses(o.dir)) }},
		{"kill -9 postmaster", func(o *ordeal) { o.killAll([]int{postmaster(o.dir)}) }},
		{"kill -9 session", func(o *ordeal) {
			o.killAll(databaseProcesses(o.dir)[1:][o.IntN(max(1, len(databaseProcesses(o.dir))-1)):][:1])
		}},
		{"kill -9 both", func(o *ordeal) { o.killBoth() }},
		{"stop server", func(o *ordeal) { o.freeze([]int{o.front.Load().cmd.Process.Pid}) }},
		{"stop other server", func(o *ordeal) { o.freeze([]int{o.back.cmd.Process.Pid}) }},
		{"stop database", func(o *ordeal) { o.freeze(databaseProcesses(o.dir)) }},
		{"graceful restart", func(o *ordeal) { o.restart() }},
		{"cut clients", func(o *ordeal) { o.cut(o.toFront) }},
		{"cut other clients", func(o *ordeal) { o.cut(o.toBack) }},
		{"cut database", func(o *ordeal) { o.cut(o.toDB) }},
		{"clock step", func(o *ordeal) { o.stepClock() }},
		{"receivers down", func(o *ordeal) { o.deafen() }},
	}
}

func (o *ordeal) killAll(pids []int) {
	for _, pid := range pids {
		if pid > 1 {
			kill(o.t, pid)
		}
	}
}

func (o *ordeal) killFront() {
	o.front.Load().kill()
	o.serve()
}

func (o *ordeal) killBoth() {
	o.front.Load().kill()
	o.killAll(databaseProcesses(o.dir))
	o.serve()
}

func (o *ordeal) restart() {
	if err := o.front.Load().stop(); err != nil {
		o.t.Error(err)
	}
	if code := o.front.Load().cmd.ProcessState.ExitCode(); code != 0 {
		o.t.Errorf("the server ended with the code %d", code)
	}
	o.serve()
}

// freeze stops processes for some seconds.
func (o *ordeal) freeze(pids []int) {
	send := func(s syscall.Signal) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
				o.t.Errorf("%v to %d: %v", s, pid, err)
			}
		}
	}
	send(syscall.SIGSTOP)
	o.rest(time.Second + time.Duration(o.Int64N(int64(3*time.Second))))
	send(syscall.SIGCONT)
}

// toxics are how connections go bad.
var toxics = []string{
	`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":%d}}`,
	`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":%d}}`,
	`{"type":"timeout","stream":"downstream","attributes":{"timeout":0},"name":"timeout-%d"}`,
	`{"type":"timeout","stream":"upstream","attributes":{"timeout":%d}}`,
	`{"type":"latency","stream":"downstream","attributes":{"latency":%d,"jitter":100}}`,
	`{"type":"limit_data","stream":"downstream","attributes":{"bytes":%d000}}`,
	`{"type":"limit_data","stream":"upstream","attributes":{"bytes":%d00}}`,
}

// cut has a way go bad for some seconds.
func (o *ordeal) cut(p *path) {
	toxic := fmt.Sprintf(toxics[o.IntN(len(toxics))], 1+o.IntN(300))
	p.spoil(o.t, toxic)
	o.rest(time.Second + time.Duration(o.Int64N(int64(2*time.Second))))
	p.proxy.Toxics.ResetToxics(o.t.Context())
	o.say("%s: %s", p.name, toxic)
}

// deafen has receivers take nothing for some seconds, in which other blows fall.
func (o *ordeal) deafen() {
	o.subscribers.down.Store(true)
	time.AfterFunc(3*time.Second+time.Duration(o.Int64N(int64(9*time.Second))), func() { o.subscribers.down.Store(false) })
}

// stepClock sets the clock of the database some hours forward or some seconds back, as
// it is for what says when a version was made and for how long something is leased. It is
// not more than seconds because what was leased by a server that died is not free before
// that time has come again. The clocks of the servers cannot be set.
func (o *ordeal) stepClock() {
	by := time.Duration(o.Int64N(int64(3 * time.Hour)))
	if o.IntN(3) > 0 {
		by = -time.Duration(o.Int64N(int64(5 * time.Second)))
	}
	var err error
	if !await(o.t, "the clock to be set", func() bool { err = o.step(by); return err == nil }) {
		o.t.Error(err)
	}
	o.say("the clock of the database was stepped by %v", by)
}

// say tells of something that happened.
func (o *ordeal) say(format string, args ...any) {
	o.t.Logf("%6.1fs "+format, append([]any{o.now().Seconds()}, args...)...)
}

// beat strikes blow after blow, each kind as often as the others and in an order that
// the seed gives, until it is time.
func (o *ordeal) beat(duration time.Duration) {
	var bag []blow
	for {
		o.rest(time.Second + time.Duration(o.Int64N(int64(2*time.Second))))
		if o.now() > duration || o.t.Failed() {
			return
		}
		if len(bag) == 0 {
			bag = blows()
			o.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		one := bag[0]
		bag = bag[1:]
		o.struck[one.name]++
		began := o.now()
		one.strike(o)
		over := o.now()
		if !awaitLong(o, "a write by each server after "+one.name, func() bool { return o.wroteSince(over) }) {
			return
		}
		o.say("%s, over after %.1fs; all write again after %.1fs", one.name, (over - began).Seconds(), (o.now() - over).Seconds())
		o.glance()
		o.watch(duration)
	}
}

// glance reads what was acknowledged last: it must still be there.
func (o *ordeal) glance() {
	base := o.front.Load().base
	for _, e := range o.recent(15) {
		x, err := request{method: "GET", path: "/fhir/" + e.key + fmt.Sprintf("/_history/%d", e.version)}.send(o.client, base)
		if err == nil && (x.status != 200 || labelIn([]byte(x.answer), "marker") != e.marker) && x.status != 503 {
			o.t.Errorf("lost: %s; its version is\n%s", e, x)
		}
	}
}

// heal ends everything that blows have left.
func (o *ordeal) heal() {
	o.subscribers.down.Store(false)
	for _, p := range []*path{o.toFront, o.toBack, o.toDB} {
		p.proxy.Toxics.ResetToxics(o.t.Context())
	}
}

// strikes lists how often each blow was struck.
func (o *ordeal) strikes() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(o.struck)) {
		all = append(all, fmt.Sprintf("%d × %s", o.struck[name], name))
	}
	return strings.Join(all, ", ")
}

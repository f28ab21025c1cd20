package conformance_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// How TestNonInterference asks, for looking further than every run can:
// go test ./conformance -run TestNonInterference -v -interference.seed 7 -interference.pairs 100000
var (
	interferenceSeed  = flag.Uint64("interference.seed", 1, "by which lot TestNonInterference draws what there is and what is asked")
	interferencePairs = flag.Int("interference.pairs", 10_000, "how many requests TestNonInterference sends to both of a pair of servers")
)

const (
	pairsOfOne = 250 // requests that are sent to one pair of servers
	maxPages   = 8   // of one answer; of lines of audit, which take longest, fewer
)

// TestNonInterference sends every kind of request to two servers that were equal
// until others changed, on one of them, what the caller does not see. The answers
// must be equal to the byte, headers included: what is hidden changes nothing.
func TestNonInterference(t *testing.T) {
	t.Parallel()
	began := time.Now()
	all := &tally{kinds: map[string]*harvest{}}
	t.Run("pairs", func(t *testing.T) {
		rounds := max(1, *interferencePairs/pairsOfOne/len(listeners()))
		for round := range rounds {
			seed := *interferenceSeed + uint64(round)
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				bed := newSeedbed(t, lot{rand.New(rand.NewPCG(seed, 0))})
				for i, who := range listeners() {
					t.Run(who.name, func(t *testing.T) {
						newTrial(t, bed, who, rand.New(rand.NewPCG(seed, 1+uint64(i)))).run(all)
					})
				}
			})
		}
	})
	all.report(t, time.Since(began))
}

// A trial is one caller with a pair of servers, of which the second changes.
type trial struct {
	t       *testing.T
	curious *curious
	twins   [2]*twin
	synced  time.Time // of the last write of the caller that both have under the same time
	changed int
	tally   *tally
}

func newTrial(t *testing.T, bed *seedbed, who listener, r *rand.Rand) *trial {
	t.Helper()
	d := &trial{t: t, curious: &curious{lot: lot{r}, who: who}}
	for i := range d.twins {
		w := openTwin(t, bed.copied(t, fmt.Sprintf("%x_%d", r.Uint32(), i)))
		t.Cleanup(func() { w.close(t) })
		w.grant = w.admit(t, who)
		d.twins[i] = w
	}
	if err := d.twins[1].db.QueryRow("SELECT clock_timestamp()").Scan(&d.synced); err != nil {
		t.Fatal(err)
	}
	d.curious.shelf = bed.shelf.shownTo(t, d.twins[1].stores[0].Registry(), d.twins[1].grant)
	d.checkSeen()
	for range 60 {
		d.change()
	}
	// Only what is known of the rows of the second one changes.
	if _, err := d.twins[1].db.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	d.twins[1].stop(t)
	d.twins[1].start(t)
	d.look()
	return d
}

// checkSeen makes sure that the caller reads by id what the rules say, neither
// more nor less.
func (d *trial) checkSeen() {
	d.t.Helper()
	seen, _ := d.curious.shelf.glances()
	for _, k := range d.curious.shelf.keys() {
		want := http.StatusNotFound
		switch deleted := d.curious.shelf.sheets[k].deleted; {
		case seen[k]&1 != 0 && !deleted:
			want = http.StatusOK
		case seen[k]&1 != 0:
			want = http.StatusGone
		}
		a := inquired{method: "GET", path: "/fhir/" + k.String()}
		got := a.ask(d.twins[1].heard).status
		if got == http.StatusForbidden && !strings.Contains(d.curious.who.scopes, "*") || got == http.StatusForbidden && strings.HasSuffix(d.curious.who.scopes, "*.s") {
			got = http.StatusNotFound // the type is outside of the scopes
		}
		if got != want && !(want == http.StatusGone && got == http.StatusNotFound) {
			d.t.Errorf("GET %s: %d, want %d by the rules: %s", k, got, want, d.curious.shelf.sheets[k].text)
		}
		// The other one is asked the same, in the same order.
		a.ask(d.twins[0].heard)
		d.checkPast(k, d.curious.shelf.reads(k))
	}
}

// versionsText finds which versions a history has.
var versionsText = regexp.MustCompile(`"etag":"W/\\"(\d+)\\""`)

// checkPast makes sure that a history has just those versions.
func (d *trial) checkPast(k fhir.Key, want []int) {
	d.t.Helper()
	a := inquired{method: "GET", path: "/fhir/" + k.String() + "/_history?_count=100"}
	var got []int
	for _, m := range versionsText.FindAllStringSubmatch(a.ask(d.twins[1].heard).body, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			d.t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("GET %s: versions %v, want %v by the rules", a.path, got, want)
	}
	a.ask(d.twins[0].heard)
}

// look finds out what there is to be asked for.
func (d *trial) look() {
	c := d.curious
	c.hidden, c.visible = nil, nil
	seen, _ := c.shelf.glances()
	c.library = &library{registry: c.shelf.registry, byKey: map[fhir.Key]*volume{}}
	times := d.times()
	var keys []fhir.Key
	var updated []time.Time
	for _, k := range c.shelf.keys() {
		if seen[k] == 0 {
			c.hidden = append(c.hidden, k)
		} else {
			c.visible = append(c.visible, k)
		}
		if s := c.shelf.sheets[k]; !s.deleted {
			c.library.add(d.t, k, s.text)
			keys, updated = append(keys, k), append(updated, times[k])
		}
	}
	c.library.arrange(d.t, keys, updated)
}

// times returns when what is in the second one was stored.
func (d *trial) times() map[fhir.Key]time.Time {
	rows, err := d.twins[1].db.Query(`SELECT t.name, v.id, max(v.updated) FROM ver v JOIN res_type t ON t.type = v.type GROUP BY t.name, v.id`)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	all := map[fhir.Key]time.Time{}
	for rows.Next() {
		var k fhir.Key
		var at time.Time
		if err := rows.Scan(&k.Type, &k.ID, &at); err != nil {
			d.t.Fatal(err)
		}
		all[k] = at
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return all
}

// run sends requests, until an answer differs.
func (d *trial) run(all *tally) {
	d.tally = all
	for n := range pairsOfOne {
		if n%8 == 0 {
			d.change()
		}
		if n%50 == 49 {
			d.look()
		}
		for _, w := range d.twins {
			w.label, w.made = fmt.Sprint("new-", n), 0
		}
		if !d.both(n, d.curious.request()) {
			break
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.changed += d.changed
	all.hidden += len(d.curious.hidden)
}

// both sends a request to both, and follows its pages. It reports whether the
// answers were equal.
func (d *trial) both(n int, a inquired) bool {
	d.t.Helper()
	each := [2]inquired{a, a}
	for page := range maxPages {
		var x [2]answer
		for i, w := range d.twins {
			x[i] = each[i].ask(w.heard)
		}
		if one, two := x[0].comparable(a), x[1].comparable(a); one != two {
			d.t.Errorf("request %d, page %d by %s\n%s\nis answered by\n%s\nand, after changes of what is hidden, by\n%s", n, page, d.curious.who.name, a, around(one, two), around(two, one))
			d.explain()
			return false
		}
		d.note(a, x[0], page)
		if a.writes() && x[0].status < 300 {
			d.sync()
		}
		if x[0].next() == "" || page > 1 && strings.Contains(a.path, "AuditEvent") {
			break
		}
		if d.curious.oneIn(10) {
			d.change()
		}
		// Each goes on with its own cursor.
		for i := range each {
			each[i] = inquired{kind: a.kind, method: "GET", path: x[i].next()}
		}
	}
	return true
}

// explain says what the caller reads from one of the two only, or against the
// rules: that is where to look first.
func (d *trial) explain() {
	seen, _ := d.curious.shelf.glances()
	for _, k := range d.curious.shelf.keys() {
		a := inquired{method: "GET", path: "/fhir/" + k.String()}
		one, two := a.ask(d.twins[0].heard).status, a.ask(d.twins[1].heard).status
		if one != two || seen[k]&1 != 0 && two == http.StatusNotFound {
			d.t.Logf("%s is answered by %d and %d; by the rules, the caller has %b: %s", k, one, two, seen[k], d.curious.shelf.sheets[k].text)
		}
	}
}

// around returns what is in one text where it differs from another.
func around(one, other string) string {
	at := 0
	for at < min(len(one), len(other)) && one[at] == other[at] {
		at++
	}
	status, _, _ := strings.Cut(one, "\n")
	return fmt.Sprintf("%s … %s «here» %s …", strings.TrimSpace(status), one[max(0, at-400):at], one[at:min(len(one), at+600)])
}

// sync gives what the caller has written in the second one the times that it has
// in the first one, and takes it over for what is known.
func (d *trial) sync() {
	d.t.Helper()
	rows, err := d.twins[0].db.Query(`SELECT v.rid, v.ver, v.updated, t.name, v.id, v.op = 'D' FROM ver v JOIN res_type t ON t.type = v.type WHERE v.updated > $1 ORDER BY v.updated`, d.synced)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var rid, ver int64
		var k fhir.Key
		var deleted bool
		if err := rows.Scan(&rid, &ver, &d.synced, &k.Type, &k.ID, &deleted); err != nil {
			d.t.Fatal(err)
		}
		const query = `WITH v AS (UPDATE ver SET updated = $3 WHERE rid = $1 AND ver = $2) UPDATE res SET updated = $3 WHERE rid = $1 AND ver = $2`
		if _, err := d.twins[1].db.Exec(query, rid, ver, string(pq.FormatTimestamp(d.synced))); err != nil {
			d.t.Fatal(err)
		}
		d.take(k, deleted)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
}

// take notes what the caller has written.
func (d *trial) take(k fhir.Key, deleted bool) {
	s := d.curious.shelf
	if deleted {
		if old := s.sheets[k]; old != nil {
			gone := *old
			gone.deleted, gone.foreign = true, true
			s.sheets[k] = &gone
		}
		return
	}
	x := inquired{method: "GET", path: "/fhir/" + k.String(), headers: []string{"Accept: application/fhir+json"}}.ask(d.twins[0].quiet)
	if x.status != http.StatusOK {
		d.t.Fatalf("%s: %d", k, x.status)
	}
	s.sheets[k] = s.sheet(x.body)
	s.sheets[k].foreign = true
}

// A tally harvest what was asked.
type tally struct {
	mu      sync.Mutex
	kinds   map[string]*harvest
	changed int
	hidden  int
}

// harvest are of one kind of request.
type harvest struct{ asked, pages, good, fruitful, checked, telling int }

// note harvest an answer. Some requests are asked by somebody who sees everything,
// too: where those answers differ, something was to be hidden.
func (d *trial) note(a inquired, x answer, page int) {
	c := harvest{asked: 1, pages: 1}
	if page > 0 {
		c.asked = 0
	}
	if x.status < 300 {
		c.good = 1
	}
	if c.good == 1 && (strings.Contains(x.body, `"fullUrl"`) || strings.Contains(x.body, `"versionId"`) || x.total() > 0) {
		c.fruitful = 1
	}
	if page == 0 && !a.writes() && !strings.Contains(a.path, "AuditEvent") && d.curious.oneIn(6) {
		c.checked = 1
		if a.ask(d.twins[0].quiet).comparable(a) != a.ask(d.twins[1].quiet).comparable(a) {
			c.telling = 1
		}
	}
	d.tally.mu.Lock()
	defer d.tally.mu.Unlock()
	k := d.tally.kinds[a.kind]
	if k == nil {
		k = &harvest{}
		d.tally.kinds[a.kind] = k
	}
	k.add(c)
}

func (c *harvest) add(o harvest) {
	c.asked, c.pages, c.good = c.asked+o.asked, c.pages+o.pages, c.good+o.good
	c.fruitful, c.checked, c.telling = c.fruitful+o.fruitful, c.checked+o.checked, c.telling+o.telling
}

// report says what was asked, and fails if that was not worth it.
func (a *tally) report(t *testing.T, took time.Duration) {
	t.Helper()
	var sum harvest
	t.Logf("%-40s %6s %6s %6s %9s %8s %8s", "kind", "asked", "pages", "good", "fruitful", "checked", "telling")
	for _, kind := range slices.Sorted(maps.Keys(a.kinds)) {
		c := a.kinds[kind]
		t.Logf("%-40s %6d %6d %6d %9d %8d %8d", kind, c.asked, c.pages, c.good, c.fruitful, c.checked, c.telling)
		sum.add(*c)
	}
	t.Logf("%-40s %6d %6d %6d %9d %8d %8d", "all", sum.asked, sum.pages, sum.good, sum.fruitful, sum.checked, sum.telling)
	t.Logf("%d hidden changes, %d hidden resources, %v; seed %d", a.changed, a.hidden, took.Round(time.Second), *interferenceSeed)
	if t.Failed() {
		return
	}
	if sum.fruitful < sum.asked/5 || sum.telling < sum.checked/5 || a.changed < sum.asked/20 {
		t.Error("too little was asked that could have told something")
	}
}

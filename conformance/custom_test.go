package conformance_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A corpus is resources that say of themselves what must find them.
type corpus struct {
	*caller
	size  int
	there []atomic.Bool // which of them were acknowledged
}

var colours = []string{"red", "green", "blue"}

// seed returns the resource with a number.
func seed(n int) (typ, body string) {
	const ucum = `"system":"http://unitsofmeasure.org","code":"mg"`
	id := fmt.Sprintf(`"id":"s%d"`, n)
	switch n % 4 {
	case 0:
		label, notes := "", `{"text":"only"}`
		if n%5 > 0 {
			label = fmt.Sprintf(`{"url":"urn:label","valueString":"%s"},`, colours[n%3])
		}
		if n%8 == 0 {
			notes += `,{"text":"second"}`
		}
		return "Observation", fmt.Sprintf(`{"resourceType":"Observation",%s,"extension":[%s{"url":"urn:shape","valueString":"shape %d"},{"url":"urn:dose","valueQuantity":{"value":%d,%s}}],
			"status":"final","code":{"coding":[{"system":"urn:code","code":"c%d"}]},"note":[%s]}`, id, label, n%2+n%3, n%50, ucum, n%7, notes)
	case 1:
		return "Task", fmt.Sprintf(`{"resourceType":"Task",%s,"extension":[{"url":"urn:urgency","valueInteger":%d}],"status":"draft","intent":"order",
			"restriction":{"period":{"end":"%s"}}}`, id, n%10, seedDate(n))
	case 2:
		return "Patient", fmt.Sprintf(`{"resourceType":"Patient",%s,"extension":[{"url":"urn:friend","valueReference":{"reference":"Patient/s%d"}}],
			"identifier":[{"system":"urn:marker","value":"seed-%d"}],"name":[{"family":"family%d"}]}`, id, seedFriend(n), n, n)
	}
	return "Communication", fmt.Sprintf(`{"resourceType":"Communication",%s,"identifier":[{"system":"urn:marker","value":"seed-%d"}],"status":"completed"}`, id, n)
}

func seedDate(n int) string {
	return time.Date(2024, 1, 1+n%300, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// seedFriend is one of ten Patients.
func seedFriend(n int) int { return 4*(n/4%10) + 2 }

// put writes those seeds that are wanted from one number to before another, by some
// writers, until each is acknowledged.
func (c *corpus) put(writers, from, to int, wanted func(typ string) bool) {
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := from + w; n < to; n += writers {
				typ, body := seed(n)
				if !wanted(typ) {
					continue
				}
				c.insist(request{method: "PUT", path: fmt.Sprintf("/fhir/%s/s%d", typ, n), body: body}, 200, 201)
				c.there[n].Store(true)
			}
		})
	}
	group.Wait()
}

// insist sends r until it is answered by one of the given statuses. A server or a
// database that is away is waited for.
func (c *corpus) insist(r request, want ...int) (x exchange) {
	c.t.Helper()
	await(c.t, r.method+" "+r.path, func() bool {
		var err error
		if x, err = r.send(c.client, c.base); err != nil || x.status == http.StatusServiceUnavailable {
			return false
		}
		if !slices.Contains(want, x.status) {
			c.t.Errorf("want status %d\n%s", want, x)
		}
		return true
	})
	return x
}

// A custom is a search parameter that a client adds, and a search by it.
type custom struct {
	code, kind, base, expression string
	more                         string // further elements of the definition

	typ, query string
	finds      func(n int) bool // which of the seeds of typ
}

const practice = "https://practice.example/SearchParameter/"

func (p custom) definition() string {
	return fmt.Sprintf(`{"resourceType":"SearchParameter","id":"%s","url":"%s%[1]s","name":"x","status":"active","description":"x","code":"%[1]s","base":[%[3]s],"type":"%[4]s","expression":"%[5]s"%[6]s}`,
		p.code, practice, p.base, p.kind, p.expression, p.more)
}

var customs = []custom{
	{"label", "string", `"Observation"`, "Observation.extension.where(url='urn:label').value.ofType(string)", "",
		"Observation", "label=red", func(n int) bool { return n%5 > 0 && n%3 == 0 }},
	{"dose", "quantity", `"Observation"`, "Observation.extension.where(url='urn:dose').value.ofType(Quantity)", "",
		"Observation", "dose=lt0.01|http://unitsofmeasure.org|g", func(n int) bool { return n%50 < 10 }},
	{"code-dose", "composite", `"Observation"`, "Observation", `,"component":[{"definition":"http://hl7.org/fhir/SearchParameter/clinical-code","expression":"code"},
		{"definition":"` + practice + `dose","expression":"extension.where(url='urn:dose').value.ofType(Quantity)"}]`,
		"Observation", "code-dose=urn:code|c3$gt40", func(n int) bool { return n%7 == 3 && n%50 > 40 }},
	{"remark", "string", `"Observation"`, "Observation.note.single().text", "",
		"Observation", "remark=only", func(n int) bool { return n%8 > 0 }},
	{"deadline", "date", `"Task"`, "Task.restriction.period", "",
		"Task", "deadline=gt2024-03-01", func(n int) bool { return seedDate(n) > "2024-03-01" }},
	{"urgency", "number", `"Task"`, "Task.extension.where(url='urn:urgency').value.ofType(integer)", "",
		"Task", "urgency=7", func(n int) bool { return n%10 == 7 }},
	{"friend", "reference", `"Patient"`, "Patient.extension.where(url='urn:friend').value.ofType(Reference)", `,"target":["Patient"]`,
		"Patient", "friend=Patient/s6", func(n int) bool { return seedFriend(n) == 6 }},
	{"mark", "token", `"Patient","Communication","Basic"`, "Patient.identifier | Communication.identifier | Basic.identifier", "",
		"Communication", "mark=urn:marker|", func(n int) bool { return true }},
}

// further are searches by several of the parameters, and in other ways.
var further = []custom{
	{typ: "Observation", query: "label:missing=true", finds: func(n int) bool { return n%5 == 0 }},
	{typ: "Observation", query: "label:exact=green&dose=gt20", finds: func(n int) bool { return n%5 > 0 && n%3 == 1 && n%50 > 20 }},
	{typ: "Observation", query: "_sort=-dose,label&dose=ge0", finds: func(int) bool { return true }},
	{typ: "Task", query: "_sort=deadline&urgency=ge5&urgency=lt6", finds: func(n int) bool { return n%10 == 5 }},
	{typ: "Patient", query: "friend.family=family10", finds: func(n int) bool { return seedFriend(n) == 10 }},
	{typ: "Patient", query: "friend.friend.mark=seed-6", finds: func(n int) bool { return seedFriend(seedFriend(n)) == 6 }},
	{typ: "Patient", query: "_has:Patient:friend:mark=seed-50", finds: func(n int) bool { return n == seedFriend(50) }},
	{typ: "Communication", query: "mark=seed-7,seed-11", finds: func(n int) bool { return n == 7 || n == 11 }},
}

// wants returns how many seeds p must find of those that are acknowledged.
func (c *corpus) wants(p custom) (ids []string) {
	for n := range c.size {
		if typ, _ := seed(n); typ == p.typ && c.there[n].Load() && p.finds(n) {
			ids = append(ids, fmt.Sprintf("s%d", n))
		}
	}
	slices.Sort(ids)
	return ids
}

// ask returns the address of a search.
func (p custom) ask(more string) string {
	values, err := url.ParseQuery(p.query + more)
	if err != nil {
		panic(err)
	}
	return "/fhir/" + p.typ + "?" + values.Encode()
}

// ids follows a search to its last page.
func (c *corpus) ids(p custom) (ids []string) {
	c.t.Helper()
	for path := p.ask("&_count=1000"); path != ""; {
		x := c.insist(request{method: "GET", path: path}, 200)
		found, err := find(x.tree, "entry[*].resource.id")
		if err != nil {
			c.t.Fatal(err)
		}
		for _, id := range found {
			ids = append(ids, plain(id))
		}
		path = text(x.tree, "link[relation=next].url")
	}
	slices.Sort(ids)
	return ids
}

// check holds what a search finds against what it must find.
func (c *corpus) check(p custom) {
	c.t.Helper()
	if got, want := c.ids(p), c.wants(p); !slices.Equal(got, want) {
		c.t.Errorf("%s?%s finds %d, want %d; the first: %v, want %v", p.typ, p.query, len(got), len(want), got[:min(5, len(got))], want[:min(5, len(want))])
	}
}

var building = regexp.MustCompile(`is being built, (\d+) % of the resources`)

// watch asks for p again and again until stop is closed. Every answer must say how
// far the building is, which does not go back, or be complete.
func (c *corpus) watch(p custom, stop <-chan struct{}) {
	last, done := -1, false
	for {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		want := len(c.wants(p))
		x, err := request{method: "GET", path: p.ask("&_summary=count")}.send(c.client, c.base)
		if err != nil || x.status == http.StatusServiceUnavailable {
			continue
		}
		if x.status == http.StatusOK {
			done = true
			if n, err := strconv.Atoi(text(x.tree, "total")); err != nil || n < want {
				c.t.Errorf("%s counts %d, %v; want %d at least", p.query, n, err, want)
			}
			continue
		}
		m := building.FindStringSubmatch(x.answer)
		if m == nil || x.status != http.StatusBadRequest {
			c.t.Errorf("a search by what is being built\n%s", x)
			return
		}
		percent, _ := strconv.Atoi(m[1])
		if percent < last || percent > 100 || done {
			c.t.Errorf("%s is %d %% built after %d %%, %t", p.code, percent, last, done)
		}
		last = percent
	}
}

// A jam holds rows up, and whoever wants to write them.
type jam struct {
	t    *testing.T
	db   *sql.DB
	all  *sql.Tx // holds a partition
	one  *sql.Tx // holds a row
	free func()
}

// newJam holds up all rows of a partition. That is no transaction that an indexer
// outlasts before it begins.
func newJam(t *testing.T, dsn, partition string) *jam {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	j := &jam{t: t, db: db}
	j.free = sync.OnceFunc(func() {
		// Its sessions may be dead by then.
		for _, tx := range []*sql.Tx{j.all, j.one} {
			if tx != nil {
				_ = tx.Rollback()
			}
		}
		_ = db.Close()
	})
	t.Cleanup(j.free)
	if j.all, err = db.Begin(); err == nil {
		_, err = j.all.Exec(`LOCK TABLE ` + partition + ` IN SHARE MODE`)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// meet waits until an indexer is held up.
func (j *jam) meet() {
	j.t.Helper()
	await(j.t, "an indexer to be held up", func() bool {
		var n int
		err := j.db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%SELECT $1, $2, $3, $4, now(), 0%'`).Scan(&n)
		return err == nil && n > 0
	})
}

// narrow waits until an indexer is held up, and then holds up no more than a row
// in the middle of the partition.
func (j *jam) narrow(partition string) {
	j.t.Helper()
	j.meet()
	var err error
	var rid int64
	if j.one, err = j.db.Begin(); err == nil {
		err = j.one.QueryRow(`SELECT rid FROM ` + partition + ` WHERE rid > 0 ORDER BY rid LIMIT 1 FOR UPDATE`).Scan(&rid)
	}
	if err != nil {
		j.t.Fatal(err)
	}
	if err := j.all.Rollback(); err != nil {
		j.t.Fatal(err)
	}
}

// A jobState is how far the oldest job is that has not ended.
type jobState struct{ id, done, last int64 }

// stuck waits until the oldest job does not go on and has done a part of its work.
func (j *jam) stuck() (is jobState) {
	j.t.Helper()
	var since time.Time
	await(j.t, "the building to be held up", func() bool {
		var now jobState
		const query = `SELECT job, done, last_rid FROM reindex_job WHERE state = 'running' AND last_rid IS NOT NULL ORDER BY job LIMIT 1`
		if err := j.db.QueryRow(query).Scan(&now.id, &now.done, &now.last); err != nil || now != is {
			is, since = now, time.Now()
			return false
		}
		return time.Since(since) > 300*time.Millisecond
	})
	return is
}

// TestCustomParameters adds search parameters of all types while four writers
// write, kills the server and then its database in the middle of the building, and
// looks for everything afterwards. No answer before the end is short of anything.
func TestCustomParameters(t *testing.T) {
	t.Parallel()
	size := 2000
	if testing.Short() {
		size = 600
	}
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	c := &corpus{caller: newCaller(t, p.base), size: size, there: make([]atomic.Bool, size)}
	began := time.Now()
	c.put(8, 0, size/2, func(string) bool { return true })
	t.Logf("%d resources in %v", size/2, time.Since(began).Round(time.Millisecond))

	held := newJam(t, privateDSN(dir), "res_observation")
	for _, d := range customs {
		c.send(request{method: "PUT", path: "/fhir/SearchParameter/" + d.code, body: d.definition()}, 201)
	}
	held.narrow("res_observation")
	before := held.stuck()
	x := c.send(request{method: "GET", path: customs[0].ask("")}, 400)
	if !building.MatchString(x.answer) || before.done == 0 {
		t.Errorf("held up at %+v\n%s", before, x)
	}
	p.kill()
	p = launch(t, program, "--data-dir="+dir, "--addr="+strings.TrimSuffix(strings.TrimPrefix(p.base, "http://"), "/fhir"))
	jammed := held
	held = newJam(t, privateDSN(dir), "res_patient")
	jammed.free()
	c.checkResumed(p, privateDSN(dir), before)
	t.Logf("the first job has ended after %v", time.Since(began).Round(time.Millisecond))

	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, d := range customs {
		group.Go(func() { c.watch(d, stop) })
	}
	// Who writes Patients is held up too, and the indexer would have to wait for that.
	group.Go(func() {
		c.put(3, size/2, size, func(typ string) bool { return typ != "Patient" })
		c.put(4, size/2, size, func(typ string) bool { return typ == "Patient" })
	})
	held.meet()
	killDatabase(t, dir)
	t.Logf("the database is killed after %v", time.Since(began).Round(time.Millisecond))
	for _, d := range customs {
		await(t, d.code+" to be built", func() bool {
			x, err := request{method: "GET", path: d.ask("")}.send(c.client, c.base)
			return err == nil && x.status == http.StatusOK
		})
	}
	t.Logf("all are built after %v", time.Since(began).Round(time.Millisecond))
	time.Sleep(50 * time.Millisecond) // for the writers to meet parameters that are in force
	close(stop)
	group.Wait()
	c.checkAll()
	t.Logf("%d rows held against their resources, %v", checkRows(t, privateDSN(dir), ""), time.Since(began).Round(time.Millisecond))
	c.changeAndTakeBack()
	c.reindex()
	if !strings.Contains(p.said.String(), "is in error for some resources") {
		t.Error("nobody is told that an expression is in error")
	}
	t.Logf("%d rows held against their resources, %v", checkRows(t, privateDSN(dir), ""), time.Since(began).Round(time.Millisecond))
	checkTables(t, dir)
}

// checkResumed makes sure that p goes on with a job where it was.
func (c *corpus) checkResumed(p *process, dsn string, before jobState) {
	c.t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	var state string
	var done, old int64
	await(c.t, "the job to end", func() bool {
		if err := db.QueryRow(`SELECT state, done FROM reindex_job WHERE job = $1`, before.id).Scan(&state, &done); err != nil {
			c.t.Error(err)
		}
		return state != "running"
	})
	if err := db.QueryRow(`SELECT count(*) FROM res JOIN res_type USING (type) WHERE name = 'Observation'`).Scan(&old); err != nil {
		c.t.Fatal(err)
	}
	if state != "done" || done != old {
		c.t.Errorf("the job is %s and has built %d rows, want %d: each once", state, done, old)
	}
	var line struct {
		Msg          string
		Job, Percent int64
	}
	for text := range strings.Lines(p.said.String()) {
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "building search rows" {
			break
		}
	}
	if line.Job != before.id || line.Percent == 0 {
		c.t.Errorf("it began again: %+v after %+v", line, before)
	}
}

// checkAll asks in all ways for what there is.
func (c *corpus) checkAll() {
	for _, p := range slices.Concat(customs, further) {
		c.check(p)
	}
	x := c.send(request{method: "GET", path: "/fhir/Patient?_id=s46&_include=Patient:friend&_revinclude:iterate=Patient:friend&_count=5"}, 200)
	if included, err := find(x.tree, "entry[*].search.mode"); err != nil || len(included) < 3 {
		c.t.Errorf("%d are included, %v\n%s", len(included), err, x)
	}
	x = c.send(request{method: "GET", path: "/fhir/metadata"}, 200)
	for _, p := range customs {
		if got := text(x.tree, fmt.Sprintf("rest[0].resource[type=%s].searchParam[name=%s].definition", p.typ, p.code)); got != practice+p.code {
			c.t.Errorf("the capability statement has the definition %q of %s", got, p.code)
		}
	}
}

// changeAndTakeBack gives a parameter another expression, and deletes it.
func (c *corpus) changeAndTakeBack() {
	other := customs[0]
	other.expression = "Observation.extension.where(url='urn:shape').value.ofType(string)"
	other.query, other.finds = "label=shape 2", func(n int) bool { return n%2+n%3 == 2 }
	path := "/fhir/SearchParameter/" + other.code
	c.send(request{method: "PUT", path: path, body: other.definition()}, 200)
	await(c.t, "the changed parameter", func() bool {
		x := c.send(request{method: "GET", path: other.ask("&_count=0")}, 200, 400)
		if x.status == http.StatusOK && text(x.tree, "total") != strconv.Itoa(len(c.wants(other))) {
			c.t.Errorf("want %d\n%s", len(c.wants(other)), x)
		}
		return x.status == http.StatusOK
	})
	c.check(other)
	c.send(request{method: "DELETE", path: path}, 204)
	c.send(request{method: "GET", path: other.ask("")}, 400)
	c.send(request{method: "GET", path: "/fhir/Observation?_sort=label"}, 400)
	x := c.send(request{method: "GET", path: "/fhir/metadata"}, 200)
	if strings.Contains(x.answer, practice+other.code+`"`) {
		c.t.Error("the capability statement lists a parameter that was deleted")
	}
}

// reindex has all rows built anew, and follows how far that is.
func (c *corpus) reindex() {
	c.t.Helper()
	state := func(x exchange, name, value string) string {
		return text(x.tree, fmt.Sprintf("parameter[name=%s].%s", name, value))
	}
	x := c.send(request{method: "POST", path: "/fhir/$reindex"}, 202)
	last := -1
	await(c.t, "the end of the reindexing", func() bool {
		percent, err := strconv.Atoi(state(x, "percent", "valueDecimal"))
		if err != nil || percent < last || percent > 100 {
			c.t.Errorf("%d %% after %d %%\n%s", percent, last, x)
		}
		last = percent
		if state(x, "state", "valueCode") == "completed" {
			return true
		}
		x = c.send(request{method: "GET", path: "/fhir/$reindex"}, 200)
		return false
	})
	// The parameters are resources too; one was deleted.
	if got, want := state(x, "resources", "valueDecimal"), strconv.Itoa(c.size+len(customs)-1); got != want || last != 100 {
		c.t.Errorf("%s resources were built, want %s\n%s", got, want, x)
	}
}

// TestRefusedDefinition lists everything that is wrong with one, and leaves
// nothing behind.
func TestRefusedDefinition(t *testing.T) {
	t.Parallel()
	p := launch(t, build(t), "--unsafe", "--dsn="+testDSN(t))
	c := newCaller(t, p.base)
	bad := custom{code: "status", kind: "special", base: `"Task"`, expression: "", more: ""}
	body := strings.NewReplacer(`"id":"status",`, "", `,"expression":""`, "").Replace(bad.definition())
	x := c.send(request{method: "POST", path: "/fhir/SearchParameter", body: body}, 422)
	places, err := find(x.tree, "issue[*].expression[0]")
	if got, want := fmt.Sprint(places, err), "[SearchParameter.type SearchParameter.expression SearchParameter.code] <nil>"; got != want {
		t.Errorf("it complains of %s, want %s\n%s", got, want, x)
	}
	c.send(request{method: "GET", path: "/fhir/Task?status=draft"}, 200)
	x = c.send(request{method: "GET", path: "/fhir/SearchParameter?_summary=count"}, 200)
	if n := text(x.tree, "total"); n != "0" {
		t.Errorf("%s were stored", n)
	}
}

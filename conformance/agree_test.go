package conformance_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const agreed = "http://fhir.example.org/fhir" // the base URL of servers of one database

// pair launches two servers of one database.
func pair(t *testing.T, program, dsn string) [2]*caller {
	t.Helper()
	var two [2]*caller
	for i := range two {
		p := launch(t, program, "--dsn="+dsn, "--base-url="+agreed, "--unsafe")
		two[i] = newCaller(t, p.base)
	}
	return two
}

// shown sends a search that must be answered at once and returns the ids that it
// shows.
func (c *caller) shown(path string) []string {
	c.t.Helper()
	x := c.send(request{method: "GET", path: path}, 200)
	found, err := find(x.tree, "entry[*].resource.id")
	if err != nil {
		c.t.Error(err)
	}
	var ids []string
	for _, id := range found {
		ids = append(ids, plain(id))
	}
	return ids
}

// A reader writes one resource after the other, and looks at once on both servers
// whether what it wrote is found.
type reader struct {
	servers [2]*caller
	name    string
	looked  *atomic.Int64
}

// look wants a resource to be found, or not, in each of several ways.
func (r *reader) look(after, id, value string, there bool) {
	value = url.QueryEscape("urn:own|" + value)
	for i, c := range r.servers {
		for _, more := range []string{"", "&_sort=-_lastUpdated", "&_lastUpdated=gt2020", "&_id=" + id, "&_sort=family", "&_count=0"} {
			r.looked.Add(1)
			path := "/fhir/Patient?identifier=" + value + more
			if more == "&_count=0" {
				x := c.send(request{method: "GET", path: path}, 200)
				if got := text(x.tree, "total"); got != map[bool]string{true: "1", false: "0"}[there] {
					c.t.Errorf("after %s of %s server %d counts %s\n%s", after, id, i, got, x)
				}
				continue
			}
			if got := c.shown(path); slices.Contains(got, id) != there || len(got) > 1 {
				c.t.Errorf("after %s of %s server %d finds %v by %s; there: %t", after, id, i, got, path, there)
			}
		}
	}
}

// run takes a resource through everything that can become of it.
func (r *reader) run(rounds int) {
	for n := range rounds {
		c := r.servers[n%2]
		one := fmt.Sprintf("%s-%d", r.name, n)
		two, three := one+"b", one+"c"
		body := func(value string) string {
			return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","identifier":[{"system":"urn:own","value":"%s"}],"name":[{"family":"%s"}]}`, one, value, value)
		}
		path := "/fhir/Patient/" + one
		c.send(request{method: "PUT", path: path, body: body(one)}, 201)
		r.look("the creation", one, one, true)
		c.send(request{method: "PUT", path: path, body: body(two)}, 200)
		r.look("the update", one, one, false)
		r.look("the update", one, two, true)
		c.send(request{method: "PATCH", path: path, body: fmt.Sprintf(`[{"op":"replace","path":"/identifier/0/value","value":"%s"}]`, three)}, 200)
		r.look("the patch", one, two, false)
		r.look("the patch", one, three, true)
		c.send(request{method: "DELETE", path: path}, 204)
		r.look("the deletion", one, three, false)
		c.send(request{method: "PUT", path: path, body: body(two)}, 201)
		r.look("the return", one, two, true)
		c.send(request{method: "DELETE", path: "/fhir/Patient?identifier=" + url.QueryEscape("urn:own|"+two)}, 204)
		r.look("the conditional deletion", one, two, false)
		x := c.send(request{method: "POST", path: "/fhir/Patient", headers: [][2]string{{"If-None-Exist", "identifier=urn:own|" + one}}, body: body(one)}, 201)
		m := newID.FindStringSubmatch(x.header.Get("Location"))
		if m == nil {
			c.t.Errorf("no id\n%s", x)
			return
		}
		r.look("the conditional creation", m[1], one, true)
		c.send(request{method: "PUT", path: "/fhir/Patient?identifier=" + url.QueryEscape("urn:own|"+one), body: strings.Replace(body(two), `"id":"`+one+`",`, "", 1)}, 200)
		r.look("the conditional update", m[1], one, false)
		r.look("the conditional update", m[1], two, true)
	}
}

// TestReadYourWrites looks for each write at once after it was acknowledged, on
// both servers of a database, while others write.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	rounds := 3
	if testing.Short() {
		rounds = 2
	}
	servers := pair(t, build(t), testDSN(t))
	stop := make(chan struct{})
	var load, group sync.WaitGroup
	for i := range 3 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("load-%d-%d", i, n%40)
				servers[i%2].send(request{method: "PUT", path: "/fhir/Patient/" + id, body: contentOf("Patient", fmt.Sprintf("l%d-%d", i, n), id)}, 200, 201)
			}
		})
	}
	var looked atomic.Int64
	for i := range 4 {
		group.Go(func() { (&reader{servers, fmt.Sprintf("r%d", i), &looked}).run(rounds) })
	}
	group.Wait()
	close(stop)
	load.Wait()
	t.Logf("%d searches", looked.Load())
}

// meanings are the definitions of a search parameter that lacks its expression.
const meanings = `{"resourceType":"SearchParameter","id":"topic","url":"` + practice + `topic","name":"x","status":"active","description":"x","code":"topic","base":["Basic"],"type":"string","expression":"%s"}`

// A witness writes at full speed to the server that does not change the
// parameters, and searches on both.
type witness struct {
	servers [2]*caller
	written atomic.Int64 // Basics that were acknowledged
	meaning atomic.Int32 // 0 none, 1 the first, 2 the second; negative while it changes
	counts  [3]atomic.Int64
}

// basics is how many resources a witness creates before it changes them.
const basics = 250

func (w *witness) write(name string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		id := fmt.Sprintf("%s-%d", name, n%basics)
		w.servers[1].send(request{method: "PUT", path: "/fhir/Basic/" + id, body: fmt.Sprintf(`{"resourceType":"Basic","id":"%s","extension":[{"url":"urn:x","valueString":"second"}],"code":{"text":"first %d"}}`, id, n)}, 200, 201)
		if n < basics {
			w.written.Add(1)
		}
	}
}

// ask searches by the meaning in force. It is refused, or finds everything that
// was acknowledged before.
func (w *witness) ask(c *caller, n int) {
	meaning, least := w.meaning.Load(), w.written.Load()
	if meaning < 0 {
		return
	}
	value, want := []string{"first", "first", "second"}[meaning], []int{200, 400}
	if meaning == 0 {
		want = []int{400}
	}
	x, err := request{method: "GET", path: "/fhir/Basic?topic=" + value + []string{"&_count=0", "&_total=accurate&_count=1", "&_sort=topic&_total=accurate&_count=1"}[n%3]}.send(c.client, c.base)
	if err != nil {
		c.t.Error(err)
		return
	}
	if w.meaning.Load() != meaning {
		return // it may have been changed before this was sent
	}
	if !slices.Contains(want, x.status) {
		c.t.Errorf("meaning %d, want %v\n%s", meaning, want, x)
	}
	if x.status != http.StatusOK {
		w.counts[1].Add(1)
		return
	}
	w.counts[0].Add(1)
	if total, err := strconv.Atoi(text(x.tree, "total")); err != nil || int64(total) < least {
		w.counts[2].Add(1)
		c.t.Errorf("meaning %d: finds %d, %v; want %d at least\n%s", meaning, total, err, least, x)
	}
}

// become gives the parameter a meaning, and waits until both servers search by it.
func (w *witness) become(meaning int32, r request) {
	c := w.servers[0]
	w.meaning.Store(-1)
	c.send(r, 200, 201, 204)
	w.meaning.Store(meaning)
	if meaning == 0 {
		return
	}
	for i, c := range w.servers {
		await(c.t, "the parameter on both servers", func() bool {
			x := c.send(request{method: "GET", path: "/fhir/Basic?_count=0&topic=" + []string{"", "first", "second"}[meaning]}, 200, 400)
			return x.status == http.StatusOK
		})
		await(c.t, fmt.Sprintf("the capability statement of server %d", i), func() bool {
			return strings.Contains(c.send(request{method: "GET", path: "/fhir/metadata"}, 200).answer, practice+"topic")
		})
	}
}

// TestParametersOfAnotherServer has one server add a search parameter, give it
// another meaning and take it back, again and again, while the other one writes at
// full speed and both search. Nothing is missing in any answer, nor in the end.
func TestParametersOfAnotherServer(t *testing.T) {
	t.Parallel()
	program, dsn := build(t), testDSN(t)
	w := &witness{servers: pair(t, program, dsn)}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() { w.write(fmt.Sprintf("w%d", i), stop) })
	}
	for i := range 4 {
		group.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
					w.ask(w.servers[i%2], n)
				}
			}
		})
	}
	path := "/fhir/SearchParameter/topic"
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		w.become(1, request{method: "PUT", path: path, body: fmt.Sprintf(meanings, "Basic.code.text")})
		w.become(2, request{method: "PUT", path: path, body: fmt.Sprintf(meanings, "Basic.extension.where(url='urn:x').value.ofType(string)")})
		w.become(0, request{method: "DELETE", path: path})
		for i := range 20 {
			w.ask(w.servers[i%2], i)
		}
	}
	w.become(1, request{method: "PUT", path: path, body: fmt.Sprintf(meanings, "Basic.code.text")})
	close(stop)
	group.Wait()
	for _, c := range w.servers {
		x := c.send(request{method: "GET", path: "/fhir/Basic?topic=first&_count=0"}, 200)
		if got := text(x.tree, "total"); got != fmt.Sprint(w.written.Load()) {
			t.Errorf("%s are found in the end, want %d", got, w.written.Load())
		}
	}
	n := checkRows(t, dsn, agreed)
	t.Logf("%d rows; %d searches were answered, %d refused, %d short", n, w.counts[0].Load(), w.counts[1].Load(), w.counts[2].Load())
	if w.counts[0].Load() == 0 || w.counts[1].Load() == 0 {
		t.Error("the searches were not at odds with the changes")
	}
}

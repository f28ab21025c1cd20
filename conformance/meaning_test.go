package conformance_test

import (
	"database/sql"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// How TestMeaning searches, for looking further than every run can:
// go test -run TestMeaning -v -seed 7 -searches 50000 -copies 10
var (
	meaningSeed     = flag.Uint64("seed", 1, "which searches TestMeaning makes up")
	meaningSearches = flag.Int("searches", 3000, "how many searches TestMeaning makes up")
	meaningCopies   = flag.Int("copies", 0, "how often TestMeaning stores each resource again under another id")
)

// TestMeaning makes up searches from the values of many resources, asks a server,
// and goes through everything by search.Match: what is found, its order, what is
// on which page, what is included and the totals must be the same. The first half
// is asked before the database has counted its rows, the second half after.
func TestMeaning(t *testing.T) {
	t.Parallel()
	m := newMeaning(t)
	dsn := pgtest.New(t).DSN
	base, stop := startWith(t, dsn, api.Config{}, manner{admit: trustAll, checks: storeUnknown})
	m.open(base)
	m.store(records(t))
	m.arrange()
	half := *meaningSearches / 2
	m.ask(0, half)
	stop()
	analyze(t, dsn)
	base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, checks: storeUnknown})
	defer stop()
	m.open(base)
	m.arrange()
	m.ask(half, *meaningSearches)
	m.report()
}

// analyze has the database count its rows.
func analyze(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// A meaning is a comparison of a server with a library.
type meaning struct {
	t       *testing.T
	client  *http.Client
	base    string
	library *library

	mu       sync.Mutex
	counts   map[string]int // searches by what is in them
	fruitful map[string]int // those of them that found something
	refused  int
	slow     int // that the server gave up
	found    int
}

func newMeaning(t *testing.T) *meaning {
	m := &meaning{t: t, counts: map[string]int{}, fruitful: map[string]int{}}
	m.library = &library{byKey: map[fhir.Key]*volume{}}
	m.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: patience}
	t.Cleanup(m.client.CloseIdleConnections)
	return m
}

// open has the server at base asked from now on.
func (m *meaning) open(base string) {
	registry, err := search.NewRegistry(spec.R4(), base, 1, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.base, m.library.registry = base, registry
}

func (m *meaning) send(r request) exchange {
	x, err := r.send(m.client, m.base)
	if err != nil {
		m.t.Error(err)
	}
	if err := x.always(); err != nil {
		m.t.Errorf("%v\n%s", err, x)
	}
	return x
}

// arrange asks the server for everything.
func (m *meaning) arrange() {
	var keys []fhir.Key
	var updated []time.Time
	for url := "/fhir?_count=1000&_elements=id"; url != ""; {
		x := m.send(request{method: "GET", path: url})
		p := pageOf(x)
		for i, at := range p.updated {
			parsed, err := time.Parse(time.RFC3339Nano, at)
			if err != nil {
				m.t.Fatal(err)
			}
			typ, id, _ := strings.Cut(p.matches[i], "/")
			keys, updated = append(keys, fhir.Key{Type: typ, ID: id}), append(updated, parsed)
		}
		url = p.links["next"]
	}
	m.library.arrange(m.t, keys, updated)
}

// A page is what the answer to a search has.
type page struct {
	matches, included []string // Type/id
	updated           []string // of the matches
	outcomes          []string
	links             map[string]string
	total             string
}

func pageOf(x exchange) page {
	p := page{links: map[string]string{}}
	entries, _ := find(x.tree, "entry[*]")
	for _, e := range entries {
		name := text(e, "resource.resourceType") + "/" + text(e, "resource.id")
		switch text(e, "search.mode") {
		case "match":
			p.matches = append(p.matches, name)
			p.updated = append(p.updated, text(e, "resource.meta.lastUpdated"))
		case "include":
			p.included = append(p.included, name)
		default:
			p.outcomes = append(p.outcomes, fmt.Sprint(e))
		}
	}
	links, _ := find(x.tree, "link[*]")
	for _, l := range links {
		p.links[text(l, "relation")] = text(l, "url")
	}
	p.total = text(x.tree, "total")
	return p
}

// ask asks the searches with these numbers, several at once.
func (m *meaning) ask(from, to int) {
	next := make(chan int)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for n := range next {
				r := rand.New(rand.NewPCG(*meaningSeed, uint64(n)))
				m.try(n, &inquirer{Rand: r, library: m.library})
			}
		})
	}
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	group.Wait()
}

// try makes up searches until one is allowed, and asks for it. Some of those that
// are not must be refused by the server too.
func (m *meaning) try(n int, a *inquirer) {
	for {
		q := a.inquiry()
		parsed, err := q.parse(m.library.registry, q.params)
		if err != nil {
			if a.oneIn(20) {
				m.refuse(n, q, err)
			}
			continue
		}
		want := m.library.matches(parsed)
		problem := m.compare(a, q, parsed, want)
		switch {
		case strings.Contains(problem, "longer than the server spends"):
			m.giveUp(n, q)
		case problem != "":
			m.t.Errorf("search %d: %s\n%s", n, q, problem)
		}
		m.count(q, len(want))
		return
	}
}

// giveUp counts a search that took too long, which a server may say of few.
func (m *meaning) giveUp(n int, q *inquiry) {
	m.t.Logf("search %d: %s takes too long", n, q)
	m.mu.Lock()
	m.slow++
	m.mu.Unlock()
}

func (m *meaning) refuse(n int, q *inquiry, reason error) {
	if x := m.send(request{method: "GET", path: q.String()}); x.status != http.StatusBadRequest {
		m.t.Errorf("search %d: %s is answered by %d, want a refusal: %v", n, q, x.status, reason)
	}
	m.mu.Lock()
	m.refused++
	m.mu.Unlock()
}

func (m *meaning) count(q *inquiry, found int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found += found
	slices.Sort(q.kinds)
	for _, kind := range slices.Compact(q.kinds) {
		m.counts[kind]++
		if found > 0 {
			m.fruitful[kind]++
		}
	}
}

// report says what was asked.
func (m *meaning) report() {
	for _, kind := range slices.Sorted(maps.Keys(m.counts)) {
		m.t.Logf("%-32s %6d asked, %6d found something", kind, m.counts[kind], m.fruitful[kind])
	}
	m.t.Logf("%d searches found %d resources, %d were refused, %d took too long", *meaningSearches, m.found, m.refused, m.slow)
	if m.slow > *meaningSearches/1000 {
		m.t.Errorf("%d searches took too long", m.slow)
	}
	if m.found < *meaningSearches {
		m.t.Errorf("all searches together found %d: they ask for too little", m.found)
	}
}

// compare asks the server and says what is wrong with the answer.
func (m *meaning) compare(a *inquirer, q *inquiry, parsed *search.Query, want []*volume) string {
	if q.same != nil {
		other, err := q.parse(m.library.registry, q.same)
		if err != nil {
			return fmt.Sprintf("in other words, %v, it is refused: %v", q.same, err)
		}
		other.Sort = parsed.Sort
		if problem := difference("", namesOf(want), namesOf(m.library.matches(other))); problem != "" {
			return fmt.Sprintf("in other words, %v, it means something else: %s", q.same, problem)
		}
	}
	count := min(max(1+a.IntN(7), len(want)/6), search.MaxCount)
	first := q.request(a, count)
	pages, problem := m.pages(first, parsed, want, count)
	if problem != "" {
		return problem
	}
	if a.oneIn(4) && len(pages) > 1 {
		problem = m.back(pages)
	}
	if problem == "" && a.oneIn(4) {
		problem = m.total(a, q, len(want))
	}
	return problem
}

// request writes q, as a GET or as a POST.
func (q *inquiry) request(a *inquirer, count int) request {
	params := append(slices.Clip(q.params), search.Parameter{Name: "_count", Value: fmt.Sprint(count)}, search.Parameter{Name: "_elements", Value: "id"})
	if !a.oneIn(6) {
		return request{method: "GET", path: q.path() + "?" + query(params)}
	}
	q.kinds = append(q.kinds, "POST")
	n := a.IntN(len(params))
	return request{method: "POST", path: q.path() + "/_search?" + query(params[:n]), body: query(params[n:]), headers: [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}}
}

// pages goes through all pages and says what is wrong with them. What the order
// does not tell apart may stand as it does without one, or the other way around.
func (m *meaning) pages(r request, parsed *search.Query, want []*volume, count int) (pages []page, problem string) {
	orders := [][]*volume{want, backwards(want, parsed)}
	for at := 0; ; {
		x := m.send(r)
		if x.status != http.StatusOK {
			return nil, x.String()
		}
		p := pageOf(x)
		if problem := p.check(parsed, namesOf(orders[0]), count, at); problem != "" {
			return nil, problem
		}
		end := at + len(p.matches)
		before := orders[0]
		orders = slices.DeleteFunc(orders, func(o []*volume) bool { return !slices.Equal(p.matches, namesOf(o[at:end])) })
		if len(orders) == 0 {
			return nil, fmt.Sprintf("from %d on\n got %v\nwant %v", at, p.matches, namesOf(before[at:end]))
		}
		if problem := m.checkIncluded(p, parsed, orders[0][at:end]); problem != "" {
			return nil, problem
		}
		pages = append(pages, p)
		if at = end; p.links["next"] == "" {
			break
		}
		r = request{method: "GET", path: p.links["next"]}
	}
	if n := sum(pages); n != len(want) {
		return nil, fmt.Sprintf("%d matches, want %d, which are %v", n, len(want), namesOf(want))
	}
	return pages, ""
}

func sum(pages []page) int {
	n := 0
	for _, p := range pages {
		n += len(p.matches)
	}
	return n
}

func namesOf(all []*volume) []string {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.String()
	}
	return names
}

// check says what is wrong with a page but for its order.
func (p page) check(q *search.Query, names []string, count, at int) string {
	n := len(p.matches)
	switch {
	case at+n > len(names):
		return fmt.Sprintf("there are more than %d matches:\n got %v\nwant %v", len(names), p.matches, names)
	case n > count || n < count && p.links["next"] != "" || n == 0 && at > 0:
		return fmt.Sprintf("a page has %d matches, want %d", n, count)
	case p.total != "" && p.total != fmt.Sprint(len(names)), p.total == "" && q.Total == search.TotalAccurate:
		return fmt.Sprintf("the total is %s, want %d", p.total, len(names))
	case p.links["self"] == "" || (p.links["previous"] != "") != (at > 0):
		return fmt.Sprintf("the links of the page at %d are %v", at, p.links)
	}
	return ""
}

// checkIncluded says what is wrong with what is included in a page.
func (m *meaning) checkIncluded(p page, q *search.Query, matches []*volume) string {
	want := m.library.included(q, matches)
	seen := map[string]bool{}
	for _, name := range p.included {
		if seen[name] || !want[name] {
			return fmt.Sprintf("%s is included twice or without reason, with %v", name, p.matches)
		}
		seen[name] = true
	}
	if len(seen) == len(want) || len(p.outcomes) > 0 && strings.Contains(fmt.Sprint(p.outcomes), "more to include") {
		return ""
	}
	for name := range want {
		if !seen[name] {
			return fmt.Sprintf("%s is not included with %v, and %d in all are not", name, p.matches, len(want)-len(seen))
		}
	}
	return ""
}

// back goes from the last page to the first.
func (m *meaning) back(pages []page) string {
	last := len(pages) - 1
	p := pages[last]
	for i := last - 1; i >= 0; i-- {
		x := m.send(request{method: "GET", path: p.links["previous"]})
		if x.status != http.StatusOK {
			return x.String()
		}
		p = pageOf(x)
		slices.Sort(p.included)
		slices.Sort(pages[i].included)
		if !slices.Equal(p.matches, pages[i].matches) || !slices.Equal(p.included, pages[i].included) || p.links["next"] == "" || (p.links["previous"] != "") != (i > 0) {
			return fmt.Sprintf("page %d from behind is %v with %v, want %v", i, p.matches, p.links, pages[i].matches)
		}
	}
	return ""
}

// total asks only how many there are.
func (m *meaning) total(a *inquirer, q *inquiry, want int) string {
	params := slices.DeleteFunc(slices.Clone(q.params), func(p search.Parameter) bool { return strings.Contains(p.Name, "include") })
	params = append(params, search.Parameter{Name: "_summary", Value: "count"})
	if a.oneIn(2) {
		params[len(params)-1] = search.Parameter{Name: "_count", Value: "0"}
	}
	q.kinds = append(q.kinds, params[len(params)-1].Name+" of the total")
	x := m.send(request{method: "GET", path: q.path() + "?" + query(params)})
	if p := pageOf(x); p.total != fmt.Sprint(want) || len(p.matches)+len(p.included) > 0 {
		return fmt.Sprintf("the total is not %d\n%s", want, x)
	}
	return ""
}

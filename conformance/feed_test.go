package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A feedPage is what a client takes from a page of $changes.
type feedPage struct {
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL   string          `json:"fullUrl"`
		Resource  json.RawMessage `json:"resource"`
		Request   struct{ Method string }
		Extension []struct{ ValueBoolean bool }
	}
}

// A follower is a client that keeps what the feed gives it. What it has not saved it
// loses when it crashes.
type follower struct {
	*rand.Rand
	has   map[string]string // resources by their full URLs
	next  string
	saved func() // goes back to what was saved last
}

func newFollower(seed uint64) *follower {
	f := &follower{Rand: rand.New(rand.NewPCG(seed, 3)), has: map[string]string{}, next: fmt.Sprintf("/fhir/$changes?_count=%d", 2+seed*seed*seed)}
	f.save()
	return f
}

func (f *follower) save() {
	has, next := maps.Clone(f.has), f.next
	f.saved = func() { f.has, f.next = maps.Clone(has), next }
}

// read applies a page, and reports whether it had anything.
func (f *follower) read(target *subject, headers ...[2]string) (bool, error) {
	x, err := request{method: "GET", path: f.next, headers: headers}.send(http.DefaultClient, target.base)
	if err != nil {
		return false, err
	}
	if x.status != http.StatusOK {
		return false, fmt.Errorf("%d for a page of the feed: %.500s", x.status, x.answer)
	}
	var p feedPage
	if err := json.Unmarshal([]byte(x.answer), &p); err != nil {
		return false, err
	}
	for _, e := range p.Entry {
		if e.Request.Method == "DELETE" {
			delete(f.has, e.FullURL)
		} else {
			f.has[e.FullURL] = string(e.Resource)
		}
	}
	f.next = ""
	for _, l := range p.Link {
		if l.Relation == "next" {
			f.next = l.URL
		}
	}
	if f.next == "" {
		return false, fmt.Errorf("a page of the feed has no next one: %.500s", x.answer)
	}
	return len(p.Entry) > 0, nil
}

// feedWriter writes, changes and deletes resources, some of them together.
func feedWriter(target *subject, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 8))
	for n := range 40 {
		id := fmt.Sprintf("p%d", r.IntN(12))
		patient := fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, id, n+100*int(seed))
		q := request{method: "PUT", path: "/fhir/Patient/" + id, body: patient}
		switch r.IntN(5) {
		case 0:
			q = request{method: "DELETE", path: "/fhir/Patient/" + id}
		case 1:
			q = request{method: "POST", path: "/fhir", body: fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
				{"resource":%s,"request":{"method":"PUT","url":"Patient/%s"}},
				{"resource":{"resourceType":"Basic","code":{"text":"%d"}},"request":{"method":"POST","url":"Basic"}}]}`, patient, id, n)}
		}
		x, err := q.send(http.DefaultClient, target.base)
		if err != nil {
			return err
		}
		if x.status >= 500 {
			return fmt.Errorf("%s %s: %d %.500s", q.method, q.path, x.status, x.answer)
		}
	}
	return nil
}

// TestFeedFollowed: clients that follow the feed while others write, waiting where
// there is nothing and crashing at random, end with exactly what is there. So does one
// that comes later.
func TestFeedFollowed(t *testing.T) {
	t.Parallel()
	target := serve(t)
	var writing, following sync.WaitGroup
	var done atomic.Bool
	for n := range uint64(6) {
		writing.Go(func() {
			if err := feedWriter(target, n); err != nil {
				t.Error(err)
			}
		})
	}
	all := []*follower{newFollower(1), newFollower(2), newFollower(3)}
	for _, f := range all {
		following.Go(func() {
			for !done.Load() {
				if _, err := f.read(target, [2]string{"Prefer", "wait=1"}); err != nil {
					t.Error(err)
					return
				}
				switch f.IntN(4) {
				case 0:
					f.saved()
				case 1, 2:
					f.save()
				}
			}
		})
	}
	writing.Wait()
	done.Store(true)
	following.Wait()
	stored := storedIn(t, target)
	if len(stored) < 20 {
		t.Errorf("only %d resources are there in the end", len(stored))
	}
	for _, f := range append(all, newFollower(4)) {
		for some := true; some; {
			var err error
			if some, err = f.read(target); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(stored, f.has); diff != "" {
			t.Errorf("a client has something else than the server: %s", diff)
		}
	}
}

// storedIn returns all resources by their full URLs.
func storedIn(t *testing.T, target *subject) map[string]string {
	t.Helper()
	stored := map[string]string{}
	for _, typ := range []string{"Patient", "Basic"} {
		x := sendTo(t, target, http.StatusOK, request{method: "GET", path: "/fhir/" + typ + "?_count=1000"})
		var p feedPage
		if err := json.Unmarshal([]byte(x.answer), &p); err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entry {
			stored[e.FullURL] = string(e.Resource)
		}
	}
	return stored
}

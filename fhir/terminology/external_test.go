package terminology

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

const (
	elsewhereSystem = "http://example.org/cs"
	elsewhereSet    = "http://example.org/vs"
)

// A terminologyServer is a small one. What it is asked is counted.
type terminologyServer struct {
	asked atomic.Int32
	last  atomic.Pointer[url.URL]
	mu    sync.Mutex
	now   time.Time
}

func (x *terminologyServer) Now() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

func (x *terminologyServer) wait(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = x.now.Add(d)
}

// outside returns a Service that asks a server that answers as handle does.
func outside(t *testing.T, handle http.HandlerFunc) (*Service, *terminologyServer) {
	t.Helper()
	x := &terminologyServer{now: time.Now()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.asked.Add(1)
		x.last.Store(r.URL)
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	s := New(Config{External: server.URL + "/fhir/", Client: server.Client(), Token: "secret", Now: x.Now})
	s.remote.limit = 10 * time.Second
	return s, x
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const (
	yes      = `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":true},{"name":"display","valueString":"One"},{"name":"version","valueString":"2"}]}`
	no       = `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":false},{"name":"message","valueString":"no"}]}`
	unsure   = `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":false},{"name":"issues","resource":{"resourceType":"OperationOutcome","issue":[{"code":"not-found"}]}}]}`
	unsure2  = `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":false},{"name":"x-caused-by-unknown-system","valueCanonical":"http://x"}]}`
	notThere = `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}`
)

func TestRemoteMember(t *testing.T) {
	t.Parallel()
	coding := Coding{System: elsewhereSystem, Code: "1", Display: "name of a patient"}
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		want   Result
		asked  int32 // how often, when it is asked twice
	}{
		{"yes", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, yes) }, In, 1},
		{"no", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, no) }, Out, 1},
		{"no, because it does not know", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, unsure) }, Undecided, 1},
		{"no, because of the system", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, unsure2) }, Undecided, 1},
		{"unknown", func(w http.ResponseWriter, _ *http.Request) { say(w, 404, notThere) }, Undecided, 1},
		{"404 of a proxy", func(w http.ResponseWriter, _ *http.Request) { say(w, 404, "<html>no such page</html>") }, Undecided, 2},
		{"failure", func(w http.ResponseWriter, _ *http.Request) { say(w, 500, notThere) }, Undecided, 2},
		{"unauthorised", func(w http.ResponseWriter, _ *http.Request) { say(w, 401, notThere) }, Undecided, 2},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{"resourceType":"Para`) }, Undecided, 2},
		{"other resource", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{"resourceType":"Patient"}`) }, Undecided, 2},
		{"no result", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{"resourceType":"Parameters"}`) }, Undecided, 2},
		{"result of another type", func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":"true"}]}`)
		}, Undecided, 2},
		{"huge", func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, strings.TrimSuffix(yes, "}")+strings.Repeat(" ", answerBytes)+"}")
		}, Undecided, 2},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9999")
			say(w, 200, yes)
		}, Undecided, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, x := outside(t, c.handle)
			for range 2 {
				v, err := s.remoteMember(t.Context(), elsewhereSet+"|4", coding)
				if err != nil || v.Result != c.want || (c.want == In) != (v.Coding == Coding{System: elsewhereSystem, Version: "2", Code: "1", Display: "One"}) {
					t.Errorf("%+v, %v", v, err)
				}
			}
			if x.asked.Load() != c.asked {
				t.Errorf("it was asked %d times", x.asked.Load())
			}
			const sent = "/fhir/ValueSet/$validate-code?code=1&system=http%3A%2F%2Fexample.org%2Fcs&url=http%3A%2F%2Fexample.org%2Fvs&valueSetVersion=4"
			if got := x.last.Load().RequestURI(); got != sent {
				t.Errorf("sent %s", got)
			}
		})
	}
}

// TestRemoteIsBelievedForAWhile asks again about what was not known sooner than about
// what was.
func TestRemoteIsBelievedForAWhile(t *testing.T) {
	t.Parallel()
	s, x := outside(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			say(w, 401, notThere)
			return
		}
		say(w, 200, map[string]string{"1": yes, "2": no}[r.URL.Query().Get("code")])
	})
	ask := func(code string, want Result) {
		t.Helper()
		v, err := s.remoteMember(t.Context(), elsewhereSet, Coding{System: elsewhereSystem, Code: code})
		if err != nil || v.Result != want {
			t.Errorf("%s: %+v, %v", code, v, err)
		}
	}
	for _, step := range []struct {
		after time.Duration
		asked int32
	}{{0, 2}, {59 * time.Second, 2}, {2 * time.Second, 3}, {58 * time.Minute, 4}, {2 * time.Minute, 6}} {
		x.wait(step.after)
		ask("1", In)
		ask("2", Out)
		if x.asked.Load() != step.asked {
			t.Errorf("asked %d times %s later, want %d", x.asked.Load(), step.after, step.asked)
		}
	}
}

// TestRemoteNotAsked does not ask about what nobody outside can know.
func TestRemoteNotAsked(t *testing.T) {
	t.Parallel()
	s, x := outside(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, yes) })
	for _, c := range []struct {
		set  string
		code Coding
	}{
		{"#contained", Coding{System: elsewhereSystem, Code: "1"}},
		{elsewhereSet, Coding{Code: "1"}},
		{elsewhereSet, Coding{System: "Patient/1", Code: "1"}},
		{elsewhereSet, Coding{System: elsewhereSystem}},
		{elsewhereSet, Coding{System: elsewhereSystem, Code: strings.Repeat("x", 1001)}},
	} {
		if v, err := s.remoteMember(t.Context(), c.set, c.code); err != nil || v.Result != Undecided {
			t.Errorf("%+v, %v", v, err)
		}
	}
	none := New(Config{})
	if v, err := none.remoteMember(t.Context(), elsewhereSet, Coding{System: elsewhereSystem, Code: "1"}); err != nil || v.Result != Undecided || none.distantSystem(elsewhereSystem, "") != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if x.asked.Load() != 0 {
		t.Errorf("it was asked %d times", x.asked.Load())
	}
}

// TestRemoteFuse does not ask who has failed five times, and tries once after a while.
func TestRemoteFuse(t *testing.T) {
	t.Parallel()
	var ok atomic.Bool
	s, x := outside(t, func(w http.ResponseWriter, _ *http.Request) {
		if !ok.Load() {
			say(w, 503, "")
			return
		}
		say(w, 200, yes)
	})
	code := 0
	ask := func(want Result, asked int32) {
		t.Helper()
		code++
		v, err := s.remoteMember(t.Context(), elsewhereSet, Coding{System: elsewhereSystem, Code: fmt.Sprint(code)})
		if err != nil || v.Result != want || x.asked.Load() != asked {
			t.Errorf("%+v, %v, asked %d times, want %d", v, err, x.asked.Load(), asked)
		}
	}
	for n := range int32(failuresAllowed) {
		ask(Undecided, n+1)
	}
	ask(Undecided, 5)
	x.wait(fuseFor + time.Second)
	ask(Undecided, 6) // tries, in vain
	ask(Undecided, 6)
	ok.Store(true)
	ask(Undecided, 6)
	x.wait(fuseFor + time.Second)
	ask(In, 7)
	ask(In, 8)
}

// TestRemoteSlow gives up on who does not answer in time, and asks once for all who
// ask the same.
func TestRemoteSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	begun := make(chan struct{}, 100)
	s, x := outside(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		select {
		case <-release:
			say(w, 200, yes)
		case <-r.Context().Done():
		}
	})
	var wg sync.WaitGroup
	coding := Coding{System: elsewhereSystem, Code: "1"}
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, err := s.remoteMember(ctx, elsewhereSet, coding); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone is told %v", err)
		}
	})
	<-begun
	for range 20 {
		wg.Go(func() {
			if v, err := s.remoteMember(t.Context(), elsewhereSet, coding); err != nil || v.Result != In {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	cancel()
	close(release)
	wg.Wait()
	if x.asked.Load() != 1 {
		t.Errorf("asked %d times", x.asked.Load())
	}
	late, y := outside(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	late.remote.limit = time.Millisecond
	if v, err := late.remoteMember(t.Context(), elsewhereSet, coding); err != nil || v.Result != Undecided || y.asked.Load() > 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestRemoteDead asks nobody.
func TestRemoteDead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s := New(Config{External: server.URL})
	v, err := s.remoteMember(t.Context(), elsewhereSet, Coding{System: elsewhereSystem, Code: "1"})
	if err != nil || v.Result != Undecided {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := s.remoteExpand(t.Context(), elsewhereSet, 10); outcomeClass(err) != fhir.Unavailable {
		t.Errorf("%v", err)
	}
	if _, err := s.distantSystem(elsewhereSystem, "").concept(t.Context(), "1"); outcomeClass(err) != fhir.Unavailable {
		t.Errorf("%v", err)
	}
}

func outcomeClass(err error) fhir.Class {
	if o := fhir.AsOutcome(err); o != nil {
		return o.Class
	}
	return 255
}

func TestRemoteExpand(t *testing.T) {
	t.Parallel()
	s, _ := outside(t, func(w http.ResponseWriter, r *http.Request) {
		switch url := r.URL.Query().Get("url"); url {
		case elsewhereSet:
			say(w, 200, `{"resourceType":"ValueSet","expansion":{"total":2,"contains":[{"abstract":true,"code":"all","contains":[{"system":"http://s","code":"a","display":"A"}]},{"system":"http://s","code":"b"}]}}`)
		case elsewhereSet + "/more":
			say(w, 200, `{"resourceType":"ValueSet","expansion":{"total":3,"contains":[{"system":"http://s","code":"a"}]}}`)
		case elsewhereSet + "/bare":
			say(w, 200, `{"resourceType":"ValueSet"}`)
		default:
			say(w, 404, notThere)
		}
	})
	for _, c := range []struct {
		set, want string
		most      int
	}{
		{elsewhereSet, "[{http://s  a A} {http://s  b }]", 2},
		{elsewhereSet, "too-costly", 1},
		{elsewhereSet + "/more", "transient", 5},
		{elsewhereSet + "/bare", "transient", 5},
		{elsewhereSet + "/none", "[]", 5},
	} {
		got, err := s.remoteExpand(t.Context(), c.set, c.most)
		text := fmt.Sprint(got)
		if o := fhir.AsOutcome(err); o != nil {
			text = string(o.Issues[0].Code)
		}
		if text != c.want {
			t.Errorf("%s: %s, want %s", c.set, text, c.want)
		}
	}
}

// TestDistant asks about a code system that only the remote knows.
func TestDistant(t *testing.T) {
	t.Parallel()
	s, _ := outside(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case strings.HasSuffix(r.URL.Path, "$subsumes"):
			outcome := map[string]string{"a a": "equivalent", "b b": "equivalent", "a b": "subsumes", "b a": "subsumed-by"}[q.Get("codeA")+" "+q.Get("codeB")]
			if outcome == "" {
				outcome = "not-subsumed"
			}
			say(w, 200, `{"resourceType":"Parameters","parameter":[{"name":"outcome","valueCode":"`+outcome+`"}]}`)
		case q.Get("code") == "a" || q.Get("code") == "b":
			say(w, 200, `{"resourceType":"Parameters","parameter":[{"name":"display","valueString":"Name of `+q.Get("code")+`"},
				{"name":"designation","part":[{"name":"language","valueCode":"de"},{"name":"value","valueString":"Wort"}]},
				{"name":"property","part":[{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"a"}]},
				{"name":"property","part":[{"name":"code","valueCode":"inactive"},{"name":"value","valueBoolean":true}]}]}`)
		default:
			say(w, 404, notThere)
		}
	})
	d := s.distantSystem(elsewhereSystem, "3")
	c, err := d.concept(t.Context(), "b")
	if err != nil || fmt.Sprint(*c) != "{b Name of b  [a] true false [{de {   } Wort}] [{parent code a} {inactive boolean true}]}" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := d.concept(t.Context(), "z"); outcomeClass(err) != fhir.Unknown {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		f    filter
		want string
	}{
		{filter{"concept", "is-a", "a"}, "[a b]"}, {filter{"concept", "descendent-of", "a"}, "[b]"}, {filter{"concept", "is-not-a", "b"}, "[a]"},
		{filter{"concept", "generalizes", "b"}, "[a b]"}, {filter{"code", "=", "b"}, "[b]"}, {filter{"concept", "regex", "b"}, "not-supported"}, {filter{"size", "=", "1"}, "not-supported"},
	} {
		found, total, err := d.pick(t.Context(), selection{codes: []string{"a", "z", "b"}, filters: []filter{c.f}, count: -1})
		codes := []string{}
		for _, c := range found {
			codes = append(codes, c.code)
		}
		text := fmt.Sprint(codes)
		if o := fhir.AsOutcome(err); o != nil {
			text = string(o.Issues[0].Code)
		} else if total != len(found) {
			t.Errorf("%d of %d", len(found), total)
		}
		if text != c.want {
			t.Errorf("%+v: %s, want %s", c.f, text, c.want)
		}
	}
	if found, total, err := d.pick(t.Context(), selection{codes: []string{"a", "b"}, active: true, count: 5}); len(found)+total != 0 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if _, _, err := d.pick(t.Context(), selection{count: 5}); outcomeClass(err) != fhir.Unprocessable {
		t.Errorf("%v", err)
	}
}

// FuzzRemote reads answers of any bytes.
func FuzzRemote(f *testing.F) {
	for _, seed := range []string{yes, no, unsure, unsure2, notThere, `{"resourceType":"ValueSet","expansion":{"contains":[{"code":"a","contains":[null]}]}}`,
		`{"resourceType":"Parameters","parameter":[{"name":"property","part":[{"name":"value","valueCoding":{}}]},{"name":"issues"},{"name":"display","valueString":"x"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for i, read := range []func([]byte) (any, bool){readValidated, readConcept, readSubsumed, readExpanded} {
			if value, ok := read(body); ok && value == nil {
				t.Errorf("answer %d is nothing", i)
			}
		}
		isOutcome(body)
	})
}

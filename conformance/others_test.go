package conformance_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// outsiders are who has nothing to do with the journey, and tokens that are none.
const outsiders = `
nobody
patient ben patient/*.cruds
practitioner nina user/*.cruds
practitioner nina patient=ada patient/*.cruds
relative ben patient=ada patient/*.cruds
client elsewhere-system organizations=elsewhere system/*.cruds
client nowhere-system system/*.cruds
client two-systems organizations=practice,elsewhere only=elsewhere system/*.cruds`

// TestJourneyByOthers runs the consultation once more. At each step everybody who
// is in it but may not take that step tries to, and so do outsiders and whoever
// may, with scopes that do not reach. None of them gets through or changes
// anything, and then the consultation goes on.
func TestJourneyByOthers(t *testing.T) {
	t.Parallel()
	s := journey(t)
	target := s.serve(t, api.Config{})
	j := &jostle{t: t, target: target, cast: s.actors}
	for line := range strings.Lines(strings.TrimSpace(outsiders)) {
		who, err := parseActor(line)
		if err != nil {
			t.Fatal(err)
		}
		j.cast = append(j.cast, who)
	}
	for _, err := range s.runWith(target, j.around) {
		t.Error(err)
	}
	t.Logf("%d writes and %d reads were tried by others; %d reads by others who may", j.writes, j.reads, j.allowed)
	if j.writes < 100 || j.reads < 100 || j.allowed < 20 {
		t.Error("hardly anything was tried")
	}
}

// TestJourneyWithoutSignIn runs the consultation on a server that trusts
// everybody: it is the same.
func TestJourneyWithoutSignIn(t *testing.T) {
	t.Parallel()
	for _, err := range journey(t).run(serve(t)) {
		t.Error(err)
	}
}

// journey is the script of a whole consultation.
func journey(t *testing.T) *script {
	t.Helper()
	data, err := os.ReadFile("testdata/journey.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse("journey.txtar", data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A jostle has others try the steps of a script.
type jostle struct {
	t                      *testing.T
	target                 *subject
	cast                   []actor
	writes, reads, allowed int
}

// around does a step, before or after which others have tried it.
func (j *jostle) around(c *session, st step) error {
	if st.request == nil || c.by.role == "administrator" && st.request.method == http.MethodGet {
		return st.do(c)
	}
	r, err := c.fillRequest(*st.request, 1)
	if err != nil {
		return err
	}
	r.headers = slices.DeleteFunc(r.headers, func(h [2]string) bool { return h[0] == "Authorization" })
	if r.method != http.MethodGet {
		j.othersWrite(c, r)
		return st.do(c)
	}
	if err := st.do(c); err != nil {
		return err
	}
	j.othersRead(c, r)
	return nil
}

// may returns those who may take the step that c is at.
func (j *jostle) may(c *session) []actor { return append([]actor{c.by}, c.others...) }

// wrong returns those of the cast who may not.
func (j *jostle) wrong(c *session) []actor {
	var all []actor
	for _, who := range j.cast {
		same := func(o actor) bool { return o.text == who.text }
		if who.role != "administrator" && !slices.ContainsFunc(j.may(c), same) && !slices.ContainsFunc(all, same) {
			all = append(all, who)
		}
	}
	return all
}

// othersWrite has others try a write that c is about to do.
func (j *jostle) othersWrite(c *session, r request) {
	before := j.state()
	for _, who := range j.wrong(c) {
		j.writes++
		if x := j.send(who, r); !slices.Contains([]int{401, 403, 404}, x.status) {
			j.t.Errorf("by %s:\n%s", who.text, x)
		}
	}
	for _, who := range j.may(c) {
		for _, narrow := range narrowed(who, r) {
			j.writes++
			if x := j.send(narrow, r); x.status != http.StatusForbidden {
				j.t.Errorf("by %s:\n%s", narrow.text, x)
			}
		}
	}
	if after := j.state(); after != before {
		j.t.Errorf("%s %s: others have changed\n%s\nto\n%s", r.method, r.path, before, after)
	}
}

var scopePermissions = regexp.MustCompile(`/\*\.cruds`)

// narrowed returns who may send r with scopes that do not let them.
func narrowed(who actor, r request) []actor {
	letter := map[string]string{http.MethodPost: "c", http.MethodPut: "u", http.MethodPatch: "u"}[r.method]
	if strings.HasSuffix(r.path, "/$mark-read") {
		letter = "r" // who may read a message may say that they have
	}
	var all []actor
	for _, scope := range []string{"/*." + strings.ReplaceAll("cruds", letter, ""), "/Goal.cruds"} {
		narrow := who
		narrow.scopes = scopePermissions.ReplaceAllString(who.scopes, scope)
		narrow.text = who.role + " " + who.id + " " + narrow.scopes
		if narrow.scopes != who.scopes {
			all = append(all, narrow)
		}
	}
	return all
}

// othersRead has others try a read that c has just done, who get less, and those
// who may, who get as much.
func (j *jostle) othersRead(c *session, r request) {
	right := c.last[0]
	for _, who := range j.wrong(c) {
		j.reads++
		if x := j.send(who, r); !slices.Contains([]int{401, 403, 404}, x.status) && !isLess(x, right) {
			j.t.Errorf("by %s, who gets as much as %s:\n%s", who.text, c.by.text, x)
		}
	}
	for _, who := range c.others {
		j.allowed++
		if x := j.send(who, r); x.status != right.status || !slices.Equal(entriesOf(x), entriesOf(right)) {
			j.t.Errorf("by %s, who gets %v and not %v:\n%s", who.text, entriesOf(x), entriesOf(right), x)
		}
	}
}

// isLess reports whether x is a Bundle that lacks something that right has.
func isLess(x, right exchange) bool {
	got, all := entriesOf(x), entriesOf(right)
	if len(all) == 0 {
		return len(got) == 0
	}
	return x.status == http.StatusOK && slices.ContainsFunc(all, func(e string) bool { return !slices.Contains(got, e) })
}

// entriesOf returns what is in a Bundle, or how many it says there are.
func entriesOf(x exchange) []string {
	var all []string
	for _, path := range []string{"entry[*].fullUrl", "entry[*].response.etag", "total"} {
		values, err := find(x.tree, path)
		if err != nil {
			return nil
		}
		for _, v := range values {
			all = append(all, path+"="+plain(v))
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(e string) bool { return e == "total=0" })
}

// send sends r by somebody.
func (j *jostle) send(who actor, r request) exchange {
	j.t.Helper()
	x, err := j.target.by(who, r)
	if err == nil {
		err = x.always()
	}
	if err != nil {
		j.t.Errorf("%s %s by %s: %v", r.method, r.path, who.text, err)
	}
	return x
}

// state is everything that is stored.
func (j *jostle) state() string {
	j.t.Helper()
	x := j.send(actor{role: "administrator"}, request{method: http.MethodGet, path: "/fhir/_history?_count=1000"})
	values, err := find(x.tree, "entry")
	if err != nil || x.status != http.StatusOK {
		j.t.Fatalf("read the history: %v\n%s", err, x)
	}
	return fmt.Sprint(values)
}

// by sends r by somebody, with a new token.
func (s *subject) by(who actor, r request) (exchange, error) {
	token, err := s.door.token(context.Background(), who)
	if err != nil {
		return exchange{}, err
	}
	if token != "" {
		r.headers = append(slices.Clip(r.headers), [2]string{"Authorization", "Bearer " + token})
	}
	return r.send(http.DefaultClient, s.base)
}

package conformance_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// TestHookSignedOut has a doctor subscribe by an app that may go on without her and
// by one that may not, and sign out: the one goes on, the other is switched off.
// When her account is closed, that ends, too.
func TestHookSignedOut(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	c := &cast{p.subject, t}
	offline := p.tokens(p.grace, "portal", "user/*.cruds offline_access").field("access_token")
	online := p.tokens(p.grace, "app", "user/*.cruds online_access").field("access_token")
	hooks := []*hook{newHook(t, p.base, nil), newHook(t, p.base, nil)}
	ids := []string{observed(hooks[0]).subscribe(t, p.base, offline), observed(hooks[1]).subscribe(t, p.base, online)}
	c.measure("first")
	for _, h := range hooks {
		h.awaitDeliveries(1)
	}
	p.grace.send(http.MethodPost, "/auth/sign-out", p.grace.send(http.MethodGet, "/auth/sign-out", nil).form())
	switchedOff(c, ids[1], "online")
	c.measure("after-sign-out")
	told := len(hooks[0].awaitDeliveries(2))
	if a := askAt(t, p.base, c.as("administrator"), "GET Subscription/"+ids[0], ""); a.text("status") != "active" {
		t.Errorf("the app that may go on has %s", a.body)
	}
	if got := paths(hooks[1].deliveries()); !slices.Equal(got, []string{"/in/Observation/first"}) {
		t.Errorf("the app that may not go on was told %v", got)
	}
	account, err := p.door.accounts.Account(t.Context(), "grace")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.door.authority.RevokeAccount(t.Context(), account.ID); err != nil {
		t.Fatal(err)
	}
	switchedOff(c, ids[0], "offline")
	if got := hooks[0].deliveries(); len(got) > told && strings.Contains(got[len(got)-1].path, "offline") {
		t.Errorf("when the account was closed it was told %s", got[len(got)-1].path)
	}
}

// switchedOff has things happen until a subscription is switched off, because what it
// was set up with has ended.
func switchedOff(c *cast, id, name string) {
	c.t.Helper()
	n := 0
	if !await(c.t, name+" is switched off", func() bool {
		a := askAt(c.t, c.base, c.as("administrator"), "GET Subscription/"+id, "")
		if a.text("status") == "off" && strings.Contains(a.text("error"), "has ended") {
			return true
		}
		if n++; n%20 == 1 {
			c.measure(fmt.Sprintf("%s-%d", name, n))
		}
		return false
	}) {
		c.t.FailNow()
	}
}

// TestHookGivesUp has a receiver be down for longer than the server tries: the
// Subscription is in error and says why. Who sets it to requested is told everything
// that was missed, and nothing twice.
func TestHookGivesUp(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	var down atomic.Bool
	h := newHook(t, c.base, func() int {
		if down.Load() {
			return http.StatusGatewayTimeout
		}
		return 0
	})
	practice := c.as("client practice-system organizations=practice system/*.cruds")
	id := subscribing{criteria: "patient-identity-changed", content: "id-only", endpoint: h.URL}.subscribe(t, c.base, practice)
	change := func(n int) {
		put(t, c.base, c.as("administrator"), "Patient/ada", fmt.Sprintf(`{"resourceType":"Patient","id":"ada","identifier":[{"value":"%d"}],"generalPractitioner":[{"reference":"Organization/practice"}]}`, n))
	}
	change(1)
	h.awaitEvents(1)
	down.Store(true)
	change(2)
	h.awaitDeliveries(3)
	// As if it had been down for three days.
	await(t, "the server has noted that it fails", func() bool {
		r, err := c.door.db.ExecContext(t.Context(), `UPDATE subscription SET failing = failing - interval '73 hours' WHERE id = $1 AND failing IS NOT NULL`, id)
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.RowsAffected()
		return n == 1 && err == nil
	})
	failed := awaitStatus(t, c.base, practice, id, "error")
	if !strings.Contains(failed.text("error"), "status 504") {
		t.Errorf("it says %s", failed.body)
	}
	change(3)
	await(t, "what comes meanwhile is counted", func() bool { return numberOf(t, c.base, practice, id) == "3" })
	down.Store(false)
	for _, status := range []string{"active", "requested"} {
		a := askAt(t, c.base, practice, "PUT Subscription/"+id, strings.Replace(failed.body, `"status":"error"`, `"status":"`+status+`"`, 1))
		if want := map[string]int{"active": http.StatusUnprocessableEntity, "requested": http.StatusOK}[status]; a.status != want {
			t.Errorf("the status %s is answered with %d: %s", status, a.status, a.body)
		}
	}
	change(4)
	if got := foci(h.awaitEvents(4)); !slices.Equal(got, []string{"Patient/ada", "Patient/ada", "Patient/ada", "Patient/ada"}) {
		t.Errorf("it is told of %v", got)
	}
	if again := awaitStatus(t, c.base, practice, id, "active"); again.text("error") != "" {
		t.Errorf("it still says %s", again.body)
	}
	a := askAt(t, c.base, practice, "GET Subscription/"+id+"/$events?eventsSinceNumber=2&eventsUntilNumber=3", "")
	n, err := readNotice(a.body, c.base)
	if err != nil || !slices.Equal(n.events, []told{{2, "Patient/ada"}, {3, "Patient/ada"}}) {
		t.Errorf("$events gives %+v, %v", n, err)
	}
}

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

// A cast is who takes part in a test of what subscribers may know.
type cast struct {
	*subject
	t *testing.T
}

// newCast starts a server with a practice, its doctor and its patient.
func newCast(t *testing.T) *cast {
	t.Helper()
	c := &cast{serveSignIn(t, api.Config{}), t}
	admin := c.as("administrator")
	parties(t, c.base, admin)
	put(t, c.base, admin, "Practitioner/grace", `{"resourceType":"Practitioner","id":"grace"}`)
	c.role(true)
	return c
}

// role has the doctor work for the practice, or no more.
func (c *cast) role(active bool) {
	c.t.Helper()
	put(c.t, c.base, c.as("administrator"), "PractitionerRole/grace-gp", fmt.Sprintf(`{"resourceType":"PractitionerRole","id":"grace-gp","active":%t,
		"practitioner":{"reference":"Practitioner/grace"},"organization":{"reference":"Organization/practice"}}`, active))
}

// as returns a token for somebody, as a script says who.
func (c *cast) as(text string) string {
	c.t.Helper()
	who, err := parseActor(text)
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := c.door.token(c.t.Context(), who)
	if err != nil {
		c.t.Fatal(err)
	}
	return token
}

// measure stores something in the patient's record.
func (c *cast) measure(id string) {
	c.t.Helper()
	put(c.t, c.base, c.as("administrator"), "Observation/"+id, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"Pulse"},"subject":{"reference":"Patient/ada"}}`, id))
}

// observed is a subscription to what measure stores.
func observed(h *hook) subscribing {
	return subscribing{criteria: "Observation?status=final", payload: "application/fhir+json", endpoint: h.URL + "/in"}
}

// numberOf returns the number of the newest event of a subscription.
func numberOf(t *testing.T, base, token, id string) string {
	t.Helper()
	a := askAt(t, base, token, "GET Subscription/"+id+"/$status", "")
	_, rest, _ := strings.Cut(a.body, `"events-since-subscription-start","valueString":"`)
	number, _, _ := strings.Cut(rest, `"`)
	return number
}

// settled waits until nothing is to be delivered to a subscription.
func (c *cast) settled(id string) {
	c.t.Helper()
	if !await(c.t, "nothing is to be delivered", func() bool {
		a := askAt(c.t, c.base, c.as("administrator"), "GET Subscription/"+id+"/$status", "")
		_, last, _ := strings.Cut(a.body, `"events-since-subscription-start","valueString":"`)
		last, _, _ = strings.Cut(last, `"`)
		return strings.Contains(a.body, `"delivered-event-number","valueString":"`+last+`"`)
	}) {
		c.t.FailNow()
	}
}

// paths returns where deliveries went.
func paths(got []delivery) (all []string) {
	for _, d := range got {
		all = append(all, d.path)
	}
	return all
}

// TestHookRoleEnds takes a doctor's role away: she is told nothing any more, while
// others are. With a new role it goes on.
func TestHookRoleEnds(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	hers, all := newHook(t, c.base, nil), newHook(t, c.base, nil)
	id := observed(hers).subscribe(t, c.base, c.as("practitioner grace user/*.cruds"))
	observed(all).subscribe(t, c.base, c.as("administrator"))
	c.measure("first")
	hers.awaitDeliveries(1)
	c.role(false)
	c.measure("second")
	all.awaitDeliveries(2)
	c.settled(id) // what is not delivered yet, she may see again when it is
	c.role(true)
	await(t, "she sees the record again", func() bool {
		return askAt(t, c.base, c.as("practitioner grace user/*.cruds"), "GET Observation/first", "").status == http.StatusOK
	})
	// What may be an event is decided by what was so a moment ago.
	n := 0
	await(t, "she is told again", func() bool {
		n++
		c.measure(fmt.Sprintf("later-%d", n))
		all.awaitDeliveries(2 + n)
		return len(hers.deliveries()) > 1
	})
	for _, d := range hers.deliveries() {
		if strings.Contains(d.body, "second") || d.path == "/in/Observation/second" {
			t.Errorf("without a role she was told %s %s", d.path, d.body)
		}
	}
}

// TestHookPatientMoves has a patient go to another practice while the receiver of the
// old one is down: what it was to be told is not told any more, and leaves no hole
// in the numbers.
func TestHookPatientMoves(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	var down atomic.Bool
	h := newHook(t, c.base, func() int {
		if down.Load() {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	practice := c.as("client practice-system organizations=practice system/*.cruds")
	criteria := observed(h).subscribe(t, c.base, practice)
	changed := newHook(t, c.base, h.refuse)
	subscribing{criteria: "patient-identity-changed", content: "id-only", endpoint: changed.URL}.subscribe(t, c.base, practice)
	register := func(with, identifier string) {
		put(t, c.base, c.as("administrator"), "Patient/ada", fmt.Sprintf(`{"resourceType":"Patient","id":"ada","identifier":[{"value":%q}],"generalPractitioner":[{"reference":"Organization/%s"}]}`, identifier, with))
	}
	register("practice", "known")
	c.measure("before")
	changed.awaitEvents(1)
	h.awaitDeliveries(1)
	down.Store(true)
	c.measure("pending")
	register("practice", "pending")
	tried := len(h.awaitDeliveries(2)) + len(changed.awaitDeliveries(3))
	register("elsewhere", "after")
	await(t, "it is tried again in vain", func() bool { return len(h.deliveries())+len(changed.deliveries()) > tried })
	c.measure("after")
	down.Store(false)
	if got := foci(changed.awaitEvents(2)); !slices.Equal(got, []string{"Patient/ada", ""}) {
		t.Errorf("it is told of %q", got)
	}
	c.settled(criteria)
	for _, d := range append(h.deliveries(), changed.deliveries()...) {
		if d.taken && (strings.Contains(d.body, "pending") || strings.Contains(d.body, "after")) {
			t.Errorf("after the move it was told %s", d.body)
		}
	}
	if got := paths(slices.DeleteFunc(h.deliveries(), func(d delivery) bool { return !d.taken })); !slices.Equal(got, []string{"/in/Observation/before"}) {
		t.Errorf("it took %v", got)
	}
}

// TestHookGrantEnds revokes what subscriptions were set up with, and disables a
// client: they are switched off and say why, and others go on.
func TestHookGrantEnds(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	var hooks []*hook
	var ids []string
	for i, who := range []string{"practitioner grace user/*.cruds", "client practice-system organizations=practice system/*.cruds", "client another organizations=practice system/*.cruds"} {
		hooks = append(hooks, newHook(t, c.base, nil))
		ids = append(ids, observed(hooks[i]).subscribe(t, c.base, c.as(who)))
	}
	c.measure("first")
	for _, h := range hooks {
		h.awaitDeliveries(1)
	}
	account, err := c.door.accounts.Account(t.Context(), "practitioner-grace")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.door.authority.RevokeAccount(t.Context(), account.ID); err != nil {
		t.Fatal(err)
	}
	client, err := c.door.authority.Client(t.Context(), "practice-system")
	if err != nil {
		t.Fatal(err)
	}
	client.Active = false
	if err := c.door.authority.UpdateClient(t.Context(), *client); err != nil {
		t.Fatal(err)
	}
	c.measure("second")
	hooks[2].awaitDeliveries(2)
	for i, id := range ids[:2] {
		switchedOff(c, id, fmt.Sprint("more-", i))
	}
	for i, h := range hooks[:2] {
		if got := paths(h.deliveries()); !slices.Equal(got, []string{"/in/Observation/first"}) {
			t.Errorf("subscription %d was told %v", i, got)
		}
	}
	again := newHook(t, c.base, nil)
	observed(again).subscribe(t, c.base, c.as("practitioner grace user/*.cruds"))
	c.measure("third")
	if got := paths(again.awaitDeliveries(1)); got[0] != "/in/Observation/third" {
		t.Errorf("set up again it is told %v", got)
	}
}

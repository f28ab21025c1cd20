package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAlertStorm has a hundred requests to a specialist be overdue at once. Who asked gets one
// alert for each, and no other; what cannot wait is still the first thing that the specialists
// find, and so is what was answered for who asked.
func TestAlertStorm(t *testing.T) {
	t.Parallel()
	m, machine := newMechanism(t), machineKinds(t)
	m.token(machineAdmin)
	const late = 100
	ended := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	var all []string
	for i := range late {
		task := machine.task("advice-and-guidance", "in-progress", fmt.Sprintf("late-%d", i))[0]
		all = append(all, strings.Replace(task, `"intent"`, fmt.Sprintf(`"restriction":{"period":{"end":%q}},"intent"`, ended), 1))
	}
	urgent := strings.Replace(machine.task("advice-and-guidance", "requested", "urgent")[0], `"intent"`, `"priority":"stat","intent"`, 1)
	m.store(append(all, urgent, machine.task("advice-and-guidance", "completed", "answered")[0])...)

	alerts := func() map[string]int {
		got := map[string]int{}
		x := m.by(machineGP, request{method: http.MethodGet, path: "/fhir/Communication?category=alert&recipient=Organization/practice&_count=1000"})
		entries, _ := find(x.tree, "entry[*].resource")
		for _, e := range entries {
			got[text(e, "partOf[0].reference")+" "+text(e, "topic.coding[0].code")]++
		}
		return got
	}
	overdue := func() (n int) {
		for what := range alerts() {
			if strings.HasSuffix(what, " response-overdue") {
				n++
			}
		}
		return n
	}
	await(t, "an alert for each", func() bool { return overdue() >= late })
	for what, n := range alerts() {
		if n != 1 {
			t.Errorf("%s is told %d times", what, n)
		}
	}
	for who, query := range map[string]string{
		machineOffice: "Task?owner=Organization/hospital&priority=stat&status=requested",
		machineGP:     "Task?requester=Organization/practice&code=advice-and-guidance&business-status=REFERRER_TO_REVIEW_RESPONSE",
	} {
		x := m.by(who, request{method: http.MethodGet, path: "/fhir/" + query})
		if text(x.tree, "total") != "1" {
			t.Errorf("%s is hidden by what is late\n%s", query, x)
		}
	}
}

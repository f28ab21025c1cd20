package conformance_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// TestSubmissionTrips counts how often the server asks the database while a patient's form
// becomes a request.
func TestSubmissionTrips(t *testing.T) {
	t.Parallel()
	w := newWire(t, cluster(t))
	target := &subject{}
	db, err := sql.Open("postgres", w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	base, stop := startWith(t, w.dsn, api.Config{}, manner{audits: true, idle: true, admit: func(c *api.Config, x *errands) {
		target.door = openDoor(t, db, c)
		x.grants = target.door.signIn.Regrant
	}})
	target.base = base
	t.Cleanup(func() {
		stop()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	play(t, target, aSurgery(chestRule)+"GET /fhir/Patient/ada\n= 200\n")
	x := newSession(target)
	defer x.client.CloseIdleConnections()
	who, err := parseActor("patient ada patient/*.cruds")
	if err != nil {
		t.Fatal(err)
	}
	if err := x.become(who); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  bool
		most int64
	}{"without a key": {false, 2}, "with a key": {true, 2}} {
		fewest := int64(1000) // somebody may come by meanwhile for another reason
		for n := range 20 {
			headers := [][2]string{{"Authorization", "Bearer " + x.token}}
			if c.key {
				headers = append(headers, [2]string{"Idempotency-Key", fmt.Sprint(name[:4], n)})
			}
			before := w.trips.Load()
			body := fmt.Sprintf(askedBody, "", strings.Repeat(fmt.Sprint(name, n*7919, " "), n+3), n%2 == 0)
			r, err := request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", headers: headers, body: body}.send(x.client, base)
			if err != nil || r.status != http.StatusCreated {
				t.Fatalf("%v\n%s", err, r)
			}
			fewest = min(fewest, w.trips.Load()-before)
		}
		t.Logf("%s: %d round trips", name, fewest)
		if fewest > c.most {
			t.Errorf("%s a form takes %d round trips, want %d", name, fewest, c.most)
		}
	}
}

package conformance_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestGuaranteeClockSteppedBack writes to what was stored while the clock of the database was
// a day ahead, in each way to write: every version is later than the one before, if only by a
// millisecond, and what else is written has the time that it is.
func TestGuaranteeClockSteppedBack(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t).DSN
	base, stop := start(t, dsn, api.Config{})
	t.Cleanup(stop)
	c := newCaller(t, base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var ahead time.Time
	if err := db.QueryRow(`UPDATE ver SET updated = updated + interval '1 day' WHERE id = 'jane' RETURNING updated`).Scan(&ahead); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE res SET updated = $1 WHERE id = 'jane'`, ahead); err != nil {
		t.Fatal(err)
	}
	body := func(n int) string {
		return fmt.Sprintf(`{"resourceType":"Patient","id":"jane","multipleBirthInteger":%d}`, n)
	}
	for _, r := range []request{
		{method: "PUT", path: "/fhir/Patient/jane", body: body(2)},
		{method: "PATCH", path: "/fhir/Patient/jane", body: `[{"op":"add","path":"/active","value":true}]`},
		{method: "PUT", path: "/fhir/Patient?_id=jane", body: body(4)},
		{method: "POST", path: "/fhir", body: `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + body(5) + `,"request":{"method":"PUT","url":"Patient/jane"}}]}`},
		{method: "DELETE", path: "/fhir/Patient/jane"},
		{method: "PUT", path: "/fhir/Patient/jane", body: body(7)},
		{method: "PUT", path: "/fhir/Patient/jim", body: `{"resourceType":"Patient","id":"jim"}`},
	} {
		c.send(r, 200, 201, 204)
	}
	x := c.send(request{method: http.MethodGet, path: "/fhir/Patient/jane/_history"}, 200)
	times, err := find(x.tree, "entry[*].response.lastModified")
	if err != nil || len(times) != 7 {
		t.Fatalf("%v, %v\n%s", times, err, x)
	}
	for i, text := range times {
		at, err := time.Parse(time.RFC3339Nano, plain(text))
		// The newest comes first.
		if want := ahead.Truncate(time.Millisecond).Add(time.Duration(6-i) * time.Millisecond); err != nil || !at.Equal(want) {
			t.Errorf("version %d is from %v, want %v (%v)", 7-i, at, want, err)
		}
	}
	other, err := time.Parse(time.RFC3339Nano, text(c.send(request{method: "GET", path: "/fhir/Patient/jim"}, 200).tree, "meta.lastUpdated"))
	if err != nil || !other.Before(ahead.Add(-time.Hour)) {
		t.Errorf("what else is written is from %v, %v", other, err)
	}
	if got := c.shown("/fhir/Patient?_sort=-_lastUpdated"); fmt.Sprint(got) != "[jane jim]" {
		t.Errorf("they are found as %v", got)
	}
}

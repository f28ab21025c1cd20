package conformance_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestGuaranteeHistoryUntouched changes, deletes, labels and rebuilds what is there in every
// way that there is, and starts the server again under another address: no version that was
// there before has become another, neither in the database nor as it is read.
func TestGuaranteeHistoryUntouched(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t).DSN
	base, stop := start(t, dsn, api.Config{})
	c := newCaller(t, base)
	body := func(id string, n int) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/jane"},"valueQuantity":{"value":%d.10}}`, id, n)
	}
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	for n := range 3 {
		for _, id := range []string{"a", "b", "c", "d"} {
			c.send(request{method: "PUT", path: "/fhir/Observation/" + id, body: body(id, n)}, 200, 201)
		}
	}
	const past = `SELECT string_agg(concat_ws('|', type, id, ver, updated, op, hash, origin, md5(body)), ' ' ORDER BY rid, ver) FROM ver WHERE id IN ('jane', 'a', 'b', 'c', 'd') AND ver <= CASE id WHEN 'jane' THEN 1 ELSE 3 END`
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	look := func() (stored string, read []string) {
		t.Helper()
		if err := db.QueryRow(past).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"Patient/jane/_history/1", "Observation/a/_history/1", "Observation/b/_history/2", "Observation/c/_history/3", "Observation/d/_history/1"} {
			x := c.send(request{method: "GET", path: "/fhir/" + path}, 200)
			read = append(read, x.header.Get("ETag")+x.header.Get("Last-Modified")+x.answer)
		}
		return stored, read
	}
	stored, read := look()
	label := `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]}}]}`
	for _, r := range []request{
		{method: "PATCH", path: "/fhir/Observation/a", body: `[{"op":"replace","path":"/status","value":"amended"}]`},
		{method: "DELETE", path: "/fhir/Observation/b"},
		{method: "PUT", path: "/fhir/Observation/b", body: body("b", 9)},
		{method: "POST", path: "/fhir/Observation/c/$meta-add", body: label},
		{method: "POST", path: "/fhir", body: `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + body("d", 8) + `,"request":{"method":"PUT","url":"Observation/d"}},{"request":{"method":"DELETE","url":"Observation/a"}}]}`},
		{method: "PUT", path: "/fhir/Patient/jane", body: `{"resourceType":"Patient","id":"jane","active":false}`},
		{method: "POST", path: "/fhir/$reindex"},
	} {
		c.send(r, 200, 201, 202, 204)
	}
	await(t, "the rows to be built", func() bool {
		var built bool
		return db.QueryRow(`SELECT bool_and(state = 'done') FROM reindex_job`).Scan(&built) == nil && built
	})
	stop()
	base, stop = start(t, dsn, api.Config{})
	t.Cleanup(stop)
	c = newCaller(t, base)
	again, reread := look()
	if again != stored {
		t.Errorf("stored was\n%s\nand is\n%s", stored, again)
	}
	for i := range read {
		if reread[i] != read[i] {
			t.Errorf("read was\n%s\nand is\n%s", read[i], reread[i])
		}
	}
}

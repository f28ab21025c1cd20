package conformance_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// A toll counts how often a server with an audit asks its database.
type toll struct {
	*wire
	target *subject
	task   string // whose conversation is written in
	db     *sql.DB
}

// newToll serves a practice whose database is behind a wire, with a consultation that the practice has accepted.
func newToll(t *testing.T) *toll {
	t.Helper()
	o := &toll{wire: newWire(t, cluster(t)), target: &subject{}}
	db, err := sql.Open("postgres", o.dsn)
	if err != nil {
		t.Fatal(err)
	}
	base, stop := startWith(t, o.dsn, api.Config{}, manner{audits: true, idle: true, admit: func(c *api.Config, x *errands) {
		o.target.door = openDoor(t, db, c)
		x.grants = o.target.door.signIn.Regrant
	}})
	o.target.base, o.db = base, db
	t.Cleanup(func() {
		stop()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	play(t, o.target, aSurgery(chestRule)+`as administrator
PUT /fhir/Practitioner/grace
{"resourceType":"Practitioner","id":"grace"}
= 201

PUT /fhir/PractitionerRole/grace
{"resourceType":"PractitionerRole","id":"grace","active":true,"practitioner":{"reference":"Practitioner/grace"},"organization":{"reference":"Organization/practice"},
 "code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}
= 201

as patient ada patient/*.cruds
POST /fhir/QuestionnaireResponse
`+fmt.Sprintf(askedBody, "", "What was it?", false)+`
= 201
let task = header Link ~ Task/([^>]*)>

as practitioner grace user/*.cruds
PATCH /fhir/Task/{task}
If-Match: W/"1"
[{"op":"replace","path":"/status","value":"accepted"}]
= 200
`)
	if err := db.QueryRow(`SELECT id FROM res_task WHERE ver = 2`).Scan(&o.task); err != nil {
		t.Fatal(err)
	}
	return o
}

// A passage is a kind of request that is sent many times.
type passage struct {
	who     string // as scripts name somebody
	request func(n int) request
	most    int64  // round trips to the database
	key     string // what its Idempotency-Keys begin with; empty for none
}

// fewest returns how many round trips p takes when nobody comes by for another reason.
func (o *toll) fewest(t *testing.T, p passage) int64 {
	t.Helper()
	x := newSession(o.target)
	defer x.client.CloseIdleConnections()
	who, err := parseActor(p.who)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.become(who); err != nil {
		t.Fatal(err)
	}
	fewest := int64(1000)
	for n := range 20 {
		q := p.request(n)
		q.headers = append(q.headers, [2]string{"Authorization", "Bearer " + x.token})
		if p.key != "" {
			q.headers = append(q.headers, [2]string{"Idempotency-Key", fmt.Sprint(p.key, n)})
		}
		before := o.trips.Load()
		r, err := q.send(x.client, o.target.base)
		if err != nil || r.status >= 300 {
			t.Fatalf("%v\n%s", err, r)
		}
		if n >= 10 { // when there is something of before to be looked at
			fewest = min(fewest, o.trips.Load()-before)
		}
	}
	return fewest
}

// posts returns requests that create a resource each; in its body %d is the number of the request.
func posts(typ, body string) func(int) request {
	return func(n int) request {
		return request{method: http.MethodPost, path: "/fhir/" + typ, body: strings.ReplaceAll(body, "%d", fmt.Sprint(n))}
	}
}

// puts returns requests that store a resource under an id; in its body %d is the number of the request.
func puts(key, body string) func(int) request {
	return func(n int) request {
		return request{method: http.MethodPut, path: "/fhir/" + key, body: strings.ReplaceAll(body, "%d", fmt.Sprint(n))}
	}
}

// TestTrips counts how often the server asks the database while something is written.
func TestTrips(t *testing.T) {
	t.Parallel()
	o := newToll(t)
	form := func(about string) func(int) request {
		return func(n int) request {
			return request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse",
				body: fmt.Sprintf(askedBody, "", strings.Repeat(fmt.Sprint(about, n*7919, " "), n+3), n%2 == 0)}
		}
	}
	within := func(task, rest string) string {
		return `{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/` + task + `"}],` + rest + `}`
	}
	play(t, o.target, `as administrator
PUT /fhir/Task/plain
{"resourceType":"Task","id":"plain","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"owner":{"reference":"Organization/practice"}}
= 201

PUT /fhir/Communication/plain
`+within("plain", `"id":"plain","subject":{"reference":"Patient/ada"},"payload":[{"contentString":"At first."}]`)+`
= 201
`)
	const grace, ada = "practitioner grace user/*.cruds", "patient ada patient/*.cruds"
	for name, p := range map[string]passage{
		"a form":            {who: ada, request: form("without"), most: 2},
		"a form with a key": {who: ada, request: form("with"), most: 2, key: "form"},
		"a form that is like others": {who: ada, most: 3, request: func(n int) request {
			return request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse",
				body: fmt.Sprintf(askedBody, "", fmt.Sprint("My ear has been hurting since yesterday and I cannot sleep because of it, case ", n), false)}
		}},
		"a message of the practice": {who: grace, most: 2, request: posts("Communication",
			within(o.task, `"recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"Number %d."}]`))},
		"a message with a key": {who: grace, most: 2, key: "message", request: posts("Communication",
			within(o.task, `"recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"With a key, %d."}]`))},
		"a message about a Task of others": {who: "administrator", most: 2, request: posts("Communication",
			within("plain", `"subject":{"reference":"Patient/ada"},"payload":[{"contentString":"Number %d."}]`))},
		"a message outside of any Task": {who: "administrator", most: 1, request: posts("Communication",
			`{"resourceType":"Communication","status":"completed","subject":{"reference":"Patient/ada"},"payload":[{"contentString":"Number %d."}]}`)},
		"a change of such a message": {who: "administrator", most: 2, request: puts("Communication/plain",
			within("plain", `"id":"plain","subject":{"reference":"Patient/ada"},"payload":[{"contentString":"Again, %d."}]`))},
		"a batch of such messages and Tasks": {who: "administrator", most: 4, request: func(n int) request {
			var entries []string
			for i := range 50 {
				m := within("plain", fmt.Sprintf(`"id":"m-%d","subject":{"reference":"Patient/ada"},"payload":[{"contentString":"Batch %d."}]`, i, n))
				k := fmt.Sprintf(`{"resourceType":"Task","id":"k-%d","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"description":"Batch %d."}`, i, n)
				entries = append(entries, fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"Communication/m-%d"}},{"resource":%s,"request":{"method":"PUT","url":"Task/k-%d"}}`, m, i, k, i))
			}
			return request{method: http.MethodPost, path: "/fhir", body: `{"resourceType":"Bundle","type":"batch","entry":[` + strings.Join(entries, ",") + `]}`}
		}},
		"a Task of others": {who: "administrator", most: 2, request: posts("Task",
			`{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"owner":{"reference":"Organization/practice"},"description":"%d"}`)},
		"a change of such a Task": {who: "administrator", most: 2, request: puts("Task/plain",
			`{"resourceType":"Task","id":"plain","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"owner":{"reference":"Organization/practice"},"description":"%d"}`)},
		"a note on a consultation": {who: grace, most: 4, request: func(n int) request {
			var version int
			if err := o.db.QueryRow(`SELECT ver FROM res_task WHERE id = $1`, o.task).Scan(&version); err != nil {
				t.Fatal(err)
			}
			headers := [][2]string{{"Content-Type", "application/json-patch+json"}, {"If-Match", fmt.Sprintf(`W/"%d"`, version)}}
			return request{method: http.MethodPatch, path: "/fhir/Task/" + o.task, headers: headers,
				body: fmt.Sprintf(`[{"op":"add","path":"/description","value":"%d"}]`, n)}
		}},
	} {
		fewest := o.fewest(t, p)
		t.Logf("%s: %d round trips", name, fewest)
		if fewest > p.most {
			t.Errorf("%s takes %d round trips, want %d", name, fewest, p.most)
		}
	}
}

package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// A raid is a server on which callers with good tokens try what they may not.
type raid struct {
	*testing.T
	*subject
	tokens map[string]string
}

const (
	everybody = "administrator"
	patient   = "patient ada patient/*.cruds"
	doctor    = "practitioner grace user/*.cruds"
	surgeon   = "practitioner omar user/*.cruds" // specialist who is asked about one Observation
	chart     = "client ehr organizations=practice system/*.cruds"
)

// selves are whom callers speak for.
func selves() map[string]string {
	return map[string]string{patient: "Patient/ada", doctor: "Practitioner/grace", surgeon: "Practitioner/omar", chart: "Organization/practice"}
}

// newRaid returns one with a practice that has ada, a hospital that was asked about
// her pulse, and another practice that has ben.
func newRaid(t *testing.T) *raid {
	t.Helper()
	a := &raid{T: t, subject: serveSignIn(t, api.Config{}), tokens: map[string]string{}}
	observation := func(id, patient, label string) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","identifier":[{"system":"urn:o","value":"%[1]s"}],"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/%s"}%s}`, id, patient, label)
	}
	role := func(who, at string) string {
		return fmt.Sprintf(`{"resourceType":"PractitionerRole","id":"%s","practitioner":{"reference":"Practitioner/%[1]s"},"organization":{"reference":"Organization/%s"}}`, who, at)
	}
	for _, body := range []string{
		`{"resourceType":"Organization","id":"practice","name":"Practice"}`, `{"resourceType":"Organization","id":"hospital","name":"Hospital"}`, `{"resourceType":"Organization","id":"other","name":"Other"}`,
		`{"resourceType":"Practitioner","id":"grace"}`, `{"resourceType":"Practitioner","id":"omar"}`, role("grace", "practice"), role("omar", "hospital"),
		`{"resourceType":"Patient","id":"ada","managingOrganization":{"reference":"Organization/practice"}}`,
		`{"resourceType":"Patient","id":"ben","managingOrganization":{"reference":"Organization/other"}}`,
		observation("pulse", "ada", ""), observation("child", "ada", ""), observation("bens", "ben", ""),
		observation("nopat", "ada", `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]}`),
		observation("restricted", "ada", `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}`),
		`{"resourceType":"Binary","id":"letter","contentType":"text/plain","data":"aGVsbG8="}`,
		`{"resourceType":"DocumentReference","id":"filed","status":"current","subject":{"reference":"Patient/ben"},"content":[{"attachment":{"url":"Binary/letter","contentType":"text/plain"}}]}`,
		`{"resourceType":"Task","id":"errand","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Organization/hospital"},"focus":{"reference":"Observation/pulse"}}`,
	} {
		a.put(body)
	}
	return a
}

// by sends a request as who says, which must not be the server's fault.
func (a *raid) by(who string, r request) exchange {
	a.Helper()
	if a.tokens[who] == "" {
		c, err := parseActor(who)
		if err != nil {
			a.Fatal(err)
		}
		if a.tokens[who], err = a.door.token(a.Context(), c); err != nil {
			a.Fatal(err)
		}
	}
	r.headers = append([][2]string{{"Authorization", "Bearer " + a.tokens[who]}}, r.headers...)
	x, err := r.send(http.DefaultClient, a.base)
	if err == nil {
		err = x.always()
	}
	if err != nil {
		a.Fatalf("%s: %v\n%s", who, err, x)
	}
	return x
}

// wants sends a request as who says, which must be answered with a status.
func (a *raid) wants(status int, who string, r request) exchange {
	a.Helper()
	x := a.by(who, r)
	if x.status != status {
		a.Errorf("%s: %d, want %d\n%s", who, x.status, status, x)
	}
	return x
}

// put stores a resource.
func (a *raid) put(body string) {
	a.Helper()
	var r struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		a.Fatal(err)
	}
	if x := a.by(everybody, request{method: "PUT", path: "/fhir/" + r.ResourceType + "/" + r.ID, body: body}); x.status >= 300 {
		a.Fatal(x)
	}
}

// nth is the fullUrl of the n-th entry of a Bundle, if that creates something.
func nth(n int) string { return fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", n) }

// bundled returns a Bundle with entries that are given as "PUT Patient/1 {…}".
func bundled(typ string, entries ...string) string {
	all := make([]string, len(entries))
	for i, e := range entries {
		words := strings.SplitN(e, " ", 3)
		resource := ""
		if len(words) == 3 {
			resource = `"resource":` + words[2] + `,`
		}
		if words[0] == "POST" {
			resource = `"fullUrl":"` + nth(i) + `",` + resource
		}
		all[i] = fmt.Sprintf(`{%s"request":{"method":"%s","url":"%s"}}`, resource, words[0], words[1])
	}
	return `{"resourceType":"Bundle","type":"` + typ + `","entry":[` + strings.Join(all, ",") + `]}`
}

// probes are what a Bundle may ask about the resource @: the answer must be the same
// whether it is hidden or was never there. ME is who asks.
func probes() []string {
	observation := func(more string) string {
		return `POST Observation {"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"},"performer":[{"reference":"ME"}],` + more + `}`
	}
	return []string{
		`GET @`, `GET @/_history/1`, `GET @/_history/2`, `GET Observation?has-member=@`, `DELETE @`,
		`PATCH @ {"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="}`,
		`PUT @ {"resourceType":"TYPE","id":"ID"}`,
		observation(`"hasMember":[{"reference":"@"}]`), observation(`"derivedFrom":[{"reference":"@/_history/1"}]`), observation(`"hasMember":[{"reference":"TYPE?_id=ID"}]`),
		observation(`"hasMember":[{"reference":"TYPE?identifier=urn:o|ID"}]`),
		`PUT Observation?identifier=urn:o|ID {"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"},"performer":[{"reference":"ME"}]}`,
		`DELETE Observation?identifier=urn:o|ID`, `PATCH Observation?identifier=urn:o|ID {"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="}`,
		`POST Task {"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/ada"},"requester":{"reference":"ME"},"focus":{"reference":"@"}}`,
		`POST Communication {"resourceType":"Communication","status":"completed","sender":{"reference":"ME"},"about":[{"reference":"@"}],"payload":[{"contentAttachment":{"url":"@"}}]}`,
		`POST CareTeam {"resourceType":"CareTeam","status":"active","subject":{"reference":"@"},"participant":[{"member":{"reference":"ME"}}]}`,
	}
}

// unstable is what differs between two answers by itself.
var unstable = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z|_cursor=[\w-]+`)

// TestExchangeTwins: no Bundle, carried out or tried out, tells a resource that is hidden
// from one that is not there, alone or beside another entry that names it.
func TestExchangeTwins(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	asks := probes()
	self := selves()
	answer := func(who, typ, id string, entries ...string) string {
		body := strings.NewReplacer("@", typ+"/"+id, "TYPE", typ, "ID", id, "ME", self[who]).Replace(bundled("transaction", entries...))
		x := a.by(who, request{method: "POST", path: "/fhir", headers: [][2]string{{"Prefer", "dry-run"}}, body: body})
		text := strings.ReplaceAll(unstable.ReplaceAllString(x.answer, "~"), id, "ID")
		return fmt.Sprint(x.status, " ", text)
	}
	n := 0
	for who := range self {
		for _, of := range []string{"Patient/ben", "Observation/bens", "Observation/nopat", "Observation/restricted", "Observation/child", "DocumentReference/filed", "Binary/letter"} {
			if a.by(who, request{method: "GET", path: "/fhir/" + of}).status == http.StatusOK {
				continue
			}
			typ, id, _ := strings.Cut(of, "/")
			absent := strings.Repeat("z", len(id)) // as long, for what is wrong is said with its column
			for i, ask := range asks {
				for _, entries := range [][]string{{ask}, {ask, asks[(i+7)%len(asks)]}} {
					if hidden, missing := answer(who, typ, id, entries...), answer(who, typ, absent, entries...); hidden != missing {
						t.Errorf("%s: %q of %s tells\n%s\n%s", who, entries, of, hidden, missing)
					}
					n++
				}
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d pairs were compared", n)
	}
}

// sees returns which of some resources a caller may read.
func (a *raid) sees(who string, of []string) map[string]bool {
	a.Helper()
	entries := make([]string, len(of))
	for i := range of {
		entries[i] = "GET " + of[i]
	}
	x := a.wants(200, who, request{method: "POST", path: "/fhir", body: bundled("batch", entries...)})
	var b struct {
		Entry []struct{ Response struct{ Status string } }
	}
	if err := json.Unmarshal([]byte(x.answer), &b); err != nil || len(b.Entry) != len(of) {
		a.Fatalf("%v\n%s", err, x)
	}
	seen := map[string]bool{}
	for i, e := range b.Entry {
		seen[of[i]] = strings.HasPrefix(e.Response.Status, "200")
	}
	return seen
}

// grabs are entries by which somebody may try to see more, or to have others see more.
// WHO stands for a patient, BY for a party, WHAT for anything.
func grabs() []string {
	return []string{
		`POST Patient {"resourceType":"Patient","managingOrganization":{"reference":"BY"},"link":[{"other":{"reference":"WHO"},"type":"seealso"}]}`,
		`POST Patient {"resourceType":"Patient","managingOrganization":{"reference":"Organization/practice"},"generalPractitioner":[{"reference":"BY"}]}`,
		`POST CareTeam {"resourceType":"CareTeam","status":"active","subject":{"reference":"WHO"},"participant":[{"member":{"reference":"BY"}}]}`,
		`POST EpisodeOfCare {"resourceType":"EpisodeOfCare","status":"active","patient":{"reference":"WHO"},"managingOrganization":{"reference":"BY"}}`,
		`POST Task {"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"WHO"},"requester":{"reference":"ME"},"owner":{"reference":"BY"},"focus":{"reference":"WHAT"}}`,
		`POST Communication {"resourceType":"Communication","status":"completed","sender":{"reference":"ME"},"recipient":[{"reference":"BY"}],"partOf":[{"reference":"WHAT"}],"payload":[{"contentAttachment":{"url":"WHAT"}}]}`,
		`POST ServiceRequest {"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"WHO"},"requester":{"reference":"ME"},"performer":[{"reference":"BY"}],"supportingInfo":[{"reference":"WHAT"}]}`,
		`POST DocumentReference {"resourceType":"DocumentReference","status":"current","subject":{"reference":"WHO"},"author":[{"reference":"ME"}],"content":[{"attachment":{"url":"WHAT"}}]}`,
		`POST PractitionerRole {"resourceType":"PractitionerRole","practitioner":{"reference":"ME"},"organization":{"reference":"BY"}}`,
		`POST Group {"resourceType":"Group","type":"person","actual":true,"managingEntity":{"reference":"ME"},"member":[{"entity":{"reference":"WHO"}}]}`,
		`PUT Task/errand {"resourceType":"Task","id":"errand","status":"accepted","intent":"order","for":{"reference":"WHO"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"BY"},"focus":{"reference":"WHAT"}}`,
		`PUT Observation/pulse {"resourceType":"Observation","id":"pulse","status":"final","code":{"text":"x"},"subject":{"reference":"WHO"},"performer":[{"reference":"BY"}]}`,
		`PUT Patient/ada {"resourceType":"Patient","id":"ada","managingOrganization":{"reference":"Organization/practice"},"generalPractitioner":[{"reference":"BY"}]}`,
		`DELETE Observation/restricted`, `DELETE Patient/ben`, `DELETE PractitionerRole/omar`,
	}
}

// gamble returns a Bundle of some grabs, which may name one another.
func gamble(r *rand.Rand, things []string) string {
	var created []string
	entries := make([]string, 1+r.IntN(3))
	for i := range entries {
		if entries[i] = grabs()[r.IntN(len(grabs()))]; strings.HasPrefix(entries[i], "POST") {
			created = append(created, nth(i))
		}
	}
	body := bundled("transaction", entries...)
	for _, of := range []struct {
		word    string
		choices []string
	}{
		{`"WHO"`, []string{"Patient/ada", "Patient/ada", "Patient/ben"}},
		{`"BY"`, []string{"Organization/practice", "Organization/hospital", "Practitioner/omar", "Patient/ada"}},
		{`"WHAT"`, things},
	} {
		choices := slices.Concat(of.choices, created)
		for strings.Contains(body, of.word) {
			body = strings.Replace(body, of.word, `"`+choices[r.IntN(len(choices))]+`"`, 1)
		}
	}
	return body
}

// TestExchangeGives: no transaction, whatever its entries give one another, lets anybody
// see what was there and its sender did not see.
func TestExchangeGives(t *testing.T) {
	t.Parallel()
	a, r := newRaid(t), rand.New(rand.NewPCG(5, 11))
	there := []string{"Patient/ada", "Patient/ben", "Observation/pulse", "Observation/child", "Observation/bens", "Observation/nopat", "Observation/restricted", "Binary/letter", "DocumentReference/filed", "Task/errand"}
	self := selves()
	callers := slices.Sorted(maps.Keys(self))
	before := map[string]map[string]bool{}
	for _, who := range callers {
		before[who] = a.sees(who, there)
	}
	carried := 0
	for range 1500 {
		sender := callers[r.IntN(len(callers))]
		x := a.by(sender, request{method: "POST", path: "/fhir", body: strings.ReplaceAll(gamble(r, there), `"ME"`, `"`+self[sender]+`"`)})
		if x.status != http.StatusOK {
			continue
		}
		carried++
		knew := before[sender]
		for _, who := range callers {
			now := a.sees(who, there)
			for _, of := range there {
				if now[of] && !before[who][of] && !knew[of] {
					t.Errorf("%s sees %s by what %s has sent:\n%s", who, of, sender, x)
				}
			}
			before[who] = now
		}
	}
	if carried < 50 {
		t.Errorf("only %d transactions were carried out", carried)
	}
	t.Logf("%d transactions were carried out", carried)
}

// await returns the answer to a request that is performed later.
func (a *raid) await(who, job string) (x exchange) {
	a.Helper()
	until(a.T, "the answer of a job", func() bool {
		x = a.by(who, request{method: "GET", path: job})
		return x.status != http.StatusAccepted && x.status != http.StatusTooManyRequests
	})
	return x
}

// TestLaterAnswerAsksAgain: the answer to a request that was performed later is given to
// who may read it when they fetch it, by the token that they come with.
func TestLaterAnswerAsksAgain(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	later := func(who, path string) string {
		x := a.wants(202, who, request{method: "GET", path: path, headers: [][2]string{{"Prefer", "respond-async"}}})
		return x.header.Get("Content-Location")
	}
	job := later(doctor, "/fhir/Observation?_include=Observation:subject")
	if x := a.await(doctor, job); x.status != 200 || !strings.Contains(x.answer, `"id":"child"`) {
		t.Fatal(x)
	}
	for who, status := range map[string]int{
		doctor: 200,
		"practitioner grace user/Observation.s user/Patient.s":                  200,
		"practitioner grace user/Observation.rs":                                403,
		"practitioner grace user/Observation.rs?status=amended user/Patient.rs": 403,
		"practitioner grace user/Basic.cruds":                                   403,
		surgeon:                                                                 404,
		everybody:                                                               404,
	} {
		a.wants(status, who, request{method: "GET", path: job})
	}
	only := func(o string) string {
		return "client both organizations=practice,hospital only=" + o + " system/*.cruds"
	}
	theirs := later(only("practice"), "/fhir/Observation")
	a.await(only("practice"), theirs)
	a.wants(403, only("hospital"), request{method: "GET", path: theirs})
	trail := later(everybody, "/fhir/AuditEvent")
	a.await(everybody, trail)
	a.wants(200, everybody, request{method: "GET", path: trail})

	a.put(`{"resourceType":"Patient","id":"ada","managingOrganization":{"reference":"Organization/other"}}`)
	a.wants(403, doctor, request{method: "GET", path: job})
}

// TestTransactionReadsLittle: what the entries of one small transaction read together is
// bounded, as all of it is held at once.
func TestTransactionReadsLittle(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	entries := make([]string, 1000)
	for i := range entries {
		entries[i] = `POST Basic {"resourceType":"Basic","code":{"text":"x"}}`
	}
	a.wants(200, chart, request{method: "POST", path: "/fhir", body: bundled("transaction", entries...)})
	read := func(n int) request {
		all := []string{`POST Flag {"resourceType":"Flag","status":"active","code":{"text":"x"},"subject":{"reference":"Patient/ada"}}`}
		for range n {
			all = append(all, "GET Basic?_count=1000")
		}
		return request{method: "POST", path: "/fhir", body: bundled("transaction", all...)}
	}
	a.wants(200, chart, read(5))
	a.wants(413, chart, read(100))
	if x := a.wants(200, chart, request{method: "GET", path: "/fhir/Flag?_summary=count"}); !strings.Contains(x.answer, `"total":1`) {
		t.Errorf("what was refused is stored: %s", x)
	}
}

// TestSubscriptionKeepsItsAccess: who sees more, and only switches somebody's subscription
// on or tags it, has nothing of what they see sent to that one's endpoint.
func TestSubscriptionKeepsItsAccess(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	var mu sync.Mutex
	var got []string
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.URL.Path)
	}))
	t.Cleanup(endpoint.Close)
	x := a.wants(201, chart, request{method: "POST", path: "/fhir/Subscription", body: `{"resourceType":"Subscription","status":"requested","reason":"x","criteria":"Observation?status=final",
		"channel":{"type":"rest-hook","endpoint":"` + endpoint.URL + `","payload":"application/fhir+json"}}`})
	path := strings.TrimPrefix(x.header.Get("Location"), strings.TrimSuffix(a.base, "/fhir"))
	path, _, _ = strings.Cut(path, "/_history")
	active := func() bool {
		return strings.Contains(a.by(everybody, request{method: "GET", path: path}).answer, `"status":"active"`)
	}
	told := func(id string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(got, " "), "/Observation/"+id)
		}
	}
	until(t, "the subscription is active", active)
	for i, change := range []request{
		{method: "PATCH", path: path, body: `[{"op":"replace","path":"/reason","value":"y"}]`},
		{method: "POST", path: path + "/$meta-add", body: `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`},
		{method: "PATCH", path: path, body: `[{"op":"replace","path":"/status","value":"requested"}]`},
	} {
		a.wants(200, everybody, change)
		until(t, "the subscription is active again", active)
		for _, of := range []string{"ben", "ada"} {
			a.put(fmt.Sprintf(`{"resourceType":"Observation","id":"new-%s-%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/%[1]s"}}`, of, i))
		}
		until(t, "its owner is told", told(fmt.Sprintf("new-ada-%d", i)))
	}
	if told("new-ben")() {
		t.Errorf("it tells what its owner does not see: %v", got)
	}
}

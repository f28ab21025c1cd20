package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// A bundle is a Bundle as tests send and read it.
type bundle struct {
	ResourceType string        `json:"resourceType"`
	Type         string        `json:"type"`
	Total        int           `json:"total,omitempty"`
	Entry        []bundleEntry `json:"entry"`
}

type bundleEntry struct {
	FullURL  string            `json:"fullUrl,omitempty"`
	Resource json.RawMessage   `json:"resource,omitempty"`
	Request  map[string]string `json:"request,omitempty"`
	Response *bundleResponse   `json:"response,omitempty"`
}

type bundleResponse struct {
	Status, Location, ETag string
	Outcome                json.RawMessage
}

// text returns b as JSON.
func (b *bundle) text(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sendTo sends a request to target, which must be answered with the given status.
func sendTo(t *testing.T, target *subject, status int, r request) exchange {
	t.Helper()
	x, err := r.send(http.DefaultClient, target.base)
	if err != nil {
		t.Fatal(err)
	}
	if x.status != status {
		t.Fatalf("%s %s: %d, want %d: %.2000s", r.method, r.path, x.status, status, x.answer)
	}
	return x
}

// carryOut sends b and returns what it is answered with.
func carryOut(t *testing.T, target *subject, b *bundle, headers ...[2]string) *bundle {
	t.Helper()
	x := sendTo(t, target, 200, request{"POST", "/fhir", headers, b.text(t)})
	var answer bundle
	if err := json.Unmarshal([]byte(x.answer), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Type != b.Type+"-response" || len(answer.Entry) != len(b.Entry) {
		t.Fatalf("a %s with %d entries for a %s with %d", answer.Type, len(answer.Entry), b.Type, len(b.Entry))
	}
	return &answer
}

// synthea returns some of Synthea's Bundles.
func synthea(t *testing.T, n int) []*bundle {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(shared(), "suites", "synthea", "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Skipf("the patients of Synthea are not here (set OPENCONSULT_SHARED): %v", err)
	}
	var all []*bundle
	for _, name := range names[:n] {
		b := &bundle{}
		if err := unpacked(t, name).Decode(b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// TestBundleSynthea stores patients with all that belongs to them. What is there
// afterwards is what was sent, but for references, of which each leads to the entry
// that it was for.
func TestBundleSynthea(t *testing.T) {
	t.Parallel()
	target := serve(t)
	counts := map[string]int{}
	for _, sent := range synthea(t, 2) {
		answer := carryOut(t, target, sent)
		var links []string
		get := &bundle{ResourceType: "Bundle", Type: "batch"}
		for i, e := range sent.Entry {
			r := answer.Entry[i].Response
			if r == nil || r.Status != "201 Created" || r.ETag != `W/"1"` {
				t.Fatalf("entry %d: %+v", i, r)
			}
			at := strings.TrimSuffix(strings.TrimPrefix(r.Location, target.base+"/"), "/_history/1")
			links = append(links, `"`+e.FullURL+`"`, `"`+at+`"`)
			get.Entry = append(get.Entry, bundleEntry{Request: map[string]string{"method": "GET", "url": at}})
			counts[keyOf(t, e.Resource).Type]++
		}
		local := strings.NewReplacer(links...)
		for i, e := range carryOut(t, target, get).Entry {
			want := bareOf(t, []byte(local.Replace(string(sent.Entry[i].Resource))))
			if got := bareOf(t, e.Resource); !reflect.DeepEqual(got, want) {
				t.Errorf("entry %d was stored as\n%v\nand not as\n%v", i, got, want)
			}
			if bytes.Contains(e.Resource, []byte(`"reference":"urn:`)) {
				t.Errorf("entry %d: a reference was not resolved: %s", i, e.Resource)
			}
		}
	}
	for typ, n := range counts {
		x := sendTo(t, target, 200, request{method: "GET", path: "/fhir/" + typ + "?_summary=count"})
		if total := plain(x.tree.(map[string]any)["total"]); total != strconv.Itoa(n) {
			t.Errorf("there are %s %ss, want %d", total, typ, n)
		}
	}
}

// bareOf returns a resource without what a server gives it. Numbers keep their
// digits.
func bareOf(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var r map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	delete(r, "id")
	if meta, ok := r["meta"].(map[string]any); ok {
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(r, "meta")
		}
	}
	return r
}

// TestBundleAgain sends a patient again, by ids of the client and by criteria: nothing
// new comes of it.
func TestBundleAgain(t *testing.T) {
	t.Parallel()
	target := serve(t)
	sent := synthea(t, 1)[0]
	conditional := 0
	for i := range sent.Entry {
		e := &sent.Entry[i]
		var r struct{ Identifier any }
		if err := json.Unmarshal(e.Resource, &r); err != nil {
			t.Fatal(err)
		}
		k := keyOf(t, e.Resource)
		identifier := regexp.MustCompile(`"identifier":\s*\[\s*\{\s*"system":\s*"([^"]+)",\s*"value":\s*"([^"]+)"`).FindSubmatch(e.Resource)
		if identifier != nil && i%2 == 0 {
			conditional++
			e.Request["ifNoneExist"] = "identifier=" + string(identifier[1]) + "|" + string(identifier[2])
			continue
		}
		e.Request = map[string]string{"method": "PUT", "url": k.String()}
	}
	if conditional == 0 {
		t.Fatal("no entry has an identifier")
	}
	first, again := carryOut(t, target, sent), carryOut(t, target, sent)
	for i := range sent.Entry {
		a, b := first.Entry[i].Response, again.Entry[i].Response
		if a.Status != "201 Created" || b.Status != "200 OK" || a.Location != b.Location || b.ETag != `W/"1"` {
			t.Errorf("entry %d: %+v, then %+v", i, a, b)
		}
	}
	x := sendTo(t, target, 200, request{method: "GET", path: "/fhir/_history?_count=1000"})
	if entries, err := find(x.tree, "entry[*]"); err != nil || len(entries) != len(sent.Entry) {
		t.Errorf("there are %d versions of %d resources, %v", len(entries), len(sent.Entry), err)
	}
}

// TestBundleExamples sends the Bundles of requests that R4 shows.
func TestBundleExamples(t *testing.T) {
	t.Parallel()
	target := serve(t)
	all := map[string]*bundle{}
	for lines := unpacked(t, filepath.Join(shared(), "r4", "examples.ndjson.gz")); lines.More(); {
		var text json.RawMessage
		if err := lines.Decode(&text); err != nil {
			t.Fatal(err)
		}
		// One has a part of an extension by a name that its definition does not know.
		text = bytes.ReplaceAll(text, []byte(`"url": "uri"`), []byte(`"url": "url"`))
		var b bundle
		if k := keyOf(t, text); k.Type == "Bundle" && json.Unmarshal(text, &b) == nil {
			all[k.ID] = &b
		}
	}
	for _, id := range []string{"bundle-request-medsallergies", "bundle-request-simplesummary", "hla-1"} {
		for i, e := range carryOut(t, target, all[id]).Entry {
			if all[id].Type == "transaction" && e.Response.Status != "201 Created" {
				t.Errorf("%s: entry %d: %+v", id, i, e.Response)
			}
		}
	}
	// It has an operation that is not served.
	b := all["bundle-transaction"]
	x := sendTo(t, target, 400, request{method: "POST", path: "/fhir", body: b.text(t)})
	if at, err := find(x.tree, "issue[*].expression[*]"); err != nil || fmt.Sprint(at) != "[Bundle.entry[7].request.url]" {
		t.Errorf("problems at %v", at)
	}
	b.Entry = append(b.Entry[:7], b.Entry[8:]...)
	// It demands version 2 of one patient, and that another is there.
	for _, body := range []string{`{"resourceType":"Patient","id":"123a"}`, `{"resourceType":"Patient","id":"123a","active":true}`, `{"resourceType":"Patient","id":"12334"}`} {
		k := keyOf(t, []byte(body))
		if x, err := (request{method: "PUT", path: "/fhir/" + k.String(), body: body}).send(http.DefaultClient, target.base); err != nil || x.status > 201 {
			t.Fatal(err, x.answer)
		}
	}
	var got []string
	for _, e := range carryOut(t, target, b).Entry {
		got = append(got, e.Response.Status[:3])
	}
	if want := "[201 201 201 201 200 204 204 200 200]"; fmt.Sprint(got) != want {
		t.Errorf("the statuses are %v, want %s", got, want)
	}
	// Its entries are addressed to another server.
	x = sendTo(t, target, 400, request{method: "POST", path: "/fhir", body: all["ussg-fht"].text(t)})
	if at, err := find(x.tree, "issue[*].expression[*]"); err != nil || len(at) != len(all["ussg-fht"].Entry) {
		t.Errorf("problems at %v", at)
	}
}

// TestBundleBounds sends what is more than a server takes.
func TestBundleBounds(t *testing.T) {
	t.Parallel()
	target := serveWith(t, api.Config{Limits: api.Limits{Bundle: 1 << 20}})
	entry := `{"request":{"method":"GET","url":"metadata"}}`
	for n, status := range map[int]int{10_001: 413, 30_000: 413} {
		body := `{"resourceType":"Bundle","type":"batch","entry":[` + entry + strings.Repeat(","+entry, n-1) + `]}`
		x := sendTo(t, target, status, request{method: "POST", path: "/fhir", body: body})
		if code, err := find(x.tree, "issue[*].code"); err != nil || fmt.Sprint(code) != "["+map[bool]string{true: "too-costly", false: "too-long"}[n < 20_000]+"]" {
			t.Errorf("%d entries: %.300s", n, x.answer)
		}
	}
}

// TestBundleCrowd has many send transactions about the same resources at once, far
// more than there are connections to the database: all are carried out.
func TestBundleCrowd(t *testing.T) {
	t.Parallel()
	target := serve(t)
	const crowd, common = 128, 5
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: crowd}}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for n := range crowd {
		group.Go(func() {
			b := &bundle{ResourceType: "Bundle", Type: "transaction"}
			for i := range common {
				id := strconv.Itoa((i*7 + n) % common)
				b.Entry = append(b.Entry, bundleEntry{Resource: json.RawMessage(`{"resourceType":"Patient","id":"` + id + `","name":[{"family":"Writer ` + strconv.Itoa(n) + `"}]}`), Request: map[string]string{"method": "PUT", "url": "Patient/" + id}})
			}
			b.Entry = append(b.Entry, bundleEntry{Resource: json.RawMessage(`{"resourceType":"Organization","name":"one"}`), Request: map[string]string{"method": "POST", "url": "Organization", "ifNoneExist": "name=one"}})
			x, err := request{"POST", "/fhir", nil, b.text(t)}.send(client, target.base)
			for err == nil && x.status == http.StatusServiceUnavailable {
				x, err = x.request.send(client, target.base)
			}
			if err != nil || x.status != 200 {
				t.Errorf("writer %d: %d %v: %s", n, x.status, err, x.answer)
			}
		})
	}
	group.Wait()
	x := sendTo(t, target, 200, request{method: "GET", path: "/fhir/Patient"})
	names := map[string]bool{}
	families, err := find(x.tree, "entry[*].resource.name[0].family")
	if err != nil || len(families) != common {
		t.Fatalf("there are %v, %v", families, err)
	}
	for _, f := range families {
		names[plain(f)] = true
	}
	if len(names) != 1 {
		t.Errorf("the patients are of several transactions: %v", names)
	}
	versions, err := find(x.tree, "entry[*].resource.meta.versionId")
	for _, v := range versions {
		if plain(v) != strconv.Itoa(crowd) {
			t.Errorf("a patient has %s versions, want %d, %v", plain(v), crowd, err)
		}
	}
	if x := sendTo(t, target, 200, request{method: "GET", path: "/fhir/Organization?name=one&_summary=count"}); !strings.Contains(x.answer, `"total":1,`) {
		t.Errorf("not one organisation: %s", x.answer)
	}
}

// TestBundleRepeatedAtOnce has many send the same at once under one key. Who does not
// get the answer is told to come again, and gets it then.
func TestBundleRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	target := serve(t)
	for _, r := range []request{
		{"POST", "/fhir/Patient", [][2]string{{"Idempotency-Key", "single"}}, `{"resourceType":"Patient","name":[{"family":"Single"}]}`},
		{"POST", "/fhir", [][2]string{{"Idempotency-Key", "several"}, {"Prefer", "return=representation"}}, `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","name":[{"family":"Several"}]},"request":{"method":"POST","url":"Patient"}},{"request":{"method":"GET","url":"Patient?family=several"}}]}`},
	} {
		answers := make([]exchange, 16)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				for {
					x, err := r.send(http.DefaultClient, target.base)
					if err != nil {
						t.Error(err)
						return
					}
					answers[i] = x
					if x.status != http.StatusConflict {
						return
					}
					if x.header.Get("Retry-After") == "" || !strings.Contains(x.answer, "request-in-flight") {
						t.Errorf("refused without saying when to come again: %s", x.answer)
						return
					}
				}
			})
		}
		group.Wait()
		first := 0
		for _, x := range answers {
			if x.header.Get("Idempotent-Replay") == "" {
				first++
			}
			if x.status >= 300 || x.answer != answers[0].answer || x.header.Get("ETag") != answers[0].header.Get("ETag") || x.header.Get("Location") != answers[0].header.Get("Location") {
				t.Errorf("%d %v %s\nand not %d %v %s", x.status, x.header, x.answer, answers[0].status, answers[0].header, answers[0].answer)
			}
		}
		if first != 1 {
			t.Errorf("%s: %d are told that they were the first", r.headers[0][1], first)
		}
	}
	if x := sendTo(t, target, 200, request{method: "GET", path: "/fhir/Patient?_summary=count"}); !strings.Contains(x.answer, `"total":2,`) {
		t.Errorf("not two patients: %s", x.answer)
	}
}

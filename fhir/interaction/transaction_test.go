package interaction_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// request returns the entry of "POST Patient", "PUT Patient/1", "PUT Patient?name=x",
// "GET Patient/1/_history/2" and so on, with a resource if body is not empty. A POST
// with criteria is a conditional create.
func request(t testing.TB, line, body string) interaction.Entry {
	t.Helper()
	method, url, _ := strings.Cut(line, " ")
	path, criteria, conditional := strings.Cut(url, "?")
	e := interaction.Entry{Method: method, Criteria: criteria, Conditional: conditional}
	path, version, _ := strings.Cut(path, "/_history/")
	e.Key.Type, e.Key.ID, _ = strings.Cut(path, "/")
	switch {
	case method == "PATCH":
		e.Patch = &interaction.Change{JSON: []byte(body)}
	case method == "GET" && conditional:
		e.Criteria, e.Conditional = "", false
		p := typedPage(e.Key.Type, criteria)
		e.Reading = &interaction.Reading{Page: &p}
	case method == "GET" || method == "HEAD":
		e.Reading = &interaction.Reading{}
		fmt.Sscan(version, &e.Reading.Version)
	case body != "":
		e.Resource = decode(t, body)
	}
	return e
}

// named returns the entry of a request with a fullUrl.
func named(t testing.TB, url, line, body string) interaction.Entry {
	e := request(t, line, body)
	e.FullURL = url
	return e
}

func bundle(entries ...interaction.Entry) interaction.Bundle {
	return interaction.Bundle{Entries: entries}
}

// stored returns the stored form of the current version of a resource, "" for none.
func (w *world) stored(k fhir.Key) string {
	w.t.Helper()
	v, err := w.trusted.Read(w.t.Context(), k)
	if err != nil {
		return ""
	}
	return string(v.Stored)
}

// TestLinks names entries by one another in all ways there are.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Patient","id":"known","identifier":[{"system":"urn:x","value":"known"}]}`)
	got, err := w.trusted.Transaction(t.Context(), bundle(
		named(t, "urn:uuid:00000000-0000-4000-8000-000000000001", "POST Patient",
			`{"resourceType":"Patient","link":[{"other":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002"},"type":"seealso"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"urn:uuid:00000000-0000-4000-8000-000000000002\">b</a></div>"}}`),
		named(t, "urn:uuid:00000000-0000-4000-8000-000000000002", "POST Patient",
			`{"resourceType":"Patient","link":[{"other":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"type":"seealso"}]}`),
		named(t, "http://elsewhere/fhir/Observation/o", "POST Observation",
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001/_history/7"},"hasMember":[{"reference":"Observation/p"},{"reference":"Observation/p/_history/9"},{"reference":"http://elsewhere/fhir/Observation/p"},{"reference":"Observation/q"}],"focus":[{"reference":"Patient?identifier=urn:x|known"},{"reference":"Patient/a"}]}`),
		named(t, "http://elsewhere/fhir/Observation/p", "PUT Observation/put", `{"resourceType":"Observation","id":"put","status":"final","code":{"text":"x"}}`),
		named(t, "urn:oid:1.2.3", "POST Patient?identifier=urn:x|known", `{"resourceType":"Patient"}`),
		named(t, "urn:oid:1.2.4", "PUT Patient?identifier=urn:x|new", `{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"new"}]}`),
		request(t, "POST Group", `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"urn:oid:1.2.3"}},{"entity":{"reference":"urn:oid:1.2.4"}},{"entity":{"reference":"Patient?identifier=urn:x|new"}},{"entity":{"reference":"urn:oid:1.2.3/_history/1"}}]}`),
	))
	if err != nil {
		t.Fatal(err)
	}
	one, two, made := got[0].Key.String(), got[1].Key.String(), got[5].Key.String()
	for _, tt := range []struct {
		in   int
		want []string
	}{
		{0, []string{`"reference":"` + two + `"`, `href=\"` + two + `\"`}},
		{1, []string{`"reference":"` + one + `"`}},
		{2, []string{`"reference":"` + one + `/_history/1"`, `"hasMember":[{"reference":"Observation/put"},{"reference":"Observation/put/_history/1"},{"reference":"Observation/put"},{"reference":"Observation/q"}]`, `"focus":[{"reference":"Patient/known"},{"reference":"Patient/a"}]`}},
		{6, []string{`[{"entity":{"reference":"Patient/known"}},{"entity":{"reference":"` + made + `"}},{"entity":{"reference":"` + made + `"}},{"entity":{"reference":"Patient/known/_history/1"}}]`}},
	} {
		text := w.stored(got[tt.in].Key)
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("entry %d: %s\nhas no %s", tt.in, text, want)
			}
		}
	}
	again, err := w.trusted.Transaction(t.Context(), bundle(
		request(t, "PUT Observation/put", `{"resourceType":"Observation","id":"put","status":"amended","code":{"text":"x"}}`),
		request(t, "PUT Patient/a", w.stored(key("Patient/a"))),
		request(t, "POST Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"hasMember":[{"reference":"Observation/put/_history/1"}],"focus":[{"reference":"Patient/a/_history/9"}]}`),
	))
	if err != nil {
		t.Fatal(err)
	}
	if text := w.stored(again[2].Key); !strings.Contains(text, `"Observation/put/_history/2"`) || !strings.Contains(text, `"Patient/a/_history/1"`) || again[0].Number != 2 || again[1].Outcome != store.Unchanged {
		t.Errorf("versions that are named: %s", text)
	}
	if got[4].Outcome != store.Unchanged || got[4].Key != key("Patient/known") || got[5].Outcome != store.Created {
		t.Errorf("conditional entries: %+v, %+v", got[4], got[5])
	}
}

// TestTransactionRefusals sends what fails as a whole: nothing is stored, and the
// Outcome names the entries.
func TestTransactionRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"twin1", "twin2"} {
		w.put(`{"resourceType":"Patient","id":"` + id + `","identifier":[{"system":"urn:x","value":"twin"}]}`)
	}
	doctor, trusted := w.as(w.doctor("a")), w.trusted
	good := request(t, "POST Patient", `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/a"},"name":[{"family":"Nobody"}]}`)
	matching := func(e interaction.Entry, expect store.Expect) interaction.Entry { e.Expect = expect; return e }
	for _, tt := range []struct {
		what    string
		by      *interaction.Session
		entries []interaction.Entry
		class   fhir.Class
		at      string // expressions, one behind the other
	}{
		{"a version that is not current", trusted, []interaction.Entry{matching(request(t, "PUT Patient/a", `{"resourceType":"Patient","id":"a"}`), 7)}, fhir.Stale, "Bundle.entry[1].request.ifMatch"},
		{"a version that is not current, of others", doctor, []interaction.Entry{matching(request(t, "DELETE Observation/a", ``), 7)}, fhir.Stale, "Bundle.entry[1].request.ifMatch"},
		{"one resource twice", trusted, []interaction.Entry{request(t, "DELETE Patient/b", ``), request(t, "PUT Patient/b", `{"resourceType":"Patient","id":"b"}`)}, fhir.BadRequest, "Bundle.entry[2].request.url"},
		{"one resource twice by criteria", trusted, []interaction.Entry{request(t, "DELETE Patient?_id=b", ``), request(t, "PUT Patient/b", `{"resourceType":"Patient","id":"b"}`)}, fhir.BadRequest, "Bundle.entry[2].request.url"},
		{"two creations by one criterion", trusted, []interaction.Entry{request(t, "POST Patient?identifier=z", `{"resourceType":"Patient"}`), request(t, "POST Patient?identifier=z", `{"resourceType":"Patient"}`)}, fhir.BadRequest, "Bundle.entry[2].request.url"},
		{"criteria that find two", trusted, []interaction.Entry{request(t, "DELETE Patient?identifier=twin", ``)}, fhir.Stale, "Bundle.entry[1].request.url"},
		{"a reference that finds two", trusted, []interaction.Entry{request(t, "POST Group", `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"Patient?identifier=twin"}}]}`)}, fhir.Stale, "Bundle.entry[1].resource"},
		{"a reference that finds none", trusted, []interaction.Entry{request(t, "POST Group", `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"Patient?identifier=none"}}]}`)}, fhir.BadRequest, "Bundle.entry[1].resource"},
		{"a reference that finds what one does not see", doctor, []interaction.Entry{request(t, "POST Observation", strings.Replace(observation("x", "a"), "Patient/a", "Patient?_id=b", 1))}, fhir.BadRequest, "Bundle.entry[1].resource"},
		{"what one may not write", doctor, []interaction.Entry{request(t, "POST Observation", observation("x", "b")), request(t, "POST Organization", `{"resourceType":"Organization","name":"x"}`)}, fhir.Denied, "Bundle.entry[1].resource Bundle.entry[2].resource"},
		{"what one does not see", doctor, []interaction.Entry{request(t, "PUT Observation/b", observation("b", "a")), request(t, "DELETE Observation/none", ``)}, fhir.Unknown, "Bundle.entry[1].request.url Bundle.entry[2].request.url"},
		{"a patch that does not fit", trusted, []interaction.Entry{request(t, "PATCH Patient/a", `[{"op":"remove","path":"/nonsense"}]`)}, fhir.Unprocessable, "Bundle.entry[1].request.url"},
		{"an id that is another one", trusted, []interaction.Entry{request(t, "PUT Patient/a", `{"resourceType":"Patient","id":"c"}`)}, fhir.BadRequest, "Bundle.entry[1].resource.id"},
		{"to read what is not there", trusted, []interaction.Entry{request(t, "GET Patient/none", ``)}, fhir.Unknown, "Bundle.entry[1].request.url"},
		{"to search by nonsense", trusted, []interaction.Entry{request(t, "GET Patient?nonsense=1", ``)}, fhir.BadRequest, "Bundle.entry[1].request.url"},
		{"a fullUrl twice", trusted, []interaction.Entry{named(t, "urn:oid:1.2", "POST Patient", `{"resourceType":"Patient"}`), named(t, "urn:oid:1.2", "POST Patient", `{"resourceType":"Patient"}`)}, fhir.BadRequest, "Bundle.entry[2].fullUrl"},
	} {
		_, err := tt.by.Transaction(t.Context(), bundle(append([]interaction.Entry{good}, tt.entries...)...))
		refused(t, tt.what, err, tt.class)
		if o := fhir.AsOutcome(err); o != nil {
			var at []string
			for _, is := range o.Issues {
				at = append(at, is.Expression)
			}
			if got := strings.Join(at, " "); got != tt.at {
				t.Errorf("%s: at %s, want %s", tt.what, got, tt.at)
			}
		}
		found(t, trusted, "Patient?family=Nobody", "")
	}
}

// TestTransactionOrder performs entries in the order of R4, whatever their own is, and
// answers in theirs.
func TestTransactionOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Patient","id":"old","name":[{"family":"Order"}]}`)
	got, err := w.trusted.Transaction(t.Context(), bundle(
		request(t, "GET Patient?family=Order", ""),
		request(t, "GET Patient/a", ""),
		request(t, "GET Patient/a/_history/1", ""),
		request(t, "GET Patient/a/_history/2", ""),
		request(t, "PATCH Patient/a", `[{"op":"add","path":"/name/0/given","value":["New"]}]`),
		request(t, "PUT Patient/put", `{"resourceType":"Patient","id":"put","name":[{"family":"Order"}]}`),
		request(t, "POST Patient", `{"resourceType":"Patient","name":[{"family":"Order"}]}`),
		request(t, "DELETE Patient/old", ""),
	))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range got[0].Found.Versions {
		names = append(names, v.Key.ID)
	}
	if want := []string{"put", got[6].Key.ID}; len(names) != 2 || !strings.Contains(strings.Join(names, " "), want[0]) || !strings.Contains(strings.Join(names, " "), want[1]) {
		t.Errorf("the search sees %v, want %v", names, want)
	}
	if got[1].Number != 2 || !strings.Contains(string(got[1].Stored), "New") || got[2].Number != 1 || got[3].Number != 2 {
		t.Errorf("the reads see versions %d, %d, %d, want 2, 1, 2", got[1].Number, got[2].Number, got[3].Number)
	}
	for i, want := range []store.Outcome{0, 0, 0, 0, store.Updated, store.Created, store.Created, store.Removed} {
		if got[i].Outcome != want || got[i].Read != (i < 4) {
			t.Errorf("entry %d: outcome %d, want %d", i, got[i].Outcome, want)
		}
	}
}

// TestTransactionSees lets what a transaction creates be seen by its other entries.
func TestTransactionSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	patient := func(org string) interaction.Entry {
		return named(t, "urn:uuid:00000000-0000-4000-8000-000000000001", "POST Patient", `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/`+org+`"}}`)
	}
	about := request(t, "POST Observation", strings.Replace(observation("x", "a"), "Patient/a", "urn:uuid:00000000-0000-4000-8000-000000000001", 1))
	team := request(t, "POST CareTeam", `{"resourceType":"CareTeam","status":"active","subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"participant":[{"member":{"reference":"Organization/c"}}]}`)
	binary := named(t, "urn:uuid:00000000-0000-4000-8000-000000000002", "POST Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}`)
	letter := request(t, "POST Communication", `{"resourceType":"Communication","status":"completed","sender":{"reference":"Practitioner/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentAttachment":{"url":"urn:uuid:00000000-0000-4000-8000-000000000002"}}]}`)
	for _, order := range [][]interaction.Entry{{patient("a"), about, team, binary, letter}, {letter, team, about, binary, patient("a")}} {
		got, err := doctor.Transaction(t.Context(), bundle(order...))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			if r.Hidden || r.Outcome != store.Created {
				t.Errorf("%s: %+v", r.Key, r)
			}
			_, err := doctor.Read(t.Context(), r.Key)
			done(t, "read "+r.Key.String(), err)
			_, err = w.as(w.doctor("b")).Read(t.Context(), r.Key)
			refused(t, "read by another practice", err, fhir.Unknown)
			if r.Key.Type == "Communication" || r.Key.Type == "Observation" || r.Key.Type == "Binary" {
				_, err = w.as(w.doctor("c")).Read(t.Context(), r.Key)
				done(t, "read by the hospital "+r.Key.String(), err)
			}
		}
	}
	_, err := doctor.Transaction(t.Context(), bundle(patient("b"), about))
	refused(t, "a Patient of another practice", err, fhir.Denied)
	_, err = doctor.Transaction(t.Context(), bundle(request(t, "POST CareTeam", `{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/b"},"participant":[{"member":{"reference":"Organization/a"}}]}`), request(t, "POST Observation", observation("x", "b"))))
	refused(t, "a team that gives itself a record", err, fhir.Denied)
}

// TestTransactionGives lets what a transaction gives away of what was there before be
// seen by its other entries.
func TestTransactionGives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Task","id":"asks","status":"requested","intent":"order","for":{"reference":"Patient/b"},"requester":{"reference":"Organization/b"},"owner":{"reference":"Organization/a"}}`)
	w.put(`{"resourceType":"Binary","id":"x","contentType":"text/plain","data":"YQ=="}`)
	w.put(`{"resourceType":"DocumentReference","id":"x","status":"current","subject":{"reference":"Patient/b"},"content":[{"attachment":{"url":"Binary/x"}}]}`)
	terms := w.doctor("a")
	terms.Roles = access.Administer
	doctor := w.as(terms)
	team := request(t, "POST CareTeam", `{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/b"},"participant":[{"member":{"reference":"Organization/a"}}]}`)
	ofRole := request(t, "POST CareTeam", `{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/b"},"participant":[{"member":{"reference":"urn:oid:1.2"}}]}`)
	role := named(t, "urn:oid:1.2", "POST PractitionerRole", `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/a"},"organization":{"reference":"Organization/a"}}`)
	for what, entry := range map[string]interaction.Entry{
		"a task about what is in a record":     request(t, "POST Task", `{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/b"},"focus":{"reference":"Observation/b"},"requester":{"reference":"Practitioner/a"},"owner":{"reference":"Organization/c"}}`),
		"an attachment of what is in a record": request(t, "POST Communication", `{"resourceType":"Communication","status":"completed","sender":{"reference":"Practitioner/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentAttachment":{"url":"Binary/x"}}]}`),
	} {
		_, err := doctor.Transaction(t.Context(), bundle(entry))
		refused(t, what, err, fhir.Unprocessable)
		got, err := doctor.Transaction(t.Context(), interaction.Bundle{Entries: []interaction.Entry{entry, team}, Dry: true})
		if err != nil || got[0].Outcome != store.Created {
			t.Errorf("%s, with a team: %v", what, err)
		}
		_, err = doctor.Transaction(t.Context(), interaction.Bundle{Entries: []interaction.Entry{entry, ofRole, role}, Dry: true})
		done(t, what+", with a team of a new role", err)
	}
}

// TestTransactionTakesAway attaches what the same transaction deletes.
func TestTransactionTakesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	made, err := doctor.Create(t.Context(), decode(t, `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}`))
	if err != nil {
		t.Fatal(err)
	}
	letter := request(t, "POST Communication", `{"resourceType":"Communication","status":"completed","sender":{"reference":"Practitioner/a"},"recipient":[{"reference":"Organization/c"}],"payload":[{"contentAttachment":{"url":"`+made.Key.String()+`"}}]}`)
	_, err = doctor.Transaction(t.Context(), bundle(letter, request(t, "DELETE "+made.Key.String(), "")))
	refused(t, "an attachment that is deleted", err, fhir.Unprocessable)
	_, err = doctor.Transaction(t.Context(), bundle(letter))
	done(t, "an attachment that is there", err)
}

// TestDryRun says what would happen, and lets none of it happen.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := bundle(
		request(t, "POST Patient", `{"resourceType":"Patient","name":[{"family":"Dry"}]}`),
		request(t, "PUT Patient/a", `{"resourceType":"Patient","id":"a","name":[{"family":"Dry"}]}`),
		request(t, "DELETE Patient/b", ""),
		request(t, "GET Patient?family=Dry", ""),
	)
	b.Dry = true
	for _, act := range []func() ([]interaction.Reply, error){
		func() ([]interaction.Reply, error) { return w.trusted.Transaction(t.Context(), b) },
		func() ([]interaction.Reply, error) { return w.trusted.Batch(t.Context(), b) },
	} {
		got, err := act()
		if err != nil || got[0].Outcome != store.Created || got[1].Outcome != store.Updated || got[1].Number != 2 || got[2].Outcome != store.Removed {
			t.Errorf("%+v, %v", got, err)
		}
		found(t, w.trusted, "Patient?family=Dry", "")
		if w.stored(key("Patient/b")) == "" {
			t.Error("Patient/b is deleted")
		}
	}
	b.Entries = append(b.Entries, request(t, "PATCH Patient/none", `[]`))
	_, err := w.trusted.Transaction(t.Context(), b)
	refused(t, "a patch of nothing", err, fhir.Unknown)
}

// TestPast loads what is finished.
func TestPast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	task := func(status string) interaction.Bundle {
		b := bundle(request(t, "POST Task", `{"resourceType":"Task","status":"`+status+`","intent":"order","for":{"reference":"Patient/a"}}`))
		b.Past = true
		return b
	}
	_, err := w.as(w.system(access.Administer)).Transaction(t.Context(), task("completed"))
	done(t, "a Task that is completed", err)
	_, err = w.trusted.Transaction(t.Context(), task("requested"))
	refused(t, "a Task that is not", err, fhir.Unprocessable)
	_, err = w.as(w.system(0)).Transaction(t.Context(), task("completed"))
	refused(t, "by who does not administer", err, fhir.Denied)
	replies, err := w.trusted.Batch(t.Context(), task("requested"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "a Task that is not, in a batch", replies[0].Err, fhir.Unprocessable)
}

// TestIdempotentReads keeps an answer that shows something, as long as it may be seen.
func TestIdempotentReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	b := bundle(request(t, "GET Observation/a", ""), request(t, "GET Observation?code:text=secret", ""), request(t, "DELETE Observation?identifier=none", ""))
	b.Receipt = &store.Receipt{Key: "k", Digest: []byte{1}}
	b.Compose = func(all []interaction.Reply) ([]byte, error) {
		return fmt.Appendf(nil, "%s %d %d", all[0].Stored, len(all[1].Found.Versions), all[2].Outcome), nil
	}
	if _, err := doctor.Transaction(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r, err := doctor.Received(t.Context(), "k", []byte{1})
	if want := w.stored(key("Observation/a")) + fmt.Sprintf(" 1 %d", store.Nothing); err != nil || string(r.Body) != want || r.Replies[2].Outcome != store.Nothing {
		t.Errorf("received %+v, %v; want %s", r, err, want)
	}
	nothing := bundle(request(t, "DELETE Observation?identifier=none", ""))
	nothing.Single, nothing.Receipt = true, &store.Receipt{Key: "nothing", Digest: []byte{1}}
	if _, err := doctor.Transaction(t.Context(), nothing); err != nil {
		t.Fatal(err)
	}
	if r, err := doctor.Received(t.Context(), "nothing", []byte{1}); err != nil || len(r.Replies) != 1 || r.Replies[0].Outcome != store.Nothing {
		t.Errorf("received %+v, %v", r, err)
	}
	w.put(strings.Replace(observation("a", "a"), `"status"`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},"status"`, 1))
	_, err = doctor.Received(t.Context(), "k", []byte{1})
	refused(t, "an answer that shows what is hidden now", err, fhir.Denied)
}

// TestIdempotencyKeysAreNotShared has tokens of one client use one key: each for other
// organisations, or with another patient in context.
func TestIdempotencyKeysAreNotShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	narrowed := func(patient string, organizations ...string) *interaction.Session {
		terms := w.system(0)
		terms.Organizations = organizations
		if patient != "" {
			terms.Patient = fhir.Key{Type: "Patient", ID: patient}
		}
		return w.as(terms)
	}
	b := bundle(request(t, "DELETE Observation?identifier=none", ""))
	b.Receipt = &store.Receipt{Key: "k", Digest: []byte{1}}
	for name, s := range map[string]*interaction.Session{
		"all": narrowed(""), "a": narrowed("", "a"), "b": narrowed("", "b"), "a and b": narrowed("", "a", "b"), "patient a": narrowed("a"), "patient b": narrowed("b"), "patient a of a": narrowed("a", "a"),
	} {
		if r, err := s.Received(t.Context(), "k", []byte{2}); r != nil || err != nil {
			t.Errorf("%s: received before it was sent: %+v, %v", name, r, err)
		}
		_, err := s.Transaction(t.Context(), b)
		done(t, name, err)
		if r, err := s.Received(t.Context(), "k", []byte{1}); r == nil || err != nil {
			t.Errorf("%s: not received: %v", name, err)
		}
	}
	if r, err := narrowed("", "b", "a", "b").Received(t.Context(), "k", []byte{1}); r == nil || err != nil {
		t.Errorf("the same organisations in another order: %v", err)
	}
	many := narrowed("", strings.Fields(strings.Repeat(strings.Repeat("o", 64)+" ", 500))...)
	_, err := many.Transaction(t.Context(), b)
	done(t, "many organisations", err)
}

// TestIdempotency sends requests again.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	b := bundle(request(t, "POST Observation", observation("x", "a")), request(t, "POST Observation?identifier=urn:x|1", observation("y", "a")), request(t, "DELETE Observation/none", ""))
	b.Entries = b.Entries[:2]
	for _, tt := range []struct {
		name    string
		entries []interaction.Entry
	}{{"straight", b.Entries[:1]}, {"conditional", b.Entries}} {
		b := bundle(tt.entries...)
		b.Receipt = &store.Receipt{Key: tt.name, Digest: []byte{1}, Asked: []byte("asked")}
		if r, err := doctor.Received(t.Context(), tt.name, []byte{1}); r != nil || err != nil {
			t.Fatalf("%s: received before it was sent: %+v, %v", tt.name, r, err)
		}
		first, err := doctor.Transaction(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := doctor.Transaction(t.Context(), b); err != store.ErrReceived {
			t.Errorf("%s: sent again: %v", tt.name, err)
		}
		r, err := doctor.Received(t.Context(), tt.name, []byte{1})
		if err != nil || string(r.Asked) != "asked" || len(r.Replies) != len(first) {
			t.Fatalf("%s: received: %+v, %v", tt.name, r, err)
		}
		for i, want := range first {
			got := r.Replies[i]
			if got.Key != want.Key || got.Number != want.Number || !got.Updated.Equal(want.Updated) || got.Outcome != want.Outcome || got.Hidden || string(got.Stored) != string(want.Stored) {
				t.Errorf("%s: entry %d: %+v, want %+v", tt.name, i, got, want)
			}
		}
		_, err = doctor.Received(t.Context(), tt.name, []byte{2})
		refused(t, "another body", err, fhir.Unprocessable)
		if r, err := w.as(w.doctor("b")).Received(t.Context(), tt.name, []byte{2}); r != nil || err != nil {
			t.Errorf("another person's key: %+v, %v", r, err)
		}
		w.put(strings.Replace(string(first[0].Stored), `"status"`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},"status"`, 1))
		if r, err = doctor.Received(t.Context(), tt.name, []byte{1}); err != nil || !r.Replies[0].Hidden || r.Replies[0].Stored != nil {
			t.Errorf("%s: what may not be read any more: %+v, %v", tt.name, r.Replies[0], err)
		}
	}
}

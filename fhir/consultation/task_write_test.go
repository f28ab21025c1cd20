package consultation

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// bundled returns the Tasks of a Bundle of the specification, with the links of entries
// that have a urn replaced as a transaction does it.
func bundled(t testing.TB, name string) []*fhir.Resource {
	t.Helper()
	var bundle struct {
		Entry []struct {
			FullURL  string
			Resource json.RawMessage
		}
	}
	if err := json.Unmarshal(sharedDomain(t, name), &bundle); err != nil {
		t.Fatal(err)
	}
	var tasks []*fhir.Resource
	links := map[string]string{}
	for i, e := range bundle.Entry {
		r, err := fhir.Decode("", e.Resource)
		if err != nil {
			t.Fatal(err)
		}
		links[e.FullURL] = r.Type() + "/new-" + string(rune('a'+i))
		if r.Type() == "Task" {
			tasks = append(tasks, r)
		}
	}
	for i := range tasks {
		r, err := fhir.Relink(tasks[i], func(url string) (string, bool) { to, ok := links[url]; return to, ok })
		if err != nil {
			t.Fatal(err)
		}
		tasks[i] = r
	}
	return tasks
}

func read(t testing.TB, r *fhir.Resource) Task {
	t.Helper()
	task, err := ReadTask(r, "https://fhir.openconsult.example/fhir")
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// TestAdviceHistory plays the versions of a Task of advice and guidance, as PUT by those who
// made them, and holds what is written against what the specification stores.
func TestAdviceHistory(t *testing.T) {
	t.Parallel()
	gp := Caller{Memberships: []Membership{{Of: fhir.Key{Type: "Organization", ID: "prac-1"}}}}
	cons := Caller{Memberships: []Membership{{Of: fhir.Key{Type: "Organization", ID: "hosp-1"}, Clinical: true}}}
	versions := bundled(t, "set-b-advice-guidance/ag-task-history.json")
	slices.Reverse(versions)
	var old *Task
	for i, r := range versions {
		if old != nil {
			r = due(t, r, old.root.Child("restriction"))
		}
		next := read(t, r)
		roles := RolesOf(next, cons)
		if i == 0 || i == 5 {
			roles = RolesOf(next, gp) // asks, and answers the question
		}
		f := allFacts(next.Status)
		d, err := Decide(old, next, roles, f)
		if err != nil {
			t.Fatalf("version %d by %s: %v", i+1, roles, err)
		}
		now, err := time.Parse(time.RFC3339, r.Root().Child("lastModified").Text())
		if err != nil {
			t.Fatal(err)
		}
		stored, err := d.Write(r, Stamp{Now: now, Thread: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := fhir.Decode("Task", stored)
		if err != nil {
			t.Fatal(err)
		}
		back := read(t, got)
		if p := (proposal{old: next, next: back}); len(p.changed()) > 0 || back.BusinessStatus != next.BusinessStatus {
			t.Errorf("version %d: %v differ in\n%s", i+1, p.changed(), stored)
		}
		old = &back
	}
}

// due returns r with another restriction: clients do not move the due time.
func due(t testing.TB, r *fhir.Resource, restriction fhir.Node) *fhir.Resource {
	t.Helper()
	doc, err := openDocument(r.Root())
	if err != nil {
		t.Fatal(err)
	}
	doc.set("restriction", restriction.Raw())
	if r, err = fhir.Decode("Task", doc.bytes()); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAdviceConverted plays the conversion, and makes the referral that comes of it.
func TestAdviceConverted(t *testing.T) {
	t.Parallel()
	versions := bundled(t, "set-b-advice-guidance/ag-task-history.json")
	old, put := read(t, versions[1]), bundled(t, "set-b-advice-guidance/ag-convert-transaction.json")[0]
	next := read(t, put)
	f := Facts{Now: moveNow, Match: MatchCurrent}
	_, err := Decide(&old, next, Owner|Clinician, f)
	if _, detail := detailOf(t, err); detail != "conversion-not-authorised" {
		t.Fatalf("%s", detail)
	}
	f.ConversionAuthorised = true
	d, err := Decide(&old, next, Owner|Clinician, f)
	if err != nil || d.Effect != TaskMoved || d.BusinessStatus != AdviceConverted {
		t.Fatalf("%+v, %v", d, err)
	}
	src, err := ConvertToReferral(put, next.Outputs[1].Target, moveNow)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Decode("Task", src)
	if err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	got := read(t, r)
	if got.Kind != Referral || got.Status != StatusRequested || got.Requester != next.Requester || got.Owner != next.Owner || got.For != next.For ||
		got.Thread != next.Thread || got.Focus != next.Outputs[1].Target || got.BusinessStatus != ProviderResponseRequired || got.Outputs != nil || got.Key.ID != "" {
		t.Errorf("%+v", got)
	}
	if part := r.Root().Child("partOf").Child("reference").Text(); part != "Task/ag-task-1" {
		t.Errorf("it is part of %q", part)
	}
	if d, err = Decide(nil, got, System, Facts{}); err != nil || d.Effect != TaskCreated {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestSamplesBegin(t *testing.T) {
	t.Parallel()
	ask := bundled(t, "set-b-advice-guidance/ag-create-transaction.json")[0]
	d, err := Decide(nil, read(t, ask), Requester, Facts{})
	if err != nil || d.Effect != TaskCreated || d.BusinessStatus != ProviderResponseRequired {
		t.Errorf("%+v, %v", d, err)
	}
	r, err := fhir.Decode("Task", sharedDomain(t, "set-c-messaging-sync/prescription-reissue-task.json"))
	if err != nil {
		t.Fatal(err)
	}
	task := read(t, r)
	roles := RolesOf(task, Caller{Persons: []fhir.Key{{Type: "Patient", ID: "pat-1"}}})
	if d, err = Decide(nil, task, roles, Facts{}); err != nil || d.Effect != TaskCreated {
		t.Fatalf("%+v, %v", d, err)
	}
	src, err := d.Write(r, Stamp{Now: moveNow, Thread: "th-1"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err = fhir.Decode("Task", src); err != nil {
		t.Fatal(err)
	}
	root := r.Root()
	if read(t, r).Thread != "th-1" || root.Child("authoredOn").Text() != root.Child("lastModified").Text() || !strings.HasPrefix(root.Child("authoredOn").Text(), "2026-03-02T09:00:00") {
		t.Errorf("%s", src)
	}
	if r, err = fhir.Decode("Task", sharedDomain(t, "set-a-consultation/expected-triage-task-for-02.json")); err != nil {
		t.Fatal(err)
	}
	task = read(t, r)
	if d, err = Decide(nil, task, System, Facts{}); err != nil || d.Effect != TaskCreated {
		t.Errorf("%+v, %v", d, err)
	}
	_, err = Decide(nil, task, RolesOf(task, Caller{Persons: []fhir.Key{{Type: "Patient", ID: "pat-1"}}}), Facts{})
	if _, detail := detailOf(t, err); detail != "invalid-transition" {
		t.Errorf("a patient made the Task: %s", detail)
	}
	task.Status = StatusDraft
	task.BusinessStatus = ""
	_, err = Decide(nil, task, Requester, Facts{})
	if _, detail := detailOf(t, err); detail != "immutable-element" {
		t.Errorf("a patient wrote what triage finds: %s", detail)
	}
}

// TestWriteKeeps: what is not the server's stays as it was written.
func TestWriteKeeps(t *testing.T) {
	t.Parallel()
	src := storedTask(StatusAccepted, `"lastModified"`, `"_lastModified":{"id":"x"},"lastModified"`, `"priority"`, "\n \"priority\"")
	r, _ := taskOf(t, src)
	d := Decision{Effect: TaskMoved, To: StatusOnHold, BusinessStatus: ReferrerToSubmitMore, kind: AdviceAndGuidance}
	got, err := d.Write(r, Stamp{Now: moveNow})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(`"_lastModified":{"id":"x"},`, "", "\n ", "", ProviderResponseRequired, ReferrerToSubmitMore,
		`"lastModified":"2026-03-01T09:00:00+00:00"`, `"lastModified":"`+dateTime(moveNow)+`"`).Replace(src)
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, e := range []Effect{0, TaskUnchanged, TaskForwarded} {
		if got, err = (Decision{Effect: e, kind: Abort}).Write(r, Stamp{}); got != nil || err != nil {
			t.Errorf("effect %d stores %s, %v", e, got, err)
		}
	}
	if got, _ = (Decision{Effect: TaskPlain}).Write(r, Stamp{}); string(got) != src {
		t.Errorf("plain FHIR became %s", got)
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	third := `"owner":{"reference":"Organization/third"}`
	old, was := taskOf(t, storedTask(StatusReceived, `"intent"`, `"statusReason":{"text":"x"},"intent"`))
	next, will := taskOf(t, strings.Replace(string(old.Source()), `"owner":{"reference":"Organization/hosp"}`, third, 1))
	d, err := Decide(&was, will, Owner, Facts{Match: MatchCurrent})
	if err != nil || d.Effect != TaskForwarded || d.To != StatusRejected {
		t.Fatalf("%+v, %v", d, err)
	}
	linkedSrc, closedSrc, err := Forward(old, next, moveNow)
	if err != nil {
		t.Fatal(err)
	}
	linkedResource, linked := taskOf(t, string(linkedSrc))
	closedResource, closed := taskOf(t, string(closedSrc))
	if linked.Kind != AdviceAndGuidance || linked.Status != StatusRequested || linked.Owner.ID != "third" || linked.Requester != was.Requester || linked.For != was.For ||
		linked.Thread != was.Thread || linked.Key.ID != "" || linked.Outputs != nil || linked.Reason || linked.BusinessStatus != ProviderResponseRequired || linked.Priority != was.Priority {
		t.Errorf("the new Task is %s", linkedSrc)
	}
	root := linkedResource.Root()
	if !root.Child("identifier").IsZero() || root.Child("restriction").IsZero() || root.Extension(TriageOutcomeURL).IsZero() ||
		root.Extension(TaskReplacesURL).Child("value").Child("reference").Text() != "Task/t1" {
		t.Errorf("the new Task is %s", linkedSrc)
	}
	if closed.Key.ID != "t1" || closed.Status != StatusRejected || closed.Owner != was.Owner || closed.BusinessStatus != ReferrerToReview ||
		codeIn(closedResource.Root().Child("statusReason"), ReasonSystem) != "forwarded" || len(closed.Outputs) != 1 {
		t.Errorf("the old Task is %s", closedSrc)
	}
	// Passing it on once more keeps one link.
	linkedResource, _ = taskOf(t, strings.Replace(string(linkedSrc), `"resourceType":"Task",`, `"resourceType":"Task","id":"t2",`, 1))
	again, _, err := Forward(linkedResource, next, moveNow)
	if err != nil || strings.Count(string(again), TaskReplacesURL) != 1 || !strings.Contains(string(again), "Task/t2") {
		t.Errorf("%s, %v", again, err)
	}

	for name, c := range map[string]struct {
		status Status
		owner  string
		more   [2]string
		roles  Roles
		within bool
		want   string
	}{
		"received":            {StatusReceived, third, [2]string{}, Owner, false, ""},
		"within":              {StatusAccepted, `"owner":{"reference":"PractitionerRole/c"}`, [2]string{}, Owner, true, ""},
		"within, requester":   {StatusAccepted, `"owner":{"reference":"PractitionerRole/c"}`, [2]string{}, Requester, true, "element-not-permitted-for-role"},
		"draft":               {StatusDraft, third, [2]string{}, Requester, false, ""},
		"draft, owner":        {StatusDraft, third, [2]string{}, Owner, false, "element-not-permitted-for-role"},
		"requester":           {StatusRequested, third, [2]string{}, Requester, false, "transition-not-permitted-for-role"},
		"accepted":            {StatusAccepted, third, [2]string{}, Owner, false, "invalid-transition"},
		"rejected":            {StatusRejected, third, [2]string{}, Owner, false, "invalid-transition"},
		"a person":            {StatusRequested, `"owner":{"reference":"Practitioner/x"}`, [2]string{}, Owner, false, "invalid-transition"},
		"nobody":              {StatusRequested, `"owner":{"display":"x"}`, [2]string{}, Owner, false, "owner-required"},
		"with something else": {StatusRequested, third, [2]string{`"urgent"`, `"stat"`}, Owner, false, "immutable-element"},
		"other kind":          {StatusRequested, third, [2]string{`"code":"advice-and-guidance"`, `"code":"abort"`}, Owner, false, "invalid-transition"},
	} {
		src := storedTask(c.status)
		if name == "other kind" {
			src = strings.Replace(src, c.more[0], c.more[1], 1)
		}
		_, was := taskOf(t, src)
		_, will := taskOf(t, strings.NewReplacer(`"owner":{"reference":"Organization/hosp"}`, c.owner, c.more[0]+",", c.more[1]+",").Replace(src))
		_, err := Decide(&was, will, c.roles, Facts{Match: MatchCurrent, OwnerWithin: c.within})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if _, detail := detailOf(t, err); detail != c.want {
			t.Errorf("%s: %s, want %s", name, detail, c.want)
		}
	}
	_, accepted := taskOf(t, strings.Replace(storedTask(StatusAccepted), `"owner":{"reference":"Organization/hosp"}`, third, 1))
	_, err = Decide(&was, accepted, Owner, Facts{Match: MatchCurrent})
	if _, detail := detailOf(t, err); detail != "invalid-transition" {
		t.Errorf("accepted for another: %s", detail)
	}
}

// FuzzDecide: no two Tasks make the rules panic, and what they let pass can be written.
func FuzzDecide(f *testing.F) {
	f.Add([]byte(storedTask(StatusRequested)), []byte(storedTask(StatusAccepted)), uint8(Owner))
	f.Add([]byte(storedTask(StatusCompleted)), []byte(storedTask(StatusInProgress)), uint8(Requester))
	f.Add([]byte(storedTask(StatusRequested)), []byte(storedTask(StatusRequested, "Organization/hosp", "Organization/x")), uint8(Owner))
	f.Add([]byte(`{"resourceType":"Task","status":"draft","intent":"order","_status":{"id":"x"}}`), []byte(`{"resourceType":"Task","_status":{"extension":[{"url":"u"}]},"intent":"order"}`), uint8(System))
	f.Add([]byte(storedTask(StatusDraft, `"priority":"urgent"`, `"_priority":{"id":"y"}`)), []byte(storedTask(StatusDraft, `"priority":"urgent"`, `"priority":"stat","_priority":{"id":"z"}`)), uint8(Requester))
	f.Fuzz(func(t *testing.T, before, after []byte, roles uint8) {
		r, err := fhir.Decode("Task", before)
		if err != nil {
			return
		}
		s, err := fhir.Decode("Task", after)
		if err != nil {
			return
		}
		old, err := ReadTask(r, "")
		if err != nil {
			return
		}
		next, err := ReadTask(s, "")
		if err != nil {
			return
		}
		for _, from := range []*Task{nil, &old} {
			d, err := Decide(from, next, Roles(roles), allFacts(next.Status))
			if err != nil {
				if fhir.AsOutcome(err) == nil {
					t.Fatal(err)
				}
				continue
			}
			src, err := d.Write(s, Stamp{Now: moveNow, Thread: "x"})
			if d.Effect == TaskForwarded {
				src, _, err = Forward(r, s, moveNow)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fhir.Decode("Task", src); src != nil && err != nil {
				t.Fatalf("%v in %s", err, src)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	_, old := taskOf(b, storedTask(StatusReceived))
	r, next := taskOf(b, storedTask(StatusAccepted))
	b.ReportAllocs()
	for b.Loop() {
		d, err := Decide(&old, next, Owner, Facts{Match: MatchCurrent})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Write(r, Stamp{Now: moveNow}); err != nil {
			b.Fatal(err)
		}
	}
}

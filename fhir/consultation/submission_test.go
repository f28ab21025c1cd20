package consultation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

var (
	patientOne = consultation.Party{Reference: "Patient/pat-1"}
	practice   = consultation.Party{Reference: "Organization/prac-1"}
)

// submission is that of a response of the example.
func submission(t testing.TB, name string) consultation.Submission {
	q, rules := form(t)
	r := read(t, "QuestionnaireResponse", sample(t, name))
	now := time.Date(2025, 11, 20, 9, 12, 32, 0, time.UTC)
	return consultation.Submission{
		Response: r, Form: q.Root(), Triage: rules.Evaluate(r.Root(), demoEnv()),
		Author:  consultation.Author{Writer: patientOne, Client: "app-1", ClientName: "An app"},
		Patient: patientOne, Owner: practice, Identity: consultation.IdentityVerified,
		Due: now.Add(30 * time.Minute), Now: now,
		IDs: consultation.SubmissionIDs{Response: "qr-02", Task: "cons-02", Acknowledgement: "ack-02", Receipt: "rcpt-02", Provenance: "prov-02",
			Version: "1", Thread: "7b2c9a52-0000-4000-8000-000000000002", Message: "7b2c9a52-0000-4000-8000-00000000000a"},
	}
}

func submit(t testing.TB, s consultation.Submission) consultation.Submitted {
	t.Helper()
	got, err := consultation.Submit(s)
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, got.All()...)
	return got
}

// TestExpectedTask holds the Task to the example.
func TestExpectedTask(t *testing.T) {
	t.Parallel()
	got := tree(t, submit(t, submission(t, "qr-valid-02-redflag-stat.json")).Task.JSON)
	want := tree(t, sample(t, "expected-triage-task-for-02.json"))
	meta := want["meta"].(object)
	delete(meta, "versionId")
	delete(meta, "lastUpdated")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSubmitted looks at what else is written.
func TestSubmitted(t *testing.T) {
	t.Parallel()
	got := submit(t, submission(t, "qr-valid-02-redflag-stat.json"))
	var types []string
	for _, a := range got.All() {
		types = append(types, a.Type)
	}
	if d := cmp.Diff([]string{"QuestionnaireResponse", "Task", "Communication", "Task", "Provenance"}, types); d != "" {
		t.Error(d)
	}
	ack := consultation.ReadMessage(read(t, "Communication", got.Acknowledgement.JSON), "")
	if ack.Category != consultation.CategoryAcknowledgement || ack.Task.String() != "Task/cons-02" || ack.Recipients[0].String() != "Patient/pat-1" {
		t.Errorf("the acknowledgement is %+v", ack)
	}
	for _, want := range []string{"Call 999 now", "Nobody has read", "09:42 on Thursday 20 November 2025", `"priority":"stat"`} {
		if !strings.Contains(string(got.Acknowledgement.JSON), want) {
			t.Errorf("the acknowledgement lacks %q: %s", want, got.Acknowledgement.JSON)
		}
	}
	if len(got.Advice) != 1 || got.Advice[0].Detail != "emergency-advice" || got.Advice[0].Severity != fhir.Information {
		t.Errorf("the advice is %v", got.Advice)
	}
	receipt, err := consultation.ReadTask(read(t, "Task", got.Receipts[0].JSON), "")
	if err != nil || receipt.Kind != consultation.MessageReceipt || receipt.Status != consultation.StatusReady || receipt.Focus.String() != "Communication/ack-02" ||
		receipt.Owner.String() != "Patient/pat-1" || receipt.For.String() != "Patient/pat-1" {
		t.Errorf("the receipt is %+v, %v", receipt, err)
	}
	for _, want := range []string{"QuestionnaireResponse/qr-02/_history/1", "Task/cons-02", `"value":"app-1"`, `"code":"assembler"`, `"code":"author"`} {
		if !strings.Contains(string(got.Provenance.JSON), want) {
			t.Errorf("the Provenance lacks %q: %s", want, got.Provenance.JSON)
		}
	}
}

// TestBusinessStatus walks what a Task begins as.
func TestBusinessStatus(t *testing.T) {
	t.Parallel()
	everything := func(s *consultation.Submission) {
		s.Identity, s.Duplicates, s.Unscanned = consultation.IdentityUnverified, []fhir.Key{{Type: "Task", ID: "cons-01"}}, true
	}
	tests := []struct {
		file   string
		change func(*consultation.Submission)
		want   string
	}{
		{"qr-valid-01-routine.json", func(*consultation.Submission) {}, "new"},
		{"qr-valid-01-routine.json", func(s *consultation.Submission) { s.Unscanned = true }, "awaiting-scan"},
		{"qr-valid-01-routine.json", func(s *consultation.Submission) { everything(s); s.Identity = "traced" }, "possible-duplicate"},
		{"qr-valid-01-routine.json", everything, "identity-unverified"},
		{"qr-valid-01-routine.json", func(s *consultation.Submission) { s.Identity = "" }, "identity-unverified"},
		{"qr-valid-02-redflag-stat.json", everything, "diverted-emergency"},
	}
	for _, c := range tests {
		s := submission(t, c.file)
		c.change(&s)
		src := submit(t, s).Task.JSON
		task, err := consultation.ReadTask(read(t, "Task", src), "")
		if err != nil || task.BusinessStatus != c.want {
			t.Errorf("got %s, want %s", task.BusinessStatus, c.want)
		}
		text := string(src)
		if strings.Contains(text, "identity-state") != (s.Identity != "verified" && s.Identity != "traced") || strings.Contains(text, `"Task/cons-01"`) != (s.Duplicates != nil) {
			t.Errorf("%s: %s", c.want, text)
		}
	}
}

// TestReception submits for a patient who rings up, known and unknown.
func TestReception(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-02-redflag-stat.json")
	s.Author.Enterer = consultation.Party{Reference: "PractitionerRole/reception-1"}
	got := submit(t, s)
	if p := string(got.Provenance.JSON); !strings.Contains(p, `"code":"enterer"`) || !strings.Contains(p, "PractitionerRole/reception-1") || tree(t, got.Task.JSON)["priority"] != "stat" {
		t.Errorf("%s, %s", got.Task.JSON, p)
	}
	o := tree(t, sample(t, "qr-valid-02-redflag-stat.json"))
	for _, name := range []string{"subject", "author", "source"} {
		delete(o, name)
	}
	s.Response = make1(t, o)
	s.Patient = consultation.Party{Display: "A caller"}
	s.Author.Writer, s.Identity = s.Patient, consultation.IdentityUnverified
	got = submit(t, s)
	if len(got.Receipts) != 0 || got.Acknowledgement.JSON == nil || !strings.Contains(string(got.Task.JSON), `"for":{"display":"A caller"}`) {
		t.Errorf("%s", got.Task.JSON)
	}
	s.Patient, s.Author.Writer = consultation.Party{}, consultation.Party{}
	if got = submit(t, s); got.Acknowledgement.JSON != nil || strings.Contains(string(got.Task.JSON), `"for"`) {
		t.Errorf("%s", got.Task.JSON)
	}
}

// TestProxy submits for a child.
func TestProxy(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-05-proxy-medication.json")
	s.Patient, s.Author.Writer = consultation.Party{Reference: "Patient/pat-2"}, consultation.Party{Reference: "RelatedPerson/rel-1"}
	got := submit(t, s)
	task, err := consultation.ReadTask(read(t, "Task", got.Task.JSON), "")
	if err != nil || task.For != key("Patient/pat-2") || task.Requester != key("RelatedPerson/rel-1") || task.Priority != "routine" {
		t.Errorf("%+v, %v", task, err)
	}
	receipt := read(t, "Task", got.Receipts[0].JSON).Root()
	if receipt.Child("owner").Child("reference").Text() != "RelatedPerson/rel-1" || receipt.Child("for").Child("reference").Text() != "Patient/pat-2" {
		t.Errorf("%s", got.Receipts[0].JSON)
	}
}

// TestClosedHours tells who writes at night what to do.
func TestClosedHours(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-01-routine.json")
	s.Closed = true
	got := submit(t, s)
	if len(got.Advice) != 1 || got.Advice[0].Detail != "outside-hours" || !strings.Contains(string(got.Acknowledgement.JSON), "call 111") {
		t.Errorf("%v", got.Advice)
	}
}

// TestDelegated submits by a product for its patient.
func TestDelegated(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-01-routine.json")
	s.Author = consultation.Author{Writer: patientOne, Client: "product-1", Organization: practice}
	p := string(submit(t, s).Provenance.JSON)
	if !strings.Contains(p, `"onBehalfOf":{"reference":"Organization/prac-1"}`) || !strings.Contains(p, `"who":{"reference":"Patient/pat-1"}`) {
		t.Error(p)
	}
}

// TestSubmitRefuses walks every refusal.
func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want   string
		class  fhir.Class
		change func(*consultation.Submission)
	}{
		{"proxy-not-active", fhir.Denied, func(s *consultation.Submission) { s.Author.LapsedProxy = true }},
		{"sender-mismatch", fhir.Denied, func(s *consultation.Submission) { s.Author.Writer = consultation.Party{Reference: "Patient/pat-9"} }},
		{"subject-mismatch", fhir.Unprocessable, func(s *consultation.Submission) { s.Patient = consultation.Party{Reference: "Patient/pat-9"} }},
		{"subject-mismatch", fhir.Unprocessable, func(s *consultation.Submission) { s.Patient = consultation.Party{Display: "A caller"} }},
		{"triage-not-approved", fhir.Unprocessable, func(s *consultation.Submission) {
			_, rules := form(t)
			s.Triage = rules.Evaluate(s.Response.Root(), consultation.TriageEnv{Now: rulesNow})
		}},
	}
	for _, c := range tests {
		s := submission(t, "qr-valid-01-routine.json")
		c.change(&s)
		_, err := consultation.Submit(s)
		if got := detail(t, err); got != c.want || fhir.AsOutcome(err).Class != c.class {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestResponseIsCompleted fills in who speaks.
func TestResponseIsCompleted(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-01-routine.json")
	if got := submit(t, s).Response; cmp.Diff(tree(t, s.Response.Source()), without(tree(t, got.JSON), "id")) != "" {
		t.Errorf("the response was changed: %s", got.JSON)
	}
	o := without(tree(t, s.Response.Source()), "subject", "author", "source", "authored")
	s.Response = make1(t, o)
	r := read(t, "QuestionnaireResponse", submit(t, s).Response.JSON).Root()
	for _, name := range []string{"subject", "author", "source"} {
		if got := r.Child(name).Child("reference").Text(); got != "Patient/pat-1" {
			t.Errorf("%s is %q", name, got)
		}
	}
	if r.Child("authored").Text() != "2025-11-20T09:12:32+00:00" {
		t.Error(r.Child("authored").Text())
	}
}

func without(o object, names ...string) object {
	for _, name := range names {
		delete(o, name)
	}
	return o
}

// TestStartsConsultation tells forms apart.
func TestStartsConsultation(t *testing.T) {
	t.Parallel()
	q, _ := form(t)
	ours := make1(t, object{"resourceType": "Questionnaire", "status": "active",
		"code": []any{object{"system": "https://fhir.openconsult.example/CodeSystem/task-kind", "code": "consultation"}}})
	other := make1(t, object{"resourceType": "Questionnaire", "status": "active", "code": []any{object{"system": "http://loinc.org", "code": "44249-1"}}})
	if !consultation.StartsConsultation(q.Root()) || !consultation.StartsConsultation(ours.Root()) || consultation.StartsConsultation(other.Root()) {
		t.Error("a form is taken for another")
	}
}

// TestChooseOwner walks who has to answer.
func TestChooseOwner(t *testing.T) {
	t.Parallel()
	service := func(more object) fhir.Node {
		o := object{"resourceType": "HealthcareService", "providedBy": object{"reference": "Organization/hosp-1"}}
		for k, v := range more {
			o[k] = v
		}
		return make1(t, o).Root()
	}
	registered := make1(t, object{"resourceType": "Patient", "managingOrganization": object{"reference": "Organization/prac-2"},
		"generalPractitioner": []any{object{"reference": "Practitioner/p"}, object{"reference": "Organization/prac-1"}}}).Root()
	managed := make1(t, object{"resourceType": "Patient", "managingOrganization": object{"reference": "Organization/prac-2"}}).Root()
	chosen := fhir.Key{Type: "HealthcareService", ID: "s"}
	tests := []struct {
		d         consultation.Destination
		want, err string
	}{
		{consultation.Destination{Chosen: chosen, Service: service(nil), Patient: registered}, "Organization/hosp-1", ""},
		{consultation.Destination{Chosen: chosen, Service: service(object{"active": false}), Patient: registered}, "/", "healthcare-service-not-available"},
		{consultation.Destination{Chosen: chosen, Patient: registered}, "/", "healthcare-service-not-available"},
		{consultation.Destination{Patient: registered}, "Organization/prac-1", ""},
		{consultation.Destination{Patient: managed}, "Organization/prac-2", ""},
		{consultation.Destination{Entered: fhir.Key{Type: "Organization", ID: "prac-3"}}, "Organization/prac-3", ""},
		{consultation.Destination{}, "/", "owner-not-found"},
	}
	for i, c := range tests {
		got, err := consultation.ChooseOwner(c.d)
		if got.String() != c.want || detail(t, err) != c.err {
			t.Errorf("%d: got %s, %v", i, got, err)
		}
	}
	r := make1(t, object{"resourceType": "QuestionnaireResponse", "status": "completed", "extension": []any{object{
		"url": "https://fhir.openconsult.example/StructureDefinition/healthcare-service", "valueReference": object{"reference": "HealthcareService/s"}}}})
	if got := consultation.ChosenService(r.Root(), ""); got != chosen {
		t.Errorf("the chosen service is %s", got)
	}
}

// TestNearlyIdentical compares responses of the example with others.
func TestNearlyIdentical(t *testing.T) {
	t.Parallel()
	one := string(sample(t, "qr-valid-02-redflag-stat.json"))
	tests := []struct {
		name, other string
		want        bool
	}{
		{"the same", one, true},
		{"other version", strings.Replace(one, "|1.0.0", "|1.1.0", 1), true},
		{"other punctuation", strings.Replace(one, "since this morning.", "since THIS morning", 1), true},
		{"one number", strings.Replace(one, `"valueInteger": 8`, `"valueInteger": 9`, 1), true},
		{"other form", strings.Replace(one, "online-consult-general", "other", 1), false},
		{"other words and numbers", strings.NewReplacer("Tight pain across my chest since this morning.", "My knee.", `"valueInteger": 8`, `"valueInteger": 2`).Replace(one), false},
		{"other request", string(sample(t, "qr-valid-07-two-rules.json")), false},
	}
	a := read(t, "QuestionnaireResponse", []byte(one)).Root()
	for _, c := range tests {
		b := read(t, "QuestionnaireResponse", []byte(c.other)).Root()
		if got := consultation.NearlyIdentical(a, b); got != c.want || consultation.NearlyIdentical(b, a) != got {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	empty := make1(t, object{"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "https://example.org/q"}).Root()
	if consultation.NearlyIdentical(empty, empty) {
		t.Error("nothing is like nothing")
	}
}

// amendment amends a routine response by another.
func amendment(t testing.TB, file string) consultation.Amendment {
	before := submission(t, "qr-valid-01-routine.json")
	before.Due = before.Now.Add(30 * time.Hour)
	first := submit(t, before)
	o := tree(t, sample(t, file))
	o["identifier"] = tree(t, first.Response.JSON)["identifier"]
	s := submission(t, file)
	s.Response = make1(t, o)
	s.Now = s.Now.Add(time.Hour)
	s.Due = s.Now.Add(30 * time.Minute)
	s.IDs = consultation.SubmissionIDs{Acknowledgement: "ack-b", Receipt: "rcpt-b", Provenance: "prov-b", Version: "2", Message: "7b2c9a52-0000-4000-8000-00000000000b"}
	return consultation.Amendment{Submission: s, Before: read(t, "QuestionnaireResponse", first.Response.JSON),
		Task: read(t, "Task", first.Task.JSON), Until: s.Now.Add(time.Hour)}
}

// TestAmend raises the priority, and never lowers it.
func TestAmend(t *testing.T) {
	t.Parallel()
	a := amendment(t, "qr-valid-02-redflag-stat.json")
	got, err := consultation.Amend(a)
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, got.All()...)
	if !got.Raised || len(got.Receipts) != 1 || len(got.Advice) != 1 || got.Task.ID != "cons-02" {
		t.Errorf("%+v", got)
	}
	text := string(got.Task.JSON)
	for _, want := range []string{`"priority":"stat"`, "diverted-emergency", "rf-1-chest-pain-now", "/_history/1", "/_history/2", "29857009", `"end":"2025-11-20T10:42:32+00:00"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the Task lacks %s: %s", want, text)
		}
	}
	if !strings.Contains(string(got.Response.JSON), `"status":"amended"`) {
		t.Errorf("%s", got.Response.JSON)
	}
	back := amendment(t, "qr-valid-01-routine.json")
	back.Task, back.Now = read(t, "Task", got.Task.JSON), a.Now.Add(time.Minute)
	back.Due = back.Now.Add(40 * time.Hour)
	again, err := consultation.Amend(back)
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, again.All()...)
	text = string(again.Task.JSON)
	if again.Raised || !strings.Contains(text, `"priority":"stat"`) || again.Acknowledgement.JSON != nil ||
		!strings.Contains(text, "diverted-emergency") || !strings.Contains(text, `"end":"2025-11-20T10:42:32+00:00"`) || strings.Count(text, `"code":"29857009"`) != 1 {
		t.Errorf("%s", text)
	}
}

// TestAmendRefuses walks every refusal.
func TestAmendRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want   string
		change func(*consultation.Amendment)
	}{
		{"", func(*consultation.Amendment) {}},
		{"proxy-not-active", func(a *consultation.Amendment) { a.Author.LapsedProxy = true }},
		{"amendment-not-by-author", func(a *consultation.Amendment) {
			o := tree(t, a.Before.Source())
			o["author"] = object{"reference": "RelatedPerson/rel-1"}
			a.Before = make1(t, o)
		}},
		{"immutable-element", func(a *consultation.Amendment) {
			o := tree(t, a.Response.Source())
			o["questionnaire"] = "https://example.org/other|1"
			a.Response = make1(t, o)
		}},
		{"amendment-too-late", func(a *consultation.Amendment) {
			o := tree(t, a.Task.Source())
			o["status"] = "accepted"
			a.Task = make1(t, o)
		}},
		{"amendment-window-closed", func(a *consultation.Amendment) { a.Until = a.Now.Add(-time.Second) }},
		{"amendment-window-closed", func(a *consultation.Amendment) { a.Until = time.Time{} }},
	}
	for _, c := range tests {
		a := amendment(t, "qr-valid-04-fever-urgent.json")
		c.change(&a)
		_, err := consultation.Amend(a)
		if got := detail(t, err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestPriorityNeverFalls amends again and again.
func TestPriorityNeverFalls(t *testing.T) {
	t.Parallel()
	files := []string{"qr-valid-01-routine.json", "qr-valid-02-redflag-stat.json", "qr-valid-04-fever-urgent.json", "qr-valid-06-low-mood-score.json", "qr-valid-07-two-rules.json"}
	order := []string{"routine", "urgent", "asap", "stat"}
	rapid.Check(t, func(r *rapid.T) {
		task := amendment(t, files[0]).Task
		for range rapid.IntRange(1, 4).Draw(r, "amendments") {
			a := amendment(t, rapid.SampledFrom(files).Draw(r, "file"))
			a.Task = task
			got, err := consultation.Amend(a)
			if err != nil {
				r.Fatal(err)
			}
			next := read(t, "Task", got.Task.JSON)
			was, is := priorityOf(task), priorityOf(next)
			if slices.Index(order, is) < slices.Index(order, was) || got.Raised != (is != was) {
				r.Fatalf("%s became %s", was, is)
			}
			task = next
		}
	})
}

func priorityOf(r *fhir.Resource) string { return r.Root().Child("priority").Text() }

// BenchmarkSubmit measures what is written for a submission.
func BenchmarkSubmit(b *testing.B) {
	s := submission(b, "qr-valid-02-redflag-stat.json")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := consultation.Submit(s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAnswersAlike compares single answers.
func TestAnswersAlike(t *testing.T) {
	t.Parallel()
	attachment := func(parts object) object { return object{"valueAttachment": parts} }
	coding := func(parts object) object { return object{"valueCoding": parts} }
	tests := []struct {
		a, b object
		want bool
	}{
		{attachment(object{"hash": "YQ==", "url": "Binary/1"}), attachment(object{"hash": "YQ==", "url": "Binary/2"}), true},
		{attachment(object{"hash": "YQ==", "url": "Binary/1"}), attachment(object{"hash": "Yg==", "url": "Binary/1"}), false},
		{attachment(object{"size": 5, "contentType": "image/png", "url": "Binary/1"}), attachment(object{"size": 5, "contentType": "image/png", "url": "Binary/2"}), true},
		{attachment(object{"size": 5, "contentType": "image/png"}), attachment(object{"size": 6, "contentType": "image/png"}), false},
		{coding(object{"system": "urn:x", "code": "a", "display": "A"}), coding(object{"system": "urn:x", "code": "a"}), true},
		{coding(object{"system": "urn:x", "code": "a"}), coding(object{"system": "urn:y", "code": "a"}), false},
		{coding(object{"display": "A"}), coding(object{"display": "B"}), false},
		{object{"valueString": "Grüße, DOKTOR"}, object{"valueString": "grüße doktor!"}, true},
		{object{"valueString": "..."}, object{"valueString": "?"}, true},
		{object{"valueBoolean": true}, object{"valueBoolean": false}, false},
	}
	for _, c := range tests {
		with := func(answer object) fhir.Node {
			return make1(t, object{"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:q",
				"item": []any{object{"linkId": "a", "answer": []any{answer}}}}).Root()
		}
		if got := consultation.NearlyIdentical(with(c.a), with(c.b)); got != c.want {
			t.Errorf("%v and %v: %t", c.a, c.b, got)
		}
	}
}

// TestRepeats compares what is sent again with what is kept of it.
func TestRepeats(t *testing.T) {
	t.Parallel()
	const answers = `"item":[{"linkId":"a","answer":[{"valueString":"x"}]}]`
	response := func(rest string) fhir.Node {
		return read(t, "QuestionnaireResponse", []byte(`{"resourceType":"QuestionnaireResponse","questionnaire":"https://a.example/f|1",`+rest+`}`)).Root()
	}
	kept := response(`"id":"1","meta":{"tag":[{"code":"t"}]},"status":"amended","subject":{"reference":"Patient/1"},"author":{"reference":"Patient/1"},"source":{"reference":"Patient/1"},"authored":"2026-03-03T10:00:00Z",` + answers)
	for sent, want := range map[string]bool{
		`"status":"completed",` + answers:                                                                true,
		`"status":"amended","subject":{"reference":"Patient/1"},` + answers:                              true,
		answers + `,"authored":"2026-03-03T10:00:00Z","status":"completed"`:                              true,
		`"status":"completed"`:                                                                           false,
		`"status":"completed","subject":{"reference":"Patient/2"},` + answers:                            false,
		`"status":"completed","authored":"2026-03-03T10:00:01Z",` + answers:                              false,
		`"status":"completed","item":[{"linkId":"a","answer":[{"valueString":"y"}]}]`:                    false,
		`"status":"completed","language":"en",` + answers:                                                false,
		`"status":"completed","identifier":{"value":"1"},"subject":{"reference":"Patient/1"},` + answers: false,
	} {
		if got := consultation.Repeats(response(sent), kept); got != want {
			t.Errorf("%s: %v", sent, got)
		}
	}
}

// TestDraft says whose a draft is, and leaves alone what it says itself.
func TestDraft(t *testing.T) {
	t.Parallel()
	s := submission(t, "qr-valid-02-redflag-stat.json")
	s.IDs.Response = "d"
	s.Author = consultation.Author{Writer: patientOne, Enterer: consultation.Party{Reference: "PractitionerRole/desk"}}
	for sent, want := range map[string]string{
		`{"resourceType":"QuestionnaireResponse","status":"in-progress"}`: `{"resourceType":"QuestionnaireResponse","status":"in-progress","id":"d","subject":{"reference":"Patient/pat-1"},"author":{"reference":"PractitionerRole/desk"},"source":{"reference":"Patient/pat-1"}}`,
		`{"resourceType":"QuestionnaireResponse","status":"in-progress","subject":{"display":"Somebody"},"author":{"reference":"Patient/pat-1"},"source":{"reference":"Patient/2"},"authored":"2026-03-03"}`: `{"resourceType":"QuestionnaireResponse","status":"in-progress","subject":{"display":"Somebody"},"author":{"reference":"Patient/pat-1"},"source":{"reference":"Patient/2"},"authored":"2026-03-03","id":"d"}`,
	} {
		s.Response = read(t, "QuestionnaireResponse", []byte(sent))
		got, err := consultation.Draft(s)
		if err != nil || string(got.JSON) != want {
			t.Errorf("%s: %v\n%s", sent, err, got.JSON)
		}
	}
}

package interaction_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/fhir/validate"
)

// summarised returns the summary of a patient, which has to be a valid document: by our
// own rules, by R4's on documents, and in that what it names stands in it.
func summarised(t *testing.T, s *interaction.Session, patient string) fhir.Node {
	t.Helper()
	const base = "https://fhir.example/fhir"
	b, err := s.Summary(t.Context(), interaction.SummaryRequest{Patient: &fhir.Key{Type: "Patient", ID: patient}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Decode("Bundle", b.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	definitions := definition.NewCatalog(nil)
	v := validate.New(validate.Config{Definitions: definitions, Terms: terminology.New(terminology.Config{Definitions: definitions})})
	issues, err := v.Check(t.Context(), r.Root(), validate.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range issues {
		if i.Severity == fhir.Error || i.Severity == fhir.Fatal {
			t.Errorf("%s: %s", i.Expression, i.Text)
		}
	}
	urls := map[string]bool{}
	for e := range r.Root().Each("entry") {
		url := e.Child("fullUrl").Text()
		if urls[url] {
			t.Errorf("%s is there twice", url)
		}
		urls[url] = true
		n := e.Child("resource")
		if !strings.HasSuffix(url, n.Child("id").Text()) {
			t.Errorf("%s is a %s with the id %s", url, n.Type().Name, n.Child("id").Text())
		}
	}
	page := composed(r.Root())
	for _, n := range []fhir.Node{page.Child("subject"), page.Child("author")} {
		if url := n.Child("reference").Text(); !urls[url] {
			t.Errorf("%s is not in the document", url)
		}
	}
	for section := range page.Each("section") {
		for e := range section.Each("entry") {
			if url := e.Child("reference").Text(); !urls[url] {
				t.Errorf("%s is not in the document", url)
			}
		}
	}
	return r.Root()
}

// composed returns the Composition of a document.
func composed(document fhir.Node) fhir.Node {
	for e := range document.Each("entry") {
		return e.Child("resource")
	}
	return fhir.Node{}
}

// contents returns the sections of a document: code and entries.
func contents(document fhir.Node) (all []string) {
	for section := range composed(document).Each("section") {
		text := section.Child("code").Child("coding").Child("code").Text()
		for e := range section.Each("entry") {
			text += " " + strings.TrimPrefix(e.Child("reference").Text(), "https://fhir.example/fhir/")
		}
		all = append(all, text)
	}
	return all
}

// TestSummaryOfExamples: the document of the official example is valid for whoever asks.
func TestSummaryOfExamples(t *testing.T) {
	t.Parallel()
	w := exampleWorld(t)
	for name, s := range map[string]*interaction.Session{"trusted": w.trusted, "doctor": w.as(w.doctor("a")), "patient": w.as(w.patient("example"))} {
		got := contents(summarised(t, s, "example"))
		t.Logf("%s: %v", name, got)
		if len(got) < 6 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "11450-4 Condition/") }) {
			t.Errorf("%s: only %v", name, got)
		}
	}
}

// TestSummaryOfNothing: what is not known is said to be unknown, never to be nothing.
func TestSummaryOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Patient","id":"empty","managingOrganization":{"reference":"Organization/a"}}`)
	few := w.patient("empty")
	few.Scopes = scopes(access.ForPatient, everything, "Patient", "Condition")
	for _, c := range []struct {
		name, patient string
		session       *interaction.Session
		reasons       string
	}{
		{"doctor", "empty", w.as(w.doctor("a")), "unavailable unavailable unavailable"},
		{"patient", "empty", w.as(w.patient("empty")), "unavailable unavailable unavailable"},
		{"few scopes", "empty", w.as(few), "withheld withheld unavailable"},
	} {
		d := summarised(t, c.session, c.patient)
		var reasons []string
		for section := range composed(d).Each("section") {
			reasons = append(reasons, section.Child("emptyReason").Child("coding").Child("code").Text())
		}
		if got := strings.Join(reasons, " "); got != c.reasons {
			t.Errorf("%s: %s, want %s", c.name, got, c.reasons)
		}
	}
}

// TestSummaryRelevant: what is over, wrong, or not done is left out; what says nothing of
// that stays.
func TestSummaryRelevant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := func(id, typ, rest string) string {
		return `{"resourceType":"` + typ + `","id":"` + id + `",` + rest + `}`
	}
	coded := func(element, system, code string) string {
		return `"` + element + `":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/` + system + `","code":"` + code + `"}]}`
	}
	clinical := func(code string) string { return coded("clinicalStatus", "condition-clinical", code) }
	allergic := func(code string) string { return coded("clinicalStatus", "allergyintolerance-clinical", code) }
	const subject, patient, medicine = `"subject":{"reference":"Patient/a"}`, `"patient":{"reference":"Patient/a"}`, `"medicationCodeableConcept":{"text":"m"}`
	for _, r := range []string{
		status("active", "Condition", clinical("active")+","+subject), status("relapse", "Condition", clinical("relapse")+","+subject), status("silent", "Condition", subject),
		status("inactive", "Condition", clinical("inactive")+","+subject), status("remission", "Condition", clinical("remission")+","+subject), status("refuted", "Condition", clinical("active")+","+coded("verificationStatus", "condition-ver-status", "refuted")+","+subject),
		status("active", "AllergyIntolerance", allergic("active")+","+patient), status("resolved", "AllergyIntolerance", allergic("resolved")+","+patient), status("wrong", "AllergyIntolerance", coded("verificationStatus", "allergyintolerance-verification", "entered-in-error")+","+patient),
		status("active", "MedicationRequest", `"status":"active","intent":"order",`+subject+","+medicine), status("held", "MedicationRequest", `"status":"on-hold","intent":"plan",`+subject+","+medicine),
		status("proposed", "MedicationRequest", `"status":"active","intent":"proposal",`+subject+","+medicine), status("draft", "MedicationRequest", `"status":"draft","intent":"order",`+subject+","+medicine),
		status("active", "MedicationStatement", `"status":"active",`+subject+","+medicine), status("never", "MedicationStatement", `"status":"not-taken",`+subject+","+medicine),
		status("done", "Immunization", `"status":"completed","vaccineCode":{"text":"v"},"occurrenceString":"once",`+patient), status("not", "Immunization", `"status":"not-done","vaccineCode":{"text":"v"},"occurrenceString":"once",`+patient),
		status("done", "Procedure", `"status":"completed",`+subject), status("not", "Procedure", `"status":"not-done",`+subject),
		status("final", "DiagnosticReport", `"status":"final","code":{"text":"c"},`+subject), status("partial", "DiagnosticReport", `"status":"partial","code":{"text":"c"},`+subject),
		status("preliminary", "Observation", `"status":"preliminary","code":{"text":"c"},`+subject),
	} {
		w.put(r)
	}
	got := contents(summarised(t, w.as(w.doctor("a")), "a"))
	for i := range got {
		words := strings.Split(got[i], " ")
		slices.Sort(words[1:])
		got[i] = strings.Join(words, " ")
	}
	want := []string{
		"48765-2 AllergyIntolerance/active", "10160-0 MedicationRequest/active MedicationRequest/held MedicationStatement/active", "11450-4 Condition/active Condition/relapse Condition/silent",
		"11369-6 Immunization/done", "30954-2 DiagnosticReport/final Observation/a", "47519-4 Procedure/done",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSummaryText: whatever a resource says, the text of its section is safe XHTML that
// says it.
func TestSummaryText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Condition","id":"c","code":{"text":"<script>alert(\"1\")</script> & ]]> ünïcode 🩺"},"subject":{"reference":"Patient/a"},"onsetRange":{"low":{"value":1.50,"unit":"a<b"},"high":{"value":2}}}`)
	w.put(`{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","subject":{"reference":"Patient/a"},"contained":[{"resourceType":"Medication","id":"x","code":{"coding":[{"code":"1","display":"Contained"}]}}],"medicationReference":{"reference":"#x"},"dosageInstruction":[{"doseAndRate":[{"doseQuantity":{"value":1.0,"unit":"tablet"}}],"route":{"text":"by mouth"}},{"text":"with food"}]}`)
	w.put(`{"resourceType":"Observation","id":"bp","status":"final","code":{"text":"Blood pressure"},"subject":{"reference":"Patient/a"},"effectivePeriod":{"start":"2025","end":"2026"},"component":[{"code":{"text":"Systolic"},"valueQuantity":{"value":120,"unit":"mmHg"}},{"code":{"text":"Diastolic"},"valueRatio":{"numerator":{"value":8},"denominator":{"value":1}}}]}`)
	var all strings.Builder
	for section := range composed(summarised(t, w.as(w.doctor("a")), "a")).Each("section") {
		all.WriteString(section.Child("text").Child("div").Text())
	}
	for _, want := range []string{
		"<td>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; ]]&gt; ünïcode 🩺</td>", "<td>1.50 a&lt;b – 2</td>", "<td>Contained</td><td>1.0 tablet by mouth; with food</td>",
		"<td>Systolic: 120 mmHg; Diastolic: 8 / 1</td><td>2025 – 2026</td>",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s is not in %s", want, all.String())
		}
	}
}

// TestSummaryNewest: of very many results the newest are there, and the text says that.
func TestSummaryNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	var entries []interaction.Entry
	for i := range 130 {
		entries = append(entries, named(t, "", "POST Observation", fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":{"text":"n"},"subject":{"reference":"Patient/a"},"effectiveDateTime":"%s"}`, day.AddDate(0, 0, i).Format(time.DateOnly))))
	}
	if _, err := w.trusted.Transaction(t.Context(), bundle(entries...)); err != nil {
		t.Fatal(err)
	}
	d := summarised(t, w.as(w.doctor("a")), "a")
	got := contents(d)
	if n := strings.Count(got[len(got)-1], "Observation/"); n != 100 {
		t.Errorf("%d results: %v", n, got)
	}
	var last fhir.Node
	for section := range composed(d).Each("section") {
		last = section
	}
	if text := last.Child("text").Child("div").Text(); !strings.Contains(text, "only the newest") || !strings.Contains(text, "2020-05-09") || strings.Contains(text, "2020-01-05") {
		t.Errorf("it says %s", text)
	}
}

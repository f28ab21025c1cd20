package questionnaire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

var updateFilled = flag.Bool("update-filled", false, "write the golden files of Populate and Extract anew")

var fillNow = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A fillCase is a txtar file: form.json, what is known, and what comes of it.
type fillCase struct {
	archive *txtar.Archive
	files   map[string][]byte
	search  questionnaire.Search
}

func readFillCase(t testing.TB, path string) *fillCase {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := &fillCase{archive: a, files: map[string][]byte{}}
	found := map[string][]fhir.Node{}
	for _, f := range a.Files {
		c.files[f.Name] = f.Data
		query, isSearch := strings.CutPrefix(f.Name, "search ")
		if !isSearch {
			continue
		}
		var resources []json.RawMessage
		if err := json.Unmarshal(f.Data, &resources); err != nil {
			t.Fatal(err)
		}
		for _, r := range resources {
			found[query] = append(found[query], decodeFilled(t, "", r))
		}
	}
	c.search = func(_ context.Context, query string) ([]fhir.Node, error) {
		nodes, known := found[query]
		if !known {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.NotFound, "", "there is no answer to %s", query)
		}
		return nodes, nil
	}
	return c
}

func decodeFilled(t testing.TB, typ string, src []byte) fhir.Node {
	t.Helper()
	r, err := fhir.Decode(typ, src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return r.Root()
}

// contexts returns the launch contexts of a case.
func (c *fillCase) contexts(t testing.TB) map[string]fhir.Node {
	t.Helper()
	all := map[string]fhir.Node{}
	for _, name := range []string{"patient", "user", "encounter"} {
		if src := c.files[name+".json"]; src != nil {
			all[name] = decodeFilled(t, "", src)
		}
	}
	return all
}

func (c *fillCase) population(t testing.TB) questionnaire.Population {
	t.Helper()
	p := questionnaire.Population{Contexts: c.contexts(t), Now: fillNow, Search: c.search}
	if n, ok := p.Contexts["patient"]; ok {
		p.Subject, p.SubjectNode = "Patient/1", n
		delete(p.Contexts, "patient") // the subject stands in for it
	}
	return p
}

// golden holds a result against a file of the archive.
func (c *fillCase) golden(t *testing.T, path, name string, got []byte) {
	t.Helper()
	if bytes.Equal(got, c.files[name]) {
		return
	}
	if !*updateFilled {
		t.Errorf("%s of %s is\n%s\nwant\n%s", name, path, got, c.files[name])
		return
	}
	if _, known := c.files[name]; !known {
		c.archive.Files = append(c.archive.Files, txtar.File{Name: name})
	}
	for i := range c.archive.Files {
		if c.archive.Files[i].Name == name {
			c.archive.Files[i].Data = got
		}
	}
	if err := os.WriteFile(path, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func indented(t testing.TB, src []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, src, "", " "); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

func listed(issues []fhir.Issue) []byte {
	var b bytes.Buffer
	for _, is := range issues {
		fmt.Fprintf(&b, "%s %s %s %s: %s\n", is.Severity, is.Code, is.Detail, is.Expression, is.Text)
	}
	return b.Bytes()
}

func fillCases(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata/%s: %v", dir, err)
	}
	return paths
}

func TestPopulate(t *testing.T) {
	t.Parallel()
	for _, path := range fillCases(t, "populate") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c := readFillCase(t, path)
			form := decodeFilled(t, "Questionnaire", c.files["form.json"])
			got, err := questionnaire.Populate(t.Context(), form, c.population(t))
			if err != nil {
				t.Fatal(err)
			}
			checkFilled(t, form, got)
			c.golden(t, path, "response.json", indented(t, got.Response))
			c.golden(t, path, "issues.txt", listed(got.Issues))
		})
	}
}

// checkFilled holds a response against the form: decodable, in progress, and every item
// where the form has it.
func checkFilled(t testing.TB, form fhir.Node, p *questionnaire.Populated) {
	t.Helper()
	r := decodeFilled(t, "QuestionnaireResponse", p.Response)
	if s := r.Child("status").Text(); s != "in-progress" {
		t.Errorf("the status is %s", s)
	}
	sameShape(t, form, r)
	for _, is := range p.Issues {
		if is.Severity != fhir.Warning || is.Expression == "" || is.Detail == "" {
			t.Errorf("the issue lacks something: %+v", is)
		}
	}
}

func sameShape(t testing.TB, form, response fhir.Node) {
	t.Helper()
	for r := range response.Each("item") {
		n := itemOf(form, r.Child("linkId").Text())
		switch {
		case n.IsZero():
			t.Errorf("%s is no item of the form there", r.Path())
			continue
		case n.Child("type").Text() == "group" != r.Child("answer").IsZero():
			t.Errorf("%s is a question, or a group, and is none in the form", r.Path())
		case r.Child("answer").IsZero() && r.Child("item").IsZero():
			t.Errorf("%s is empty", r.Path())
		}
		sameShape(t, n, r)
		for a := range r.Each("answer") {
			sameShape(t, n, a)
		}
	}
}

func itemOf(form fhir.Node, linkID string) fhir.Node {
	for n := range form.Each("item") {
		if n.Child("linkId").Text() == linkID {
			return n
		}
	}
	return fhir.Node{}
}

// TestPopulatedAnswersItsForm checks what was filled in as the answers of somebody.
func TestPopulatedAnswersItsForm(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"blood-pressure", "conversions", "medication", "phq2"} {
		c := readFillCase(t, filepath.Join("testdata", "populate", name+".txtar"))
		form := decodeFilled(t, "Questionnaire", c.files["form.json"])
		got, err := questionnaire.Populate(t.Context(), form, c.population(t))
		if err != nil {
			t.Fatal(err)
		}
		checked := checkAnswers(t, form, got.Response)
		if name == "phq2" && (checked.Resource == nil || !bytes.Contains(checked.Resource.Source(), []byte(`{"linkId":"total","answer":[{"valueInteger":2}]}`))) {
			t.Errorf("the score is not calculated: %+v", checked)
		}
	}
}

// checkAnswers reports the errors of a response to a form, unless the form cannot be
// answered at all.
func checkAnswers(t testing.TB, form fhir.Node, response []byte) questionnaire.Checked {
	t.Helper()
	f, _ := questionnaire.Compile(form)
	if f == nil {
		return questionnaire.Checked{}
	}
	r, err := fhir.Decode("QuestionnaireResponse", response)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := f.Check(t.Context(), r, questionnaire.Env{Now: fillNow})
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range checked.Issues {
		if is.Severity == fhir.Error {
			t.Errorf("%s at %s: %s\n%s\n%s", is.Detail, is.Expression, is.Text, form.Raw(), response)
		}
	}
	return checked
}

func TestPopulateErrors(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","url":"https://forms.example.org/q","status":"active","item":[{"linkId":"a","type":"reference","extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression","valueExpression":{"language":"application/x-fhir-query","expression":"Patient?_id=1"}}]}]}`))
	down := errors.New("the database is down")
	_, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Search: func(context.Context, string) ([]fhir.Node, error) { return nil, down }})
	if !errors.Is(err, down) || fhir.AsOutcome(err) != nil {
		t.Errorf("a fault of the search gives %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	form2 := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","status":"active","item":[{"linkId":"a","type":"integer","extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression","valueExpression":{"language":"text/fhirpath","expression":"1"}}]}]}`))
	if _, err := questionnaire.Populate(ended, form2, questionnaire.Population{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	patient := decodeFilled(t, "", []byte(`{"resourceType":"Patient"}`))
	if _, err := questionnaire.Populate(t.Context(), patient, questionnaire.Population{}); fhir.AsOutcome(err) == nil {
		t.Errorf("a Patient for a form gives %v", err)
	}
	if _, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Subject: "Patient/…"}); fhir.AsOutcome(err) == nil {
		t.Errorf("a subject that is no reference gives %v", err)
	}
	got, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{})
	if err != nil || len(got.Issues) != 1 || got.Issues[0].Detail != "search-unavailable" {
		t.Errorf("without a search: %v, %v", got, err)
	}
}

// TestPopulateBounds asks for more than a form may have.
func TestPopulateBounds(t *testing.T) {
	t.Parallel()
	const expression = `"extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-%s","valueExpression":{"name":"x","language":"%s","expression":"%s"}}]`
	item := func(i int, rest string) string { return fmt.Sprintf(`{"linkId":"%d",%s}`, i, rest) }
	var searches, initials []string
	for i := range 60 {
		searches = append(searches, item(i, `"type":"reference",`+fmt.Sprintf(expression, "initialExpression", "application/x-fhir-query", fmt.Sprintf("Patient?_id=%d", i))))
	}
	for i := range 6_000 {
		initials = append(initials, item(i, `"type":"integer",`+fmt.Sprintf(expression, "initialExpression", "text/fhirpath", "{}")))
	}
	group := func(inner string) string {
		return `{"linkId":"g","type":"group","repeats":true,` + fmt.Sprintf(expression, "itemPopulationContext", "text/fhirpath", strings.Repeat("1.combine(", 11)+"1"+strings.Repeat(")", 11)) + `,"item":[` + inner + `]}`
	}
	leaf := `{"linkId":"l","type":"integer","initial":[{"valueInteger":1}]}`
	deep := leaf
	for range 28 {
		deep = `{"linkId":"d","type":"string","item":[` + deep + `]}`
	}
	for _, c := range []struct{ items, detail string }{
		{strings.Join(searches, ","), "too-many-searches"},
		{strings.Join(initials, ","), "too-many-expressions"},
		{group(group(group(group(leaf)))), "too-many-items"},
		{deep, "too-deep"},
		{item(1, `"type":"integer",`+fmt.Sprintf(expression, "initialExpression", "text/fhirpath", "1.repeatAll($this)")), "expression-"},
	} {
		form := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","status":"active","item":[`+c.items+`]}`))
		asked := 0
		got, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Now: fillNow, Search: func(context.Context, string) ([]fhir.Node, error) {
			asked++
			return nil, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		checkFilled(t, form, got)
		if !strings.Contains(string(listed(got.Issues)), c.detail) {
			t.Errorf("want the issue %s, got\n%.300s", c.detail, listed(got.Issues))
		}
		if asked > 50 || len(got.Response) > 1<<20 {
			t.Errorf("%d searches and %d bytes", asked, len(got.Response))
		}
	}
}

// TestPopulateConsultation fills in the form of the sample conversation, which asks for
// nothing to be filled in.
func TestPopulateConsultation(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "Questionnaire", sampleFile(t, "questionnaire.json"))
	got, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Subject: "Patient/pat-1", Now: fillNow})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"resourceType":"QuestionnaireResponse","questionnaire":"https://fhir.openconsult.example/Questionnaire/online-consult-general|1.0.0","status":"in-progress","subject":{"reference":"Patient/pat-1"},"authored":"2026-03-02T09:00:00Z"}`
	if string(got.Response) != want || len(got.Issues) > 0 {
		t.Errorf("got %s %v", got.Response, got.Issues)
	}
}

func sampleFile(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("../../../shared/domain/set-a-consultation", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the sample conversation is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func BenchmarkPopulate(b *testing.B) {
	for _, path := range fillCases(b, "populate") {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(b *testing.B) {
			c := readFillCase(b, path)
			form, p := decodeFilled(b, "Questionnaire", c.files["form.json"]), c.population(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := questionnaire.Populate(b.Context(), form, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

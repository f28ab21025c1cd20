package questionnaire_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/terminology"
)

var now = time.Date(2025, 11, 20, 9, 30, 0, 0, time.UTC)

// terms knows what comes with the server.
var terms = sync.OnceValue(func() *terminology.Service {
	return terminology.New(terminology.Config{Definitions: definition.NewCatalog(nil)})
})

func environment() questionnaire.Env { return questionnaire.Env{Terms: terms(), Now: now} }

// shared returns a file of the material that is shared, or skips the test.
func shared(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("../../../shared", name))
	if err != nil {
		t.Skipf("the shared material is not here: %v", err)
	}
	return src
}

func decode(t testing.TB, typ string, src []byte) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode(typ, src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return r
}

// compile returns a form without errors.
func compile(t testing.TB, src string) *questionnaire.Form {
	t.Helper()
	form, issues := questionnaire.Compile(decode(t, "Questionnaire", []byte(src)).Root())
	if form == nil {
		t.Fatalf("the form does not compile: %v\n%s", issues, src)
	}
	return form
}

// check checks a response, and that every issue is about an element that is there.
func check(t testing.TB, form *questionnaire.Form, src string) questionnaire.Checked {
	t.Helper()
	r := decode(t, "QuestionnaireResponse", []byte(src))
	got, err := form.Check(context.Background(), r, environment())
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range got.Issues {
		if is.Expression != "" {
			at(t, r, is)
		}
	}
	return got
}

// at returns the element that an issue is about.
func at(t testing.TB, r *fhir.Resource, is fhir.Issue) fhir.Node {
	t.Helper()
	x, err := fhirpath.Compile(is.Expression)
	if err != nil {
		t.Fatalf("%s: %v", is.Expression, err)
	}
	found, err := x.EvaluateNode(r.Root(), nil)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s gives %d elements of %s: %v", is.Expression, len(found), r.Source(), err)
	}
	n, _ := found[0].Node()
	if line, column := n.Position(); line != is.Line || column != is.Column {
		t.Fatalf("%s is at %d:%d, not %d:%d", is.Expression, line, column, is.Line, is.Column)
	}
	return n
}

// brief writes issues as "code detail linkId", warnings with their severity.
func brief(issues []fhir.Issue) string {
	var b strings.Builder
	for _, is := range issues {
		_, linkID, _ := strings.Cut(is.Rule, "#")
		if linkID == "" {
			linkID, _, _ = strings.Cut(strings.TrimPrefix(is.Text, `Item "`), `"`)
		}
		if is.Severity != fhir.Error {
			b.WriteString(is.Severity.String() + " ")
		}
		b.WriteString(string(is.Code) + " " + is.Detail + " " + linkID + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

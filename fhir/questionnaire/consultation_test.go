package questionnaire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const consultation = "domain/set-a-consultation/"

// expectedIssue is an issue of the manifest.
type expectedIssue struct{ Code, Detail, LinkID string }

// TestConsultation holds the checks to the example consultation.
func TestConsultation(t *testing.T) {
	t.Parallel()
	var manifest struct {
		Valid, Invalid []struct {
			File   string
			Issues []expectedIssue
		}
	}
	if err := json.Unmarshal(shared(t, consultation+"manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	form := compile(t, string(shared(t, consultation+"questionnaire.json")))
	for _, c := range append(manifest.Valid, manifest.Invalid...) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, is := range c.Issues {
				switch is.Detail {
				case "questionnaire-not-found", "questionnaire-required", "qrs-1":
					return // found before the form is asked
				}
				want = append(want, is.Code+" "+is.Detail+" "+is.LinkID)
			}
			src := shared(t, consultation+c.File)
			got := check(t, form, string(src))
			if brief(got.Issues) != strings.Join(want, "\n") {
				t.Errorf("got %v\nwant %v", got.Issues, want)
			}
			if got.Resource != nil {
				t.Errorf("filled in %s", got.Resource.Source())
			}
		})
	}
}

// TestConsultationPlaces holds issues to the example of an outcome.
func TestConsultationPlaces(t *testing.T) {
	t.Parallel()
	want := decode(t, "OperationOutcome", shared(t, consultation+"expected-outcome-for-invalid-17.json")).Root()
	form := compile(t, string(shared(t, consultation+"questionnaire.json")))
	got := check(t, form, string(shared(t, consultation+"qr-invalid-17-two-problems-reported-together.json"))).Issues
	i := 0
	for issue := range want.Each("issue") {
		if i == len(got) {
			t.Fatalf("there are %d issues", i)
		}
		if is := got[i]; is.Expression != issue.Child("expression").Text() || is.Severity != fhir.Error {
			t.Errorf("got %v at %s, want %s", is.Severity, is.Expression, issue.Child("expression").Text())
		}
		i++
	}
	if text := `Item "problem-description" must be answered`; got[0].Text != text {
		t.Errorf("got %q, want %q", got[0].Text, text)
	}
	if rule := "https://fhir.openconsult.example/Questionnaire/online-consult-general|1.0.0#severity"; got[1].Rule != rule {
		t.Errorf("got %q, want %q", got[1].Rule, rule)
	}
}

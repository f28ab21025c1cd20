package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestReason wants the reason for a rejected line to speak of the line, and not of the
// batch that it was sent in.
func TestReason(t *testing.T) {
	t.Parallel()
	at := func(rule string) fhir.Issue {
		return fhir.Issue{Code: fhir.Invariant, Expression: "Bundle.entry[2].resource.contact[0]", Text: "Give a name.", Rule: rule, Line: 1, Column: 400}
	}
	sent := (&fhir.Outcome{Issues: []fhir.Issue{at("pat-1"), at("")}}).JSON()
	got := reason(422, sent, 2, "Patient")
	if !json.Valid(got) || strings.Contains(string(got), "issue-line") || strings.Contains(string(got), "issue-col") || strings.Contains(string(got), "[]") {
		t.Errorf("%s", got)
	}
	if _, err := fhir.Decode("OperationOutcome", got); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(got), `"valueString":"pat-1"`) || !strings.Contains(string(got), `"Patient.contact[0]"`) {
		t.Errorf("%s", got)
	}
	if whole := reason(422, sent, -1, ""); !strings.Contains(string(whole), "issue-line") {
		t.Errorf("of a transaction the place is lost: %s", whole)
	}
}

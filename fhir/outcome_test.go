package fhir_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestOutcomeJSON(t *testing.T) {
	t.Parallel()
	o := &fhir.Outcome{Issues: []fhir.Issue{
		{Code: fhir.Required, Expression: "Patient.name[0]", Text: `Say <who> "it" is & why.`, Detail: "name-required"},
		{Severity: fhir.Fatal, Code: fhir.Structure, Text: "The JSON ends too early: \u2028\xff."},
		{Severity: fhir.Warning, Code: fhir.Value, Text: "a"},
		{Severity: fhir.Information, Code: fhir.Informational, Text: "b"},
	}}
	r, err := fhir.Decode("OperationOutcome", o.JSON())
	if err != nil {
		t.Fatalf("%s: %v", o.JSON(), err)
	}
	issue := r.Root().Child("issue")
	for path, want := range map[string]string{
		"severity":   "error",
		"code":       "required",
		"expression": "Patient.name[0]",
	} {
		if got := issue.Child(path).Text(); got != want {
			t.Errorf("issue.%s is %q, want %q", path, got, want)
		}
	}
	details := issue.Child("details")
	if got := details.Child("text").Text(); got != o.Issues[0].Text {
		t.Errorf("details.text is %q", got)
	}
	if got := details.Child("coding").Child("code").Text(); got != "name-required" {
		t.Errorf("details.coding.code is %q", got)
	}
}

// TestOutcomePlace writes what R4 has no element for as the extensions that it
// defines. http://hl7.org/fhir/R4/operationoutcome-profiles.html
func TestOutcomePlace(t *testing.T) {
	t.Parallel()
	const at = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-"
	for _, c := range []struct {
		issue fhir.Issue
		want  string
	}{
		{fhir.Issue{}, ""},
		{fhir.Issue{Line: 3, Column: 14}, "line=3 col=14 "},
		{fhir.Issue{Line: 3}, "line=3 "},
		{fhir.Issue{Rule: "pat-1"}, "source=pat-1 "},
		{fhir.Issue{Line: 1, Column: 2, Rule: "https://a.example/P#\x00"}, "line=1 col=2 source=https://a.example/P#\uFFFD "},
	} {
		c.issue.Code, c.issue.Text = fhir.Value, "Do it."
		o := &fhir.Outcome{Issues: []fhir.Issue{c.issue}}
		r, err := fhir.Decode("OperationOutcome", o.JSON())
		if err != nil {
			t.Fatalf("%s: %v", o.JSON(), err)
		}
		got := ""
		for e := range r.Root().Child("issue").Each("extension") {
			value := e.Child("value")
			if kind := value.Property(); kind != "valueInteger" && kind != "valueString" {
				t.Errorf("%s has a %s", e.Path(), kind)
			}
			got += strings.TrimPrefix(e.Child("url").Text(), at) + "=" + value.Text() + " "
		}
		if got != c.want {
			t.Errorf("%+v has %q, want %q", c.issue, got, c.want)
		}
	}
}

// Every code and severity must be one of R4.
func TestOutcomeCodes(t *testing.T) {
	t.Parallel()
	for _, code := range []fhir.Code{
		fhir.Invalid, fhir.Structure, fhir.Required, fhir.Value, fhir.Invariant, fhir.Security, fhir.Login, fhir.Forbidden, fhir.Processing,
		fhir.NotSupported, fhir.Duplicate, fhir.MultipleMatches, fhir.NotFound, fhir.Deleted, fhir.TooLong, fhir.CodeInvalid, fhir.Extension,
		fhir.TooCostly, fhir.BusinessRule, fhir.Conflict, fhir.Transient, fhir.LockError, fhir.NoStore, fhir.Exception, fhir.Timeout,
		fhir.Throttled, fhir.Informational,
	} {
		o := fhir.Errorf(fhir.Unprocessable, code, "", "Do %s.", "something")
		if _, err := fhir.Decode("OperationOutcome", o.JSON()); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestAsOutcome(t *testing.T) {
	t.Parallel()
	o := fhir.Errorf(fhir.Stale, fhir.Conflict, "Patient.id", "Read it again.")
	if got := fhir.AsOutcome(fmt.Errorf("update Patient/1: %w", o)); got != o {
		t.Errorf("AsOutcome of a wrapped outcome is %v", got)
	}
	if got := fhir.AsOutcome(errors.New("disk full")); got != nil {
		t.Errorf("AsOutcome of another error is %v", got)
	}
	if got := o.Error(); got != "conflict at Patient.id: Read it again." {
		t.Errorf("Error is %q", got)
	}
}

// TestOutcomeIsAlwaysAResource repeats what a client may send in a text.
func TestOutcomeIsAlwaysAResource(t *testing.T) {
	t.Parallel()
	o := fhir.Errorf(fhir.BadRequest, fhir.Value, "a\x01", "There is no %q and no %s.", "\x00", "\x1f\xff<b>\u2028")
	r, err := fhir.Decode("OperationOutcome", o.JSON())
	if err != nil {
		t.Fatalf("%s: %v", o.JSON(), err)
	}
	if _, err := fhir.DecodeXML("OperationOutcome", r.AppendXML(nil)); err != nil {
		t.Errorf("as XML: %v", err)
	}
}

package fhir

import (
	"errors"
	"fmt"
	"strings"
)

// Code is an issue type of https://hl7.org/fhir/R4/valueset-issue-type.html.
type Code string

// The issue types that the server uses.
const (
	Invalid         Code = "invalid"
	Structure       Code = "structure"
	Required        Code = "required"
	Value           Code = "value"
	Invariant       Code = "invariant"
	Security        Code = "security"
	Login           Code = "login"
	Forbidden       Code = "forbidden"
	Processing      Code = "processing"
	NotSupported    Code = "not-supported"
	Duplicate       Code = "duplicate"
	MultipleMatches Code = "multiple-matches"
	NotFound        Code = "not-found"
	Deleted         Code = "deleted"
	TooLong         Code = "too-long"
	CodeInvalid     Code = "code-invalid"
	Extension       Code = "extension"
	TooCostly       Code = "too-costly"
	BusinessRule    Code = "business-rule"
	Conflict        Code = "conflict"
	Transient       Code = "transient"
	LockError       Code = "lock-error"
	NoStore         Code = "no-store"
	Exception       Code = "exception"
	Timeout         Code = "timeout"
	Throttled       Code = "throttled"
	Informational   Code = "informational"
)

// Severity is an issue severity of https://hl7.org/fhir/R4/valueset-issue-severity.html.
// The zero value is [Error].
type Severity uint8

// The severities.
const (
	Error Severity = iota
	Fatal
	Warning
	Information
)

// String returns the severity as R4 writes it.
func (s Severity) String() string {
	return [...]string{"error", "fatal", "warning", "information"}[s]
}

// Class says what went wrong with a request as a whole, apart from which
// element is to blame. The edge turns it into a status.
type Class uint8

// The classes of an Outcome. BadRequest is the zero value.
const (
	BadRequest    Class = iota // the request cannot be understood
	Unprocessable              // understood, but a rule of content or business refuses it
	Unauthorized               // nobody has signed in
	Denied                     // the caller may not do this
	Unknown                    // there is no such resource, as far as the caller may know
	Gone                       // there was one, and it was deleted
	Clash                      // it stands in the way of something else that is there or under way
	Stale                      // a precondition of the request does not hold
	TooLarge                   // more than the server takes
	Busy                       // too many requests from this caller
	Unavailable                // the server cannot do it now; the same request may succeed later
	Full                       // there is no room to store it
)

// An Issue is one problem. https://hl7.org/fhir/R4/operationoutcome.html
type Issue struct {
	Severity   Severity
	Code       Code
	Expression string // FHIRPath of the element: "Patient.name[0].given[1]"; empty when no element is to blame
	Text       string // a sentence that tells the caller what to do, with no patient data in it
	Detail     string // our own stable code for the situation, "if-match-required"; may be empty
	Rule       string // id of the rule that does not hold, "pat-1", or canonical URL of the profile; may be empty
	Line       int    // of the element in what the client sent, from 1; 0 when unknown
	Column     int    // in characters of that line, from 1; 0 when unknown
	Extensions string // further extensions, JSON objects with commas between them; may be empty
}

// An Outcome is an error made of issues, meant for the caller. Any other error
// that reaches the edge is a fault of ours: its text is logged, never sent.
type Outcome struct {
	Class  Class
	Issues []Issue
}

// Error lists the issues, one after the other.
func (o *Outcome) Error() string {
	texts := make([]string, len(o.Issues))
	for i, is := range o.Issues {
		texts[i] = string(is.Code) + ": " + is.Text
		if is.Expression != "" {
			texts[i] = string(is.Code) + " at " + is.Expression + ": " + is.Text
		}
	}
	return strings.Join(texts, "; ")
}

// Errorf returns an Outcome of class c with a single issue about the element at
// expression, which may be empty.
func Errorf(c Class, code Code, expression, format string, args ...any) *Outcome {
	return &Outcome{Class: c, Issues: []Issue{{Code: code, Expression: expression, Text: fmt.Sprintf(format, args...)}}}
}

// AsOutcome returns the Outcome in err's chain, or nil when there is none.
func AsOutcome(err error) *Outcome {
	if o, ok := errors.AsType[*Outcome](err); ok {
		return o
	}
	return nil
}

package fhirpath

import (
	"fmt"
	"strings"
)

// Kind says what sort of thing is wrong with an expression or its evaluation.
type Kind string

// The kinds of an Error.
const (
	Syntax      Kind = "syntax"      // the text is no FHIRPath
	Unknown     Kind = "unknown"     // there is no function, type, variable or element of that name
	Type        Kind = "type"        // an operator or function was given something that it does not take
	Cardinality Kind = "cardinality" // several items where one was expected
	Limit       Kind = "limit"       // the expression is too long or too deep, or its evaluation too costly
	Unsupported Kind = "unsupported" // the answer needs something that the Env does not offer
)

// An Error is what is wrong with an expression, or what stopped its evaluation.
type Error struct {
	Kind   Kind
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Text   string // a sentence, with no data of the resource in it
	cause  error
}

// Error returns the position and the sentence.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Unwrap returns the error of the function of Env that stopped the evaluation, or
// nil.
func (e *Error) Unwrap() error { return e.cause }

// nowhere is the offset of an error whose position its caller knows.
const nowhere = -1

func errorf(kind Kind, at int, format string, args ...any) *Error {
	return &Error{Kind: kind, Offset: at, Text: fmt.Sprintf(format, args...)}
}

// place fills in the line and the column of e, an error about src.
func (e *Error) place(src string) *Error {
	e.Offset = max(e.Offset, 0)
	before := src[:min(e.Offset, len(src))]
	start := strings.LastIndexByte(before, '\n') + 1
	e.Line = strings.Count(before, "\n") + 1
	e.Column = len([]rune(before[start:])) + 1
	return e
}

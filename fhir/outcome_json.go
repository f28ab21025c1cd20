package fhir

import (
	"bytes"
	"html"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// OutcomeSystem is the code system of Issue.Detail.
const OutcomeSystem = "https://fhir.openconsult.example/CodeSystem/outcome"

// issueExtension begins the URLs of the extensions of an issue.
const issueExtension = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-"

// JSON returns o as an OperationOutcome resource.
// https://hl7.org/fhir/R4/operationoutcome.html
func (o *Outcome) JSON() []byte {
	o = o.printable()
	dst := []byte(`{"resourceType":"OperationOutcome","text":{"status":"generated","div":`)
	dst = AppendString(dst, o.narrative())
	dst = append(dst, `},"issue":[`...)
	for i, is := range o.Issues {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = is.append(dst)
	}
	return append(dst, `]}`...)
}

// printable returns o without characters that a FHIR string may not hold, which
// a text may repeat from what a client sent.
func (o *Outcome) printable() *Outcome {
	clean := func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
			return '\uFFFD'
		}
		return r
	}
	issues := slices.Clone(o.Issues)
	for i := range issues {
		issues[i].Text = strings.Map(clean, issues[i].Text)
		issues[i].Expression = strings.Map(clean, issues[i].Expression)
		issues[i].Rule = strings.Map(clean, issues[i].Rule)
	}
	return &Outcome{Class: o.Class, Issues: issues}
}

func (o *Outcome) narrative() string {
	var b bytes.Buffer
	b.WriteString(`<div xmlns="http://www.w3.org/1999/xhtml"><ul>`)
	for _, is := range o.Issues {
		b.WriteString("<li>" + is.Severity.String() + ": " + html.EscapeString(is.Text))
		if is.Expression != "" {
			b.WriteString(" (" + html.EscapeString(is.Expression) + ")")
		}
		b.WriteString("</li>")
	}
	b.WriteString(`</ul></div>`)
	return b.String()
}

func (is Issue) append(dst []byte) []byte {
	dst = append(is.appendExtensions(append(dst, '{')), `"severity":"`...)
	dst = append(dst, is.Severity.String()...)
	dst = append(dst, `","code":"`...)
	dst = append(dst, is.Code...)
	dst = append(dst, `","details":{`...)
	if is.Detail != "" {
		dst = append(dst, `"coding":[{"system":"`+OutcomeSystem+`","code":`...)
		dst = append(AppendString(dst, is.Detail), `}],`...)
	}
	dst = append(dst, `"text":`...)
	dst = append(AppendString(dst, is.Text), `}`...)
	if is.Expression != "" {
		dst = append(dst, `,"expression":[`...)
		dst = append(AppendString(dst, is.Expression), ']')
	}
	return append(dst, '}')
}

// appendExtensions appends where the client finds the element, and what rule it is
// about. http://hl7.org/fhir/R4/operationoutcome-profiles.html
func (is Issue) appendExtensions(dst []byte) []byte {
	start := len(dst)
	open := func() {
		opening := byte(',')
		if len(dst) == start {
			dst, opening = append(dst, `"extension":`...), '['
		}
		dst = append(dst, opening)
	}
	next := func(name string) {
		open()
		dst = append(append(dst, `{"url":"`+issueExtension...), name...)
	}
	if is.Line > 0 {
		next("line")
		dst = append(strconv.AppendInt(append(dst, `","valueInteger":`...), int64(is.Line), 10), '}')
	}
	if is.Column > 0 {
		next("col")
		dst = append(strconv.AppendInt(append(dst, `","valueInteger":`...), int64(is.Column), 10), '}')
	}
	if rule := is.rule(); rule != "" {
		next("source")
		dst = append(AppendString(append(dst, `","valueString":`...), rule), '}')
	}
	if is.Extensions != "" {
		open()
		dst = append(dst, is.Extensions...)
	}
	if len(dst) > start {
		dst = append(dst, `],`...)
	}
	return dst
}

// AppendString appends s to dst as a JSON string in quotes. What is not UTF-8 is
// replaced.
func AppendString(dst []byte, s string) []byte {
	// The only error is invalid UTF-8, which is then replaced.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// rule returns the rule that does not hold: for what is no FHIR at all, our code of what
// is wrong with it.
func (is Issue) rule() string {
	if is.Rule == "" && is.Line > 0 && is.Detail != "" {
		return OutcomeSystem + "#" + is.Detail
	}
	return is.Rule
}

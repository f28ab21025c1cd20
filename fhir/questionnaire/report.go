package questionnaire

import (
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

const (
	maxReported = 200 // issues of one response
	maxShown    = 200 // characters of a name that a client has chosen
)

// report adds an error about a node of what was sent.
func (c *checker) report(sent fhir.Node, it *item, detail, text string) {
	c.add(fhir.Issue{Code: faultCode(detail), Detail: detail, Text: text}, sent, it)
}

// warn adds a warning.
func (c *checker) warn(sent fhir.Node, it *item, detail, text string) {
	c.add(fhir.Issue{Severity: fhir.Warning, Code: faultCode(detail), Detail: detail, Text: text}, sent, it)
}

// add completes an issue. The text continues the name of the item.
func (c *checker) add(is fhir.Issue, sent fhir.Node, it *item) {
	if len(c.issues) == maxReported {
		c.issues = append(c.issues, fhir.Issue{Severity: fhir.Information, Code: fhir.TooCostly, Detail: "more-issues",
			Text: "There are more problems; correct these first"})
	}
	if len(c.issues) > maxReported {
		c.unlisted = c.unlisted || is.Severity == fhir.Error
		return
	}
	is.Rule = c.form.canonical
	name := sent.Child("linkId").Text()
	if it != nil {
		name = it.linkID
		is.Rule += "#" + name
	}
	switch {
	case name == "":
	case is.Detail == "item-required":
		is.Text = `Item "` + short(name) + `" ` + is.Text
	default:
		is.Text = `Item "` + short(name) + `": ` + is.Text
	}
	placed := fhir.At(sent)
	is.Expression, is.Line, is.Column = expressionOf(sent), placed.Line, placed.Column
	c.issues = append(c.issues, is)
}

// tooCostly ends the check with an error.
func (c *checker) tooCostly(text string) {
	if !c.stopped {
		c.stopped = true
		c.issues = append([]fhir.Issue{{Code: fhir.TooCostly, Detail: "too-costly", Text: text, Rule: c.form.canonical}}, c.issues...)
	}
}

// faultCode returns the FHIR code of what is wrong.
func faultCode(detail string) fhir.Code {
	switch detail {
	case "item-required", "too-few-answers":
		return fhir.Required
	case "item-not-enabled", "exclusive-option":
		return fhir.BusinessRule
	case "unknown-link-id", "wrong-parent", "too-many-answers", "item-repeated", "group-answered", "display-answered", "item-order":
		return fhir.Structure
	case "not-an-answer-option", "not-in-value-set", "unit-not-allowed":
		return fhir.CodeInvalid
	case "answer-too-long", "attachment-too-large":
		return fhir.TooLong
	case "attachment-type", "answer-not-checked":
		return fhir.NotSupported
	case "expression-failed":
		return fhir.Processing
	case "calculated-mismatch":
		return fhir.Invariant
	case "modifier-extension":
		return fhir.Extension
	case "too-costly":
		return fhir.TooCostly
	}
	return fhir.Value
}

// short cuts a name that could be of any length.
func short(name string) string {
	for i := range name {
		if i >= maxShown {
			return name[:i] + "…"
		}
	}
	return name
}

// expressionOf returns the FHIRPath of a node of a response, with the items by their
// linkId: "QuestionnaireResponse.item.where(linkId='a').answer[0].value".
func expressionOf(n fhir.Node) string { return string(appendExpression(nil, n)) }

func appendExpression(dst []byte, n fhir.Node) []byte {
	parent := n.Parent()
	if parent.IsZero() {
		return append(dst, n.Name()...)
	}
	dst = append(append(appendExpression(dst, parent), '.'), n.Name()...)
	linkID := n.Child("linkId").Text()
	if n.Name() != "item" || linkID == "" || len(linkID) > maxShown {
		return appendIndex(dst, n.Index())
	}
	dst = append(append(append(dst, ".where(linkId='"...), escape.Replace(linkID)...), "')"...)
	before, all := 0, 0
	for sibling := range parent.Each("item") {
		if sibling == n {
			before = all
		}
		if sibling.Child("linkId").Text() == linkID {
			all++
		}
	}
	if all > 1 {
		dst = appendIndex(dst, before)
	}
	return dst
}

func appendIndex(dst []byte, i int) []byte {
	if i < 0 {
		return dst
	}
	return append(strconv.AppendInt(append(dst, '['), int64(i), 10), ']')
}

// escape writes a text between the quotes of a FHIRPath string.
var escape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`)

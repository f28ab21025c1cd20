package consultation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// The extensions of a form that concern triage.
const (
	triageRuleURL     = extensionBase + "triage-rule"
	triageApprovalURL = extensionBase + "triage-approval"
)

const maxTriageRules = 100 // of one form

// A triageQuestion is a question that a condition names.
type triageQuestion struct {
	linkID string
	codes  []string // of its answers, as the condition has them between quotes
	opener []opener // the coded answers that enable it
}

// An opener is an answer to another question that enables one.
type opener struct {
	linkID string
	answer Coded
}

// CompileRules reads the triage rules of a Questionnaire, from its extensions
//
//	triage-rule{id, condition, priority, disposition?, patientMessage?, finding?, approver?, approved?, approvedVersion?}
//
// with a FHIRPath condition on the response, which is %resource. A rule counts as approved
// when approver (a reference or a name), approved (a date) and approvedVersion are there,
// the last being the version that the form has: so a copy of the form is approved anew. One
// extension triage-approval{approver, approved, approvedVersion} of the form does for all
// rules.
//
// Rules are never nil. A rule with an error is kept: it cannot be evaluated, so it counts
// as fired for everybody, at its priority or else stat. A form with such rules should not be
// stored. Detail of an issue is triage-rule-id, triage-rule-condition,
// triage-rule-priority, triage-rule-link-id, too-many-triage-rules, or, for information,
// triage-rule-unapproved.
func CompileRules(questionnaire fhir.Node) (*Rules, []fhir.Issue) {
	c := ruleCompiler{form: questionnaire, rules: &Rules{questionnaire: canonicalOf(questionnaire)}, items: map[string]fhir.Node{}}
	c.rules.displays = map[Code]string{}
	c.rules.constants = map[string]fhirpath.Collection{"questionnaire": {fhirpath.NodeItem(questionnaire)}}
	c.collect(questionnaire)
	c.approved = c.isApproval(questionnaire.Extension(triageApprovalURL))
	for e := range questionnaire.Each("extension") {
		if e.Child("url").Text() == triageRuleURL {
			c.add(e)
		}
	}
	return c.rules, c.issues
}

// A ruleCompiler reads the rules of one form.
type ruleCompiler struct {
	form     fhir.Node
	rules    *Rules
	items    map[string]fhir.Node // by linkId
	approved bool                 // by an extension of the form
	issues   []fhir.Issue
}

// collect finds the items of the form.
func (c *ruleCompiler) collect(n fhir.Node) {
	for it := range n.Each("item") {
		c.items[it.Child("linkId").Text()] = it
		for option := range it.Each("answerOption") {
			if d := option.Child("value").Child("display").Text(); d != "" {
				c.rules.displays[code(option.Child("value"))] = d
			}
		}
		c.collect(it)
	}
}

// add reads one rule.
func (c *ruleCompiler) add(e fhir.Node) {
	r := triageRule{
		id:          extensionPart(e, "id").Text(),
		priority:    extensionPart(e, "priority").Text(),
		disposition: readCoded(extensionPart(e, "disposition")),
		message:     extensionPart(e, "patientMessage").Text(),
		finding:     readCoded(extensionPart(e, "finding")),
		source:      extensionPart(e, "condition").Child("expression").Text(),
		approved:    c.approved || c.isApproval(e),
	}
	c.identify(e, &r)
	c.rank(e, &r)
	c.condition(e, &r)
	if !r.approved {
		c.report(e, fhir.Issue{Severity: fhir.Information, Code: fhir.Informational, Detail: "triage-rule-unapproved",
			Text: "Nobody has approved this rule for this version of the form: record approver, approved and approvedVersion before patients answer it."}, nil)
	}
	c.rules.rules = append(c.rules.rules, r)
}

func (c *ruleCompiler) identify(e fhir.Node, r *triageRule) {
	switch {
	case r.id == "":
		r.id = fmt.Sprintf("rule-%d", len(c.rules.rules)+1)
		c.report(e, fhir.Issue{Code: fhir.Required, Detail: "triage-rule-id", Text: "A triage rule needs an id (valueId): give it one."}, r)
	case slices.ContainsFunc(c.rules.rules, func(o triageRule) bool { return o.id == r.id }):
		c.report(e, fhir.Issue{Code: fhir.Duplicate, Detail: "triage-rule-id", Text: "Two triage rules have the same id: give each its own."}, r)
	}
	if len(c.rules.rules) == maxTriageRules {
		c.report(e, fhir.Issue{Code: fhir.TooCostly, Detail: "too-many-triage-rules",
			Text: fmt.Sprintf("A form has at most %d triage rules: join some of them.", maxTriageRules)}, r)
	}
	if len(c.rules.rules) >= maxTriageRules {
		r.flaw = "The form has too many rules."
	}
}

// rank checks the priority. Nobody knows how grave a rule without one is.
func (c *ruleCompiler) rank(e fhir.Node, r *triageRule) {
	if slices.Contains(priorities(), r.priority) {
		return
	}
	r.priority = "stat"
	c.report(e, fhir.Issue{Code: fhir.CodeInvalid, Detail: "triage-rule-priority",
		Text: "A triage rule needs a priority (valueCode): routine, urgent, asap or stat."}, r)
}

// condition compiles the condition and finds the questions that it names.
func (c *ruleCompiler) condition(e fhir.Node, r *triageRule) {
	language := extensionPart(e, "condition").Child("language").Text()
	if language != "text/fhirpath" || r.source == "" {
		c.report(e, fhir.Issue{Code: fhir.Required, Detail: "triage-rule-condition",
			Text: "A triage rule needs a condition: a valueExpression with language text/fhirpath and an expression."}, r)
		return
	}
	compiled, err := fhirpath.Compile(r.source)
	if err != nil {
		c.report(e, fhir.Issue{Code: fhir.Invalid, Detail: "triage-rule-condition", Text: "The condition is no FHIRPath: " + err.Error()}, r)
		return
	}
	for _, question := range questionsIn(r.source) {
		it, known := c.items[question]
		if !known {
			c.report(e, fhir.Issue{Code: fhir.Value, Detail: "triage-rule-link-id",
				Text: "The condition asks for an item that the form does not have, so it could never be met: correct the linkId."}, r)
			continue
		}
		r.questions = append(r.questions, triageQuestion{linkID: question, codes: quoted(r.source), opener: openersOf(it)})
	}
	if r.flaw == "" {
		r.condition = compiled
	}
}

// report adds an issue about a rule. An error breaks it.
func (c *ruleCompiler) report(e fhir.Node, is fhir.Issue, r *triageRule) {
	is.Expression = e.Path()
	if r != nil {
		is.Rule = r.id
		if r.flaw == "" {
			r.flaw = "The rule is not written so that it can be evaluated."
		}
	}
	c.issues = append(c.issues, is)
}

// isApproval reports whether an extension says who approved which version and when.
func (c *ruleCompiler) isApproval(e fhir.Node) bool {
	approver := extensionPart(e, "approver")
	named := approver.Text() != "" || approver.Child("reference").Text() != "" || approver.Child("display").Text() != "" ||
		!approver.Child("identifier").IsZero()
	version := c.form.Child("version").Text()
	return named && extensionPart(e, "approved").Text() != "" && version != "" && extensionPart(e, "approvedVersion").Text() == version
}

// openersOf returns the coded answers that enable an item. Those that enable the groups around
// it say what the form is about, not what is found.
func openersOf(it fhir.Node) []opener {
	var all []opener
	for when := range it.Each("enableWhen") {
		answer := when.Child("answer")
		if when.Child("operator").Text() == "=" && !answer.IsZero() && answer.Type().Name == "Coding" {
			all = append(all, opener{when.Child("question").Text(), readCoded(answer)})
		}
	}
	return all
}

// linkIDs finds comparisons of linkId with a text.
var linkIDs = regexp.MustCompile(`\blinkId\s*(?:=|~)\s*'((?:[^'\\]|\\.)*)'`)

// quotes finds texts.
var quotes = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'`)

// questionsIn returns the linkIds that a condition compares with, each once.
func questionsIn(condition string) []string { return firsts(linkIDs, condition) }

// quoted returns the texts of a condition that are no linkIds.
func quoted(condition string) []string {
	return firsts(quotes, linkIDs.ReplaceAllString(condition, ""))
}

func firsts(pattern *regexp.Regexp, text string) []string {
	var all []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		if s := strings.ReplaceAll(m[1], `\'`, `'`); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

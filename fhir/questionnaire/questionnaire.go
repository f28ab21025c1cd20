// Package questionnaire says whether a response answers its form, fills forms in from
// what is known, and takes what was answered out of them.
package questionnaire

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A Form is a Questionnaire made ready to be answered. It does not change and may be
// used by several goroutines at once.
type Form struct {
	node      fhir.Node
	canonical string // with its version
	root      *item  // a group of the items at the top
	items     map[string]*item
	levels    [][]*item // the items with calculated values: each level needs those before it only
}

// Terms answers what a form asks of terminology. *terminology.Service does.
type Terms interface {
	Member(ctx context.Context, valueSet string, codings ...terminology.Coding) (terminology.Verdict, error)
	MemberOf(ctx context.Context, valueSet *definition.Definition, codings ...terminology.Coding) (terminology.Verdict, error)
}

// An Env is what is known beside the form and the response.
type Env struct {
	Terms Terms     // nil leaves value sets undecided
	Now   time.Time // by which expressions go; zero is now
}

// A Checked is what a check has found.
type Checked struct {
	Issues   []fhir.Issue   // in the order of the response; what is missing stands at the item that it is missing from
	Resource *fhir.Resource // the response with the calculated values that it left out; nil when nothing was left out
}

// Check says whether a response answers f: whether its items are those of the form, at
// their place and enabled, and their answers of the type, number and range that it wants.
//
// Only a completed or amended response must have all that is required and hold the
// constraints; any other may be unfinished. A required question is missed in a group that
// was left out, too, unless the group may repeat. A disabled question counts as
// unanswered for other conditions. A question in a repeating group, or below an answer,
// is looked for in the same group or answer first; of several elsewhere the last one
// before the item counts, or else the first one after it. Calculated values are found
// out again: another value is an error, a missing one is filled in. Bounds that contain
// partial dates are broken only by dates that are outside for certain.
//
// Detail of an issue is item-required, item-not-enabled, item-repeated, item-order,
// unknown-link-id, wrong-parent, group-answered, display-answered, too-many-answers,
// too-few-answers, wrong-answer-type, not-an-answer-option, not-in-value-set,
// answer-not-checked, exclusive-option, answer-too-long, answer-too-short,
// pattern-mismatch, out-of-range, too-many-decimal-places, unit-not-allowed,
// reference-type, attachment-type, attachment-too-large, attachment-size,
// attachment-size-unknown, calculated-mismatch, expression-failed, modifier-extension,
// too-costly, or the key of a constraint; more-issues stands after the first 200. Rule
// is the canonical of the form, with # and the linkId.
//
// The error is that of a fault of ours.
// https://hl7.org/fhir/R4/questionnaireresponse.html#notes
func (f *Form) Check(ctx context.Context, response *fhir.Resource, env Env) (Checked, error) {
	c := newChecker(f, response, env)
	if c == nil {
		return Checked{Issues: []fhir.Issue{{Code: fhir.Invalid, Detail: "response-required",
			Text: "Only a QuestionnaireResponse can answer a form: send one"}}}, nil
	}
	filled := c.calculate(ctx)
	c.whole(ctx)
	if c.err != nil {
		return Checked{}, c.err
	}
	return Checked{Issues: c.issues, Resource: filled}, nil
}

package questionnaire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Search runs a relative FHIR search, "Observation?subject=Patient/1&_count=1", with
// the rights of whoever asked, and returns the resources that match, in their order.
// An *fhir.Outcome is reported and the form goes on without them; any other error ends
// the operation.
type Search func(ctx context.Context, query string) ([]fhir.Node, error)

// A Population is what a form is filled in from.
type Population struct {
	Subject     string               // reference to whom the answers are about, "Patient/1"; empty leaves it out
	SubjectNode fhir.Node            // that resource; zero when it is not known
	Contexts    map[string]fhir.Node // launch contexts by name: "patient", "user", "encounter"
	Now         time.Time            // by which expressions and periods go; zero is now
	Search      Search               // nil finds nothing, and says so
}

// A Populated is a form filled in.
type Populated struct {
	Response []byte       // a QuestionnaireResponse as JSON, in progress, with the items that have content
	Issues   []fhir.Issue // warnings: what could not be found out, and what was found but does not fit
}

// What Populate does at most.
const (
	maxSearches    = 50
	maxEvaluations = 5_000
	maxFilled      = 10_000  // items and answers
	maxFound       = 1_000   // resources that one search adds
	maxFoundByAll  = 3_000   // resources that all searches add
	maxBytesByAll  = 4 << 20 // bytes that these have
)

// Populate fills a Questionnaire in from what is known, as far as the form says how:
// by expressions (launchContext, variable, itemPopulationContext, initialExpression;
// FHIRPath, or FHIR searches with FHIRPath in double braces), by the newest observation
// of its code (observationLinkPeriod), and with what the form has itself (initial,
// initialSelected). Hidden items are filled in like others, and enableWhen is not asked:
// what answers make of other items is known only when somebody has answered.
// Calculated values come from Form.Check.
//
// A variable that is a search is the Bundle of what was found, one that reads
// ("Patient/1") the resource; a population context is the resources themselves. In a
// query every value is escaped, so that what is known about somebody cannot change what
// is asked; a query with a value that is not known is not asked.
//
// Not supported, and reported: candidateExpression (the form's user is to choose),
// source queries, StructureMaps, CQL. The adaptive forms of $next-question are left out
// altogether.
//
// The error is an *fhir.Outcome when form is no Questionnaire, else that of a search.
// https://hl7.org/fhir/uv/sdc/STU3/populate.html
func Populate(ctx context.Context, form fhir.Node, p Population) (*Populated, error) {
	if form.IsZero() || form.Type().Name != "Questionnaire" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "Only a Questionnaire can be filled in: send one, or name one")
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	head := p.head(form)
	skeleton, err := fhir.Decode("QuestionnaireResponse", append(head[:len(head):len(head)], '}'))
	if err != nil {
		return nil, err // the subject is no reference that a response may have
	}
	f := &filler{evaluator: newEvaluator(form, p.Now, p.Search), population: p}
	f.resource = skeleton.Root()
	items := f.form(ctx)
	if f.err != nil {
		return nil, fmt.Errorf("fill in %s: %w", form.Child("url").Text(), f.err)
	}
	response := appendItems(head, items)
	response = append(response, '}')
	if _, err := fhir.Decode("QuestionnaireResponse", response); err != nil {
		// It is a fault of ours, so that the caller must not get it as an Outcome.
		return nil, errors.New("read what " + form.Child("url").Text() + " was filled in with: " + err.Error())
	}
	return &Populated{Response: response, Issues: f.issues}, nil
}

// head returns the response as JSON without its items and its last brace.
func (p Population) head(form fhir.Node) []byte {
	dst := []byte(`{"resourceType":"QuestionnaireResponse"`)
	if c := canonicalOf(form); c != "" {
		dst = append(dst, `,"questionnaire":`...)
		dst = fhir.AppendString(dst, c)
	}
	dst = append(dst, `,"status":"in-progress"`...)
	if p.Subject != "" {
		dst = append(dst, `,"subject":{"reference":`...)
		dst = append(fhir.AppendString(dst, p.Subject), '}')
	}
	return append(dst, `,"authored":"`+p.Now.Format("2006-01-02T15:04:05Z07:00")+`"`...)
}

// canonicalOf returns the canonical of a form with its version: "url|1.0".
func canonicalOf(form fhir.Node) string {
	url, version := form.Child("url").Text(), form.Child("version").Text()
	if url == "" || version == "" || strings.ContainsAny(version, " \t\r\n") {
		return url
	}
	return url + "|" + version
}

// A filledItem is an item of the response.
type filledItem struct {
	linkID  string
	answers []filledAnswer // of a question
	items   []filledItem   // of a group
}

// A filledAnswer is an answer of the response.
type filledAnswer struct {
	formValue
	items []filledItem
}

// appendItems appends items as the last member of an object, with the comma before it.
func appendItems(dst []byte, items []filledItem) []byte {
	if len(items) == 0 {
		return dst
	}
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, `"item":[`...)
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fhir.AppendString(append(dst, `{"linkId":`...), item.linkID)
		dst = appendAnswers(dst, item.answers)
		dst = append(appendItems(dst, item.items), '}')
	}
	return append(dst, ']')
}

func appendAnswers(dst []byte, answers []filledAnswer) []byte {
	if len(answers) == 0 {
		return dst
	}
	dst = append(dst, `,"answer":[`...)
	for i, a := range answers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if a.property != "" {
			dst = append(fhir.AppendString(dst, a.property), ':')
			dst = append(dst, a.json...)
		}
		dst = append(appendItems(dst, a.items), '}')
	}
	return append(dst, ']')
}

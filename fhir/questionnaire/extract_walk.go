package questionnaire

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// A passage is what holds at a place of the form, for one place of the response.
type passage struct {
	scope    *scope
	observe  bool      // observationExtract
	category fhir.Node // of observations, a CodeableConcept; may be zero
	target   *target   // the nearest resource that is made of definitions; nil without one
	anchors  []anchor  // elements of targets that groups around here have made
}

// bindNode gives a variable a resource as its value.
func (s *scope) bindNode(name string, n fhir.Node) {
	if !n.IsZero() {
		s.bind(name, fhirpath.Collection{fhirpath.NodeItem(n)})
	}
}

// enter returns the passage inside an element of the form.
func (e *extractor) enter(ctx context.Context, n fhir.Node, p passage) passage {
	p.scope = p.scope.inside(n)
	switch v := n.Extension(sdcURL + "observationExtract").Child("value"); {
	case v.IsZero():
	case v.Type().Name == "boolean":
		p.observe = v.Text() == "true"
	default:
		p.observe = false
		e.warn(v, fhir.NotSupported, "extraction-unsupported", "Observations with components or members are not supported: extract each answer by itself.")
	}
	if v := n.Extension(sdcURL + "observation-extract-category").Child("value"); !v.IsZero() && v.Type().Name == "CodeableConcept" {
		p.category = v
	}
	if t := e.open(ctx, n, p); t != nil {
		p.target = t
	}
	return p
}

// walk goes through the items below an element of the form, beside what answers them
// below an element of the response, which may be zero.
func (e *extractor) walk(ctx context.Context, form, response fhir.Node, p passage) {
	answers := map[string][]fhir.Node{}
	for r := range response.Each("item") {
		id := r.Child("linkId").Text()
		answers[id] = append(answers[id], r)
	}
	for n := range form.Each("item") {
		if e.visited++; e.visited > maxVisited || e.err != nil {
			e.warn(e.root, fhir.TooCostly, "too-much-to-extract", "The response is too large for this form: not everything was extracted.")
			return
		}
		answered := answers[n.Child("linkId").Text()]
		if len(answered) == 0 {
			e.absent(ctx, n, p)
		}
		for _, r := range answered {
			inner := e.enter(ctx, n, p)
			if n.Child("type").Text() == "group" {
				inner.anchors = e.anchor(n, inner, len(answered))
				e.fixed(ctx, n, inner)
				e.walk(ctx, n, r, inner)
				continue
			}
			e.question(ctx, n, r, inner)
		}
	}
}

// question extracts the answers to a question.
func (e *extractor) question(ctx context.Context, n, response fhir.Node, p passage) {
	var values []given
	for a := range response.Each("answer") {
		if v := a.Child("value"); !v.IsZero() {
			values = append(values, givenNode(v))
			e.observation(n, v, p)
		}
	}
	if t := e.define(n, n.Child("definition").Text(), values, p); t != nil {
		t.answered = true
	}
	e.fixed(ctx, n, p)
	for a := range response.Each("answer") {
		if !a.Child("item").IsZero() {
			e.walk(ctx, n, a, p)
		}
	}
}

// absent takes what the form itself says of an item that the response leaves out: the
// initial values of hidden questions.
func (e *extractor) absent(ctx context.Context, n fhir.Node, p passage) {
	if n.Extension(hiddenURL).Child("value").Text() != "true" || !n.Child("enableWhen").IsZero() || p.target == nil {
		return
	}
	if n.Child("type").Text() == "group" {
		if n.Child("repeats").Text() != "true" {
			e.walk(ctx, n, fhir.Node{}, p)
		}
		return
	}
	var values []given
	for i := range n.Each("initial") {
		if v := i.Child("value"); !v.IsZero() {
			values = append(values, givenNode(v))
		}
	}
	e.define(n, n.Child("definition").Text(), values, p)
}

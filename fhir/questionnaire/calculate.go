package questionnaire

import (
	"context"
	"errors"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
)

// calculate finds out the calculated values of enabled items. What was sent instead of
// them is kept for the check; what was not sent is filled in. It returns the response with
// that, or nil when there is nothing to fill in.
func (c *checker) calculate(ctx context.Context) *fhir.Resource {
	var filled *fhir.Resource
	src := c.sent.Source()
	for _, level := range c.form.levels {
		f := filling{src: src, lists: map[*place]*[]*fill{}}
		for _, it := range level {
			for _, p := range c.placesIn(it.parent) {
				c.work++
				if c.busy() {
					return nil
				}
				c.calculateIn(ctx, it, p, &f)
			}
		}
		if len(f.lists) == 0 && len(f.edits) == 0 {
			continue
		}
		r, err := fhir.DecodeDerived("QuestionnaireResponse", f.apply())
		if err != nil {
			c.err = ours("read the response after calculated values were filled in", err)
			return nil
		}
		filled, src = r, r.Source()
		c.arrange(r.Root())
	}
	return filled
}

// placesIn returns where the children of an item stand. A group that was left out counts
// when everything in it is calculated.
func (c *checker) placesIn(it *item) []*place {
	if it.parent == nil {
		return []*place{c.root}
	}
	if found, known := c.places[it]; known {
		return found
	}
	var found []*place
	for _, outer := range c.placesIn(it.parent) {
		entries := outer.slots[it.at].entries
		if len(entries) == 0 && it.isGroup() && !it.repeats && it.onlyCalculated() {
			found = append(found, c.inside(outer, it))
		}
		for _, e := range entries {
			if e.inner != nil {
				found = append(found, e.inner)
			}
			for _, a := range e.answers {
				if a.inner != nil && a.inner.of == it {
					found = append(found, a.inner)
				}
			}
		}
	}
	c.places[it] = found
	return found
}

// calculateIn finds out one calculated value.
func (c *checker) calculateIn(ctx context.Context, it *item, p *place, f *filling) {
	enabled := c.state(ctx, it, p)
	entries := p.slots[it.at].entries
	if enabled == no || enabled == perhaps && len(entries) == 0 {
		return
	}
	expected, ok := c.expected(ctx, it, p)
	switch {
	case !ok:
	case len(entries) > 0 && (entries[0].values() > 0 || len(entries[0].answers) > 0 && len(expected) > 0):
		if !c.agrees(it, expected, entries[0]) {
			c.wrong[entries[0].sent] = true
		}
	case len(expected) == 0:
	case len(entries) > 0 && len(entries[0].answers) == 0:
		f.answer(entries[0], rounded(it, expected))
	case len(entries) == 0:
		f.add(p, it).answers = rounded(it, expected)
	}
}

// expected returns what a calculated value should be. It is not ok when that cannot be
// found out, or does not fit the item.
func (c *checker) expected(ctx context.Context, it *item, p *place) ([]filledAnswer, bool) {
	found, ok := c.evaluate(ctx, it.calculated, p, p.first(it))
	if !ok {
		return nil, false
	}
	if len(found) > 1 && !it.repeats {
		c.warn(p.sent, it, "expression-failed", "the expression of the form gives several values where there is one")
		return nil, false
	}
	answers := make([]filledAnswer, len(found))
	for i, v := range found {
		if answers[i].formValue, ok = answerFor(it.node, v, c.env.Now); !ok {
			c.warn(p.sent, it, "expression-failed", "the expression of the form gives a value that does not fit the type of the item")
			return nil, false
		}
	}
	return answers, true
}

// agrees reports whether the answers that were sent are those expected, exactly or
// rounded to the decimal places that the form allows.
func (c *checker) agrees(it *item, expected []filledAnswer, e *entry) bool {
	if e.values() != len(expected) || len(e.answers) != len(expected) {
		return false
	}
	exactly, inShort := c.valuesOf(expected), c.valuesOf(rounded(it, expected))
	if c.err != nil {
		return true
	}
	for i, a := range e.answers {
		if !equalValues(a.value, exactly[i]) && !equalValues(a.value, inShort[i]) {
			return false
		}
	}
	return true
}

// valuesOf returns answers as the nodes of a response.
func (c *checker) valuesOf(answers []filledAnswer) []fhir.Node {
	src := appendItems([]byte(`{"resourceType":"QuestionnaireResponse","status":"completed"`), []filledItem{{linkID: "1", answers: answers}})
	r, err := fhir.Decode("QuestionnaireResponse", append(src, '}'))
	if err != nil {
		c.err = ours("read calculated values", err)
		return nil
	}
	var values []fhir.Node
	for a := range r.Root().Child("item").Each("answer") {
		values = append(values, a.Child("value"))
	}
	return values
}

// ours returns the error of reading what was made here. It must not be taken for one that
// the client can mend, so the Outcome is not wrapped.
func ours(doing string, err error) error { return errors.New(doing + ": " + err.Error()) }

// rounded returns answers with the decimal places that the form allows.
func rounded(it *item, answers []filledAnswer) []filledAnswer {
	if it.decimals < 0 || it.kind != "decimal" {
		return answers
	}
	all := make([]filledAnswer, len(answers))
	for i, a := range answers {
		all[i] = a
		d, _, err := apd.NewFromString(string(a.json))
		if err != nil || int(d.Exponent) >= -it.decimals {
			continue
		}
		context := exact()
		context.Rounding = apd.RoundHalfUp
		if _, err := context.Quantize(d, d, int32(-it.decimals)); err == nil {
			all[i].json = []byte(d.Text('f'))
		}
	}
	return all
}

// mismatchAt returns where a wrong calculated value stands in what was sent.
func mismatchAt(e *entry) fhir.Node {
	if len(e.answers) == 1 {
		if v := e.answers[0].sent.Child("value"); !v.IsZero() {
			return v
		}
	}
	return e.sent
}

package questionnaire

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// enabled reports whether an item is enabled in the place that it belongs to.
// https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen
func (c *checker) enabled(ctx context.Context, it *item, p *place) bool {
	return c.state(ctx, it, p) != no
}

func (c *checker) state(ctx context.Context, it *item, p *place) state {
	if it.parent == nil {
		return yes
	}
	s := &p.slots[it.at]
	if s.enabled == unasked {
		s.enabled = perhaps // if an expression comes back to it
		s.enabled = c.findState(ctx, it, p)
	}
	return s.enabled
}

func (c *checker) findState(ctx context.Context, it *item, p *place) state {
	around := yes
	if p.outer != nil {
		around = c.state(ctx, p.of, p.outer)
	}
	if around == no || !c.conditionsMet(ctx, it, p) {
		return no
	}
	if it.enable == nil {
		return around
	}
	if !it.enable.usable {
		return perhaps
	}
	found, ok := c.evaluate(ctx, it.enable, p, p.first(it))
	switch {
	case !ok:
		return perhaps
	case !isTrue(found):
		return no
	}
	return around
}

func (c *checker) conditionsMet(ctx context.Context, it *item, p *place) bool {
	if len(it.conditions) == 0 {
		return true
	}
	for _, cond := range it.conditions {
		if c.met(ctx, it, p, cond) == it.any {
			return it.any
		}
	}
	return !it.any
}

// met reports whether a condition of an item holds. R4 says of every operator but = that
// it holds when "at least no answer" does something: for != that is taken at its word,
// for the others as at least one, as in the releases after it.
func (c *checker) met(ctx context.Context, it *item, p *place, cond condition) bool {
	answers := c.answersTo(ctx, it, p, cond)
	c.work += len(answers) + 1
	operator := cond.operator
	if operator == "!=" {
		operator = "="
	}
	some, one := false, false
	for _, a := range answers {
		if a.value.IsZero() {
			continue
		}
		some = true
		if operator != "exists" && holds(operator, a.value, cond.answer) {
			one = true
			break
		}
	}
	switch cond.operator {
	case "exists":
		return some == (cond.answer.Text() == "true")
	case "!=":
		return !one
	}
	return one
}

// answersTo returns the answers that a condition of an item in p looks at: those of the
// nearest occurrence of its question that is enabled. Inside an answer to the question
// it is that answer.
func (c *checker) answersTo(ctx context.Context, it *item, p *place, cond condition) []answer {
	for ; p != nil; p = p.outer {
		if p.of == cond.question && p.entry != nil {
			return c.answerIn(ctx, p, cond)
		}
		if cond.question.within(p.of) {
			break
		}
	}
	if p == nil {
		return nil
	}
	key := nearest{p, cond.question, it.order > cond.question.order, cond.circular}
	answers, known := c.nearest[key]
	if !known {
		answers = c.search(ctx, p, cond, key.last)
		c.nearest[key] = answers
	}
	return answers
}

func (c *checker) answerIn(ctx context.Context, p *place, cond condition) []answer {
	if !cond.circular && !c.enabled(ctx, cond.question, p.outer) {
		return nil
	}
	for i := range p.entry.answers {
		if p.entry.answers[i].inner == p {
			return p.entry.answers[i : i+1]
		}
	}
	return nil
}

// A nearest names what was found in a search for a question.
type nearest struct {
	place          *place
	question       *item
	last, circular bool
}

// search looks for a question below p, for the last occurrence or the first one.
func (c *checker) search(ctx context.Context, p *place, cond condition, last bool) []answer {
	next := cond.question
	for next.parent != p.of {
		next = next.parent
	}
	entries := p.slots[next.at].entries
	for i := range entries {
		c.work++
		e := entries[i]
		if last {
			e = entries[len(entries)-1-i]
		}
		if next == cond.question {
			if cond.circular || c.enabled(ctx, next, p) {
				return e.answers
			}
			return nil
		}
		if found := c.searchIn(ctx, e, cond, last); found != nil {
			return found
		}
	}
	return nil
}

func (c *checker) searchIn(ctx context.Context, e *entry, cond condition, last bool) []answer {
	if e.inner != nil {
		return c.search(ctx, e.inner, cond, last)
	}
	for i := range e.answers {
		a := e.answers[i]
		if last {
			a = e.answers[len(e.answers)-1-i]
		}
		if a.inner == nil {
			continue
		}
		if found := c.search(ctx, a.inner, cond, last); found != nil {
			return found
		}
	}
	return nil
}

// first returns the node of the first entry for an item, which may be zero.
func (p *place) first(it *item) fhir.Node {
	if entries := p.slots[it.at].entries; len(entries) > 0 {
		return entries[0].node
	}
	return fhir.Node{}
}

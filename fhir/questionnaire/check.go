package questionnaire

import (
	"context"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A checker holds one response against its form.
type checker struct {
	form     *Form
	env      Env
	sent     *fhir.Resource
	resource fhir.Node // the response, with what was filled in
	complete bool      // it must have all that is required
	root     *place
	work     int

	places      map[*item][]*place // in which the children of an item stand
	nearest     map[nearest][]answer
	values      map[namedKey]fhirpath.Collection
	verdicts    map[verdictKey]terminology.Result
	failed      map[*expression]bool
	wrong       map[fhir.Node]bool // what was sent as the entry of a calculated value
	evaluations int
	spent       time.Duration

	issues   []fhir.Issue
	unlisted bool // there are more errors than issues
	stopped  bool
	err      error // a fault of ours
}

// newChecker returns nil for what is no response.
func newChecker(f *Form, response *fhir.Resource, env Env) *checker {
	if response == nil || response.Type() != "QuestionnaireResponse" {
		return nil
	}
	if env.Now.IsZero() {
		env.Now = time.Now()
	}
	c := &checker{form: f, env: env, sent: response, resource: response.Root(),
		failed: map[*expression]bool{}, wrong: map[fhir.Node]bool{}, verdicts: map[verdictKey]terminology.Result{}}
	switch c.resource.Child("status").Text() {
	case "completed", "amended":
		c.complete = true
	}
	c.arrange(c.resource)
	return c
}

// arrange begins with a response that may have more in it than before.
func (c *checker) arrange(node fhir.Node) {
	c.resource = node
	c.places = map[*item][]*place{}
	c.nearest, c.values = map[nearest][]answer{}, map[namedKey]fhirpath.Collection{}
	c.response(node, c.sent.Root())
	c.busy()
}

// busy reports whether the check has to end because there is too much to do.
func (c *checker) busy() bool {
	if c.work > maxWork {
		c.tooCostly("The response repeats so much of the form that it cannot be checked; divide it")
	}
	return c.stopped || c.err != nil
}

// whole checks the response as it is.
func (c *checker) whole(ctx context.Context) {
	if c.busy() {
		return
	}
	c.modifiers(c.root.sent, nil)
	c.constraints(ctx, c.form.root, c.root, c.root.node, c.root.sent)
	c.items(ctx, c.root)
	if c.unlisted && !c.stopped {
		c.issues[maxReported].Severity = fhir.Error
	}
}

// items checks what stands in a place, and what is missing from it.
func (c *checker) items(ctx context.Context, p *place) {
	c.missing(ctx, p)
	latest := 0
	for _, e := range p.entries {
		if c.busy() {
			return
		}
		if e.fault != "" {
			c.stray(e)
			continue
		}
		if e.item.at < latest {
			c.warn(e.sent, e.item, "item-order", "items have the order of the form; move this one before those that follow it there")
		}
		latest = max(latest, e.item.at)
		c.entry(ctx, e)
	}
}

func (c *checker) stray(e *entry) {
	if e.fault == "unknown-link-id" {
		c.report(e.sent, nil, e.fault, "the form has no item with this linkId; leave it out")
		return
	}
	where := "at the top of the response"
	if up := e.item.parent; up.isGroup() && up.order > 0 {
		where = fmt.Sprintf("in the group %q", up.linkID)
	} else if up.order > 0 {
		where = fmt.Sprintf("in an answer to %q", up.linkID)
	}
	c.report(e.sent, e.item, e.fault, "this item does not belong here; move it to where the form has it, "+where)
}

// missing reports the required items that are not in p.
func (c *checker) missing(ctx context.Context, p *place) {
	if !c.complete {
		return
	}
	for _, it := range p.of.children {
		if c.busy() {
			return
		}
		if len(p.slots[it.at].entries) > 0 || it.isDisplay() || c.state(ctx, it, p) != yes {
			continue
		}
		switch {
		case it.required && (it.isQuestion() || c.hasEnabled(ctx, c.inside(p, it))):
			c.report(p.sent, it, "item-required", "must be answered")
		case it.required:
		case it.least > 0:
			c.report(p.sent, it, "too-few-answers", fmt.Sprintf("at least %d are required", it.least))
		case it.isGroup() && !it.repeats:
			c.missing(ctx, c.inside(p, it))
		}
	}
}

// hasEnabled reports whether there is something to answer in a place.
func (c *checker) hasEnabled(ctx context.Context, p *place) bool {
	for _, it := range p.of.children {
		if it.isDisplay() || c.busy() || !c.enabled(ctx, it, p) {
			continue
		}
		if it.isQuestion() || c.hasEnabled(ctx, c.inside(p, it)) {
			return true
		}
	}
	return false
}

// entry checks what was sent for an item.
func (c *checker) entry(ctx context.Context, e *entry) {
	it, nth := e.item, e.nth
	c.modifiers(e.sent, it)
	if !c.enabled(ctx, it, e.in) {
		if e.isAnswered() {
			c.report(e.sent, it, "item-not-enabled", "its conditions do not hold, so it must not be answered; leave it out")
		}
		return
	}
	switch {
	case nth > 0 && it.isQuestion():
		c.report(e.sent, it, "item-repeated", "give all answers to a question in one item")
		return
	case nth > 0 && !it.repeats:
		c.report(e.sent, it, "item-repeated", "this item may be there once only")
		return
	case it.isGroup() && it.most > 0 && nth == it.most:
		c.report(e.sent, it, "too-many-answers", fmt.Sprintf("it may be there %d times at most", it.most))
	}
	switch {
	case it.isGroup():
		c.group(ctx, e)
	case it.isDisplay():
		if len(e.answers) > 0 {
			c.report(e.sent, it, "display-answered", "this item is a text to be shown; it has no answers")
		}
	default:
		c.question(ctx, e)
	}
	c.constraints(ctx, it, e.in, e.node, e.sent)
	if e.inner != nil {
		c.items(ctx, e.inner)
	}
	for _, a := range e.answers {
		if a.inner != nil && it.isQuestion() {
			c.items(ctx, a.inner)
		}
	}
}

// group checks one repetition of a group.
func (c *checker) group(ctx context.Context, e *entry) {
	it := e.item
	if len(e.answers) > 0 {
		c.report(e.sent, it, "group-answered", "a group has items, not answers")
	}
	if !c.complete || c.state(ctx, it, e.in) != yes || e.nth > 0 {
		return
	}
	if n := len(e.in.slots[it.at].entries); n < it.least {
		c.report(e.sent, it, "too-few-answers", fmt.Sprintf("it must be there %d times at least", it.least))
	}
	if it.required && len(e.inner.entries) == 0 && !c.demands(ctx, e.inner) && c.hasEnabled(ctx, e.inner) {
		c.report(e.sent, it, "item-required", "must be answered")
	}
}

// demands reports whether there is a question in a place that is required by itself.
func (c *checker) demands(ctx context.Context, p *place) bool {
	for _, it := range p.of.children {
		if c.state(ctx, it, p) == yes && !it.isDisplay() && (it.required || it.least > 0) {
			return true
		}
	}
	return false
}

// question checks the answers to a question.
func (c *checker) question(ctx context.Context, e *entry) {
	it, n := e.item, e.values()
	required := c.complete && c.state(ctx, it, e.in) == yes
	switch {
	case n == 0 && required && it.required:
		c.report(e.sent, it, "item-required", "must be answered")
	case n < it.least && required:
		c.report(e.sent, it, "too-few-answers", fmt.Sprintf("give at least %d answers", it.least))
	case n > 1 && !it.repeats:
		c.report(e.sent, it, "too-many-answers", "give one answer only")
	case n > it.most && it.most > 0:
		c.report(e.sent, it, "too-many-answers", fmt.Sprintf("give at most %d answers", it.most))
	}
	if c.wrong[e.sent] {
		c.report(mismatchAt(e), it, "calculated-mismatch", "this value is calculated, and it is another; leave it out to have it filled in")
	}
	exclusive := false
	for _, a := range e.answers {
		if a.value.IsZero() {
			continue
		}
		c.modifiers(a.sent, it)
		c.value(ctx, it, a)
		exclusive = exclusive || it.options[valueKey(a.value)].exclusive
	}
	if exclusive && n > 1 {
		c.report(e.sent, it, "exclusive-option", "one of these answers excludes all others; give it alone")
	}
}

// constraints checks what must hold of an item before a response is complete.
func (c *checker) constraints(ctx context.Context, it *item, p *place, node, sent fhir.Node) {
	if !c.complete {
		return
	}
	for _, k := range it.constraints {
		if !k.test.usable || c.busy() {
			continue
		}
		// What gives nothing is not known, since something has no answer: that is no breach.
		found, ok := c.evaluate(ctx, k.test, p, node)
		if !ok || len(found) == 0 || isTrue(found) {
			continue
		}
		is := fhir.Issue{Code: fhir.Invariant, Detail: k.key, Text: k.human}
		if k.warning {
			is.Severity = fhir.Warning
		}
		about := it
		if it.order == 0 {
			about = nil
		}
		c.add(is, sent, about)
	}
}

// modifiers refuses the modifier extensions of a node: what they change is not known here.
func (c *checker) modifiers(sent fhir.Node, it *item) {
	if n := sent.Child("modifierExtension"); !n.IsZero() {
		c.report(sent, it, "modifier-extension", "a modifier extension is not known here, so that the answers could be misunderstood; leave it out")
	}
}

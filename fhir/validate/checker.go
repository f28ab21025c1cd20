package validate

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A checker is the state of one Check.
type checker struct {
	*Validator
	Options
	ctx    context.Context
	root   fhir.Node
	env    *fhirpath.Env // made for the first expression
	issues []fhir.Issue
	errors int   // issues that refuse, with those that were not kept
	milder int   // the others
	fault  error // the first of ours

	scope   *scope               // of the resource that is being walked
	entries map[string]fhir.Node // of the root, a Bundle, by fullUrl; nil until asked for
	systems map[string]bool      // code systems that were looked up
}

// A scope is what is known of a resource while it is walked.
type scope struct {
	up        *scope               // of the resource around it
	container fhir.Node            // the resource that contains it, or itself
	contained map[string]fhir.Node // of the container, by id; nil until asked for
	ids       map[string]bool      // of the elements so far
}

func newChecker(ctx context.Context, v *Validator, root fhir.Node, o Options) *checker {
	return &checker{Validator: v, Options: o, ctx: ctx, root: root}
}

// base checks everything but profiles and extensions.
func (c *checker) base() error {
	c.resource(c.root)
	return c.fault
}

// resource walks n, the root or a resource in it.
func (c *checker) resource(n fhir.Node) {
	s := scope{up: c.scope, container: n}
	if e := n.Element(); e != nil && e.Name == "contained" && c.scope != nil {
		s.container = c.scope.container
	}
	c.scope = &s
	c.complex(n)
	c.scope = s.up
}

func (c *checker) node(n fhir.Node) {
	switch n.Type().Kind {
	case spec.KindPrimitive:
		c.primitive(n)
	case spec.KindResource:
		c.resource(n)
	default:
		c.complex(n)
	}
}

// complex checks n, an element with children, and them.
func (c *checker) complex(n fhir.Node) {
	p := c.rules.types[n.Type()]
	has := present(n)
	if p.element && !hasContent(n) {
		c.empty(n)
	}
	c.hold(n, p.rules, has)
	if c.Warnings {
		c.hold(n, p.advice, has)
	}
	c.stand(n, has)
	if p.more != nil {
		p.more(c, n)
	}
	if p.maxUnits != "" {
		c.units(n, p.maxUnits)
	}
	for child := range n.Children() {
		c.node(child)
	}
}

// primitive checks n, a primitive, and its extensions.
func (c *checker) primitive(n fhir.Node) {
	c.stand(n, mask{})
	if !n.HasValue() && !hasContent(n) {
		c.empty(n)
	}
	if n.Name() == "id" {
		c.elementID(n)
	}
	for child := range n.Children() {
		c.node(child)
	}
}

// hasContent reports whether n has more than an id, as ele-1 demands.
func hasContent(n fhir.Node) bool {
	for c := range n.Children() {
		if c.Name() != "id" {
			return true
		}
	}
	return false
}

func (c *checker) empty(n fhir.Node) {
	is := fhir.At(n)
	is.Code, is.Detail, is.Rule = fhir.Invariant, "ele-1", definitions+"Element#ele-1"
	is.Text = "Give this element a value or content beside its id, or leave it out."
	c.add(is)
}

// stand checks what is demanded of n because of where it stands.
func (c *checker) stand(n fhir.Node, has mask) {
	e := n.Element()
	if e == nil || e.Binding == nil && len(e.Invariants) == 0 {
		return
	}
	s := c.rules.elements[e]
	if s == nil {
		return
	}
	c.hold(n, s.rules, has)
	if s.binding != nil {
		c.bound(n, s.binding)
	}
}

// hold holds n, which has these elements, against rules.
func (c *checker) hold(n fhir.Node, rules []*rule, has mask) {
	for _, r := range rules {
		if !r.needs.isZero() && !r.needs.meets(has) || r.warning && !c.Warnings {
			continue
		}
		v := ask
		if r.native != nil {
			v = r.native(c, n)
		}
		if v == ask {
			v = c.evaluate(n, r)
		}
		if v == broken {
			c.report(n, r)
		}
	}
}

// evaluate asks the expression of r. What is not known breaks no rule.
func (c *checker) evaluate(n fhir.Node, r *rule) verdict {
	value, known, err := r.expr.Truth(n, c.environment())
	if err != nil {
		c.unevaluated(n, r)
		return holds
	}
	return verdictOf(value || !known)
}

// unevaluated says that it is not known whether r holds.
func (c *checker) unevaluated(n fhir.Node, r *rule) {
	if !c.Warnings {
		return
	}
	is := fhir.At(n)
	is.Severity, is.Code, is.Detail, is.Rule = fhir.Information, fhir.Processing, "rule-not-evaluated", r.id()
	is.Text = fmt.Sprintf("Make this element smaller or simpler: it could not be found out whether %s holds.", r.key)
	c.add(is)
}

// report says that n breaks r.
func (c *checker) report(n fhir.Node, r *rule) {
	var at []fhir.Node
	if r.blame != nil {
		at = r.blame(c, n)
	}
	if len(at) == 0 {
		at = append(at, n)
	}
	for _, n := range at {
		is := fhir.At(n)
		is.Code, is.Detail, is.Rule, is.Text = fhir.Invariant, r.key, r.id(), r.text
		if r.warning {
			is.Severity = fhir.Warning
		}
		c.add(is)
	}
}

// mostFound bounds the issues that refuse, and those that do not, that are kept until
// they are put in order.
const mostFound = 500

func (c *checker) add(is fhir.Issue) {
	found := &c.milder
	if refuses(is) {
		found = &c.errors
	}
	if *found++; *found <= mostFound {
		c.issues = append(c.issues, is)
	}
}

func refuses(is fhir.Issue) bool { return is.Severity <= fhir.Fatal }

// environment returns what expressions know beside their element.
func (c *checker) environment() *fhirpath.Env {
	if c.env != nil {
		return c.env
	}
	c.env = &fhirpath.Env{Now: c.Now, MemberOf: c.memberOf}
	if c.Resolve != nil {
		c.env.Resolve = func(reference string) (fhirpath.Item, bool) {
			if n, ok := c.Resolve(c.ctx, reference); ok {
				return fhirpath.NodeItem(n), true
			}
			ref, _ := fhir.ParseReference(reference)
			return fhirpath.Stub(ref.Key.Type), spec.R4().Resource(ref.Key.Type) != nil
		}
	}
	return c.env
}

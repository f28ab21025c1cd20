package validate

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

const (
	maxWork    = 200_000         // constraints that one profile is asked for on a small resource
	maxNesting = 24              // profiles that are entered through each other
	maxSteps   = 200_000         // of one expression of a profile
	maxThought = 1 * time.Second // for all expressions of a profile on one resource
)

// A conformer holds one resource against one profile.
type conformer struct {
	*checker
	seen    map[said]bool
	strict  bool // the profile is demanded
	work    int
	limit   int           // of work
	thought time.Duration // that expressions have taken
	trials  int           // that are under way: only whether there is an error counts
	failed  bool
	active  map[trial]bool
}

// said is what is said once of an element, though several layers find it.
type said struct {
	expression, detail, text string
	refuses                  bool
}

// A trial is an element that is being held against a profile.
type trial struct {
	at fhir.Node
	by *shape
}

func newConformer(ctx context.Context, v *Validator, n fhir.Node, o Options) *conformer {
	return &conformer{checker: newChecker(ctx, v, n, o), limit: maxWork + len(n.Raw())/8}
}

// step counts a piece of work and reports whether there is to be more.
func (c *conformer) step() bool { return c.steps(1) }

func (c *conformer) steps(n int) bool {
	before := c.work
	c.work += n
	if before <= c.limit && c.work > c.limit {
		c.tooCostly()
	}
	if before>>10 != c.work>>10 && c.fault == nil {
		c.fault = c.ctx.Err()
	}
	return c.work <= c.limit && c.fault == nil && !(c.trials > 0 && c.failed)
}

// tooCostly says that the rest was not looked at.
func (c *conformer) tooCostly() {
	is := fhir.At(c.root)
	is.Severity, is.Code, is.Detail = fhir.Warning, fhir.TooCostly, "profile-too-costly"
	is.Text = "Make the profile or the resource simpler: it takes too long to hold one against the other."
	if c.strict {
		is.Severity = fhir.Error
	}
	c.issues = append(c.issues, is)
}

func (c *conformer) add(is fhir.Issue) {
	if c.trials > 0 {
		c.failed = c.failed || is.Severity == fhir.Error
		return
	}
	key := said{is.Expression, is.Detail, "", refuses(is)}
	if is.Detail == "invariant" {
		key.text = is.Text
	}
	if c.seen[key] {
		return
	}
	if c.seen == nil {
		c.seen = map[said]bool{}
	}
	c.seen[key] = true
	c.checker.add(is)
}

// broken adds an error about n, which breaks k.
func (c *conformer) broken(n fhir.Node, k *constraint, detail, text string) {
	if c.trials > 0 {
		c.failed = true
		return
	}
	is := fhir.At(n)
	is.Code, is.Detail, is.Rule, is.Text = codeOf(detail), detail, k.rule, text
	c.add(is)
}

// codeOf returns the issue type that goes with a Detail of ours.
func codeOf(detail string) fhir.Code {
	switch detail {
	case "fixed-value", "pattern-value", "min-value", "max-value":
		return fhir.Value
	case "max-length":
		return fhir.TooLong
	case "code-required":
		return fhir.CodeInvalid
	case "extension-unknown-part":
		return fhir.Extension
	}
	return fhir.Structure
}

// attempt reports whether n conforms to a profile. One that is being tried already, on
// the same element, is taken to hold; what is too deep is not.
func (c *conformer) attempt(n fhir.Node, s *shape) bool {
	key := trial{n, s}
	switch {
	case s.root == nil || !n.Type().Is(s.typ.Name):
		return false
	case c.active[key]:
		return true
	case len(c.active) >= maxNesting:
		return false
	}
	if c.active == nil {
		c.active = map[trial]bool{}
	}
	c.active[key] = true
	before := c.failed
	c.trials++
	c.failed = false
	c.element(n, []layer{{constraint: s.root}})
	ok := !c.failed
	c.trials--
	c.failed = before
	delete(c.active, key)
	return ok
}

// expressions returns what expressions know beside their element.
func (c *conformer) expressions() *fhirpath.Env {
	env := c.environment()
	env.ConformsTo, env.Steps = c.conformsTo, maxSteps
	return env
}

// conformsTo answers conformsTo() of an expression.
func (c *conformer) conformsTo(n fhir.Node, profile string) (bool, error) {
	if t := baseType(profile); t != nil {
		return n.Type().Is(t.Name), nil
	}
	s, err := c.shape(c.ctx, profile)
	if s == nil || err != nil {
		return false, err
	}
	return c.attempt(n, s), nil
}

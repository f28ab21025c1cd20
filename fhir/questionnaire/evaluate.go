package questionnaire

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// What the expressions of a form may cost in one check.
const (
	maxChecks     = 2_000
	maxEvaluating = 2 * time.Second
)

// evaluate returns what an expression gives for an item in p, whose node may be zero. It
// is not ok when that cannot be found out, which is reported.
func (c *checker) evaluate(ctx context.Context, x *expression, p *place, focus fhir.Node) (fhirpath.Collection, bool) {
	if c.evaluations >= maxChecks || c.spent > maxEvaluating {
		c.tooCostly("The expressions of the form take too long with this response; the form has to be made simpler")
		return nil, false
	}
	if c.err = ctx.Err(); c.err != nil {
		return nil, false
	}
	env := &fhirpath.Env{Resource: c.resource, Now: c.env.Now, Steps: 100_000, Output: 10_000,
		Constants: c.constants(ctx, x, p, focus), MemberOf: c.memberOf(ctx)}
	if x.whole {
		focus = c.resource
	}
	c.evaluations++
	began := time.Now()
	found, err := x.path.EvaluateNode(focus, env)
	c.spent += time.Since(began)
	if err != nil && c.err == nil && !c.failed[x] {
		c.failed[x] = true
		c.warn(p.sent, x.owner, "expression-failed", "an expression of the form could not be evaluated: "+err.Error())
	}
	return found, err == nil && c.err == nil
}

// isTrue reports whether a criterion that gave this holds.
func isTrue(found fhirpath.Collection) bool {
	if len(found) != 1 {
		return len(found) > 1
	}
	value, isBool := found[0].Bool()
	return value || !isBool
}

// constants returns the variables that an expression needs.
func (c *checker) constants(ctx context.Context, x *expression, p *place, focus fhir.Node) map[string]fhirpath.Collection {
	all := map[string]fhirpath.Collection{
		"questionnaire": {fhirpath.NodeItem(c.form.node)},
		"qitem":         {fhirpath.NodeItem(x.owner.node)},
	}
	for _, n := range x.needs {
		at, node := p, focus
		if n.owner != x.owner {
			at, node = p.around(n.owner)
		}
		key := namedKey{n, at, node}
		value, known := c.values[key]
		if !known {
			value, _ = c.evaluate(ctx, n.expression, at, node)
			c.values[key] = value
		}
		all[n.name] = value
	}
	return all
}

// A namedKey names the value of a variable.
type namedKey struct {
	named *named
	place *place
	node  fhir.Node
}

// around returns the place of an item around p, and its node.
func (p *place) around(it *item) (*place, fhir.Node) {
	for ; p.outer != nil; p = p.outer {
		if p.of != it {
			continue
		}
		if p.entry != nil {
			return p.outer, p.entry.node
		}
		return p.outer, fhir.Node{}
	}
	return p, p.node
}

// errUndecided is what an expression is told when a value set cannot be asked.
var errUndecided = errors.New("the value set cannot be asked")

// memberOf lets expressions ask for members of value sets.
func (c *checker) memberOf(ctx context.Context) func(string, fhirpath.Item) (bool, error) {
	return func(canonical string, coded fhirpath.Item) (bool, error) {
		codings := codingsOf(coded)
		if c.env.Terms == nil || len(codings) == 0 || strings.HasPrefix(canonical, "#") {
			return false, errUndecided
		}
		v, err := c.env.Terms.Member(ctx, canonical, codings...)
		if err != nil {
			c.err = err
			return false, err
		}
		if v.Result == terminology.Undecided {
			return false, errUndecided
		}
		return v.Result == terminology.In, nil
	}
}

func codingsOf(coded fhirpath.Item) []terminology.Coding {
	n, ok := coded.Node()
	switch {
	case !ok && coded.Text() != "":
		return []terminology.Coding{{Code: coded.Text()}}
	case !ok:
		return nil
	case n.Type().Name == "Coding":
		return []terminology.Coding{termOf(n)}
	case n.Type().Name == "CodeableConcept":
		var all []terminology.Coding
		for coding := range n.Each("coding") {
			all = append(all, termOf(coding))
		}
		return all
	case n.Text() != "":
		return []terminology.Coding{{Code: n.Text()}}
	}
	return nil
}

// termOf returns a Coding, or the unit of a Quantity.
func termOf(n fhir.Node) terminology.Coding {
	return terminology.Coding{System: n.Child("system").Text(), Version: n.Child("version").Text(),
		Code: n.Child("code").Text(), Display: n.Child("display").Text()}
}

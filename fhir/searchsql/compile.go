package searchsql

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A compiler turns conditions into expressions. Each comes with whether it is
// exact; one that is not holds for every row that the condition holds for, and
// for others.
type compiler struct {
	secret Secret
	scope  Scope
	nested []search.Condition
}

// condition returns c, or its opposite when negated is set.
func (c *compiler) condition(cond search.Condition, negated bool) (expr, bool) {
	switch cond := cond.(type) {
	case search.And:
		return c.several(cond, negated, negated)
	case search.Or:
		return c.several(cond, negated, !negated)
	case search.Not:
		return c.condition(cond.Condition, !negated)
	case *search.Test:
		return c.test(cond, negated)
	case search.IDs:
		return signed(c.ids(cond), true, negated)
	case search.Updated:
		return c.updated(cond, negated)
	case *search.Words:
		return signed(c.words(cond), false, negated)
	}
	return c.step(cond, negated)
}

// several joins conditions by OR or by AND.
func (c *compiler) several(all []search.Condition, negated, or bool) (expr, bool) {
	exprs, exact := make([]expr, len(all)), true
	for i, cond := range all {
		e, ok := c.condition(cond, negated)
		exprs[i], exact = e, exact && ok
	}
	if or {
		return oneOf(exprs), exact
	}
	return allOf(exprs), exact
}

// signed returns e or its opposite. Of what is not exact nothing is known that
// the opposite could be.
func signed(e expr, exact, negated bool) (expr, bool) {
	switch {
	case !negated:
		return e, exact
	case !exact:
		return always{}, false
	}
	return opposite(e), true
}

// step returns what a chain, a _has or a _list was resolved to.
func (c *compiler) step(cond search.Condition, negated bool) (expr, bool) {
	found, ok := c.scope.Resolved[cond]
	if !ok {
		c.nested = append(c.nested, cond)
		return always{}, false
	}
	return signed(oneOf([]expr{anyKey(slices.Clone(found.Keys)), anyRID(slices.Clone(found.RIDs))}), true, negated)
}

// ids returns the condition that the logical id is one of ids. Without a type
// every type may have them.
func (c *compiler) ids(ids search.IDs) expr {
	var rids anyRID
	for _, id := range ids {
		if c.scope.Type != "" {
			rids = append(rids, c.secret.RID(fhir.Key{Type: c.scope.Type, ID: id}))
			continue
		}
		for typ := range c.scope.Tables.Numbers {
			rids = append(rids, c.secret.RID(fhir.Key{Type: typ, ID: id}))
		}
	}
	return oneOf([]expr{rids})
}

// foreign reports whether no resource searched can have values of p.
func (c *compiler) foreign(p *search.Param) bool {
	return c.scope.Type != "" && p.Base != c.scope.Type && p.Base != "Resource" && p.Base != "DomainResource"
}

// test returns the condition that one of the values is there that t asks for.
func (c *compiler) test(t *search.Test, negated bool) (expr, bool) {
	if t.Modifier == search.Missing {
		e := present(t.Param)
		if c.foreign(t.Param) {
			e = never{}
		}
		return signed(e, true, negated != t.Missing)
	}
	if c.foreign(t.Param) {
		return signed(never{}, true, negated)
	}
	if t.Modifier == search.Differs {
		// Which of several values differs cannot be told by their keys.
		return signed(present(t.Param), false, negated)
	}
	if isRange(t.Param) {
		e, exact := c.ranges(t)
		return signed(e, exact, negated)
	}
	exprs, exact := make([]expr, len(t.Values)), true
	for i, a := range t.Values {
		e, ok := c.value(t, a)
		exprs[i], exact = e, exact && ok
	}
	return signed(oneOf(exprs), exact, negated)
}

// value returns the condition that a is among the values of t's parameter.
func (c *compiler) value(t *search.Test, a search.Asked) (expr, bool) {
	switch a := a.(type) {
	case search.AskedToken:
		return c.askToken(t.Param, t.Modifier, a)
	case search.AskedString:
		return c.askString(t.Param, t.Modifier, a)
	case search.AskedReference:
		return c.askReference(t.Param, t.Modifier, a)
	case search.AskedURI:
		return c.askURI(t.Param, t.Modifier, a)
	case search.AskedComposite:
		return c.askComposite(t.Param, a)
	}
	return always{}, false
}

// keys returns the condition that one of the keys is there that begin with t.
func (c *compiler) keys(t tuple, tails []tuple) expr {
	keys := make(anyKey, len(tails))
	for i, tail := range tails {
		keys[i] = c.secret.hash(append(t, tail...))
	}
	return oneOf([]expr{keys})
}

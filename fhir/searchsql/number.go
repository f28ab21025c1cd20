package searchsql

import (
	"math"

	"github.com/openconsult/openconsult/fhir/search"
)

// A number, a quantity, or a date without a slot is a row of rng in each of the
// groups that it may be asked by: with a quantity in any unit, by the code of the
// unit or its text, by system and code, or in the canonical unit of UCUM. With a
// composite the groups are those of its token.

func (t tuple) number() tuple { return append(t, numberKind) }

func (t tuple) unit(text string) tuple { return append(t, unitKind).text(text) }

func (t tuple) unitCode(system, code string) tuple {
	return append(t, unitCodeKind).text(system).text(code)
}

func (t tuple) ucum(base string) tuple { return append(t, ucumKind).text(base) }

// between writes a row of rng.
func (p *packer) between(group tuple, v search.Range) {
	p.row.Ranges = append(p.row.Ranges, Range{p.secret.hash(group), v.Lo, v.Hi})
}

// quantity writes the rows of v in the groups that begin with t.
func (p *packer) quantity(t tuple, v search.Quantity) {
	p.between(t.number(), v.Range)
	if v.Code != "" {
		p.between(t.unit(v.Code), v.Range)
		p.between(t.unitCode(v.System, v.Code), v.Range)
	}
	if v.Unit != "" && v.Unit != v.Code {
		p.between(t.unit(v.Unit), v.Range)
	}
	if v.Base != "" {
		p.between(t.ucum(v.Base), v.Canonical)
	}
}

// A grouped range is asked of one group of rng.
type grouped struct {
	group   int64
	clauses []clause
}

// isRange reports whether p asks rows of rng, or slots.
func isRange(p *search.Param) bool {
	switch p.Type {
	case search.DateType, search.NumberType, search.QuantityType:
		return true
	case search.CompositeType:
		return isRangeComposite(p)
	}
	return false
}

// ranges returns the condition that p has a range that answers one of t's values.
func (c *compiler) ranges(t *search.Test) (expr, bool) {
	if n := slot(t.Param); n > 0 {
		asked := make([]search.AskedRange, 0, len(t.Values))
		for _, v := range t.Values {
			if a, ok := v.(search.AskedRange); ok {
				asked = append(asked, a)
			}
		}
		return slotTest(n, asked), true
	}
	var all []grouped
	exact := true
	for _, v := range t.Values {
		more, ok := c.grouped(t.Param, v)
		if more == nil {
			return present(t.Param), false
		}
		all, exact = append(all, more...), exact && ok
	}
	return rangeTest(all), exact
}

// grouped returns what v asks of rng; nil when that cannot be said.
func (c *compiler) grouped(p *search.Param, v search.Asked) (all []grouped, exact bool) {
	if a, ok := v.(search.AskedComposite); ok {
		return c.groupedComposite(p, a)
	}
	g, exact := c.group(newTuple(p), v)
	return []grouped{g}, exact
}

// group returns what v, which is no composite, asks of the groups that begin
// with t.
func (c *compiler) group(t tuple, v search.Asked) (g grouped, exact bool) {
	switch v := v.(type) {
	case search.AskedRange:
		return grouped{c.secret.hash(t.number()), clauses(v)}, true
	case search.AskedQuantity:
		return c.quantity(t, v)
	}
	return grouped{}, false
}

func (c *compiler) quantity(t tuple, v search.AskedQuantity) (g grouped, exact bool) {
	all := clauses(v.AskedRange)
	switch {
	case v.Base != "":
		return grouped{c.secret.hash(t.ucum(v.Base)), clauses(search.AskedRange{Prefix: v.Prefix, Range: v.Canonical})}, true
	case v.Code != "" && v.System != "":
		return grouped{c.secret.hash(t.unitCode(v.System, v.Code)), all}, true
	case v.Code != "":
		return grouped{c.secret.hash(t.unit(v.Code)), all}, true
	}
	return grouped{c.secret.hash(t.number()), all}, v.System == ""
}

// rangeTest returns the condition that one of all is there.
func rangeTest(all []grouped) expr {
	if len(all) == 0 {
		return never{}
	}
	e := Predicate{whole: true, Bounds: search.Range{Lo: math.Inf(1), Hi: math.Inf(-1)}}
	for _, g := range all {
		r := reachOf(g.clauses)
		if r.ends {
			r.Lo = math.Inf(-1)
		}
		e.Groups = append(e.Groups, g.group)
		e.Bounds = search.Range{Lo: min(e.Bounds.Lo, r.Lo), Hi: max(e.Bounds.Hi, r.Hi)}
	}
	e.filter = func(b *Builder) {
		// Of EXISTS the planner might make a hash of all ranges.
		b.SQL("(SELECT true FROM rng g WHERE g.rid = r.rid AND g.ver = r.ver AND ")
		writeGroups(b, all)
		b.SQL(" LIMIT 1)")
	}
	e.lead = func(b *Builder) {
		b.SQL("(r.rid, r.ver) IN (SELECT g.rid, g.ver FROM rng g WHERE ")
		writeGroups(b, all)
		b.SQL(")")
	}
	return predicate(e)
}

func writeGroups(b *Builder, all []grouped) {
	c := columns{lo: "g.lo", hi: "g.hi", value: floatValue}
	b.SQL("(")
	b.joined(len(all), " OR ", func(i int) {
		b.SQL("g.grp = ")
		b.Int(all[i].group)
		b.SQL(" AND ")
		c.write(b, all[i].clauses)
	})
	b.SQL(")")
}

package searchsql

import "github.com/openconsult/openconsult/fhir/search"

// A composite of a token or a reference and something else has a key for each
// way to ask for both, or, when the something is a number, a quantity or a date,
// rows of rng whose group has the token in it. Of any other composite only the
// first part is kept; the rest is left to search.Match.

// isRangeComposite reports whether p is kept in rng.
func isRangeComposite(p *search.Param) bool {
	if !isPaired(p) {
		return false
	}
	switch p.Parts[1].Param.Type {
	case search.NumberType, search.DateType, search.QuantityType:
		return true
	}
	return false
}

// isPaired reports whether both parts of p are kept together.
func isPaired(p *search.Param) bool {
	return len(p.Parts) == 2 && (p.Parts[0].Param.Type == search.TokenType || p.Parts[0].Param.Type == search.ReferenceType)
}

func (p *packer) composite(v search.Composite) {
	if len(v) != len(p.param.Parts) {
		return
	}
	if !isPaired(p.param) {
		p.tails(p.tuple, v[0], func(t tuple) { p.key(t) })
		return
	}
	p.tails(p.tuple, v[0], func(first tuple) {
		switch second := v[1].(type) {
		case search.Range:
			p.between(first.number(), second)
		case search.Quantity:
			p.quantity(first, second)
		default:
			p.tails(first, second, func(both tuple) { p.key(both) })
		}
	})
}

// tails yields t with each way to ask for v behind it.
func (p *packer) tails(t tuple, v search.Value, yield func(tuple)) {
	switch v := v.(type) {
	case search.Token:
		p.text(v.Texts...)
		if v.Code != "" {
			yield(t.code(v.Code, v.Folded))
			yield(t.coding(v.System, v.Code))
		}
	case search.String:
		p.text(v.Folded)
		for prefix := range prefixes(v.Folded) {
			yield(t.prefix(prefix))
		}
	case search.Reference:
		p.target(v, func(target int64) { yield(t.target(target)) })
	case search.URI:
		yield(t.target(p.secret.URL(v.Text, "")))
		if v.Version != "" {
			yield(t.target(p.secret.URL(v.Text, v.Version)))
		}
	}
}

func (t tuple) target(hash int64) tuple {
	t = append(t, saltKind)
	for shift := 0; shift < 64; shift += 8 {
		t = append(t, byte(hash>>shift))
	}
	return t
}

// askComposite returns the condition that p has a in one of its values.
func (c *compiler) askComposite(p *search.Param, a search.AskedComposite) (expr, bool) {
	firsts, exact := c.tails(a[0])
	if firsts == nil {
		return present(p), false
	}
	if !isPaired(p) {
		return c.keys(newTuple(p), firsts), false
	}
	seconds, also := c.tails(a[1])
	if seconds == nil {
		return present(p), false
	}
	var keys anyKey
	for _, first := range firsts {
		for _, second := range seconds {
			keys = append(keys, c.secret.hash(append(append(newTuple(p), first...), second...)))
		}
	}
	return oneOf([]expr{keys}), exact && also
}

// groupedComposite returns what a asks of rng; nil when that cannot be said.
func (c *compiler) groupedComposite(p *search.Param, a search.AskedComposite) (all []grouped, exact bool) {
	firsts, exact := c.tails(a[0])
	for _, first := range firsts {
		g, ok := c.group(append(newTuple(p), first...), a[1])
		all, exact = append(all, g), exact && ok
	}
	return all, exact
}

// tails returns the ends of tuples that answer a; nil when no tuple does.
func (c *compiler) tails(a search.Asked) (tails []tuple, exact bool) {
	switch a := a.(type) {
	case search.AskedToken:
		if a.AnyCode {
			return nil, false
		}
		return tokenTails(a)
	case search.AskedString:
		if a.Folded == "" {
			return nil, false
		}
		prefix := longestPrefix(a.Folded)
		return []tuple{tuple(nil).prefix(prefix)}, prefix == a.Folded
	case search.AskedReference:
		for _, target := range c.targets(a) {
			tails = append(tails, tuple(nil).target(target))
		}
		return tails, true
	case search.AskedURI:
		return []tuple{tuple(nil).target(c.secret.URL(a.Text, a.Version))}, true
	}
	return nil, false
}

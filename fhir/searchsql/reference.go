package searchsql

import "github.com/openconsult/openconsult/fhir/search"

// A reference has the RID of its target as its key, salted by the parameter, so
// that a set of targets becomes keys without a look-up. What names no resource of
// this server has the hash of its URL in that place; a canonical with a version
// has two. An identifier is kept like a token.

func (p *packer) reference(v search.Reference) {
	salt := p.secret.hash(append(p.tuple, saltKind))
	p.target(v, func(target int64) { p.keyOf(target ^ salt) })
	if v.Identifier != nil {
		p.identifier(*v.Identifier)
	}
}

// target passes on what v refers to, and keeps the most exact of it as a link.
func (p *packer) target(v search.Reference, yield func(int64)) {
	var target int64
	switch {
	case v.Key.ID != "":
		target = p.secret.RID(v.Key)
	case v.URL != "":
		target = p.secret.URL(v.URL, "")
	default:
		return
	}
	yield(target)
	if v.Key.ID == "" && v.Version != "" {
		target = p.secret.URL(v.URL, v.Version)
		yield(target)
	}
	p.row.Refs = append(p.row.Refs, target)
}

// askReference returns the condition that p refers to a.
func (c *compiler) askReference(p *search.Param, m search.Modifier, a search.AskedReference) (expr, bool) {
	if a.Token != nil {
		tails, exact := tokenTails(*a.Token)
		return c.keys(append(newTuple(p), identifierKind), tails), exact
	}
	exact := m != search.Below || a.Version == ""
	if !exact {
		a.Version = ""
	}
	return oneOf([]expr{anyKey(Salted(c.secret.Salt(p), c.targets(a)))}), exact
}

// targets returns the hashes of what may be meant.
func (c *compiler) targets(a search.AskedReference) []int64 {
	var targets []int64
	for _, k := range a.Keys {
		targets = append(targets, c.secret.RID(k))
	}
	if a.URL != "" {
		targets = append(targets, c.secret.URL(a.URL, a.Version))
	}
	return targets
}

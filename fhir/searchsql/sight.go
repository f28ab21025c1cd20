package searchsql

import (
	"slices"
	"strconv"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Sight says which rows somebody may see: those for which one of its branches
// holds. Without branches that is none.
type Sight []Branch

// A Branch holds for a row that is of one of Types, has one of Parties, one of
// Within and none of Denied, and for which Where holds. It is a branch of an
// [access.View], hashed.
type Branch struct {
	Types   []string // nil: of any type
	All     bool     // Parties does not matter
	Parties []int64  // of [Secret.Access]; best with those first that most rows have
	Within  []int64  // nil: does not matter
	Denied  []int64

	// Where holds besides; nil is no condition. With it there is one type only. A
	// condition that SQL cannot decide makes the branch hold for nothing.
	Where search.Condition
}

// Unlimited reports whether s lets everything be seen.
func (s Sight) Unlimited() bool {
	return slices.ContainsFunc(s, func(b Branch) bool {
		return b.All && b.Types == nil && b.Within == nil && len(b.Denied) == 0 && b.Where == nil
	})
}

// Admits reports whether b holds for a resource of a type with some access keys,
// but for Where.
func (b Branch) Admits(typ string, keys []int64) bool {
	if b.Types != nil && !slices.Contains(b.Types, typ) {
		return false
	}
	has := func(key int64) bool { return slices.Contains(keys, key) }
	return (b.All || slices.ContainsFunc(b.Parties, has)) && (b.Within == nil || slices.ContainsFunc(b.Within, has)) && !slices.ContainsFunc(b.Denied, has)
}

// See narrows f, which is for the rows of a scope, to those that somebody may see.
// A sight of one standing becomes keys of f, so that a rare one can lead to the
// rows, and one that is unlimited adds nothing.
func (s Secret) See(f *Filter, in Scope, sight Sight) {
	if sight.Unlimited() {
		return
	}
	c := compiler{secret: s, scope: in}
	all := standings(sight)
	if len(all) == 1 {
		c.seeOne(f, all[0])
		return
	}
	var exprs []expr
	var led anyKey
	everything := false
	for _, of := range all {
		e := c.standing(of)
		if _, none := e.(never); none {
			continue
		}
		exprs = append(exprs, e)
		led, everything = append(led, of[0].Parties...), everything || of[0].All
	}
	f.seeAny(oneOf(exprs), distinct(led), everything)
}

// Seen writes the condition that a row is in sight, on the columns of the alias r.
func (s Secret) Seen(in Scope, sight Sight) string {
	f := Filter{Type: in.Type}
	if s.See(&f, in, sight); f.Never {
		return "false"
	}
	var b Builder
	b.SQL("true")
	a := Arm{Filter: f, Scan: Scan{All: make([]bool, len(f.All)), Any: make([]bool, len(f.Any))}}
	a.filters(&b)
	if len(b.args) > 0 {
		return "false" // there is no text in what a scope asks
	}
	return b.sql.String()
}

// Standing returns s without the conditions of its branches: it shows at least as
// much.
func (s Sight) Standing() Sight {
	all := slices.Clone(s)
	for i := range all {
		all[i].Where = nil
	}
	return all
}

// Granular reports whether a branch has a condition.
func (s Sight) Granular() bool {
	return slices.ContainsFunc(s, func(b Branch) bool { return b.Where != nil })
}

// standings puts the branches together that differ only in types and conditions.
func standings(sight Sight) [][]Branch {
	var all [][]Branch
	for _, b := range sight {
		i := slices.IndexFunc(all, func(of []Branch) bool { return of[0].standsLike(b) })
		if i < 0 {
			all = append(all, []Branch{b})
		} else {
			all[i] = append(all[i], b)
		}
	}
	return all
}

func (b Branch) standsLike(other Branch) bool {
	return b.All == other.All && slices.Equal(b.Parties, other.Parties) && slices.Equal(b.Denied, other.Denied) &&
		(b.Within == nil) == (other.Within == nil) && slices.Equal(b.Within, other.Within)
}

// seeOne narrows f to what the branches of one standing show.
func (c *compiler) seeOne(f *Filter, of []Branch) {
	b := of[0]
	scope := c.extent(of)
	if _, none := scope.(never); none || !b.All && len(b.Parties) == 0 || b.Within != nil && len(b.Within) == 0 {
		f.Never = true
		return
	}
	switch {
	case b.All:
	case len(b.Parties) == 1:
		f.All = append(f.All, b.Parties[0])
	default:
		f.Any = append(f.Any, b.Parties)
		f.Ranks = len(f.Any)
	}
	if b.Within != nil {
		f.And(b.Within...)
	}
	c.hide(f, b.Denied)
	f.take(scope)
}

// seeAny narrows f to e, which is of several standings. Whatever it shows has one
// of the keys of led, unless one of them shows everything.
func (f *Filter) seeAny(e expr, led anyKey, everything bool) {
	switch e.(type) {
	case always:
		return
	case never:
		f.Never = true
		return
	}
	p := Predicate{filter: e.write, sure: true}
	if !everything {
		p.Keys = led
		if len(led) <= longList {
			p.lead = led.lead
		}
	}
	f.Where = append(f.Where, p)
}

// standing returns what branches of one standing show.
func (c *compiler) standing(of []Branch) expr {
	b := of[0]
	exprs := []expr{c.extent(of)}
	switch {
	case b.All:
	case len(b.Parties) == 0:
		return never{}
	default:
		exprs = append(exprs, rankedKey(b.Parties))
	}
	if b.Within != nil {
		exprs = append(exprs, oneOf([]expr{anyKey(b.Within)}))
	}
	if len(b.Denied) > 0 {
		exprs = append(exprs, not{c.hidden(b.Denied)})
	}
	return allOf(exprs)
}

// hide narrows f to the rows without denied labels.
func (c *compiler) hide(f *Filter, denied []int64) {
	if len(denied) < severalLabels {
		f.Without(denied...)
		return
	}
	f.Where = append(f.Where, Predicate{Without: distinct(slices.Clone(denied)), filter: not{c.hidden(denied)}.write, sure: true})
}

// severalLabels is from how many denied labels on a row is first asked whether it
// has any. To hold one with 25 keys against 43 labels takes 1.5 µs, one with 160
// keys 19 µs, and to look for one key 0.15 and 0.6 µs.
const severalLabels = 4

// hidden returns the rows with one of some denied labels.
func (c *compiler) hidden(denied []int64) expr {
	labels := anyKey(distinct(slices.Clone(denied)))
	if len(labels) < severalLabels {
		return labels
	}
	return conj{anyKey{c.secret.Access(access.Key{Kind: access.Label, Of: access.AnyLabel})}, labels}
}

// extent returns what the types and conditions of branches come to.
func (c *compiler) extent(of []Branch) expr {
	var exprs []expr
	var types []string
	for _, b := range of {
		switch {
		case b.Where != nil:
			exprs = append(exprs, c.granular(b))
		case b.Types == nil:
			return always{}
		default:
			types = append(types, b.Types...)
		}
	}
	return oneOf(append([]expr{c.types(types)}, exprs...))
}

// granular returns the rows of one type for which a condition holds, none if SQL
// cannot decide it.
func (c *compiler) granular(b Branch) expr {
	typ := c.scope.Type
	if typ == "" && len(b.Types) == 1 {
		typ = b.Types[0]
	}
	inner := compiler{secret: c.secret, scope: Scope{Type: typ, Tables: c.scope.Tables}}
	e, exact := inner.condition(b.Where, false)
	if !exact || typ == "" || len(inner.nested) > 0 {
		return never{}
	}
	if b.Types == nil {
		return e
	}
	return allOf([]expr{c.types(b.Types), e})
}

// types returns the rows of some types.
func (c *compiler) types(names []string) expr {
	if c.scope.Type != "" {
		if slices.Contains(names, c.scope.Type) {
			return always{}
		}
		return never{}
	}
	var e anyType
	for _, name := range names {
		if n, ok := c.scope.Tables.Numbers[name]; ok {
			e = append(e, n)
		}
	}
	if len(e) == 0 {
		return never{}
	}
	slices.Sort(e)
	return slices.Compact(e)
}

// anyType is that a row is of one of these types. Postgres leaves the partitions
// of others out.
type anyType []int16

func (e anyType) write(b *Builder) {
	b.SQL("r.type = ANY ('{")
	b.joined(len(e), ",", func(i int) { b.SQL(strconv.Itoa(int(e[i]))) })
	b.SQL("}'::smallint[])")
}

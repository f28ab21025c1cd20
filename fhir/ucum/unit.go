package ucum

import "github.com/cockroachdb/apd/v3"

const outOfBounds = "Use fewer units and smaller exponents."

// A unit is a parsed code. The zero value is 1.
type unit struct {
	factor ratio
	dim    dimension
	scale  *atom // temperature, logarithm or slope that the code is in, times factor; or nil

	measures bool // has a part that is more than a number
}

// apply multiplies u by the nth power of an atom with a prefix and returns what
// stands against it, or "".
func (u *unit) apply(a *atom, prefix ratio, n int) string {
	if !u.factor.multiply(prefix, n) {
		return outOfBounds
	}
	if a.rule == number {
		return u.multiply(a, n)
	}
	if a.rule >= celsius && n == 1 && !u.measures {
		u.scale, u.measures = a, true
		return ""
	}
	u.measures = true
	if s := u.scale; s != nil {
		u.scale = nil
		if problem := u.difference(s, 1); problem != "" {
			return problem
		}
	}
	return u.difference(a, n)
}

// difference multiplies u by the nth power of a, which counts differences where it
// is a unit with a scale.
func (u *unit) difference(a *atom, n int) string {
	if a.rule > reaumur {
		return "Use a logarithmic unit or a slope alone; it cannot be combined with other units."
	}
	return u.multiply(a, n)
}

func (u *unit) multiply(a *atom, n int) string {
	if !u.factor.multiply(a.factor, n) || !u.dim.multiply(&a.dim, n) {
		return outOfBounds
	}
	return ""
}

// dimension returns the dimension of what u measures.
func (u *unit) dimension() dimension {
	if u.scale != nil {
		return u.scale.dim
	}
	return u.dim
}

// canonical returns x in base units, or false where the scale of u does not go
// that far.
func (u *unit) canonical(x *apd.Decimal) (*apd.Decimal, bool) {
	v := u.factor.times(x)
	if u.scale == nil {
		return v, true
	}
	if !u.scale.rule.invert(v) {
		return nil, false
	}
	return u.scale.factor.times(v), true
}

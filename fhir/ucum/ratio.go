package ucum

import (
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// A ratio is num/den × 10^exp, above 0. A nil integer is 1, and the integers never
// change, so that ratios share them. The zero value is 1.
type ratio struct {
	num, den *big.Int
	exp      int
}

// ratioOf returns a positive decimal as a ratio.
func ratioOf(d *apd.Decimal) ratio {
	var short apd.Decimal
	short.Reduce(d)
	r := ratio{exp: int(short.Exponent)}
	if n := short.Coeff.MathBigInt(); n.Cmp(big.NewInt(1)) != 0 {
		r.num = n
	}
	return r
}

// multiply multiplies r by the nth power of o and reports whether it is still
// within bounds.
func (r *ratio) multiply(o ratio, n int) bool {
	r.exp += o.exp * n
	if r.exp > maxExponent || r.exp < -maxExponent {
		return false
	}
	if n < 0 {
		o.num, o.den, n = o.den, o.num, -n
	}
	var ok, fits bool
	r.num, ok = product(r.num, o.num, n)
	r.den, fits = product(r.den, o.den, n)
	return ok && fits
}

// product returns a × b^n, where nil is 1, unless it is out of bounds.
func product(a, b *big.Int, n int) (*big.Int, bool) {
	if b == nil || n == 0 {
		return a, true
	}
	if b.BitLen()*n > maxBits {
		return nil, false
	}
	if n > 1 {
		b = new(big.Int).Exp(b, big.NewInt(int64(n)), nil)
	}
	if a == nil {
		return b, true
	}
	b = new(big.Int).Mul(a, b)
	return b, b.BitLen() <= maxBits
}

// times returns x × r, rounded to [precision] digits.
func (r *ratio) times(x *apd.Decimal) *apd.Decimal {
	if x.IsZero() {
		return new(apd.Decimal)
	}
	v := &apd.Decimal{Negative: x.Negative, Exponent: x.Exponent + int32(r.exp)}
	if r.num == nil {
		v.Coeff.Set(&x.Coeff)
	} else {
		var num apd.BigInt
		v.Coeff.Mul(&x.Coeff, num.SetMathBigInt(r.num))
	}
	if r.den != nil {
		divide(v, r.den)
	}
	round(v, precision)
	return v
}

// divide divides v by den, exactly or rounded to [precision] digits.
func divide(v *apd.Decimal, den *big.Int) {
	// Most values divide evenly within some decimals, if they do at all. That is
	// cheaper to try than to divide to all digits and strip the zeros again.
	const decimals, scale = 6, 1_000_000
	var d, quotient, rest apd.BigInt
	d.SetMathBigInt(den)
	quotient.Mul(&v.Coeff, rest.SetInt64(scale))
	if quotient.QuoRem(&quotient, &d, &rest); rest.Sign() == 0 {
		v.Coeff.Set(&quotient)
		v.Exponent -= decimals
		return
	}
	c := context(precision)
	// It traps nothing, and no condition can arise but that it was rounded.
	_, _ = c.Quo(v, v, apd.NewWithBigInt(&d, 0))
}

// round rounds v to digits and takes its trailing zeros away.
func round(v *apd.Decimal, digits uint32) {
	const most = 3.32 // fewer bits for each digit are certain to fit
	if float64(v.Coeff.BitLen()) > most*float64(digits) {
		c := context(digits)
		_, _ = c.Round(v, v)
	}
	v.Reduce(v)
}

// context returns the arithmetic that rounds half to even.
func context(digits uint32) apd.Context {
	c := apd.BaseContext
	c.Precision = digits
	c.Rounding = apd.RoundHalfEven
	c.Traps = 0
	return c
}

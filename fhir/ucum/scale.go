package ucum

import "github.com/cockroachdb/apd/v3"

// A rule says what a unit is of its proper unit.
type rule uint8

const (
	ratioScale rule = iota // a multiple
	number                 // a multiple of 1, without being a unit

	celsius
	fahrenheit
	reaumur

	naturalLogarithm
	logarithm
	halfLogarithm
	binaryLogarithm
	slope
)

// scaleOf returns the rule of a name in definitions.
func scaleOf(name string) rule {
	switch name {
	case "number":
		return number
	case "celsius":
		return celsius
	case "fahrenheit":
		return fahrenheit
	case "reaumur":
		return reaumur
	case "ln":
		return naturalLogarithm
	case "lg":
		return logarithm
	case "lg2":
		return halfLogarithm
	case "ld":
		return binaryLogarithm
	case "slope":
		return slope
	}
	return ratioScale
}

const (
	// working and published are the digits that functions are computed with and
	// rounded to. Values are cut at decimals before, so that the error of the
	// computation is below any difference of results.
	working   = 64
	published = 50
	decimals  = 40

	// maxLogarithm bounds the decimal logarithm of a result.
	maxLogarithm = 5000

	log10E = "0.43429448190325182765112891891660508229439700580366656611445378316586464920887077"
	log102 = "0.30102999566398119521373889472449302676818988146210854131042746112710818927442451"
	ln10   = "2.3025850929940456840179914546843642076011014886287729760333279009675726096773525"
	halfPi = "1.5707963267948966192313216916397514420985846996875529104874722961539082031431045"
)

// invert replaces v, a value on the scale of r, by its multiple of the proper
// unit. It reports false where that would be out of bounds.
// https://ucum.org/ucum
func (r rule) invert(v *apd.Decimal) bool {
	switch r {
	case celsius:
		add(v, "273.15")
	case fahrenheit:
		add(v, "459.67")
	case reaumur:
		add(v, "218.52")
	case naturalLogarithm:
		return power10(v, log10E)
	case logarithm:
		return power10(v, "1")
	case halfLogarithm:
		return power10(v, "0.5")
	case binaryLogarithm:
		return power10(v, log102)
	case slope:
		arctangent(v)
	}
	return true
}

func constant(text string) *apd.Decimal {
	d, _, err := apd.NewFromString(text)
	if err != nil {
		panic("ucum: constant " + text + " is no number")
	}
	return d
}

func add(v *apd.Decimal, offset string) {
	c := context(2 * maxBits)
	_, _ = c.Add(v, v, constant(offset))
}

// power10 replaces v by 10 to the power of v × k.
func power10(v *apd.Decimal, k string) bool {
	c := context(working)
	cut(v)
	var whole, rest apd.Decimal
	_, _ = c.Mul(v, v, constant(k))
	if bound := apd.New(maxLogarithm, 0); v.Cmp(bound) > 0 || v.Cmp(bound.Neg(bound)) < 0 {
		return false
	}
	v.Modf(&whole, &rest)
	exponent, err := whole.Int64()
	if err != nil {
		return false
	}
	v.SetInt64(1)
	if !rest.IsZero() {
		_, _ = c.Mul(&rest, &rest, constant(ln10))
		_, _ = c.Exp(v, &rest)
	}
	v.Exponent += int32(exponent)
	round(v, published)
	return true
}

// cut rounds v to decimals.
func cut(v *apd.Decimal) {
	if v.Exponent < -decimals {
		c := context(2 * maxBits)
		_, _ = c.Quantize(v, v, -decimals)
	}
}

// arctangent replaces v, a slope in percent, by its angle in radians.
func arctangent(v *apd.Decimal) {
	cut(v)
	c := context(working)
	negative, one := v.Negative, apd.New(1, 0)
	v.Negative = false
	v.Exponent -= 2
	steep := v.Cmp(one) > 0
	if steep {
		_, _ = c.Quo(v, one, v)
	}
	smallArctangent(&c, v)
	if steep {
		_, _ = c.Sub(v, constant(halfPi), v)
	}
	v.Negative = negative && !v.IsZero()
	round(v, published)
}

// smallArctangent replaces x, from 0 to 1, by its arctangent.
func smallArctangent(c *apd.Context, x *apd.Decimal) {
	// arctan x is twice arctan x/(1+√(1+x²)), and the series converges the faster
	// the smaller x is.
	const halvings = 4
	one := apd.New(1, 0)
	var square, root apd.Decimal
	for range halvings {
		_, _ = c.Mul(&square, x, x)
		_, _ = c.Add(&root, &square, one)
		_, _ = c.Sqrt(&root, &root)
		_, _ = c.Add(&root, &root, one)
		_, _ = c.Quo(x, x, &root)
	}
	_, _ = c.Mul(&square, x, x)
	var power, term apd.Decimal
	power.Set(x)
	for n := int64(3); ; n += 2 {
		_, _ = c.Mul(&power, &power, &square)
		power.Negative = !power.Negative
		_, _ = c.Quo(&term, &power, apd.New(n, 0))
		if term.IsZero() || magnitude(&term) < magnitude(x)-working {
			break
		}
		_, _ = c.Add(x, x, &term)
	}
	_, _ = c.Mul(x, x, apd.New(1<<halvings, 0))
}

// magnitude returns the power of ten that d is below.
func magnitude(d *apd.Decimal) int64 { return int64(d.Exponent) + d.NumDigits() }

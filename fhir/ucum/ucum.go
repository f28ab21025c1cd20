package ucum

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"
)

const (
	// precision is how many digits a value keeps, whichever unit it came from.
	// What is the same amount is so rounded the same way, and more stays more. It
	// leaves the 64 digits that a decimal of a resource can have exact in any SI
	// unit.
	precision = 100

	// maxExponent and maxBits bound the values and the factors that take part in
	// arithmetic.
	maxExponent = 1000
	maxBits     = 4096
)

// An Error says why a code is no UCUM unit, or why a value in it has no canonical
// form.
type Error struct {
	Code    string // the unit code, as it was given
	Problem string // a sentence that tells the caller what to do
}

// Error names the code and the problem. It holds nothing else, and in particular
// no value.
func (e *Error) Error() string {
	return fmt.Sprintf("unit %.80q: %s", e.Code, e.Problem)
}

// Canonical returns value, a quantity in the UCUM unit code, in base units, and
// the text of these: 5.4 "mg" is 0.0054 "g", 37 "Cel" is 310.15 "K", 2 "N" is 2000
// "g.m.s-2". Units of the same dimension have the same text, dimensionless ones
// "1"; it is a UCUM code whose canonical form is itself. The mole counts entities
// and is dimensionless, an arbitrary unit such as "[IU]" is its own dimension, and
// an annotation stands for 1.
//
// The result is exact, or rounded to 100 digits (half to even) where it has more;
// logarithmic units and slopes are rounded to 50. More stays more, so that a range
// can be converted bound by bound. It has no trailing zeros: print it with
// Text('f'). The units "[pH]", "[hp'_X]" to "[hp'_Q]" and "[m/s2/Hz^(1/2)]", for
// whose functions that would not hold, are dimensions of their own. A
// logarithmic unit or a slope takes a prefix and numbers, but no other units and no
// exponent; a temperature with either, as in "J/Cel", is a difference.
//
// The error is an [*Error], for a code that is not valid, and for a value that is
// nil, not finite, of more than 1200 digits, beyond 10^±1000 in its exponent, or too
// great for a logarithmic unit.
// https://ucum.org/ucum
func Canonical(value *apd.Decimal, code string) (v *apd.Decimal, unit string, err error) {
	t := atoms()
	u, err := t.parse(code)
	if err != nil {
		return nil, "", err
	}
	if value == nil || value.Form != apd.Finite || value.Coeff.BitLen() > maxBits ||
		value.Exponent > maxExponent || value.Exponent < -maxExponent {
		return nil, "", &Error{code, "Give a value that is a number and not larger or smaller than any measurement."}
	}
	v, ok := u.canonical(value)
	if !ok {
		return nil, "", &Error{code, "Give a value that a logarithmic unit can have."}
	}
	d := u.dimension()
	return v, d.text(t), nil
}

// Comparable reports whether a and b are valid UCUM codes of the same dimension,
// so that values in one can be compared with values in the other: "mg" with
// "[lb_av]", "Cel" with "[degF]", but not "mg" with "mL".
func Comparable(a, b string) bool {
	t := atoms()
	u, err := t.parse(a)
	if err != nil {
		return false
	}
	w, err := t.parse(b)
	return err == nil && u.dimension() == w.dimension()
}

// Valid reports whether code is a valid UCUM code. The empty string is not.
func Valid(code string) bool {
	_, err := atoms().parse(code)
	return err == nil
}

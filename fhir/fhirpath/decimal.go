package fhirpath

import (
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

const (
	maxDigits   = 128 // of a decimal; arithmetic beyond is rounded
	maxExponent = 512 // of a decimal; what is beyond does not exist
	quotient    = 28  // digits of a quotient, a root, a logarithm or a power that has no end
)

// arithmetic returns the context of sums and products, which are exact up to
// maxDigits.
func arithmetic() *apd.Context { return precise(maxDigits) }

func precise(digits uint32) *apd.Context {
	return &apd.Context{Precision: digits, MaxExponent: maxExponent, MinExponent: -maxExponent, Rounding: apd.RoundHalfUp}
}

// parseDecimal reads a decimal, with an exponent or without.
func parseDecimal(s string) (*apd.Decimal, bool) {
	if len(s) > maxDigits+16 || s == "" || s[len(s)-1] > '9' {
		return nil, false
	}
	d, condition, err := arithmetic().NewFromString(s)
	if err != nil || !isUsable(d) || condition&(apd.Overflow|apd.Rounded) != 0 {
		return nil, false
	}
	return d, true
}

// isUsable reports whether d is a number of a size that arithmetic can afford.
func isUsable(d *apd.Decimal) bool {
	return d.Form == apd.Finite && d.Exponent <= maxExponent && d.Exponent >= -2*maxExponent
}

// parseInteger reads an Integer of 32 bits.
func parseInteger(s string) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 32)
	return v, err == nil
}

// toDecimal returns v as a decimal when it is a number.
func toDecimal(v any) (*apd.Decimal, bool) {
	switch v := v.(type) {
	case int64:
		return apd.New(v, 0), true
	case *apd.Decimal:
		return v, true
	}
	return nil, false
}

func decimalText(d *apd.Decimal) string { return d.Text('f') }

// places returns the number of decimal places of d.
func places(d *apd.Decimal) int32 { return max(0, -d.Exponent) }

// significantPlaces returns the number of decimal places without trailing zeros.
func significantPlaces(d *apd.Decimal) int32 {
	var reduced apd.Decimal
	reduced.Reduce(d)
	return places(&reduced)
}

// round returns d with n decimal places.
func round(d *apd.Decimal, n int32, how apd.Rounder) *apd.Decimal {
	c := arithmetic()
	c.Rounding = how
	rounded := new(apd.Decimal)
	if _, err := c.Quantize(rounded, d, -n); err != nil || rounded.Form != apd.Finite {
		return d
	}
	return rounded
}

// whole returns d, which has no fraction, as an Integer if it fits.
func whole(d *apd.Decimal) (int64, bool) {
	v, err := d.Int64()
	return v, err == nil && v >= math.MinInt32 && v <= math.MaxInt32
}

// equivalentDecimals compares a and b to the places of the less precise of them.
func equivalentDecimals(a, b *apd.Decimal) bool {
	n := min(significantPlaces(a), significantPlaces(b))
	return round(a, n, apd.RoundHalfUp).Cmp(round(b, n, apd.RoundHalfUp)) == 0
}

package search

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/ucum"
)

// The bounds of a number in a search.
const (
	maxDigits   = 64
	maxExponent = 400
)

// askNumber reads one alternative of a number parameter.
// https://hl7.org/fhir/R4/search.html#number
func (p *parser) askNumber(text string) (AskedRange, bool) {
	prefix, text, ok := p.prefix(text)
	if !ok {
		return AskedRange{}, false
	}
	s, ok := p.span(prefix, text)
	if !ok {
		return AskedRange{}, false
	}
	return s.asked(), true
}

// askQuantity reads one alternative of a quantity parameter: a number, or a
// number with system and code of its unit.
// https://hl7.org/fhir/R4/search.html#quantity
func (p *parser) askQuantity(text string) (AskedQuantity, bool) {
	parts, ok := p.parts(text)
	if !ok {
		return AskedQuantity{}, false
	}
	if len(parts) > 3 || len(parts) > 1 && strings.Join(parts[1:], "") == "" {
		p.refuse(fhir.Value, "A quantity is number, number|system|code, number||unit or number|system.")
		return AskedQuantity{}, false
	}
	prefix, value, ok := p.prefix(parts[0])
	if !ok {
		return AskedQuantity{}, false
	}
	s, ok := p.span(prefix, value)
	if !ok {
		return AskedQuantity{}, false
	}
	a := AskedQuantity{AskedRange: s.asked()}
	if len(parts) > 1 {
		a.System = parts[1]
	}
	if len(parts) > 2 {
		a.Code = parts[2]
	}
	if a.System == ucumSystem && a.Code != "" {
		a.Canonical, a.Base = s.canonical(a.Code)
	}
	return a, true
}

// A span is the numbers that a prefix with a number stands for.
type span struct {
	prefix        Prefix
	lo, value, hi *apd.Decimal
}

// span returns the numbers that text stands for: with eq and ne those that are
// the same to as many digits as it has, with ap those within a tenth of it, and
// otherwise itself.
func (p *parser) span(prefix Prefix, text string) (span, bool) {
	value, half, ok := parseNumber(text)
	if !ok {
		p.refuse(fhir.Value, "A number is written like 5, -5.40 or 5.4e-3, with %d digits at most and an exponent from -%d to %d.", maxDigits, maxExponent, maxExponent)
		return span{}, false
	}
	c := decimals()
	var err error
	switch prefix {
	case Equal, NotEqual:
	case Approximately:
		tenth := apd.New(0, 0)
		_, err = c.Mul(tenth, value, apd.New(1, -1))
		tenth.Abs(tenth)
		if tenth.Cmp(half) > 0 {
			half = tenth
		}
	default:
		half = apd.New(0, 0)
	}
	lo, hi := apd.New(0, 0), apd.New(0, 0)
	if err == nil {
		_, err = c.Sub(lo, value, half)
	}
	if err == nil {
		_, err = c.Add(hi, value, half)
	}
	if err != nil {
		p.refuse(fhir.Value, "The number is too long or too large.")
		return span{}, false
	}
	return span{prefix, lo, value, hi}, true
}

// decimals can hold every number within the bounds exactly.
func decimals() *apd.Context { return apd.BaseContext.WithPrecision(2*maxExponent + 2*maxDigits) }

// parseNumber reads a decimal, and how far from it a number may be that is the
// same to as many digits: half a unit of the last one. R4 has 1e2 stand for 95 to
// 105, so that a whole number before an exponent has one digit more than is
// written.
func parseNumber(text string) (value, half *apd.Decimal, ok bool) {
	// Form decoding makes the plus of an exponent a space.
	text = strings.ReplaceAll(strings.ToLower(text), "e ", "e+")
	mantissa, exponent, scientific := strings.Cut(text, "e")
	whole, decimal, pointed := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	if !areDigits(whole) || pointed && !areDigits(decimal) || len(whole)+len(decimal) > maxDigits {
		return nil, nil, false
	}
	if scientific && (!areDigits(strings.TrimLeft(exponent, "+-")) || len(exponent) > len("+400") || strings.LastIndexAny(exponent, "+-") > 0) {
		return nil, nil, false
	}
	value, _, err := apd.NewFromString(text)
	if err != nil || value.Exponent+int32(len(decimal)) > maxExponent || value.Exponent+int32(len(decimal)) < -maxExponent {
		return nil, nil, false
	}
	half = apd.New(5, value.Exponent-1)
	if scientific && !pointed {
		half.Exponent--
	}
	return value, half, true
}

func areDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (s span) asked() AskedRange {
	return AskedRange{s.prefix, rounded(s.lo, s.value, s.hi)}
}

// rounded returns the range from lo to before hi. However close they are, value
// between them stays in it.
func rounded(lo, value, hi *apd.Decimal) Range {
	r, v := Range{toFloat(lo), toFloat(hi)}, toFloat(value)
	if lo.Cmp(hi) < 0 {
		r.Lo, r.Hi = min(r.Lo, v), max(r.Hi, math.Nextafter(v, math.Inf(1)))
	}
	return r
}

// canonical returns s in the canonical unit of a UCUM code, and that unit; or
// nothing when the code is none.
func (s span) canonical(code string) (Range, string) {
	lo, base, err := ucum.Canonical(s.lo, code)
	if err != nil {
		return Range{}, ""
	}
	hi, _, err := ucum.Canonical(s.hi, code)
	if err != nil {
		return Range{}, ""
	}
	value, _, err := ucum.Canonical(s.value, code)
	if err != nil {
		return Range{}, ""
	}
	if lo.Cmp(hi) > 0 {
		lo, hi = hi, lo
	}
	return rounded(lo, value, hi), base
}

// toFloat rounds to the nearest number, as the numbers of resources are rounded.
func toFloat(d *apd.Decimal) float64 {
	f, err := d.Float64()
	if err != nil && d.Negative {
		return math.Inf(-1)
	}
	if err != nil {
		return math.Inf(1)
	}
	return f
}

// Matches reports whether q answers a: whether its unit is the one asked, and its
// number in the range. A quantity in another unit answers neither eq nor ne.
func (a AskedQuantity) Matches(q Quantity) bool {
	switch {
	case a.Base != "":
		return q.Base == a.Base && AskedRange{a.Prefix, a.Canonical}.Matches(q.Canonical)
	case a.System != "" && q.System != a.System:
		return false
	case a.Code == "", q.Code == a.Code, a.System == "" && q.Unit == a.Code:
		return a.AskedRange.Matches(q.Range)
	}
	return false
}

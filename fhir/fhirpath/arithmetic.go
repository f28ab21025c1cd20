package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// An arithmetical is + - * / div mod or &. https://hl7.org/fhirpath/N1/#math
type arithmetical struct {
	at          int
	op          string
	left, right expr
}

func (e *arithmetical) eval(r *run, f frame, dst Collection) (Collection, error) {
	a, b, err := both(r, f, e.left, e.right)
	defer r.give(a)
	defer r.give(b)
	if err != nil {
		return dst, at(err, e.at)
	}
	if len(a) > 1 || len(b) > 1 {
		return dst, errorf(Cardinality, e.at, "%s takes one item on each side, not %d and %d.", e.op, len(a), len(b))
	}
	v, err := e.apply(r, a, b)
	if err != nil || v == nil {
		return dst, at(err, e.at)
	}
	return append(dst, Item{value: v}), nil
}

// apply computes the result, nil for none.
func (e *arithmetical) apply(r *run, a, b Collection) (any, error) {
	if e.op == "&" {
		return e.concatenate(r, a, b)
	}
	if len(a) == 0 || len(b) == 0 {
		return nil, r.step(1)
	}
	x, y := a[0].system(), b[0].system()
	if err := r.step(costOf(x) + costOf(y)); err != nil {
		return nil, err
	}
	if lacksValue(a[0], x) || lacksValue(b[0], y) {
		return nil, nil
	}
	switch v := x.(type) {
	case string:
		if w, ok := y.(string); ok && e.op == "+" {
			return v + w, r.write(len(v) + len(w))
		}
	case int64:
		if w, ok := y.(int64); ok {
			return integers(e.op, v, w), nil
		}
	case moment:
		if q, ok := y.(quantity); ok && (e.op == "+" || e.op == "-") {
			return shift(v, q, e.op == "-")
		}
	}
	if v, ok := numbers(e.op, x, y); ok {
		return v, nil
	}
	return nil, errorf(Type, nowhere, "%s takes no %s and %s.", e.op, a[0].Type(), b[0].Type())
}

// concatenate is &, to which an empty operand is the empty string.
func (e *arithmetical) concatenate(r *run, a, b Collection) (any, error) {
	var texts [2]string
	for i, c := range [...]Collection{a, b} {
		if len(c) == 0 {
			continue
		}
		switch v := c[0].system().(type) {
		case string:
			texts[i] = v
		case nil:
		default:
			return nil, errorf(Type, nowhere, "& takes strings, no %s: use toString().", c[0].Type())
		}
	}
	return texts[0] + texts[1], r.write(len(texts[0]) + len(texts[1]))
}

// integers computes with Integers; nil for an overflow and a division by zero.
func integers(op string, a, b int64) any {
	if op == "/" {
		v, ok := divide(apd.New(a, 0), apd.New(b, 0))
		return decimalOrNil(v, ok)
	}
	if b == 0 && (op == "div" || op == "mod") {
		return nil
	}
	var v int64
	switch op {
	case "+":
		v = a + b
	case "-":
		v = a - b
	case "*":
		v = a * b
	case "div":
		v = a / b
	case "mod":
		v = a % b
	}
	if v != int64(int32(v)) {
		return nil
	}
	return v
}

// numbers computes with decimals and quantities; it is not ok for other values.
func numbers(op string, x, y any) (any, bool) {
	a, aIs := toDecimal(x)
	b, bIs := toDecimal(y)
	if aIs && bIs {
		return decimals(op, a, b), true
	}
	p, pIs := toQuantity(x)
	q, qIs := toQuantity(y)
	if !pIs || !qIs || op == "div" || op == "mod" {
		return nil, false
	}
	return quantities(op, p, q), true
}

// decimals computes with decimals; nil for an overflow and a division by zero.
func decimals(op string, a, b *apd.Decimal) any {
	c, v := arithmetic(), new(apd.Decimal)
	var err error
	switch op {
	case "+":
		_, err = c.Add(v, a, b)
	case "-":
		_, err = c.Sub(v, a, b)
	case "*":
		_, err = c.Mul(v, a, b)
	case "/":
		v, ok := divide(a, b)
		return decimalOrNil(v, ok)
	case "div", "mod":
		if b.IsZero() {
			return nil
		}
		if op == "mod" {
			_, err = c.Rem(v, a, b)
			break
		}
		if _, err = c.QuoInteger(v, a, b); err == nil {
			if i, ok := whole(v); ok {
				return i
			}
			return nil
		}
	}
	return decimalOrNil(v, err == nil)
}

func decimalOrNil(v *apd.Decimal, ok bool) any {
	if !ok || !isUsable(v) {
		return nil
	}
	return v
}

func product(a, b *apd.Decimal) *apd.Decimal {
	v := new(apd.Decimal)
	if _, err := arithmetic().Mul(v, a, b); err != nil {
		return apd.New(0, 0)
	}
	return v
}

// divide returns a / b, without the zeros that division leaves behind; it is not
// ok for a division by zero.
func divide(a, b *apd.Decimal) (*apd.Decimal, bool) {
	v := new(apd.Decimal)
	if b.IsZero() {
		return v, false
	}
	if _, err := precise(quotient).Quo(v, a, b); err != nil || !isUsable(v) {
		return v, false
	}
	reduced := new(apd.Decimal)
	reduced.Reduce(v)
	return reduced, true
}

// quantities computes with quantities; sums need units of one dimension.
func quantities(op string, a, b quantity) any {
	result := quantity{unit: a.unit, calendar: a.calendar}
	if op == "*" || op == "/" {
		a, b = a.scalable(), b.scalable()
		result = quantity{unit: joinUnits(a.unit, b.unit, op)}
	} else if a.unit != b.unit || a.calendar != b.calendar {
		var ok bool
		if a, b, ok = aligned(a, b); !ok {
			return nil
		}
		result = quantity{unit: a.unit, calendar: a.calendar}
	}
	v, ok := decimals(op, a.value, b.value).(*apd.Decimal)
	if !ok {
		return nil
	}
	result.value = v
	return result
}

// aligned returns a and b in the smaller of their units; it is not ok when they
// measure different things.
func aligned(a, b quantity) (x, y quantity, ok bool) {
	if isVariable(a) && isVariable(b) {
		return quantity{months(a), "month", true}, quantity{months(b), "month", true}, true
	}
	one, unit, okA := quantity{apd.New(1, 0), a.unit, a.calendar}.canonical()
	other, unitB, okB := quantity{apd.New(1, 0), b.unit, b.calendar}.canonical()
	if !okA || !okB || unit != unitB {
		return a, b, false
	}
	if one.Cmp(other) > 0 {
		x, ok = a.in(b.unit)
		return x, b, ok
	}
	y, ok = b.in(a.unit)
	return a, y, ok
}

// scalable returns q with a unit that can be multiplied.
func (q quantity) scalable() quantity {
	if q.calendar {
		return q.definite()
	}
	return q
}

// A polarity is a sign before an expression.
type polarity struct {
	at       int
	negative bool
	input    expr
}

func (p *polarity) eval(r *run, f frame, dst Collection) (Collection, error) {
	in, err := p.input.eval(r, f, r.take())
	defer r.give(in)
	if err != nil || len(in) == 0 {
		return dst, err
	}
	if len(in) > 1 {
		return dst, errorf(Cardinality, p.at, "A sign stands before one number, not %d items.", len(in))
	}
	switch v := in[0].system().(type) {
	case int64:
		if p.negative {
			v = -v
		}
		return append(dst, Item{value: v}), nil
	case *apd.Decimal:
		return append(dst, Item{value: p.sign(v)}), nil
	case quantity:
		v.value = p.sign(v.value)
		return append(dst, Item{value: v}), nil
	}
	return dst, errorf(Type, p.at, "A sign stands before a number or a quantity, not a %s.", in[0].Type())
}

func (p *polarity) sign(d *apd.Decimal) *apd.Decimal {
	if !p.negative || d.IsZero() {
		return d
	}
	return new(apd.Decimal).Neg(d)
}

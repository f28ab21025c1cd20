package ucum

import "strconv"

// bases are the base units of UCUM in the order in which texts name them.
const bases = "C K cd g m rad s"

const (
	maxDimension = 99 // the power of one
	maxOwn       = 4  // arbitrary units in one code
)

// A dimension is what two units must share to be compared: a power of each base
// unit and of each unit that is a dimension of its own. It compares with ==.
type dimension struct {
	base [7]int8     // in the order of bases
	own  [maxOwn]own // by number, those that are used first
}

// An own is a power of a unit that is a dimension of its own.
type own struct {
	unit  uint8 // its place in table.own, from 1; 0 is none
	power int8
}

// multiply multiplies d by the nth power of o and reports whether it is still
// within bounds.
func (d *dimension) multiply(o *dimension, n int) bool {
	for i, p := range o.base {
		sum := int(d.base[i]) + int(p)*n
		if sum > maxDimension || sum < -maxDimension {
			return false
		}
		d.base[i] = int8(sum)
	}
	for _, p := range o.own {
		if p.unit != 0 && !d.multiplyOwn(p.unit, int(p.power)*n) {
			return false
		}
	}
	return true
}

// multiplyOwn multiplies d by the nth power of a unit of its own dimension.
func (d *dimension) multiplyOwn(unit uint8, n int) bool {
	i := 0
	for i < maxOwn && d.own[i].unit != 0 && d.own[i].unit < unit {
		i++
	}
	if i == maxOwn {
		return n == 0
	}
	found := d.own[i].unit == unit
	if found {
		n += int(d.own[i].power)
	}
	switch {
	case n > maxDimension || n < -maxDimension:
		return false
	case found && n == 0:
		copy(d.own[i:], d.own[i+1:])
		d.own[maxOwn-1] = own{}
	case n != 0:
		if !found {
			if d.own[maxOwn-1].unit != 0 {
				return false
			}
			copy(d.own[i+1:], d.own[i:])
		}
		d.own[i] = own{unit, int8(n)}
	}
	return true
}

// text returns d as a UCUM code, "1" for no dimension.
func (d *dimension) text(t *table) string {
	var buf [64]byte
	b := buf[:0]
	for _, p := range d.own {
		if p.unit != 0 {
			b = appendPower(b, t.own[p.unit-1], p.power)
		}
	}
	rest := bases
	for _, p := range d.base {
		var code string
		code, rest = cutWord(rest)
		if p != 0 {
			b = appendPower(b, code, p)
		}
	}
	if len(b) == 0 {
		return "1"
	}
	return string(b)
}

func appendPower(b []byte, code string, power int8) []byte {
	if len(b) > 0 {
		b = append(b, '.')
	}
	b = append(b, code...)
	if power == 1 {
		return b
	}
	return strconv.AppendInt(b, int64(power), 10)
}

// cutWord takes the first word off s.
func cutWord(s string) (word, rest string) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

package ucum

import (
	"math/big"
	"strings"
)

const (
	maxCode  = 256 // bytes in a code
	maxDepth = 16  // parentheses in each other
	maxPower = 999 // after a unit
)

// A parser reads one code, multiplying unit by each part that it comes to.
type parser struct {
	table   *table
	code    string
	at      int // of the next byte
	unit    unit
	problem string // why the code is not valid, once that is known
}

// parse reads a code by the grammar of UCUM, from left to right. A leading / binds
// the part after it and no more. https://ucum.org/ucum
func (t *table) parse(code string) (unit, error) {
	if code == "" || len(code) > maxCode {
		return unit{}, &Error{code, "Give a unit code of 1 to 256 characters; the code of no unit is 1."}
	}
	p := parser{table: t, code: code}
	first := 1
	if p.next() == '/' {
		p.at++
		first = -1
	}
	p.component(first, 0)
	p.operators(1, 0)
	if p.at < len(code) {
		p.fail("Write . or / between units, and each ) after its (.")
	}
	if p.problem != "" {
		return unit{}, &Error{code, p.problem}
	}
	return p.unit, nil
}

// next returns the next byte, 0 at the end.
func (p *parser) next() byte {
	if p.at < len(p.code) {
		return p.code[p.at]
	}
	return 0
}

func (p *parser) fail(problem string) {
	if p.problem == "" {
		p.problem = problem
	}
}

// operators reads what follows the first part of a term. An operator binds the
// part after it and no more. Exponents are those of the code times sign.
func (p *parser) operators(sign, depth int) {
	for p.problem == "" {
		n := sign
		switch p.next() {
		case '.':
		case '/':
			n = -sign
		default:
			return
		}
		p.at++
		p.component(n, depth)
	}
}

// component reads a part, whose exponent is that of the code times sign. UCUM's
// grammar has no annotation after a number or a parenthesis, but its own examples
// do: "g/(8.h){shift}".
func (p *parser) component(sign, depth int) {
	switch c := p.next(); {
	case c == '(':
		p.parentheses(sign, depth)
	case isDigit(c) && !p.atPowerOfTen():
		p.number(sign)
	case c != '{':
		p.simple(sign)
	}
	if p.next() == '{' {
		p.annotation()
	}
}

func (p *parser) parentheses(sign, depth int) {
	if depth == maxDepth {
		p.fail("Use fewer parentheses in each other.")
		return
	}
	p.at++
	p.component(sign, depth+1)
	p.operators(sign, depth+1)
	if p.next() != ')' {
		p.fail("Write a ) after each (.")
		return
	}
	p.at++
}

// atPowerOfTen reports whether the unit 10* or 10^ is next.
func (p *parser) atPowerOfTen() bool {
	return strings.HasPrefix(p.code[p.at:], "10*") || strings.HasPrefix(p.code[p.at:], "10^")
}

// number reads an integer that is a factor by itself.
func (p *parser) number(sign int) {
	start := p.at
	for isDigit(p.next()) {
		p.at++
	}
	digits := strings.TrimLeft(p.code[start:p.at], "0")
	a := atom{rule: number}
	significant := strings.TrimRight(digits, "0")
	a.factor.exp = len(digits) - len(significant)
	switch significant {
	case "":
		p.fail("Use no 0 as a factor.")
	case "1":
	default:
		a.factor.num, _ = new(big.Int).SetString(significant, 10)
	}
	p.apply(&a, ratio{}, sign)
}

// simple reads a symbol, perhaps with an exponent.
func (p *parser) simple(sign int) {
	symbol := p.symbol()
	a, prefix := p.table.lookup(symbol)
	if a == nil {
		p.fail("Use a UCUM unit; upper and lower case differ.")
		return
	}
	p.apply(a, prefix, sign*p.exponent())
}

func (p *parser) apply(a *atom, prefix ratio, n int) {
	if p.problem == "" {
		p.problem = p.unit.apply(a, prefix, n)
	}
}

// symbol takes the symbol of a unit with its prefix off the code. Brackets can
// hold what elsewhere ends a symbol.
func (p *parser) symbol() string {
	start := p.at
	if p.atPowerOfTen() {
		p.at += len("10*")
		return p.code[start:p.at]
	}
	for {
		switch c := p.next(); {
		case c == '[':
			end := strings.IndexByte(p.code[p.at:], ']')
			if end < 0 {
				return ""
			}
			p.at += end + 1
		case c <= ' ' || isDigit(c) || strings.IndexByte("./(){}+-", c) >= 0:
			return p.code[start:p.at]
		default:
			p.at++
		}
	}
}

// exponent reads the exponent of a unit, 1 if there is none.
func (p *parser) exponent() int {
	start, n, sign := p.at, 0, 1
	switch p.next() {
	case '-':
		sign = -1
		p.at++
	case '+':
		p.at++
	}
	first := p.at
	for isDigit(p.next()) {
		n = min(n*10+int(p.next()-'0'), maxPower+1)
		p.at++
	}
	switch {
	case p.at == start:
		return 1
	case p.at == first || n > maxPower:
		p.fail("Write an exponent from -999 to 999 after its sign.")
		return 1
	}
	return sign * n
}

// annotation reads text in braces, which stands for 1.
func (p *parser) annotation() {
	for p.at++; p.next() != '}'; p.at++ {
		if c := p.next(); c <= ' ' || c > '~' || c == '{' {
			p.fail("Write an annotation without spaces, braces and letters beyond ASCII, and a } after it.")
			return
		}
	}
	p.at++
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

package fhirpath

import "strings"

const (
	maxSource  = 64 << 10 // bytes of an expression
	maxNesting = 100      // brackets, operators and calls around one another
)

// A parser reads an expression by operator precedence, straight into the tree
// that is evaluated.
type parser struct {
	token
	words lexer
	depth int // of nesting
	calls int // whose arguments are being read
}

// binary returns how tightly the operator t binds what stands around it, 0 when t
// is none. https://hl7.org/fhirpath/N1/#operator-precedence
func (p *parser) binary() int {
	if p.quoted || p.kind != symbolToken && p.kind != nameToken {
		return 0
	}
	switch p.text {
	case "implies":
		return 1
	case "or", "xor":
		return 2
	case "and":
		return 3
	case "in", "contains":
		return 4
	case "=", "~", "!=", "!~":
		return 5
	case "<", "<=", ">", ">=":
		return 6
	case "|":
		return 7
	case "is", "as":
		return 8
	case "+", "-", "&":
		return 9
	case "*", "/", "div", "mod":
		return 10
	}
	return 0
}

func (p *parser) advance() (err error) {
	p.token, err = p.words.next()
	return err
}

// accept passes over the symbol or word s if it is next.
func (p *parser) accept(s string) (bool, error) {
	if !p.is(s) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expect(s string) error {
	ok, err := p.accept(s)
	if err == nil && !ok {
		return p.unexpected(s)
	}
	return err
}

// unexpected says what should stand where the parser is.
func (p *parser) unexpected(want string) error {
	if p.kind == endToken {
		return errorf(Syntax, p.at, "The expression ends where %s should follow.", want)
	}
	return errorf(Syntax, p.at, "%q stands where %s should.", clip(p.token.text), want)
}

// clip shortens what is quoted in an error.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// expression reads operators that bind more tightly than above, and their
// operands.
func (p *parser) expression(above int) (expr, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return nil, errorf(Limit, p.at, "The expression is nested deeper than %d levels: make it flatter.", maxNesting)
	}
	left, err := p.unary()
	for chain := 0; err == nil && p.binary() > above; chain++ {
		if chain > maxChain {
			return nil, errorf(Limit, p.at, "More than %d operators follow one another: make the expression shorter.", maxChain)
		}
		left, err = p.operator(left)
	}
	return left, err
}

// maxChain bounds operators and steps in a row, each of which is a level of the
// evaluation.
const maxChain = 2000

func (p *parser) operator(left expr) (expr, error) {
	op, at, binds := p.token.text, p.at, p.binary()
	if err := p.advance(); err != nil {
		return nil, err
	}
	if binds == 8 {
		t, err := p.typeSpecifier()
		if op == "is" {
			return &isType{at: at, input: left, want: t}, err
		}
		return &castType{at: at, input: left, want: t}, err
	}
	right, err := p.expression(binds)
	if err != nil {
		return nil, err
	}
	return p.memoize(newBinary(op, at, left, right)), nil
}

func (p *parser) unary() (expr, error) {
	if p.kind != symbolToken || p.token.text != "-" && p.token.text != "+" {
		return p.postfix()
	}
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return nil, errorf(Limit, p.at, "The expression is nested deeper than %d levels: make it flatter.", maxNesting)
	}
	sign := &polarity{at: p.at, negative: p.token.text == "-"}
	err := p.advance()
	if err == nil {
		sign.input, err = p.unary()
	}
	return sign, err
}

// postfix reads a term with its steps, calls and indexes.
func (p *parser) postfix() (expr, error) {
	left, err := p.term()
	for chain := 0; err == nil; chain++ {
		var more bool
		if more, err = p.accept("."); more && err == nil {
			left, err = p.invocation(left)
		} else if p.is("[") {
			left, err = p.indexer(left)
		} else {
			return p.memoize(left), err
		}
		if chain > maxChain {
			return nil, errorf(Limit, p.at, "More than %d steps follow one another: make the expression shorter.", maxChain)
		}
	}
	return left, err
}

func (p *parser) indexer(left expr) (expr, error) {
	i := &indexer{at: p.at, input: left}
	err := p.advance()
	if err == nil {
		i.index, err = p.expression(0)
	}
	if err == nil {
		err = p.expect("]")
	}
	return i, err
}

// invocation reads what stands after a dot: a name, a call, or $this.
func (p *parser) invocation(left expr) (expr, error) {
	switch p.kind {
	case nameToken:
		return p.member(left)
	case specialToken:
		return p.special()
	}
	return nil, p.unexpected("a name")
}

// member reads a name, which is a step or a call.
func (p *parser) member(left expr) (expr, error) {
	name := p.token
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.is("(") {
		return p.call(left, name)
	}
	if steps, ok := left.(*path); ok {
		steps.names = append(steps.names, name.text)
		return steps, nil
	}
	return &path{at: name.at, input: left, names: []string{name.text}}, nil
}

func (p *parser) term() (expr, error) {
	t := p.token
	switch t.kind {
	case nameToken:
		if !t.quoted && (t.text == "true" || t.text == "false") {
			return literal{Bool(t.text == "true")}, p.advance()
		}
		if p.binary() > 0 && !t.is("as") && !t.is("is") && !t.is("in") && !t.is("contains") {
			return nil, p.unexpected("a value")
		}
		return p.member(nil)
	case stringToken:
		return literal{String(t.text)}, p.advance()
	case numberToken:
		return p.number()
	case dateToken:
		return p.moment()
	case constantToken:
		return newConstant(t), p.advance()
	case specialToken:
		return p.special()
	}
	return p.bracket()
}

func (p *parser) bracket() (expr, error) {
	curly, err := p.accept("{")
	if curly && err == nil {
		return nothing{}, p.expect("}")
	}
	if err == nil && !p.is("(") {
		return nil, p.unexpected("a value")
	}
	if err == nil {
		err = p.advance()
	}
	if err != nil {
		return nil, err
	}
	inner, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	return inner, p.expect(")")
}

func (p *parser) special() (expr, error) {
	t := p.token
	switch t.text {
	case "this":
		return this{}, p.advance()
	case "index":
		return index{}, p.advance()
	case "total":
		return total{}, p.advance()
	}
	return nil, errorf(Syntax, t.at, "There is no $%s: write $this, $index or $total.", clip(t.text))
}

// number reads a number, and the unit that makes it a quantity.
func (p *parser) number() (expr, error) {
	text, at := p.token.text, p.at
	d, ok := parseDecimal(text)
	if !ok {
		return nil, errorf(Syntax, at, "A number has at most %d digits.", maxDigits)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.kind == stringToken {
		return literal{Item{value: unitOf(d, p.token.text)}}, p.advance()
	}
	if unit := calendarUnit(p.token.text); unit != "" && p.kind == nameToken && !p.quoted {
		return literal{Item{value: quantity{d, unit, true}}}, p.advance()
	}
	if v, ok := parseInteger(text); ok {
		return literal{Item{value: v}}, nil
	}
	return literal{Item{value: d}}, nil
}

func (p *parser) moment() (expr, error) {
	kind, text := dateKind, p.token.text
	if rest, is := strings.CutPrefix(text, "T"); is {
		kind, text = timeKind, rest
	} else if strings.Contains(text, "T") {
		kind = dateTimeKind
	}
	m, ok := parseMoment(kind, text)
	if !ok {
		return nil, errorf(Syntax, p.at, "This is no date, dateTime or time: write @YYYY-MM-DD, @YYYY-MM-DDThh:mm:ss+zz:zz or @Thh:mm:ss, as far as it is known.")
	}
	return literal{Item{value: m}}, p.advance()
}

package fhirpath

// A call is a function with its receiver and its arguments.
type call struct {
	at    int
	name  string
	input expr // the receiver; nil is the focus
	args  []expr
	fn    function

	compiled *pattern // of a regular expression that is a literal
}

// A function is what a name followed by brackets stands for.
type function struct {
	least, most int // arguments
	run         func(v invocation, dst Collection) (Collection, error)
}

// An invocation is one use of a function.
type invocation struct {
	*run
	*call
	frame
	in Collection // what the receiver gave, in a buffer
}

// call reads the arguments of the function name.
func (p *parser) call(left expr, name token) (expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch name.text {
	case "is", "as", "ofType":
		return p.typeCall(left, name)
	}
	fn, ok := lookup(name.text)
	if !ok {
		return nil, errorf(Unknown, name.at, "There is no function %s.", clip(name.text))
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) < fn.least || len(args) > fn.most {
		return nil, errorf(Syntax, name.at, "%s takes %s, not %d.", name.text, countOf(fn), len(args))
	}
	c := &call{at: name.at, name: name.text, input: left, args: args, fn: fn}
	return special(c)
}

func countOf(fn function) string {
	switch {
	case fn.most == 0:
		return "no argument"
	case fn.least == 1 && fn.most == 1:
		return "one argument"
	case fn.least == 0 && fn.most == 1:
		return "no argument or one"
	case fn.most > 3:
		return "one argument or more"
	case fn.least == fn.most:
		return "two arguments"
	}
	return "one more or one argument less"
}

// typeCall reads is(Type), as(Type) and ofType(Type).
func (p *parser) typeCall(left expr, name token) (expr, error) {
	t, err := p.typeSpecifier()
	if err == nil {
		err = p.expect(")")
	}
	if name.text == "is" {
		return &isType{at: name.at, input: left, want: t}, err
	}
	return &castType{at: name.at, input: left, want: t, filter: name.text == "ofType"}, err
}

func (p *parser) arguments() ([]expr, error) {
	if empty, err := p.accept(")"); empty || err != nil {
		return nil, err
	}
	p.calls++
	defer func() { p.calls-- }()
	var args []expr
	for {
		arg, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		more, err := p.accept(",")
		if err != nil {
			return nil, err
		}
		if !more {
			return args, p.expect(")")
		}
	}
}

func (c *call) eval(r *run, f frame, dst Collection) (Collection, error) {
	in, err := operand(r, f, c.input)
	if err == nil {
		err = r.step(1 + len(in)/16)
	}
	if err == nil {
		dst, err = c.fn.run(invocation{r, c, f, in}, dst)
	}
	r.give(in)
	if err == nil {
		err = r.room(dst)
	}
	return dst, at(err, c.at)
}

// collection evaluates an argument where the call stands, into a buffer.
func (v invocation) collection(k int) (Collection, error) {
	if k >= len(v.args) {
		return v.take(), nil
	}
	return v.args[k].eval(v.run, v.frame, v.take())
}

// each evaluates an argument on every item of the input, until use says to stop.
func (v invocation) each(k int, use func(i Item, result Collection) (more bool, err error)) error {
	f := frame{total: v.total}
	for n := range v.in {
		if err := v.step(1); err != nil {
			return err
		}
		f.this, f.index = v.in[n:n+1:n+1], n
		result, err := v.args[k].eval(v.run, f, v.take())
		more := false
		if err == nil {
			more, err = use(v.in[n], result)
		}
		v.give(result)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// one returns the only item of c, nil for none.
func (v invocation) one(c Collection) (*Item, error) {
	switch len(c) {
	case 0:
		return nil, nil
	case 1:
		return &c[0], nil
	}
	return nil, errorf(Cardinality, v.at, "%s takes one item, not %d.", v.name, len(c))
}

// text returns the string that an argument gives; it is not ok when it is empty.
func (v invocation) text(k int) (s string, ok bool, err error) {
	c, err := v.collection(k)
	defer v.give(c)
	if err != nil {
		return "", false, err
	}
	return v.stringOf(c)
}

// input returns the string that is the input; it is not ok when it is empty.
func (v invocation) input() (s string, ok bool, err error) { return v.stringOf(v.in) }

func (v invocation) stringOf(c Collection) (s string, ok bool, err error) {
	i, err := v.one(c)
	if err != nil || i == nil {
		return "", false, err
	}
	switch t := i.system().(type) {
	case string:
		return t, true, v.step(1 + len(t)/64)
	case nil:
		if isValueless(*i) {
			return "", false, nil
		}
	}
	return "", false, errorf(Type, v.at, "%s takes a string, not a %s: use toString().", v.name, i.Type())
}

// integer returns the Integer that an argument gives; it is not ok when it is
// empty.
func (v invocation) integer(k int) (n int, ok bool, err error) {
	c, err := v.collection(k)
	defer v.give(c)
	if err != nil {
		return 0, false, err
	}
	i, err := v.one(c)
	if err != nil || i == nil {
		return 0, false, err
	}
	n64, ok := i.system().(int64)
	if !ok {
		return 0, false, errorf(Type, v.at, "%s takes an Integer, not a %s.", v.name, i.Type())
	}
	return int(n64), true, nil
}

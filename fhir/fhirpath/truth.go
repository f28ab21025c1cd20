package fhirpath

// A tri is a Boolean that may be empty.
type tri int8

const (
	unknown tri = iota
	no
	yes
)

func truthOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

// not returns the opposite of t.
func (t tri) not() tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func appendTruth(dst Collection, t tri) Collection {
	if t == unknown {
		return dst
	}
	return append(dst, Bool(t == yes))
}

// A judge is an expr that gives one Boolean at most, and can tell it without a
// collection.
type judge interface {
	truth(r *run, f frame) (tri, error)
}

// truth evaluates e as a Boolean.
func truth(r *run, f frame, e expr) (tri, error) {
	if j, ok := e.(judge); ok {
		return j.truth(r, f)
	}
	in, err := e.eval(r, f, r.take())
	defer r.give(in)
	if err != nil {
		return unknown, err
	}
	return boolean(r, in)
}

// boolean converts a collection to a Boolean: one item that is no Boolean is
// true. https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
func boolean(r *run, in Collection) (tri, error) {
	switch {
	case len(in) == 0:
		return unknown, nil
	case len(in) > 1:
		return unknown, errorf(Cardinality, nowhere, "A Boolean is needed, not %d items: use exists(), allTrue() or anyTrue().", len(in))
	}
	if b, ok := in[0].Bool(); ok {
		return truthOf(b), nil
	}
	if in[0].value == nil && !in[0].node.HasValue() {
		return unknown, nil
	}
	if r.env.Strict {
		return unknown, errorf(Type, nowhere, "A Boolean is needed, not a %s.", in[0].Type())
	}
	return yes, nil
}

// logic is and, or, xor and implies.
// https://hl7.org/fhirpath/N1/#boolean-logic
type logic struct {
	at          int
	op          byte // the first letter of the operator
	left, right expr
}

func (l *logic) eval(r *run, f frame, dst Collection) (Collection, error) {
	t, err := l.truth(r, f)
	return appendTruth(dst, t), err
}

func (l *logic) truth(r *run, f frame) (tri, error) {
	a, err := truth(r, f, l.left)
	if err != nil {
		return unknown, at(err, l.at)
	}
	if a == no && l.op == 'a' {
		return no, nil
	}
	if a == yes && l.op == 'o' || a == no && l.op == 'i' {
		return yes, nil
	}
	b, err := truth(r, f, l.right)
	return l.join(a, b), at(err, l.at)
}

func (l *logic) join(a, b tri) tri {
	switch {
	case l.op == 'a' && (a == no || b == no):
		return no
	case l.op == 'o' && (a == yes || b == yes), l.op == 'i' && (a == no || b == yes):
		return yes
	case a == unknown || b == unknown:
		return unknown
	case l.op == 'a', l.op == 'x':
		return truthOf((a == b) == (l.op == 'a'))
	}
	return no
}

// at gives an error without a position the position of what asked for it.
func at(err error, offset int) error {
	if e, ok := err.(*Error); ok && e.Offset == nowhere {
		e.Offset = offset
	}
	return err
}

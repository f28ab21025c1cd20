package fhirpath

// newBinary returns the operator op between left and right.
func newBinary(op string, offset int, left, right expr) expr {
	switch op {
	case "and", "or", "xor", "implies":
		return &logic{offset, op[0], left, right}
	case "=", "!=", "~", "!~":
		return &equality{offset, op[len(op)-1] == '~', op[0] == '!', left, right}
	case "<", "<=", ">", ">=":
		return &inequality{offset, op, left, right}
	case "in":
		return &membership{offset, left, right}
	case "contains":
		return &membership{offset, right, left}
	case "|":
		return &union{offset, left, right}
	}
	return &arithmetical{offset, op, left, right}
}

// both evaluates two operands into buffers that the caller gives back.
func both(r *run, f frame, left, right expr) (a, b Collection, err error) {
	a, err = left.eval(r, f, r.take())
	if err == nil {
		b, err = right.eval(r, f, r.take())
	}
	return a, b, err
}

// An equality is = or ~, or the opposite of one.
type equality struct {
	at         int
	equivalent bool
	negated    bool
	left       expr
	right      expr
}

func (e *equality) eval(r *run, f frame, dst Collection) (Collection, error) {
	t, err := e.truth(r, f)
	return appendTruth(dst, t), err
}

func (e *equality) truth(r *run, f frame) (tri, error) {
	a, b, err := both(r, f, e.left, e.right)
	t := unknown
	if err == nil && e.equivalent {
		t, err = r.equivalentCollections(a, b)
	} else if err == nil {
		t, err = r.equalCollections(a, b)
	}
	r.give(a)
	r.give(b)
	if e.negated {
		t = t.not()
	}
	return t, at(err, e.at)
}

// An inequality is <, <=, > or >=.
type inequality struct {
	at          int
	op          string
	left, right expr
}

func (e *inequality) eval(r *run, f frame, dst Collection) (Collection, error) {
	t, err := e.truth(r, f)
	return appendTruth(dst, t), err
}

func (e *inequality) truth(r *run, f frame) (tri, error) {
	a, b, err := both(r, f, e.left, e.right)
	defer r.give(a)
	defer r.give(b)
	if err != nil || len(a) == 0 || len(b) == 0 {
		return unknown, at(err, e.at)
	}
	if len(a) > 1 || len(b) > 1 {
		return unknown, errorf(Cardinality, e.at, "%s compares one item with one, not %d with %d.", e.op, len(a), len(b))
	}
	order, known, err := r.compare(a[0], b[0])
	if err != nil || !known {
		return unknown, at(err, e.at)
	}
	switch e.op {
	case "<":
		return truthOf(order < 0), nil
	case "<=":
		return truthOf(order <= 0), nil
	case ">":
		return truthOf(order > 0), nil
	}
	return truthOf(order >= 0), nil
}

// A membership is in, or contains the other way round.
type membership struct {
	at        int
	item, set expr
}

func (m *membership) eval(r *run, f frame, dst Collection) (Collection, error) {
	t, err := m.truth(r, f)
	return appendTruth(dst, t), err
}

func (m *membership) truth(r *run, f frame) (tri, error) {
	a, b, err := both(r, f, m.item, m.set)
	defer r.give(a)
	defer r.give(b)
	switch {
	case err != nil || len(a) == 0:
		return unknown, at(err, m.at)
	case len(a) > 1:
		return unknown, errorf(Cardinality, m.at, "One item is looked for in a collection, not %d: use subsetOf.", len(a))
	}
	found, err := r.contains(b, a[0])
	return truthOf(found), at(err, m.at)
}

// A union is |.
type union struct {
	at          int
	left, right expr
}

func (u *union) eval(r *run, f frame, dst Collection) (Collection, error) {
	a, b, err := both(r, f, u.left, u.right)
	if err == nil {
		s := r.newSet(dst)
		if err = s.addAll(a); err == nil {
			err = s.addAll(b)
		}
		dst = s.all
	}
	r.give(a)
	r.give(b)
	return dst, at(err, u.at)
}

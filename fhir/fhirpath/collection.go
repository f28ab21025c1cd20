package fhirpath

// The functions that ask about collections, take parts of them and put them
// together. https://hl7.org/fhirpath/N1/#functions

func empty(v invocation, dst Collection) (Collection, error) {
	return append(dst, Bool(len(v.in) == 0)), nil
}

func count(v invocation, dst Collection) (Collection, error) {
	return append(dst, Integer(len(v.in))), nil
}

// booleans is allTrue, anyTrue, allFalse and anyFalse.
func booleans(v invocation, dst Collection) (Collection, error) {
	want := v.name == "allTrue" || v.name == "anyTrue"
	every := v.name == "allTrue" || v.name == "allFalse"
	result := every
	for _, i := range v.in {
		b, ok := i.Bool()
		switch {
		case !ok && isValueless(i):
			continue
		case !ok:
			return dst, errorf(Type, v.at, "%s takes Booleans, no %s.", v.name, i.Type())
		}
		if (b == want) != every {
			result = !every
		}
	}
	return append(dst, Bool(result)), v.step(len(v.in))
}

// subsetOf is also supersetOf.
func subsetOf(v invocation, dst Collection) (Collection, error) {
	other, err := v.collection(0)
	defer v.give(other)
	if err != nil {
		return dst, err
	}
	part, whole := v.in, other
	if v.name == "supersetOf" {
		part, whole = other, v.in
	}
	s := v.newSet(nil)
	if err := s.addAll(whole); err != nil {
		return dst, err
	}
	for _, i := range part {
		found, _, err := s.find(i)
		if err != nil || !found {
			return append(dst, Bool(false)), err
		}
	}
	return append(dst, Bool(true)), nil
}

func distinct(v invocation, dst Collection) (Collection, error) {
	s := v.newSet(dst)
	err := s.addAll(v.in)
	return s.all, err
}

func isDistinct(v invocation, dst Collection) (Collection, error) {
	s := v.newSet(nil)
	for _, i := range v.in {
		if added, err := s.add(i); err != nil || !added {
			return append(dst, Bool(false)), err
		}
	}
	return append(dst, Bool(true)), nil
}

// ordered refuses to take a part of a collection that has no order, if it is to
// be Strict.
func (v invocation) ordered() error { return ordered(v.run, v.call.input, v.at) }

func ordered(r *run, input expr, at int) error {
	if c, ok := input.(*call); ok && r.env.Strict && (c.name == "children" || c.name == "descendants") {
		return errorf(Type, at, "What %s gives has no order, so no part can be taken of it.", c.name)
	}
	return nil
}

// subset is single, first, last and tail.
func subset(v invocation, dst Collection) (Collection, error) {
	if err := v.ordered(); err != nil || len(v.in) == 0 {
		return dst, err
	}
	switch v.name {
	case "single":
		i, err := v.one(v.in)
		if err != nil {
			return dst, err
		}
		return append(dst, *i), nil
	case "first":
		return append(dst, v.in[0]), nil
	case "last":
		return append(dst, v.in[len(v.in)-1]), nil
	}
	return append(dst, v.in[1:]...), nil
}

// slice is skip and take.
func slice(v invocation, dst Collection) (Collection, error) {
	if err := v.ordered(); err != nil {
		return dst, err
	}
	n, ok, err := v.integer(0)
	if err != nil || !ok {
		return dst, err
	}
	n = min(max(n, 0), len(v.in))
	if v.name == "skip" {
		return append(dst, v.in[n:]...), nil
	}
	return append(dst, v.in[:n]...), nil
}

// An indexer is [n].
type indexer struct {
	at           int
	input, index expr
}

func (x *indexer) eval(r *run, f frame, dst Collection) (Collection, error) {
	in, err := x.input.eval(r, f, r.take())
	defer r.give(in)
	if err == nil {
		err = ordered(r, x.input, x.at)
	}
	if err != nil {
		return dst, err
	}
	i, err := x.index.eval(r, f, r.take())
	defer r.give(i)
	switch {
	case err != nil || len(i) == 0:
		return dst, err
	case len(i) > 1:
		return dst, errorf(Cardinality, x.at, "An index is one Integer, not %d items.", len(i))
	}
	n, ok := i[0].system().(int64)
	if !ok {
		return dst, errorf(Type, x.at, "An index is an Integer, not a %s.", i[0].Type())
	}
	if n < 0 || n >= int64(len(in)) {
		return dst, nil
	}
	return append(dst, in[n]), nil
}

// intersect is also exclude.
func intersect(v invocation, dst Collection) (Collection, error) {
	other, err := v.collection(0)
	defer v.give(other)
	if err != nil {
		return dst, err
	}
	s := v.newSet(nil)
	if err := s.addAll(other); err != nil {
		return dst, err
	}
	common := v.newSet(dst)
	for _, i := range v.in {
		found, _, err := s.find(i)
		switch {
		case err != nil:
			return dst, err
		case found && v.name == "intersect":
			_, err = common.add(i)
		case !found && v.name == "exclude":
			// Duplicates stay, unlike in an intersection.
			common.all = append(common.all, i)
		}
		if err != nil {
			return dst, err
		}
	}
	return common.all, nil
}

// merge is the function union.
func merge(v invocation, dst Collection) (Collection, error) {
	other, err := v.collection(0)
	defer v.give(other)
	if err != nil {
		return dst, err
	}
	s := v.newSet(dst)
	if err := s.addAll(v.in); err != nil {
		return dst, err
	}
	err = s.addAll(other)
	return s.all, err
}

func combine(v invocation, dst Collection) (Collection, error) {
	dst = append(dst, v.in...)
	other, err := v.collection(0)
	defer v.give(other)
	return append(dst, other...), err
}

func children(v invocation, dst Collection) (Collection, error) {
	for _, i := range v.in {
		for c := range i.node.Children() {
			dst = append(dst, NodeItem(c))
		}
		if err := v.step(1 + len(dst)/16); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func descendants(v invocation, dst Collection) (Collection, error) {
	var err error
	for _, i := range v.in {
		if dst, err = v.descend(i, dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (v invocation) descend(i Item, dst Collection) (Collection, error) {
	for c := range i.node.Children() {
		dst = append(dst, NodeItem(c))
		err := v.room(dst)
		if err == nil {
			dst, err = v.descend(NodeItem(c), dst)
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, v.step(1)
}

func not(v invocation, dst Collection) (Collection, error) {
	t, err := boolean(v.run, v.in)
	return appendTruth(dst, t.not()), err
}

func typeOf(v invocation, dst Collection) (Collection, error) {
	for _, i := range v.in {
		dst = append(dst, Item{value: i.typeName()})
	}
	return dst, v.step(len(v.in))
}

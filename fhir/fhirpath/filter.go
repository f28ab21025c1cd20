package fhirpath

// The functions that evaluate a criterion or a projection on each item.
// https://hl7.org/fhirpath/N1/#filtering-and-projection

func where(v invocation, dst Collection) (Collection, error) {
	err := v.judge(func(i Item, t tri) bool {
		if t == yes {
			dst = append(dst, i)
		}
		return true
	})
	return dst, err
}

// judge evaluates the first argument as a criterion on every item of the input,
// until use says to stop.
func (v invocation) judge(use func(i Item, t tri) (more bool)) error {
	f := frame{total: v.total}
	for n := range v.in {
		if err := v.step(1); err != nil {
			return err
		}
		f.this, f.index = v.in[n:n+1:n+1], n
		t, err := truth(v.run, f, v.args[0])
		if err != nil || !use(v.in[n], t) {
			return err
		}
	}
	return nil
}

func exists(v invocation, dst Collection) (Collection, error) {
	if len(v.args) == 0 {
		return append(dst, Bool(len(v.in) > 0)), nil
	}
	found := false
	err := v.judge(func(_ Item, t tri) bool {
		found = t == yes
		return !found
	})
	return append(dst, Bool(found)), err
}

func all(v invocation, dst Collection) (Collection, error) {
	holds := true
	err := v.judge(func(_ Item, t tri) bool {
		holds = t == yes
		return holds
	})
	return append(dst, Bool(holds)), err
}

// project is select.
func project(v invocation, dst Collection) (Collection, error) {
	err := v.each(0, func(_ Item, result Collection) (bool, error) {
		dst = append(dst, result...)
		return true, v.room(dst)
	})
	return dst, err
}

// repeat projects the items, what comes of them, and so on, as long as something
// new comes.
func repeat(v invocation, dst Collection) (Collection, error) {
	s := v.newSet(dst)
	round := v
	for len(round.in) > 0 {
		from := len(s.all)
		err := round.each(0, func(_ Item, result Collection) (bool, error) {
			return true, s.addAll(result)
		})
		if err != nil {
			return s.all, err
		}
		// A copy, since the set may grow into another array.
		round.in = append(Collection(nil), s.all[from:]...)
	}
	return s.all, nil
}

func aggregate(v invocation, dst Collection) (Collection, error) {
	var sum Collection
	if len(v.args) == 2 {
		initial, err := v.args[1].eval(v.run, v.frame, nil)
		if err != nil {
			return dst, err
		}
		sum = initial
	}
	for n := range v.in {
		if err := v.step(1); err != nil {
			return dst, err
		}
		last := sum
		result, err := v.args[0].eval(v.run, frame{this: v.in[n : n+1 : n+1], index: n, total: &last}, nil)
		if err != nil {
			return dst, err
		}
		sum = result
	}
	return append(dst, sum...), nil
}

// iif evaluates only the branch that it takes.
func iif(v invocation, dst Collection) (Collection, error) {
	f := v.frame
	if v.call.input != nil {
		if len(v.in) > 1 {
			return dst, errorf(Cardinality, v.at, "iif takes one item, not %d: use select(iif(…)).", len(v.in))
		}
		f.this = v.in
	}
	t, err := truth(v.run, f, v.args[0])
	switch {
	case err != nil:
		return dst, err
	case t == yes:
		return v.args[1].eval(v.run, f, dst)
	case len(v.args) == 3:
		return v.args[2].eval(v.run, f, dst)
	}
	return dst, nil
}

func trace(v invocation, dst Collection) (Collection, error) {
	name, _, err := v.text(0)
	if err != nil {
		return dst, err
	}
	if v.env.Trace != nil {
		shown := append(Collection(nil), v.in...)
		if len(v.args) == 2 {
			shown = shown[:0:0]
			err = v.each(1, func(_ Item, result Collection) (bool, error) {
				shown = append(shown, result...)
				return true, v.room(shown)
			})
		}
		v.env.Trace(name, shown)
	}
	return append(dst, v.in...), err
}

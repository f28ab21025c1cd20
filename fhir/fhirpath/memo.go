package fhirpath

// A memo is an expression whose value is the same wherever it stands in an
// evaluation: it is evaluated once. Without that, %resource.type in a criterion
// on the entries of a Bundle would walk the Bundle for every entry.
type memo struct{ expr }

func (m *memo) eval(r *run, f frame, dst Collection) (Collection, error) {
	known, ok := r.memos[m]
	if !ok {
		var err error
		if known, err = m.expr.eval(r, f, nil); err != nil {
			return dst, err
		}
		if r.memos == nil {
			r.memos = map[*memo]Collection{}
		}
		r.memos[m] = known
	}
	dst = append(dst, known...)
	return dst, r.copied(len(known), dst)
}

// memoize returns e as a memo if it stands in the argument of a call and depends
// on nothing around it.
func (p *parser) memoize(e expr) expr {
	if p.calls == 0 || !isClosed(e) {
		return e
	}
	switch e.(type) {
	case literal, nothing, *constant, *memo:
		return e
	}
	return &memo{e}
}

// isClosed reports whether e does not depend on $this, $index and $total, and has
// no side effect.
func isClosed(e expr) bool {
	switch e := e.(type) {
	case literal, nothing, *constant, *memo:
		return true
	case *path:
		return e.input != nil && isClosed(e.input)
	case *castType:
		return e.input != nil && isClosed(e.input)
	case *call:
		return e.input != nil && len(e.args) == 0 && isClosed(e.input)
	case *union:
		return isClosed(e.left) && isClosed(e.right)
	case *equality:
		return isClosed(e.left) && isClosed(e.right)
	case *logic:
		return isClosed(e.left) && isClosed(e.right)
	}
	return false
}

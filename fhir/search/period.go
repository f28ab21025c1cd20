package search

// Matches reports whether r answers a.
// https://hl7.org/fhir/R4/search.html#prefix
func (a AskedRange) Matches(r Range) bool {
	switch a.Prefix {
	case Equal, "":
		return a.contains(r)
	case NotEqual:
		return !a.contains(r)
	case Greater:
		return a.reachesAbove(r)
	case Less:
		return r.Lo < a.Lo
	case GreaterOrEqual:
		return a.reachesAbove(r) || a.contains(r)
	case LessOrEqual:
		return r.Lo < a.Lo || a.contains(r)
	case StartsAfter:
		return r.Lo >= a.Hi && !(a.isPoint() && r.Lo == a.Hi)
	case EndsBefore:
		return r.Hi <= a.Lo && !(r.isPoint() && r.Lo == a.Lo)
	case Approximately:
		return a.overlaps(r)
	}
	return false
}

// isPoint reports whether r is a single number.
func (r Range) isPoint() bool { return r.Lo == r.Hi }

// contains reports whether all of r is in a.
func (a AskedRange) contains(r Range) bool {
	if r.Lo < a.Lo || r.Hi > a.Hi {
		return false
	}
	// The end of a range is not in it, and a point is its own end.
	return !r.isPoint() || a.isPoint() || r.Lo < a.Hi
}

// reachesAbove reports whether some of r is above a.
func (a AskedRange) reachesAbove(r Range) bool {
	if r.isPoint() && !a.isPoint() {
		return r.Lo >= a.Hi
	}
	return r.Hi > a.Hi
}

// overlaps reports whether a and r have something in common. What only touches
// counts when it is a point, since the end of a range is not in it.
func (a AskedRange) overlaps(r Range) bool {
	if r.isPoint() || a.isPoint() {
		return r.Lo <= a.Hi && a.Lo <= r.Hi
	}
	return r.Lo < a.Hi && a.Lo < r.Hi
}

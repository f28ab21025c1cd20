package consultation

import (
	"slices"
	"time"
)

// standstills returns pauses in order and apart from each other.
func standstills(pauses []Pause) []Pause {
	if len(pauses) == 0 {
		return nil
	}
	all := slices.Clone(pauses)
	slices.SortFunc(all, func(a, b Pause) int { return a.From.Compare(b.From) })
	joined := all[:0]
	for _, p := range all {
		if !p.To.IsZero() && !p.To.After(p.From) {
			continue
		}
		if last := len(joined) - 1; last >= 0 && (joined[last].To.IsZero() || !joined[last].To.Before(p.From)) {
			joined[last].To = longer(joined[last].To, p.To)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// longer returns the later one of two ends, of which a zero one is never.
func longer(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	return later(a, b)
}

// covering returns the pause, of pauses in order, that has begun before a closing and
// not ended before it, or nil.
func covering(pauses []Pause, closing time.Time) *Pause {
	for i := range pauses {
		p := &pauses[i]
		if !p.From.Before(closing) {
			return nil
		}
		if p.To.IsZero() || !p.To.Before(closing) {
			return p
		}
	}
	return nil
}

// each calls f with every time from start on that counts, in order, until it returns
// false: the service is open and no pause is on. It ends, too, with a pause that does not.
// The error says that the days ran out.
func (w *walker) each(start time.Time, pauses []Pause, f func(stretch) bool) error {
	for w.more() {
		for _, s := range w.day() {
			s.from = later(s.from, start)
			for len(pauses) > 0 && !pauses[0].To.IsZero() && !pauses[0].To.After(s.from) {
				pauses = pauses[1:]
			}
			for _, p := range pauses {
				if !p.From.Before(s.to) {
					break
				}
				if s.from.Before(p.From) && !f(stretch{s.from, p.From}) || p.To.IsZero() {
					return nil
				}
				s.from = p.To
			}
			if s.from.Before(s.to) && !f(s) {
				return nil
			}
		}
	}
	return w.failure()
}

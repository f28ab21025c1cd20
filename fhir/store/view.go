package store

import "github.com/openconsult/openconsult/fhir/searchsql"

// A view is what is known of the rows of one type, or of all.
type view struct {
	parts []*partition
	rows  float64 // of the type; negative: nobody has counted
}

// view returns what is known of a type; the empty one stands for all.
func (s *statistics) view(number int16, all bool) *view {
	if !all {
		p, rows := s.of(number)
		return &view{[]*partition{p}, rows}
	}
	v := &view{parts: []*partition{s.other}, rows: s.other.rows}
	for _, p := range s.parts {
		v.parts = append(v.parts, p)
		// What nobody has counted while the rest is known has hardly any rows.
		switch {
		case v.rows < 0:
			v.rows = p.rows
		case p.rows > 0:
			v.rows += p.rows
		}
	}
	return v
}

// mean returns what of says of each partition, by their sizes.
func (v *view) mean(of func(*partition) float64) float64 {
	sum, weight := 0.0, 0.0
	for _, p := range v.parts {
		sum += max(p.rows, 1) * of(p)
		weight += max(p.rows, 1)
	}
	return sum / weight
}

// share returns the share of rows that have a key. In a partition that others
// live in as well, those of one type have a greater share of their keys than the
// partition has.
func (v *view) share(key int64) float64 {
	share := v.mean(func(p *partition) float64 { return p.share(key) })
	if len(v.parts) == 1 && v.rows > 0 {
		share *= max(v.parts[0].rows, 1) / v.rows
	}
	return min(share, 1)
}

// shareOfAny returns the share of rows that have one of some keys, at most.
func (v *view) shareOfAny(keys []int64) float64 {
	share := 0.0
	for _, key := range keys {
		share += v.share(key)
	}
	return min(share, 1)
}

// What is assumed of conditions that nothing is known of.
const (
	shareOfRange = 0.05
	shareOfOther = 0.3
)

// selectivity returns the share of rows for which w may hold.
func (v *view) selectivity(w searchsql.Predicate) float64 {
	column := "updated"
	switch {
	case w.Slot > 0:
		column = [...]string{"t1", "t2", "t3"}[w.Slot-1]
	case len(w.Groups) > 0:
		return shareOfRange
	case w.Keys != nil:
		return v.shareOfAny(w.Keys)
	case w.Without != nil:
		return 1 - v.shareOfAny(w.Without)
	case w.Slot == 0:
		return shareOfOther
	}
	return v.mean(func(p *partition) float64 { return p.times[column].between(w.Bounds.Lo, w.Bounds.Hi) })
}

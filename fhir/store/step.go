package store

import (
	"context"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A chain, a _has and a _list are steps: they lead to rows of other types, and
// are answered by statements of their own. If there are few such rows, they are
// found first, and what is searched for gets their keys; if there are many, the
// rows that are searched for are gone through, and in batches it is asked which of
// them lead to such a row.

// bounds are what a search takes upon itself.
type bounds struct {
	few      int // other rows that are few; also the keys or RIDs that one statement gets
	resolved int // other rows that a step is resolved to at most
	examined int // rows that are looked at one by one
	included int // resources that go along with a page
	depth    int // how often :iterate leads from included resources to others

	sorted int64 // numbers of seq in a window of the feed that is put in order for each page; the index on seq is walked in larger ones
	walked int64 // numbers of seq that one statement of such a walk covers
}

func defaultBounds() bounds {
	return bounds{few: 2000, resolved: 20_000, examined: 200_000, included: 1000, depth: 16, sorted: 4000, walked: 50_000}
}

// A hop is a step on its way to other rows.
type hop struct {
	name      string
	has       bool           // the other rows refer to those that are wanted, not the wanted ones to them
	salt      int64          // of the references
	inner     *wanted        // the other rows
	canonical bool           // the references are URLs
	named     []int64        // with has and canonical: the salts of the URLs that the wanted rows have
	column    int            // with probes: the place of the references in found.links
	targets   map[int64]bool // with probes: what they have to lead to, when that is known already
}

func (s *searching) newHop(name string, p *search.Param) *hop {
	return &hop{name: name, salt: s.db.secret.Salt(p), canonical: p.Canonical}
}

// hop prepares a step of rows of a type. It is nil for a _list, which leads to no
// conditions.
func (s *searching) hop(ctx context.Context, typ string, step search.Condition) (*hop, error) {
	var l *hop
	var inner string
	var where search.Condition
	switch step := step.(type) {
	case *search.Chain:
		l = s.newHop(step.Name, step.Param)
		inner, where = step.Target, step.Where
	case *search.Has:
		l = s.newHop(step.Name, step.Param)
		l.has = true
		inner, where = step.Source, step.Where
		switch {
		case l.canonical && typ == "":
			l.named = s.urlSalts(step.Param.Targets)
		case l.canonical:
			l.named = s.urlSalts([]string{typ})
		}
	default:
		return nil, nil
	}
	var err error
	l.inner, err = s.wanted(ctx, mayLead, inner, []search.Condition{where}, s.db.bounds.few)
	return l, err
}

// step takes a condition of w that leads to other rows, in the cheaper way.
func (s *searching) step(ctx context.Context, w *wanted, step search.Condition, n int) error {
	l, err := s.hop(ctx, w.typ, step)
	if err != nil {
		return err
	}
	if l == nil {
		rids, err := s.entries(ctx, step)
		w.filter = with(w.filter, searchsql.Found{RIDs: rids})
		return err
	}
	s.costly = l.name
	limit := s.db.bounds.few
	switch {
	case !l.canProbe():
		limit = s.db.bounds.resolved
	case !l.known() || l.expected() <= float64(limit):
	case len(w.spread) > 0 || l.probeIsCheaper(w, n):
		limit = 0
	default:
		limit = s.db.bounds.resolved
	}
	if limit > 0 {
		targets, complete, err := s.targets(ctx, l, limit)
		if err != nil {
			return err
		}
		if complete {
			s.narrow(w, l, targets)
			return nil
		}
	}
	if !l.canProbe() {
		return s.tooMany(l.name)
	}
	w.probes = append(w.probes, l)
	return nil
}

// canProbe reports whether rows can be asked for l one batch at a time: of URLs
// it is only known what they are the hashes of.
func (l *hop) canProbe() bool { return !l.canonical }

// known reports whether it is known how many rows there are at the other end.
func (l *hop) known() bool { return l.inner.view.rows >= 0 }

// expected returns how many rows match at the other end.
func (l *hop) expected() float64 {
	if len(l.inner.probes) > 0 {
		return l.inner.view.rows / 2 // nobody knows
	}
	rows := 0.0
	for _, f := range l.inner.filters() {
		rows += l.inner.view.scan(&f).rows
	}
	return rows
}

// costOfProbe is what it takes to ask for one row whether it leads somewhere,
// measured by what it takes to find one row at the other end and to look for its
// key.
const costOfProbe = 2

// probeIsCheaper compares the way from here with the way from there.
func (l *hop) probeIsCheaper(w *wanted, n int) bool {
	expected, of := l.expected(), l.inner.view.rows
	if l.has {
		of = w.view.rows
	}
	walked := w.view.scan(&w.filter).rows
	if share := expected / max(of, 1); share > 0 {
		walked = min(walked, float64(n)/min(share, 1))
	}
	return walked*costOfProbe < expected
}

// narrow adds what a link has come to.
func (s *searching) narrow(w *wanted, l *hop, targets []int64) {
	if l.canonical && !l.has {
		// The key of a URL is that of all its versions.
		l.targets = set(targets)
		w.probes = append(w.probes, l)
	}
	if len(targets) <= s.db.bounds.few {
		w.filter = with(w.filter, l.found(targets))
		return
	}
	if len(w.spread) > 0 && l.canProbe() {
		w.probes = append(w.probes, l)
		return
	}
	if len(w.spread) > 0 {
		w.filter = with(w.filter, l.found(targets))
		return
	}
	for batch := range slices.Chunk(targets, max(1, s.db.bounds.few/max(1, len(l.named)))) {
		w.spread = append(w.spread, l.found(batch))
	}
}

// found returns what rows that lead to targets, or that targets lead to, have.
func (l *hop) found(targets []int64) searchsql.Found {
	switch {
	case !l.has:
		return searchsql.Found{Keys: searchsql.Salted(l.salt, targets)}
	case l.canonical:
		return searchsql.Found{Keys: saltedEach(l.named, targets)}
	}
	return searchsql.Found{RIDs: targets}
}

// urlSalts returns the salts of the URLs that resources of some types have; nil
// stands for all types.
func (s *searching) urlSalts(types []string) []int64 {
	if types == nil {
		types = slices.Sorted(maps.Keys(s.db.types))
	}
	var salts []int64
	for _, typ := range types {
		if p := s.registry.Param(typ, "url"); p != nil {
			salts = append(salts, s.db.secret.Salt(p))
		}
	}
	return salts
}

// saltedEach returns the keys of targets for each of several salts.
func saltedEach(salts, targets []int64) []int64 {
	keys := make([]int64, 0, len(salts)*len(targets))
	for _, salt := range salts {
		keys = append(keys, searchsql.Salted(salt, targets)...)
	}
	return keys
}

// resolve resolves a step that is a part of other conditions.
func (s *searching) resolve(ctx context.Context, w *wanted, step search.Condition, to searchsql.Resolved) error {
	l, err := s.hop(ctx, w.typ, step)
	if err != nil {
		return err
	}
	if l == nil {
		rids, err := s.entries(ctx, step)
		to[step], w.resolved[step] = searchsql.Found{RIDs: rids}, set(rids)
		return err
	}
	s.costly = l.name
	found, targets, complete, err := searchsql.Found{}, []int64(nil), false, error(nil)
	if l.canonical {
		targets, complete, err = s.leading(ctx, w.typ, step)
		found.RIDs = targets
	} else {
		targets, complete, err = s.targets(ctx, l, s.db.bounds.resolved)
		found = l.found(targets)
	}
	if err != nil {
		return err
	}
	if !complete {
		return s.tooMany(l.name)
	}
	to[step], w.resolved[step] = found, set(targets)
	return nil
}

// leading returns the rows of a type for which a step holds.
func (s *searching) leading(ctx context.Context, typ string, step search.Condition) (rids []int64, complete bool, err error) {
	rows, err := s.wanted(ctx, mayLead, typ, []search.Condition{step}, s.db.bounds.resolved)
	if err != nil {
		return nil, false, err
	}
	return s.rids(ctx, rows, s.db.bounds.resolved, names([]search.Condition{step}))
}

func set(ids []int64) map[int64]bool {
	m := make(map[int64]bool, len(ids))
	for _, id := range ids {
		m[id] = true
	}
	return m
}

func (s *searching) tooMany(name string) error {
	return fhir.Errorf(fhir.BadRequest, fhir.TooCostly, expression(name),
		"More than %d resources match what %s asks of them. Ask for less there, or put it next to a narrower parameter.", s.db.bounds.resolved, name)
}

package search

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Document answers for one resource what its Index does not say.
type Document interface {
	// Words returns the folded words of the resource, or of its narrative, in
	// alphabetical order. See [WordsOf].
	Words(narrative bool) []string
	// Targets returns the resources of type typ that ref, which the resource has,
	// points to. A canonical may point to several.
	Targets(ref Reference, typ string) []Found
	// Sources returns the resources of type typ that point to the resource by the
	// reference parameter p of theirs.
	Sources(typ string, p *Param) []Found
	// Listed reports whether the resource is an entry of the List with that id.
	Listed(id string) bool
}

// Found is a resource that another one leads to.
type Found struct {
	Index    *Index
	Document Document
}

// Match reports whether c holds for the resource with index ix. doc is asked only
// for words, chains, _has and _list; it may be nil for a condition without them.
// It decides what a search finds: what the tables say in SQL is held to it.
func Match(c Condition, ix *Index, doc Document) bool {
	switch c := c.(type) {
	case And:
		return !slices.ContainsFunc(c, func(c Condition) bool { return !Match(c, ix, doc) })
	case Or:
		return slices.ContainsFunc(c, func(c Condition) bool { return Match(c, ix, doc) })
	case Not:
		return !Match(c.Condition, ix, doc)
	case *Test:
		return c.matches(ix)
	case *Chain:
		return c.matches(ix, doc)
	case *Has:
		return anyFound(doc.Sources(c.Source, c.Param), c.Where)
	case Listed:
		return doc.Listed(c.ID)
	case IDs:
		return slices.Contains(c, ix.Key.ID)
	case Updated:
		return c.matches(ix.Updated)
	case *Words:
		return c.matches(doc.Words(c.Narrative))
	}
	return false
}

func anyFound(all []Found, where Condition) bool {
	return slices.ContainsFunc(all, func(f Found) bool { return Match(where, f.Index, f.Document) })
}

// matches reports whether ix has a value that answers t.
func (t *Test) matches(ix *Index) bool {
	for _, e := range ix.Entries {
		if !e.Param.is(t.Param) {
			continue
		}
		if t.Modifier == Missing {
			return !t.Missing
		}
		if t.answeredBy(e.Value) {
			return true
		}
	}
	return t.Modifier == Missing && t.Missing
}

// answeredBy reports whether v answers one of the alternatives. What differs from
// several differs from each of them.
func (t *Test) answeredBy(v Value) bool {
	if t.Modifier == Differs {
		return !slices.ContainsFunc(t.Values, func(a Asked) bool { return !matches(a, v, Differs) })
	}
	return slices.ContainsFunc(t.Values, func(a Asked) bool { return matches(a, v, t.Modifier) })
}

// is reports whether p and other are one parameter, possibly of two registries.
func (p *Param) is(other *Param) bool {
	return p == other || p.Code == other.Code && p.Base == other.Base
}

// matches reports whether v answers a.
func matches(a Asked, v Value, m Modifier) bool {
	switch a := a.(type) {
	case AskedToken:
		t, ok := v.(Token)
		return ok && a.Matches(t, m)
	case AskedString:
		s, ok := v.(String)
		return ok && a.Matches(s, m)
	case AskedReference:
		r, ok := v.(Reference)
		return ok && a.Matches(r, m)
	case AskedRange:
		r, ok := v.(Range)
		return ok && a.Matches(r)
	case AskedQuantity:
		q, ok := v.(Quantity)
		return ok && a.Matches(q)
	case AskedURI:
		u, ok := v.(URI)
		return ok && a.Matches(u, m)
	case AskedComposite:
		c, ok := v.(Composite)
		return ok && a.Matches(c, m)
	}
	return false
}

func (c *Chain) matches(ix *Index, doc Document) bool {
	for _, e := range ix.Entries {
		if !e.Param.is(c.Param) {
			continue
		}
		ref, ok := e.Value.(Reference)
		if ok && ref.mayBe(c.Target) && anyFound(doc.Targets(ref, c.Target), c.Where) {
			return true
		}
	}
	return false
}

// mayBe reports whether r may point to a resource of type typ.
func (r Reference) mayBe(typ string) bool {
	if r.Key == (fhir.Key{}) {
		return r.URL != ""
	}
	return r.Key.Type == typ
}

// matches reports whether at, which has milliseconds, answers u.
func (u Updated) matches(at time.Time) bool {
	lo := at.Truncate(time.Millisecond)
	r := Range{float64(lo.UnixMicro()), float64(lo.Add(time.Millisecond).UnixMicro())}
	return slices.ContainsFunc(u.Values, func(a Asked) bool { return matches(a, r, Plain) })
}

// matches reports whether words, in alphabetical order, has all of an
// alternative.
func (w *Words) matches(words []string) bool {
	return slices.ContainsFunc(w.Alternatives, func(all []string) bool {
		return !slices.ContainsFunc(all, func(word string) bool {
			_, ok := slices.BinarySearch(words, word)
			return !ok
		})
	})
}

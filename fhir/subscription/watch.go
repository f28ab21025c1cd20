package subscription

import (
	"errors"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A watch is a subscription as what matches knows it.
type watch struct {
	id     string
	typ    string
	topic  *Topic
	query  string
	holder string
	rules  []*rule
}

// watches are all subscriptions, to be looked up by the search keys of a version.
// One goroutine uses them.
type watches struct {
	registry *search.Registry
	driving  func(typ string, where []search.Condition) ([]int64, bool)
	byID     map[string]*watch
	byType   map[string]*lookup
	looked   uint64
}

// A lookup holds the rules about one type: those that need one of some keys, and
// those of which no such thing can be said.
type lookup struct {
	byKey map[int64][]*rule
	rest  []*rule
	count int // of rules
}

func newWatches(r *search.Registry, driving func(string, []search.Condition) ([]int64, bool)) *watches {
	return &watches{registry: r, driving: driving, byID: map[string]*watch{}, byType: map[string]*lookup{}}
}

// errNoTopic means that a topic is not published any more.
var errNoTopic = errors.New("there is no such topic")

// add takes w in, in place of what had its id. Criteria that are not understood are
// an error, and then it fires nothing. While a search parameter is being built, what
// known has the rules of goes on by these; of others that is the error.
func (all *watches) add(w *watch, known *watches) (err error) {
	if w.typ == "" {
		all.remove(w.id)
		return errNoTopic
	}
	w.rules, err = rules(all.registry, w)
	if isBuilding(err) {
		w.rules, err = known.kept(w, err)
	}
	all.remove(w.id)
	if err != nil {
		return err
	}
	all.byID[w.id] = w
	for _, r := range w.rules {
		at := all.byType[r.typ]
		if at == nil {
			at = &lookup{byKey: map[int64][]*rule{}}
			all.byType[r.typ] = at
		}
		at.count++
		if !r.kept {
			r.keys, r.driven = all.driving(r.typ, r.current)
		}
		if !r.driven {
			at.rest = append(at.rest, r)
		}
		for _, k := range r.keys {
			at.byKey[k] = append(at.byKey[k], r)
		}
	}
	return nil
}

// isBuilding reports whether err says that a search parameter is being built.
func isBuilding(err error) bool {
	o := fhir.AsOutcome(err)
	return o != nil && slices.ContainsFunc(o.Issues, func(i fhir.Issue) bool { return i.Code == fhir.Transient })
}

// kept returns the rules of before of a subscription that asks for the same as w,
// which any version may fire, or why.
func (all *watches) kept(w *watch, why error) ([]*rule, error) {
	old := all.byID[w.id]
	if old == nil || old.typ != w.typ || old.query != w.query || (old.topic == nil) != (w.topic == nil) || w.topic != nil && w.topic.Name != old.topic.Name {
		return nil, why
	}
	var same []*rule
	for _, r := range old.rules {
		c := *r
		c.of, c.kept, c.keys, c.driven, c.at = w, true, nil, false, 0
		same = append(same, &c)
	}
	return same, nil
}

// remove takes out what has an id.
func (all *watches) remove(id string) {
	w := all.byID[id]
	if w == nil {
		return
	}
	delete(all.byID, id)
	other := func(r *rule) bool { return r.of == w }
	for _, r := range w.rules {
		at := all.byType[r.typ]
		at.rest = slices.DeleteFunc(at.rest, other)
		at.count--
		for _, k := range r.keys {
			if at.byKey[k] = slices.DeleteFunc(at.byKey[k], other); len(at.byKey[k]) == 0 {
				delete(at.byKey, k)
			}
		}
		if at.count == 0 {
			delete(all.byType, r.typ)
		}
	}
}

// types returns the types that anything is asked of, in alphabetical order.
func (all *watches) types() []string { return slices.Sorted(maps.Keys(all.byType)) }

// candidates returns the rules that a version of a type may fire, by the search
// keys of its row; nil keys are not known, and any rule may. None comes twice.
func (all *watches) candidates(typ string, keys []int64) []*rule {
	at := all.byType[typ]
	if at == nil {
		return nil
	}
	all.looked++
	var found []*rule
	take := func(rules []*rule) {
		for _, r := range rules {
			if r.at != all.looked {
				r.at = all.looked
				found = append(found, r)
			}
		}
	}
	take(at.rest)
	if keys == nil {
		for _, rules := range at.byKey {
			take(rules)
		}
		return found
	}
	for _, k := range keys {
		if rules := at.byKey[k]; rules != nil {
			take(rules)
		}
	}
	return found
}

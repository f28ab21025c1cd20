package conformance_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A library is what a server has, as search.Match is told of it: it answers
// every search by going through everything.
type library struct {
	registry *search.Registry
	volumes  []*volume // in the order in which the server shows them by itself
	byKey    map[fhir.Key]*volume
	byType   map[string][]*volume
	byURL    map[string][]*volume
	types    []string // of which there are some
}

// A volume is one resource.
type volume struct {
	*library
	index            *search.Index
	url, version     string
	words, narrative []string
	place            int
	cited            []citation
}

// A citation is a reference to a volume.
type citation struct {
	from  *volume
	param *search.Param
}

// add takes a resource over.
func (l *library) add(t *testing.T, k fhir.Key, text string) {
	t.Helper()
	r, err := fhir.Decode(k.Type, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ix, err := l.registry.Index(r.Root(), k.ID)
	if err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	v := &volume{library: l, index: ix, words: search.WordsOf(r.Root(), false), narrative: search.WordsOf(r.Root(), true)}
	v.url, v.version = r.Root().Child("url").Text(), r.Root().Child("version").Text()
	l.byKey[k] = v
}

// arrange puts the volumes into the order in which the server has them, with the
// time of each, and finds out what refers to what.
func (l *library) arrange(t *testing.T, keys []fhir.Key, updated []time.Time) {
	t.Helper()
	if len(keys) != len(l.byKey) {
		t.Fatalf("the server has %d resources, want %d", len(keys), len(l.byKey))
	}
	l.volumes, l.byType, l.byURL, l.types = nil, map[string][]*volume{}, map[string][]*volume{}, nil
	seen := map[fhir.Key]bool{}
	for i, k := range keys {
		v := l.byKey[k]
		if v == nil || seen[k] {
			t.Fatalf("the server has %s, twice or without reason", k)
		}
		seen[k] = true
		v.place, v.index.Updated, v.cited = i, updated[i], nil
		l.volumes = append(l.volumes, v)
		if len(l.byType[k.Type]) == 0 {
			l.types = append(l.types, k.Type)
		}
		l.byType[k.Type] = append(l.byType[k.Type], v)
		if v.url != "" {
			l.byURL[v.url] = append(l.byURL[v.url], v)
		}
	}
	slices.Sort(l.types)
	for _, v := range l.volumes {
		for _, c := range v.cites() {
			c.from.cited = append(c.from.cited, citation{v, c.param})
		}
	}
}

// cites returns what v refers to, and by which parameter.
func (v *volume) cites() []citation {
	var all []citation
	for _, e := range v.index.Entries {
		if ref, ok := e.Value.(search.Reference); ok && e.Param.Type == search.ReferenceType {
			for _, other := range v.named(ref, e.Param) {
				if c := (citation{other, e.Param}); !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// named returns what ref, a value of p, points to.
func (l *library) named(ref search.Reference, p *search.Param) []*volume {
	if ref.Key.ID != "" {
		if v := l.byKey[ref.Key]; v != nil {
			return []*volume{v}
		}
		return nil
	}
	var all []*volume
	if p.Canonical && ref.URL != "" {
		for _, v := range l.byURL[ref.URL] {
			if ref.Version == "" || ref.Version == v.version {
				all = append(all, v)
			}
		}
	}
	return all
}

// Words returns the words of the resource or of its narrative.
func (v *volume) Words(narrative bool) []string {
	if narrative {
		return v.narrative
	}
	return v.words
}

// Targets returns what ref points to.
func (v *volume) Targets(ref search.Reference, typ string) []search.Found {
	var all []search.Found
	for _, e := range v.index.Entries {
		if own, ok := e.Value.(search.Reference); !ok || own != ref || e.Param.Type != search.ReferenceType {
			continue
		}
		for _, other := range v.named(ref, e.Param) {
			if other.index.Key.Type == typ {
				all = append(all, search.Found{Index: other.index, Document: other})
			}
		}
	}
	return all
}

// Sources returns what points to v.
func (v *volume) Sources(typ string, p *search.Param) []search.Found {
	var all []search.Found
	for _, c := range v.cited {
		if c.from.index.Key.Type == typ && c.param.Code == p.Code {
			all = append(all, search.Found{Index: c.from.index, Document: c.from})
		}
	}
	return all
}

// Listed reports whether a List has v.
func (v *volume) Listed(id string) bool {
	return slices.ContainsFunc(v.cited, func(c citation) bool {
		return c.from.index.Key == fhir.Key{Type: "List", ID: id} && c.param.Code == "item"
	})
}

// matches returns what q finds, in order. What the order does not tell apart
// stands as it does without one.
func (l *library) matches(q *search.Query) []*volume {
	var all []*volume
	for _, v := range l.volumes {
		if v.answers(q) {
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b *volume) int { return search.Compare(a.index, b.index, q.Sort) })
	return all
}

func (v *volume) answers(q *search.Query) bool {
	if len(q.Types) > 0 && !slices.Contains(q.Types, v.index.Key.Type) {
		return false
	}
	if q.Within != nil && !slices.Contains(v.index.Members, search.Member{Compartment: *q.Within}) {
		return false
	}
	return search.Match(search.And(q.Where), v.index, v)
}

// backwards returns matches of q with those the other way around that the order
// does not tell apart.
func backwards(all []*volume, q *search.Query) []*volume {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *volume) int {
		return cmp.Or(search.Compare(a.index, b.index, q.Sort), b.place-a.place)
	})
	return all
}

// included returns what goes along with a page of matches.
func (l *library) included(q *search.Query, page []*volume) map[string]bool {
	seen, names := map[*volume]bool{}, map[string]bool{}
	for _, v := range page {
		seen[v] = true
	}
	for depth, level := 0, page; len(level) > 0; depth++ {
		var more []*volume
		for _, i := range q.Includes {
			if depth > 0 && !i.Iterate {
				continue
			}
			for _, v := range level {
				for _, other := range v.along(i) {
					if !seen[other] {
						seen[other], names[other.String()] = true, true
						more = append(more, other)
					}
				}
			}
		}
		level = more
	}
	return names
}

// along returns what an include leads to from v.
func (v *volume) along(i search.Include) []*volume {
	var all []*volume
	if i.Reverse {
		for _, c := range v.cited {
			if through(i, c.from, c.param) && (i.Target == "" || i.Target == v.index.Key.Type) {
				all = append(all, c.from)
			}
		}
		return all
	}
	for _, c := range v.cites() {
		if through(i, v, c.param) && (i.Target == "" || i.Target == c.from.index.Key.Type) {
			all = append(all, c.from)
		}
	}
	return all
}

// through reports whether an include goes by a reference that from has.
func through(i search.Include, from *volume, p *search.Param) bool {
	if i.Source == "*" {
		return true
	}
	return i.Source == from.index.Key.Type && slices.ContainsFunc(i.Params, func(own *search.Param) bool { return own.Code == p.Code })
}

// String returns Type/id.
func (v *volume) String() string { return fmt.Sprint(v.index.Key) }

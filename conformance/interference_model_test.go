package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// A shelf is what is in one database, and by the rules of package access alone who
// sees it. All gifts count: what is on it was written by who may give everything.
type shelf struct {
	t        *testing.T
	registry *search.Registry
	sheets   map[fhir.Key]*sheet
	past     map[fhir.Key][]*sheet    // all versions of what there was to begin with, in order
	views    map[string][]access.View // of the caller, by type: one for each permission
	anyhow   access.View              // what the caller stands for, whatever the type
	parties  []access.Key             // all that the caller stands for
	denied   []access.Key             // all that hides something from the caller
	criteria map[string]search.Condition
}

// A sheet is the current version of a resource. Of one that is deleted it is the
// version before.
type sheet struct {
	key     fhir.Key
	own     []access.Key
	gifts   []access.Gift
	index   *search.Index
	text    string
	deleted bool
	foreign bool // the caller has written it, who may not give everything
	fixed   bool // it stays as it is
}

func newShelf(t *testing.T, r *search.Registry) *shelf {
	return &shelf{t: t, registry: r, sheets: map[fhir.Key]*sheet{}, past: map[fhir.Key][]*sheet{}}
}

// shownTo returns a copy for the questions what a caller sees.
func (s *shelf) shownTo(t *testing.T, r *search.Registry, g access.Grant) *shelf {
	c := &shelf{t: t, registry: r, sheets: maps.Clone(s.sheets), past: s.past, views: map[string][]access.View{}, criteria: map[string]search.Condition{}}
	for _, at := range g.Terms().Standings {
		c.parties, c.denied = append(c.parties, at.Parties...), append(c.denied, at.Denied...)
		c.anyhow = append(c.anyhow, access.Branch{All: at.All, Parties: at.Parties, Denied: at.Denied})
	}
	for _, typ := range ids() {
		for _, p := range []access.Permission{access.MayRead, access.MaySearch, access.MayCreate, access.MayUpdate, access.MayDelete} {
			c.views[typ.typ] = append(c.views[typ.typ], g.View(p, typ.typ))
		}
	}
	return c
}

// sheet makes one of a text.
func (s *shelf) sheet(text string) *sheet {
	s.t.Helper()
	k := keyOf(s.t, []byte(text))
	r, err := fhir.Decode(k.Type, []byte(text))
	if err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	ix, err := s.registry.Index(r.Root(), k.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	own := access.Keys(ix, r.Root())
	return &sheet{key: k, own: own, gifts: access.Gifts(ix, r.Root(), own), index: ix, text: text}
}

// given returns what is given to each target.
func (s *shelf) given() map[access.Key][]access.Key {
	all := map[access.Key][]access.Key{}
	for _, d := range s.sheets {
		for _, g := range d.gifts {
			if d.deleted || d.foreign && g.Key.Kind == access.Label {
				continue
			}
			all[g.Target] = append(all[g.Target], g.Key)
		}
	}
	return all
}

// effective returns keys with all that they lead to.
func effective(keys []access.Key, given map[access.Key][]access.Key) []access.Key {
	all := slices.Clone(keys)
	for i := 0; i < len(all); i++ {
		for _, k := range given[all[i]] {
			if !slices.Contains(all, k) {
				all = append(all, k)
			}
		}
	}
	return all
}

func itself(k fhir.Key) access.Key { return access.Key{Kind: access.Itself, Of: k.String()} }

// A glance says by which permissions the caller sees something; 0 is not at all.
type glance uint8

// anyway is set for a patient that writes are held against, and for what the
// caller has written.
const anyway glance = 1 << 7

// glances says what the caller sees, and beside what the caller's parties are
// given.
func (s *shelf) glances() (seen map[fhir.Key]glance, standing string) {
	given := s.given()
	seen = make(map[fhir.Key]glance, len(s.sheets))
	for k, d := range s.sheets {
		keys := effective(append(slices.Clip(d.own), itself(k)), given)
		matches := func(where []access.Argument) bool { return s.matches(k.Type, where, d.index) }
		var g glance
		if d.foreign {
			g = anyway // and more, by keys that its content does not say
		}
		for i, v := range s.views[k.Type] {
			if v.Shows(k.Type, keys, matches) {
				g |= 1 << i
			}
		}
		if k.Type == "Patient" && s.anyhow.Shows(k.Type, keys, matches) {
			g |= anyway
		}
		seen[k] = g
	}
	return seen, s.standing(given)
}

// standing writes down which records, parties and people the caller's parties are
// given: writes hang on it.
func (s *shelf) standing(given map[access.Key][]access.Key) string {
	var all []string
	for target := range given {
		typ, _, _ := strings.Cut(target.Of, "/")
		if target.Kind == access.Itself && !strings.HasPrefix(typ, "Pract") && typ != "Organization" && typ != "HealthcareService" {
			continue
		}
		for _, k := range effective([]access.Key{target}, given)[1:] {
			if slices.Contains(s.parties, k) {
				all = append(all, fmt.Sprint(target, k))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (s *shelf) matches(typ string, where []access.Argument, ix *search.Index) bool {
	name := fmt.Sprint(typ, where)
	c, known := s.criteria[name]
	if !known {
		var params []search.Parameter
		for _, a := range where {
			params = append(params, search.Parameter{Name: a.Param, Value: a.Value})
		}
		q, err := s.registry.Parse(search.Request{Types: []string{typ}, Params: params})
		if err != nil {
			s.t.Fatal(err)
		}
		c = search.And(q.Where)
		s.criteria[name] = c
	}
	return search.Match(c, ix, nil)
}

// hides puts d in the place of what has its name, if the caller sees nothing of
// that: neither of it before or after, nor that something else is seen or not.
func (s *shelf) hides(d *sheet) bool {
	old := s.sheets[d.key]
	if old != nil && (old.fixed || old.foreign || s.ends(old, d)) {
		return false
	}
	before, stood := s.glances()
	gave := s.gives(old)
	s.sheets[d.key] = d
	after, stands := s.glances()
	hidden := before[d.key] == 0 && after[d.key] == 0 && stood == stands && gave == s.gives(d)
	for k, g := range after {
		hidden = hidden && before[k] == g
	}
	if !hidden {
		s.restore(d.key, old)
	}
	return hidden
}

// ends reports whether d takes away of the record of a patient what old, the Patient
// itself, gives: with that ends what others give of it, which a shelf does not
// follow.
func (s *shelf) ends(old, d *sheet) bool {
	return old.key.Type == "Patient" && !old.deleted && slices.ContainsFunc(old.gifts, func(g access.Gift) bool {
		return d.deleted || !slices.Contains(d.gifts, g)
	}) && len(s.given()[access.Key{Kind: access.Record, Of: old.key.String()}]) > len(old.gifts)
}

// reads returns the versions of what there was to begin with that the caller
// reads, the newest first: those that are shown by themselves, of what is shown
// now.
func (s *shelf) reads(k fhir.Key) []int {
	given := s.given()
	shows := func(d *sheet) bool {
		keys := effective(append(slices.Clip(d.own), itself(k)), given)
		return s.views[k.Type][0].Shows(k.Type, keys, func(where []access.Argument) bool { return s.matches(k.Type, where, d.index) })
	}
	var all []int
	for i, d := range slices.Backward(s.past[k]) {
		if shows(d) && shows(s.sheets[k]) {
			all = append(all, i+1)
		}
	}
	return all
}

// gives writes down what d gives to the caller's parties, and what it hides from
// the caller. Somebody else may have given or hidden the same, until the caller
// takes that away.
func (s *shelf) gives(d *sheet) string {
	if d == nil || d.deleted {
		return ""
	}
	var all []string
	given := s.given()
	for _, g := range d.gifts {
		if keys := effective([]access.Key{g.Key}, given); intersect(keys, s.parties) || intersect(keys, s.denied) {
			all = append(all, fmt.Sprint(g))
		}
	}
	return strings.Join(all, " ")
}

func intersect(a, b []access.Key) bool {
	return slices.ContainsFunc(a, func(k access.Key) bool { return slices.Contains(b, k) })
}

func (s *shelf) restore(k fhir.Key, old *sheet) {
	if old == nil {
		delete(s.sheets, k)
	} else {
		s.sheets[k] = old
	}
}

// keys returns what is on the shelf, in order.
func (s *shelf) keys() []fhir.Key {
	return slices.SortedFunc(maps.Keys(s.sheets), func(a, b fhir.Key) int { return strings.Compare(a.String(), b.String()) })
}

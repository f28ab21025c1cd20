package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// sights are what one caller sees, worked out when it is first asked for.
type sights struct {
	secret   *secret
	registry *search.Registry
	grant    access.Grant
	hashed   map[*access.Key][]int64 // lists of keys, by their first
	known    map[sightOf]searchsql.Sight
}

// A sightOf is what is seen of the resources of a type, or of all, by who needs
// one of some permissions.
type sightOf struct {
	needs access.Permission
	typ   string
}

func (db *DB) sights(r *search.Registry, g access.Grant) *sights {
	return &sights{secret: &db.secret, registry: r, grant: g, hashed: map[*access.Key][]int64{}, known: map[sightOf]searchsql.Sight{}}
}

// of returns what is seen. A condition of a scope that cannot be understood, or
// not by these search parameters, shows nothing.
func (s *sights) of(needs access.Permission, typ string) searchsql.Sight {
	k := sightOf{needs, typ}
	if sight, ok := s.known[k]; ok {
		return sight
	}
	view := s.grant.View(needs, typ)
	if view.Unlimited() {
		return searchsql.Sight{{All: true}}
	}
	var sight searchsql.Sight
	for _, b := range view {
		branch := searchsql.Branch{Types: b.Types, All: b.All, Parties: s.hashes(b.Parties), Denied: s.hashes(b.Denied)}
		if b.Within != nil {
			branch.Within = append([]int64{}, s.hashes(b.Within)...)
		}
		if len(b.Where) > 0 {
			of := typ
			if of == "" && len(b.Types) == 1 {
				of = b.Types[0]
			}
			if branch.Where = granular(s.registry, of, b.Where); branch.Where == nil {
				continue
			}
		}
		sight = append(sight, branch)
	}
	s.known[k] = sight
	return sight
}

func (s *sights) hashes(keys []access.Key) []int64 {
	if len(keys) == 0 {
		return nil
	}
	known := s.hashed[&keys[0]]
	if len(known) != len(keys) {
		known = s.secret.Accesses(keys)
		s.hashed[&keys[0]] = known
	}
	return known
}

// granular returns the condition of a granular scope, or nil when it is none that
// every row can be held against.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
func granular(r *search.Registry, typ string, where []access.Argument) search.Condition {
	if typ == "" {
		return nil
	}
	params := make([]search.Parameter, len(where))
	for i, a := range where {
		p := r.Param(typ, a.Param)
		if p == nil || p.State != search.Active || !p.Type.InScope() {
			return nil
		}
		params[i] = search.Parameter{Name: a.Param, Value: a.Value}
	}
	q, err := r.Parse(search.Request{Types: []string{typ}, Params: params})
	if err != nil || len(q.Where) != len(where) {
		return nil
	}
	return search.And(q.Where)
}

// Sees reports whether g shows v to who does what needs one of some permissions.
// It asks of one version what a search asks of a row: v has its Keys, and the
// conditions of granular scopes are held against its content, so that they show
// no deletion. A version whose Keys are not known is seen only by who sees
// everything. The zero Grant sees nothing.
func (db *DB) Sees(g access.Grant, needs access.Permission, v *Version) (bool, error) {
	r := db.Registry()
	return db.sees(db.sights(r, g).of(needs, v.Key.Type), r, v)
}

// sees reports whether v is in sight.
func (db *DB) sees(sight searchsql.Sight, r *search.Registry, v *Version) (bool, error) {
	if sight.Unlimited() {
		return true, nil
	}
	if v.Keys == nil {
		return false, nil
	}
	var ix *search.Index
	for _, b := range sight {
		if !b.Admits(v.Key.Type, v.Keys) {
			continue
		}
		if b.Where == nil {
			return true, nil
		}
		if v.Stored == nil {
			continue
		}
		if ix == nil {
			var err error
			if ix, err = indexOf(r, v); err != nil {
				return false, err
			}
		}
		if search.Match(b.Where, ix, nil) {
			return true, nil
		}
	}
	return false, nil
}

// indexOf returns what the content of v is found by.
func indexOf(r *search.Registry, v *Version) (*search.Index, error) {
	resource, err := fhir.Decode(v.Key.Type, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a stored %s: %w", v.Key.Type, err)
	}
	ix, err := r.Index(resource.Root(), v.Key.ID)
	if err != nil {
		return nil, fmt.Errorf("index a stored %s: %w", v.Key.Type, err)
	}
	ix.Updated = v.Updated
	return ix, nil
}

// mayFind is what it takes for a resource to be found by a search, mayLead what it
// takes to come along with it, or for a chain, a _has or a _list to lead over it.
const (
	mayFind = access.MaySearch
	mayLead = access.MayRead | access.MaySearch
)

// see narrows f to what the caller sees.
func (s *searching) see(f *searchsql.Filter, needs access.Permission) {
	sight := s.sights.of(needs, f.Type)
	if v := s.known.view(s.db.types[f.Type], f.Type == ""); v.rows >= 0 {
		sight = v.ranked(sight)
	}
	s.db.secret.See(f, s.db.scope(f.Type), sight)
}

// ranked returns a sight whose most common keys come first.
func (v *view) ranked(sight searchsql.Sight) searchsql.Sight {
	all := slices.Clone(sight)
	for i := range all {
		all[i].Parties = slices.Clone(all[i].Parties)
		slices.SortStableFunc(all[i].Parties, func(a, b int64) int { return cmp.Compare(v.share(b), v.share(a)) })
	}
	return all
}

// limited reports whether there may be rows that the caller does not see. What is
// known of all rows by statistics is then not told.
func (s *searching) limited(types ...string) bool {
	return slices.ContainsFunc(types, func(typ string) bool { return !s.sights.of(mayFind, typ).Unlimited() })
}

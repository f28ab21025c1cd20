package store

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// keysOfInclude is about how many keys one statement of a _revinclude has.
const keysOfInclude = 5000

// reverse returns the resources that refer to rows by an include.
func (in *inclusion) reverse(ctx context.Context, rows []*found, i search.Include) ([]*found, error) {
	var types []string
	if i.Source == "*" {
		for typ := range in.db.types {
			types = append(types, typ)
		}
		slices.Sort(types)
	}
	plain, canonical := split(in.references(i, types))
	var added []*found
	for batch := range slices.Chunk(rows, max(1, keysOfInclude/max(1, len(plain)))) {
		sources, err := in.read(ctx, in.referring(batch, plain, i.Target), in.salts(in.query, true), i.Name)
		if err != nil {
			return nil, err
		}
		added = append(added, in.add(sources, i.Name)...)
		if in.full != "" {
			return added, nil
		}
	}
	for _, by := range canonical {
		sources, err := in.referringByURL(ctx, rows, by, i)
		if err != nil {
			return nil, err
		}
		added = append(added, in.add(sources, i.Name)...)
	}
	return added, nil
}

// referring returns arms for what refers to rows.
func (in *inclusion) referring(rows []*found, by []reference, target string) []searchsql.Arm {
	keys := map[string][]int64{}
	for _, b := range by {
		salt := in.db.secret.Salt(b.param)
		for _, r := range rows {
			if leadsTo(b.param, target, r.Key.Type) {
				keys[b.typ] = append(keys[b.typ], r.rid^salt)
			}
		}
	}
	var arms []searchsql.Arm
	for typ, list := range keys {
		f := searchsql.Filter{Type: typ}
		f.And(list...)
		arms = in.arm(arms, f)
	}
	return arms
}

// leadsTo reports whether p, or those of its references that target lets through,
// may lead to a resource of type typ.
func leadsTo(p *search.Param, target, typ string) bool {
	return (target == "" || target == typ) && (len(p.Targets) == 0 || slices.Contains(p.Targets, typ))
}

// referringByURL returns what refers to rows by their URL, and by their version
// if by any.
func (in *inclusion) referringByURL(ctx context.Context, rows []*found, by reference, i search.Include) ([]*found, error) {
	var urls []int64
	for _, r := range rows {
		if !leadsTo(by.param, i.Target, r.Key.Type) {
			continue
		}
		more, err := in.db.secret.urls(r)
		if err != nil {
			return nil, err
		}
		urls = append(urls, more...)
	}
	if len(urls) == 0 {
		return nil, nil
	}
	salt := in.db.secret.Salt(by.param)
	f := searchsql.Filter{Type: by.typ}
	f.And(searchsql.Salted(salt, urls)...)
	sources, err := in.read(ctx, in.arm(nil, f), []int64{salt}, i.Name)
	// The key of a URL is that of all its versions.
	good := set(urls)
	return slices.DeleteFunc(sources, func(r *found) bool {
		return !slices.ContainsFunc(r.links[0], func(id int64) bool { return good[id] })
	}), err
}

package store

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A reference is a parameter by which rows of a type refer to others.
type reference struct {
	typ   string
	param *search.Param
}

// references returns the parameters of an include, for rows of the given types.
func (in *inclusion) references(i search.Include, types []string) []reference {
	if i.Source != "*" {
		types = []string{i.Source}
	}
	var all []reference
	for _, typ := range types {
		params := i.Params
		if i.Source == "*" {
			params = in.registry.Params(typ)
		}
		for _, p := range params {
			if p.Type == search.ReferenceType && p.State == search.Active {
				all = append(all, reference{typ, p})
			}
		}
	}
	return all
}

// split parts references by Type/id from those by URL.
func split(all []reference) (plain, canonical []reference) {
	for _, r := range all {
		if r.param.Canonical {
			canonical = append(canonical, r)
		} else {
			plain = append(plain, r)
		}
	}
	return plain, canonical
}

// targetsOf returns the types that references lead to; nil for any.
func targetsOf(all []reference, only string) []string {
	if only != "" {
		return []string{only}
	}
	var types []string
	for _, r := range all {
		if len(r.param.Targets) == 0 {
			return nil
		}
		types = append(types, r.param.Targets...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// pointed returns what rows of one type refer to. It asks only for what did not
// come along with the rows.
func (in *inclusion) pointed(ctx context.Context, rows []*found, by []reference) ([]int64, error) {
	if len(by) == 0 {
		return nil, nil
	}
	salts := make([]int64, len(by))
	for i, r := range by {
		salts[i] = in.db.secret.Salt(r.param)
	}
	if targets, known := linked(rows, salts); known {
		return targets, nil
	}
	var rids []int64
	for _, r := range rows {
		rids = append(rids, r.rid)
	}
	// Since they were read they may have got a version that is not to be seen.
	arms := in.arm(nil, searchsql.Filter{Type: rows[0].Key.Type, RIDs: [][]int64{rids}})
	if len(arms) == 0 {
		return nil, nil
	}
	q := searchsql.Pointing{Arm: arms[0], Salts: salts}
	return in.numbers(ctx, q.Statement(in.db.tables), &Step{What: "_include"})
}

// linked returns what rows refer to by the references with some salts, if all of
// those were read along with the rows.
func linked(rows []*found, salts []int64) (targets []int64, known bool) {
	for _, r := range rows {
		for _, salt := range salts {
			i := slices.Index(r.salts, salt)
			if i < 0 {
				return nil, false
			}
			targets = append(targets, r.links[i]...)
		}
	}
	slices.Sort(targets)
	return slices.Compact(targets), true
}

// salts returns the salts of what includes ask of rows, for as long as that is
// known beforehand.
func (s *searching) salts(q *search.Query, iterated bool) []int64 {
	var salts []int64
	for _, i := range q.Includes {
		if i.Reverse || iterated && !i.Iterate {
			continue
		}
		for _, p := range i.Params {
			salts = append(salts, s.db.secret.Salt(p))
		}
	}
	return salts[:min(len(salts), maxLinks)]
}

// maxLinks is how many references are read along with rows.
const maxLinks = 24

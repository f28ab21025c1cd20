package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// An inclusion gathers what goes along with the matches of a page.
type inclusion struct {
	*searching
	query *search.Query
	seen  map[int64]bool // matches and included ones
	more  []Version
	full  string // the include at which there was no more room
}

// include adds what q asks for along with the matches in rows.
// https://hl7.org/fhir/R4/search.html#include
func (s *searching) include(ctx context.Context, q *search.Query, rows []*found, m *Matches) error {
	if len(q.Includes) == 0 || len(rows) == 0 {
		return nil
	}
	in := inclusion{searching: s, query: q, seen: map[int64]bool{}}
	for _, r := range rows {
		in.seen[r.rid] = true
	}
	depth := 0
	for ; len(rows) > 0 && in.full == "" && depth < s.db.bounds.depth; depth++ {
		var err error
		if rows, err = in.level(ctx, rows, depth); err != nil {
			return err
		}
	}
	if len(rows) > 0 && in.full == "" {
		in.full = q.Includes[0].Name
	}
	m.Included = in.more
	if in.full != "" {
		m.Warnings = append(m.Warnings, fhir.Issue{
			Severity: fhir.Warning, Code: fhir.TooCostly, Expression: expression(in.full),
			Text: "There is more to include with these matches than fits on a page, because of " + in.full +
				": some of it was left out. Ask for smaller pages with _count, or search for what was left out by its own type.",
		})
	}
	return nil
}

// level returns what the includes lead to from rows that was not there before.
func (in *inclusion) level(ctx context.Context, rows []*found, depth int) ([]*found, error) {
	var added []*found
	forward, err := in.forward(ctx, rows, depth)
	if err != nil {
		return nil, err
	}
	added = append(added, forward...)
	for _, i := range in.query.Includes {
		if !i.Reverse || depth > 0 && !i.Iterate {
			continue
		}
		sources, err := in.reverse(ctx, rows, i)
		if err != nil {
			return nil, err
		}
		added = append(added, sources...)
	}
	return added, nil
}

// add takes rows over that are new, as far as there is room.
func (in *inclusion) add(rows []*found, name string) (added []*found) {
	for _, r := range rows {
		switch {
		case in.seen[r.rid]:
		case len(in.more) == in.db.bounds.included:
			in.full = name
			return added
		default:
			in.seen[r.rid] = true
			in.more = append(in.more, r.Version)
			added = append(added, r)
		}
	}
	return added
}

// forward returns what rows refer to by the includes. It is one statement for
// what they refer to and one for the resources.
func (in *inclusion) forward(ctx context.Context, rows []*found, depth int) ([]*found, error) {
	var arms []searchsql.Arm
	name := ""
	for _, i := range in.query.Includes {
		if i.Reverse || depth > 0 && !i.Iterate {
			continue
		}
		more, err := in.arms(ctx, rows, i)
		if err != nil {
			return nil, err
		}
		arms, name = append(arms, more...), i.Name
	}
	found, err := in.read(ctx, arms, in.salts(in.query, true), name)
	return in.add(found, name), err
}

// arms returns what is to be read for a forward include.
func (in *inclusion) arms(ctx context.Context, rows []*found, i search.Include) ([]searchsql.Arm, error) {
	byType := map[string][]*found{}
	for _, r := range rows {
		byType[r.Key.Type] = append(byType[r.Key.Type], r)
	}
	var arms []searchsql.Arm
	for typ, rows := range byType {
		if i.Source != "*" && i.Source != typ {
			continue
		}
		plain, canonical := split(in.references(i, []string{typ}))
		targets, err := in.pointed(ctx, rows, plain)
		if err != nil {
			return nil, err
		}
		arms = append(arms, in.named(targets, targetsOf(plain, i.Target))...)
		if targets, err = in.pointed(ctx, rows, canonical); err != nil {
			return nil, err
		}
		arms = append(arms, in.withURLs(targets, targetsOf(canonical, i.Target))...)
	}
	return arms, nil
}

// fewTypes is up to how many types are read one by one: planning for all
// partitions takes 2 ms.
const fewTypes = 8

// named returns arms for resources with the given RIDs.
func (in *inclusion) named(rids []int64, types []string) []searchsql.Arm {
	if len(rids) == 0 {
		return nil
	}
	if len(types) == 0 || len(types) > fewTypes {
		types = []string{""}
	}
	var arms []searchsql.Arm
	for _, typ := range types {
		arms = in.arm(arms, searchsql.Filter{Type: typ, RIDs: [][]int64{rids}})
	}
	return arms
}

// withURLs returns arms for resources that have URLs, given by their hashes.
func (in *inclusion) withURLs(urls []int64, types []string) []searchsql.Arm {
	if len(urls) == 0 {
		return nil
	}
	if len(types) == 0 || len(types) > fewTypes {
		f := searchsql.Filter{}
		f.And(saltedEach(in.urlSalts(types), urls)...)
		return in.arm(nil, f)
	}
	var arms []searchsql.Arm
	for _, typ := range types {
		if salts := in.urlSalts([]string{typ}); len(salts) > 0 {
			f := searchsql.Filter{Type: typ}
			f.And(saltedEach(salts, urls)...)
			arms = in.arm(arms, f)
		}
	}
	return arms
}

// arm adds an arm for the rows of f that the caller sees. A rare key of the caller
// may lead to them instead of what f asks.
func (in *inclusion) arm(to []searchsql.Arm, f searchsql.Filter) []searchsql.Arm {
	if in.sights.of(mayLead, f.Type).Unlimited() {
		return append(to, searchsql.Arm{Filter: f})
	}
	keys, lists := len(f.All), len(f.Any)
	if in.see(&f, mayLead); f.Never {
		return to
	}
	a := searchsql.Arm{Filter: f}
	if v := in.known.view(in.db.types[f.Type], f.Type == ""); v.rows >= 0 {
		a.Scan = v.scan(&f).scan
		return append(to, a)
	}
	a.Scan = searchsql.Scan{All: make([]bool, len(f.All)), Any: make([]bool, len(f.Any))}
	for i := range keys {
		a.Scan.All[i] = true
	}
	for i := range lists {
		a.Scan.Any[i] = true
	}
	return append(to, a)
}

// read reads the rows of arms with their bodies, at most one more than there is
// room for.
func (in *inclusion) read(ctx context.Context, arms []searchsql.Arm, links []int64, name string) ([]*found, error) {
	if len(arms) == 0 {
		return nil, nil
	}
	keys := searchsql.Order(nil, nil)
	for i := range arms {
		arms[i].Keys = keys
	}
	page := searchsql.Page{Arms: arms, Limit: in.db.bounds.included + len(in.seen) + 1, Bodies: true, Links: links}
	in.costly = name
	return in.rows(ctx, &page, &Step{What: name})
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
)

const (
	groupSearch   = "Searches"
	groupWorklist = "Worklists"
	waySearchSQL  = "own SQL"
)

// worklistQueries are the searches by which people see what there is to do, by when.
var worklistQueries = []searchQuery{
	{"of an owner, due first", func(c *corpus, r *rand.Rand) string {
		return "Task?owner=" + owner(c, r) + "&status=requested,in-progress&_sort=due"
	}},
	{"of an owner, overdue", func(c *corpus, r *rand.Rand) string {
		return fmt.Sprintf("Task?owner=%s&status=requested&due=lt2025-%02d-%02d&_sort=due", owner(c, r), 3+r.IntN(9), 1+r.IntN(28))
	}},
	{"of an owner, of one kind", func(c *corpus, r *rand.Rand) string {
		return "Task?owner=" + owner(c, r) + "&code=" + reason(r) + "&_sort=-due"
	}},
	{"of one kind in a status, due first", func(_ *corpus, r *rand.Rand) string {
		return "Task?code=" + reason(r) + "&status=accepted&_sort=due"
	}},
	{"of a patient, due first", func(c *corpus, r *rand.Rand) string { return "Task?patient=" + patientID(c, r) + "&_sort=due" }},
	{"of everybody, due first", func(_ *corpus, _ *rand.Rand) string { return "Task?status=requested&_sort=due" }},
	{"how many an owner has to do", func(c *corpus, r *rand.Rand) string {
		return "Task?owner=" + owner(c, r) + "&status=requested&_summary=count"
	}},
}

// searches measures the searches of the search workload.
func (f *figures) searches(ctx context.Context) error {
	queries, err := withDeepPage(ctx, f.open.httpTarget)
	if err != nil {
		return err
	}
	return f.eachSearch(ctx, groupSearch, queries)
}

// worklists measures what people have to do, as who has signed in finds it, too.
func (f *figures) worklists(ctx context.Context) error {
	return f.eachSearch(ctx, groupWorklist, worklistQueries)
}

func (f *figures) eachSearch(ctx context.Context, group string, queries []searchQuery) error {
	raw, err := openRawSearcher(ctx, f.config())
	if err != nil {
		return err
	}
	defer raw.close()
	for _, q := range queries {
		if err := f.search(ctx, raw, searching{f.set, q, figureClients}, group); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return nil
}

// search measures one search by all clients and by one, and its statement where it is one.
func (f *figures) search(ctx context.Context, raw *rawSearcher, s searching, group string) error {
	statements, err := raw.statements(ctx, s)
	if err != nil {
		return err
	}
	alone := s
	alone.clients = 1
	matches := make([]found, figureClients)
	sides := []side{searchSide(f.open.httpTarget, s, matches), searchSide(f.open.httpTarget, alone, matches)}
	if group == groupWorklist {
		sides = append(sides, searchSide(f.signed.httpTarget, s, matches), searchSide(f.signed.httpTarget, alone, matches))
	}
	if statements != nil {
		sides = append(sides, raw.side(s, statements))
	}
	all, err := compete(ctx, f.rounds, f.lasting/2, sides...)
	if err != nil {
		return err
	}
	reference := outcome{}
	if statements != nil {
		reference = all[len(all)-1]
		defer func() { f.add(reference.figure(group, waySearchSQL+": "+s.query.name).asReference()) }()
	}
	first := all[0].figure(group, s.query.name).over(waySearchSQL, all[0].rates, reference.rates)
	first.Matches = onPage(matches)
	f.add(first)
	f.add(all[1].figure(group, s.query.name))
	if group == groupWorklist {
		f.add(all[2].figure(group, s.query.name+", signed in").over(waySearchSQL, all[2].rates, reference.rates))
		f.add(all[3].figure(group, s.query.name+", signed in"))
	}
	return nil
}

package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A Referral asks for what some resources refer to, wherever in their content.
type Referral struct {
	From  []Version     // the resources, with their content
	Query *search.Query // nil, or what finds further ones, on all its pages
	Types []string      // only resources of these types come
	Over  []string      // what those of these types refer to comes too, if that is of Types
	After string        // where the page before ended; empty is the beginning
	Limit int           // how many come; with 0 it is only found out if there are any
}

// Referred returns the next page of what r asks for, in an order that does not change,
// and where the page ends; empty at the end of all. Nothing comes twice, and none of
// From does. It is as if there were nothing but what g shows to who may search or read
// it. The zero Grant is shown nothing.
func (db *DB) Referred(ctx context.Context, g access.Grant, r Referral) ([]Version, string, error) {
	turn, err := db.turn(ctx)
	if err != nil {
		return nil, "", err
	}
	defer turn.end()
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := &referring{searching: db.searching(db.sql, db.Registry(), g), Referral: r, seen: map[int64]bool{}, types: map[string]bool{}, read: map[int64]*found{}}
	s.turn, s.costly = turn, "what the resources refer to"
	return s.page(ctx)
}

// A referring is a Referral while it is carried out.
type referring struct {
	*searching
	Referral
	seen  map[int64]bool // what is referred to, false, and what comes from elsewhere, true
	types map[string]bool
	read  map[int64]*found
}

// page finds out what is referred to and returns the page of that.
func (s *referring) page(ctx context.Context) ([]Version, string, error) {
	first := int64(-1 << 63)
	if s.After != "" {
		var err error
		if first, err = strconv.ParseInt(s.After, 10, 64); err != nil {
			return nil, "", fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link does not belong to this request; start again from the first page.")
		}
	}
	for i := range s.From {
		s.mentions(&s.From[i])
	}
	if err := s.walk(ctx); err != nil {
		return nil, "", err
	}
	if err := s.follow(ctx); err != nil {
		return nil, "", err
	}
	var rids []int64
	for rid, elsewhere := range s.seen {
		if !elsewhere && rid >= first {
			rids = append(rids, rid)
		}
	}
	slices.Sort(rids)
	return s.cut(ctx, rids)
}

// walk goes through what the Query finds.
func (s *referring) walk(ctx context.Context) error {
	if s.Query == nil {
		return nil
	}
	of, err := s.parts(ctx, s.Query)
	if err != nil {
		return err
	}
	w := newWalk(of...)
	w.bodies = true
	for done := false; !done; {
		var rows []*found
		if rows, done, err = s.next(ctx, w, w.limit(largestBatch)); err != nil {
			return err
		}
		for _, row := range rows {
			s.mentions(&row.Version)
		}
	}
	return nil
}

// follow adds what is referred to by what is referred to, of the types Over. It reads
// all of those.
func (s *referring) follow(ctx context.Context) error {
	over := slices.DeleteFunc(slices.Clone(s.Over), func(typ string) bool { return !s.types[typ] })
	if len(over) == 0 {
		return nil
	}
	var rids []int64
	for rid, elsewhere := range s.seen {
		if !elsewhere {
			rids = append(rids, rid)
		}
	}
	slices.Sort(rids)
	for some := range slices.Chunk(rids, largestRead) {
		rows, err := s.these(ctx, some, over, len(some))
		if err != nil {
			return err
		}
		for _, row := range rows {
			s.mention(row.Stored)
			s.read[row.rid] = row
		}
	}
	return nil
}

// cut returns the first rows of rids, which are in order, and where the next ones
// begin. It reads what has not been read yet.
func (s *referring) cut(ctx context.Context, rids []int64) (all []Version, next string, err error) {
	types := slices.DeleteFunc(slices.Clone(s.Types), func(typ string) bool { return !s.types[typ] })
	for some := range slices.Chunk(rids, largestRead) {
		rows, err := s.rest(ctx, some, types)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			if len(all) == s.Limit {
				return all, strconv.FormatInt(row.rid, 10), nil
			}
			all = append(all, row.Version)
		}
	}
	return all, "", nil
}

// rest returns those of rids that are of types, in order.
func (s *referring) rest(ctx context.Context, rids []int64, types []string) ([]*found, error) {
	var rows []*found
	var unread []int64
	for _, rid := range rids {
		switch row := s.read[rid]; {
		case row == nil:
			unread = append(unread, rid)
		case slices.Contains(types, row.Key.Type):
			rows = append(rows, row)
		}
	}
	more, err := s.these(ctx, unread, types, len(unread))
	if err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	slices.SortFunc(rows, func(a, b *found) int { return cmp.Compare(a.rid, b.rid) })
	return rows, nil
}

// these reads those rows with some RIDs that the caller sees and that are of types.
func (s *referring) these(ctx context.Context, rids []int64, types []string, limit int) ([]*found, error) {
	f := searchsql.Filter{RIDs: [][]int64{rids}}
	s.db.secret.See(&f, s.db.scope(""), searchsql.Sight{{All: true, Types: types}})
	if s.see(&f, mayLead); f.Never || len(rids) == 0 {
		return nil, nil
	}
	// The RIDs lead to the rows; no index is asked for anything else.
	scan := searchsql.Scan{All: make([]bool, len(f.All)), Any: make([]bool, len(f.Any)), Where: make([]bool, len(f.Where))}
	page := searchsql.Page{Arms: []searchsql.Arm{{Filter: f, Keys: searchsql.Order(nil, nil), Scan: scan}}, Limit: limit, Bodies: true}
	return s.rows(ctx, &page, &Step{What: "referred"})
}

// mentions notes what a resource that is not to come refers to.
func (s *referring) mentions(v *Version) {
	s.seen[s.db.secret.RID(v.Key)] = true
	s.mention(v.Stored)
}

// mention notes what content refers to.
func (s *referring) mention(stored []byte) {
	for text := range maps.Keys(referencesIn(stored)) {
		r, ok := fhir.ParseReference(text)
		if !ok || r.Key.ID == "" || r.Base != "" && r.Base != s.db.base || !slices.Contains(s.Types, r.Key.Type) && !slices.Contains(s.Over, r.Key.Type) {
			continue
		}
		if rid := s.db.secret.RID(r.Key); !s.seen[rid] {
			s.seen[rid], s.types[r.Key.Type] = false, true
		}
	}
}

// referencesIn returns the texts of the references in the JSON of a resource. Inside of
// a string the name of the element could not stand in quotation marks.
func referencesIn(stored []byte) map[string]bool {
	all := map[string]bool{}
	name := []byte(`"reference"`)
	for {
		i := bytes.Index(stored, name)
		if i < 0 {
			return all
		}
		stored = bytes.TrimLeft(stored[i+len(name):], " \t\r\n")
		value, colon := bytes.CutPrefix(stored, []byte(":"))
		if value = bytes.TrimLeft(value, " \t\r\n"); !colon || len(value) == 0 || value[0] != '"' {
			continue
		}
		end := bytes.IndexByte(value[1:], '"')
		if end < 0 {
			return all
		}
		text := string(value[1 : end+1])
		if bytes.IndexByte(value[:end+1], '\\') >= 0 {
			text = ""
			if json.NewDecoder(bytes.NewReader(value)).Decode(&text) != nil {
				continue
			}
		}
		all[text] = true
	}
}

package interaction

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// Match is the operation that finds who somebody is, under the name that the audit has for
// it. https://hl7.org/fhir/R4/patient-operation-match.html
const Match access.Interaction = "match-decided"

// A MatchRequest asks who somebody is.
type MatchRequest struct {
	Patient     fhir.Node // what is known of them
	Expression  string    // where it stands in what was sent
	OnlyCertain bool      // nobody is found unless exactly one is certain
	Count       int       // results at most; 0 is 10
}

// A Matched is somebody who may be meant.
type Matched struct {
	store.Version
	Score float64 // from 0 to 1
	Grade Grade
}

// Bounds of a match.
const (
	matchCount = 10
	matchMost  = 100 // candidates of one search
)

// Match returns who may be meant by q, the likeliest first and those who are certainly not left
// out, among the patients whom the caller may see. It is for staff and clients. With
// OnlyCertain and several who are certain it returns none, and says so by an issue.
func (s *Session) Match(ctx context.Context, q MatchRequest) ([]Matched, []fhir.Issue, error) {
	if err := s.Allow(Match, fhir.Key{Type: "Patient"}); err != nil {
		return nil, nil, err
	}
	all, issues, err := s.match(ctx, q)
	line := s.trail(Match, fhir.Key{Type: "Patient"})
	if line == nil {
		return all, issues, err
	}
	for i := range all {
		line.Patients = append(line.Patients, all[i].Key.ID)
	}
	line.Detail = with(nil, "matches", strconv.Itoa(len(all)))
	if len(all) > 0 {
		line.Detail = with(line.Detail, "best", string(all[0].Grade))
	}
	if failed := s.record(ctx, line, err); failed != nil {
		return nil, nil, failed
	}
	return all, issues, err
}

func (s *Session) match(ctx context.Context, q MatchRequest) ([]Matched, []fhir.Issue, error) {
	asked := personOf(q.Patient)
	if asked.isEmpty() {
		return nil, nil, fhir.Errorf(fhir.Unprocessable, fhir.Required, q.Expression,
			"There is nothing here to find somebody by: give an identifier with its system, an e-mail address or telephone number, a name with the birthDate, or both family and given name.")
	}
	candidates, err := s.candidates(ctx, &asked)
	if err != nil {
		return nil, nil, err
	}
	var all []Matched
	for _, v := range candidates {
		m, err := asked.matched(v)
		if err != nil {
			return nil, nil, err
		}
		if m.Grade != CertainlyNot {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b Matched) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Key.ID, b.Key.ID))
	})
	if q.OnlyCertain {
		all = slices.DeleteFunc(all, func(m Matched) bool { return m.Grade != Certain })
		if len(all) > 1 {
			is := fhir.Issue{Severity: fhir.Warning, Code: fhir.MultipleMatches, Text: "More than one patient matches for certain, so none is given: look at them without onlyCertainMatches, and see if they are to be merged."}
			return nil, []fhir.Issue{is}, nil
		}
	}
	return all[:min(len(all), cmp.Or(q.Count, matchCount))], nil, nil
}

// matched says how well v is who is asked for. Somebody who was merged into another one is
// certainly not: the other one has the identifiers.
func (p *person) matched(v store.Version) (Matched, error) {
	r, err := fhir.Decode(v.Key.Type, v.Stored)
	if err != nil {
		return Matched{}, err
	}
	m := Matched{Version: v, Grade: CertainlyNot}
	if !linksTo(r.Root(), "replaced-by", fhir.Key{}) {
		other := personOf(r.Root())
		m.Score, m.Grade = comparePersons(p, &other).score()
	}
	return m, nil
}

// candidates returns who has something of a person, by a few searches that indexes answer.
func (s *Session) candidates(ctx context.Context, p *person) ([]store.Version, error) {
	var all []store.Version
	met := map[fhir.Key]bool{}
	for _, criteria := range p.criteria() {
		params := append(criteria, search.Parameter{Name: "_count", Value: strconv.Itoa(matchMost)})
		found, err := s.find(ctx, Page{Request: search.Request{Types: []string{"Patient"}, Params: params, Now: s.clock()}})
		if err != nil {
			return nil, err
		}
		for _, v := range found.Versions {
			if !met[v.Key] {
				met[v.Key] = true
				all = append(all, v)
			}
		}
	}
	s.shownAll(all)
	return all, nil
}

// criteria returns the searches for who may be p.
func (p *person) criteria() [][]search.Parameter {
	w := &p.spelt
	of := func(name string, values ...string) search.Parameter {
		escaped := make([]string, len(values))
		for i, v := range values {
			escaped[i] = search.Escape(v)
		}
		return search.Parameter{Name: name, Value: strings.Join(escaped, ",")}
	}
	var all [][]search.Parameter
	if len(w.identifiers) > 0 {
		all = append(all, []search.Parameter{{Name: "identifier", Value: strings.Join(w.identifiers, ",")}})
	}
	dates := appendNew([]string{p.birth}, transposedDate(p.birth))
	if p.birth != "" && len(w.families)+len(w.givens) > 0 {
		// By half of the name, so that a slip in the other half, or in the date, finds them all the same.
		for _, by := range []struct {
			name   string
			values []string
		}{{"family", w.families}, {"given", w.givens}} {
			if len(by.values) > 0 {
				all = append(all, []search.Parameter{of("birthdate", dates...), of(by.name, by.values...)})
			}
		}
	}
	if len(w.families) > 0 && len(w.givens) > 0 {
		all = append(all, []search.Parameter{of("family", w.families...), of("given", w.givens...)})
	}
	if len(w.telecoms) > 0 {
		all = append(all, []search.Parameter{of("telecom", w.telecoms...)})
	}
	return all
}

// mayMatch returns an Outcome unless the caller is staff, or a client with no user.
func (s *Session) mayMatch(what string) error {
	t := s.grant.Terms()
	if s.grant.IsTrusted() || t.User.Type == "Practitioner" || t.User.Type == "PractitionerRole" || t.User.ID == "" && t.Patient.ID == "" {
		return nil
	}
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only staff and their systems %s patients.", what)
}

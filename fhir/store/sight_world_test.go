package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// Who sees what is drawn by lot in these worlds, whatever the content says: the
// keys are planted beside the rows.

// someKeys returns random access keys of a resource.
func (w *world) someKeys() []access.Key {
	var keys []access.Key
	if w.IntN(5) == 0 {
		keys = append(keys, access.Key{Kind: access.Open})
	}
	for range w.IntN(3) {
		keys = append(keys, w.party())
	}
	if w.IntN(4) == 0 {
		keys = append(keys, w.label(), access.Key{Kind: access.Label, Of: access.AnyLabel})
	}
	return keys
}

func (w *world) party() access.Key {
	switch w.IntN(3) {
	case 0:
		return access.Key{Kind: access.Patient, Of: fmt.Sprintf("Patient/pa%d", w.IntN(3))}
	case 1:
		return access.Key{Kind: access.Record, Of: fmt.Sprintf("Patient/pa%d", w.IntN(3))}
	}
	return access.Key{Kind: access.Party, Of: fmt.Sprintf("Organization/or%d", w.IntN(4))}
}

func (w *world) label() access.Key {
	return access.Key{Kind: access.Label, Of: w.pick("R", "V", "NOPAT")}
}

// shut gives the current version of a resource the keys, and takes those away that
// it had.
func (w *world) shut(t testing.TB, k fhir.Key, keys []access.Key) {
	t.Helper()
	const query = `WITH v AS (UPDATE ver SET acl = $2 WHERE rid = $1 AND ver = (SELECT max(ver) FROM ver WHERE rid = $1) RETURNING acl)
		UPDATE res SET keys = ARRAY(SELECT x FROM unnest(keys) x WHERE NOT x = ANY ($3)) || access_of($2, $1) WHERE rid = $1 AND NOT deleted`
	hashed := pq.Array(w.db.secret.Accesses(keys))
	if _, err := w.db.sql.Exec(query, w.db.secret.RID(k), hashed, pq.Array(w.everyKey())); err != nil {
		t.Fatal(err)
	}
	if d := w.docs[k]; d != nil {
		d.keys = w.effective(k, keys)
	}
}

// give has whatever has a key, or is a resource, have another key as well. It
// comes before the resources.
func (w *world) give(t testing.TB, g access.Gift) {
	t.Helper()
	const query = `INSERT INTO access_grant (basis, target, key, step, leads) VALUES (1, $1, $2, 2, 0)`
	if _, err := w.db.sql.Exec(query, w.db.secret.Access(g.Target), w.db.secret.Access(g.Key)); err != nil {
		t.Fatal(err)
	}
	w.gifts = append(w.gifts, g)
}

// effective returns keys with those that they bring along.
func (w *world) effective(k fhir.Key, keys []access.Key) []access.Key {
	all := slices.Clone(keys)
	for _, g := range w.gifts {
		if slices.Contains(keys, g.Target) || g.Target == (access.Key{Kind: access.Itself, Of: k.String()}) {
			all = append(all, g.Key)
		}
	}
	return all
}

// everyKey returns the hashes of all keys that a world knows.
func (w *world) everyKey() []int64 {
	all := []access.Key{{Kind: access.Open}, {Kind: access.Label, Of: "R"}, {Kind: access.Label, Of: "V"}, {Kind: access.Label, Of: "NOPAT"}, {Kind: access.Label, Of: access.AnyLabel}}
	for n := range 4 {
		all = append(all, access.Key{Kind: access.Patient, Of: fmt.Sprintf("Patient/pa%d", n)}, access.Key{Kind: access.Record, Of: fmt.Sprintf("Patient/pa%d", n)},
			access.Key{Kind: access.Party, Of: fmt.Sprintf("Organization/or%d", n)})
	}
	return w.db.secret.Accesses(all)
}

// shutAll draws keys for everything.
func (w *world) shutAll(t testing.TB) {
	t.Helper()
	for _, k := range w.names() {
		w.shut(t, k, w.someKeys())
	}
}

// names returns the resources that there are, in order.
func (w *world) names() []fhir.Key {
	var keys []fhir.Key
	for k := range w.docs {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b fhir.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// granularScopes are conditions that a scope may have.
var granularScopes = map[string][]access.Argument{
	"Task":                  {{Param: "status", Value: "requested,failed"}, {Param: "owner", Value: "Practitioner/pr1"}, {Param: "code", Value: "http://s1|a"}, {Param: "_id", Value: "ta1,ta2,ta3,ta4"}},
	"Patient":               {{Param: "gender", Value: "male"}, {Param: "organization", Value: "Organization/or1"}, {Param: "birthdate", Value: "ge1980-05"}},
	"Observation":           {{Param: "code", Value: "a"}, {Param: "date", Value: "2024"}, {Param: "subject", Value: "Patient/pa2"}},
	"Communication":         {{Param: "sent", Value: "ge2024-01-31"}, {Param: "recipient", Value: "Patient/pa1"}},
	"Questionnaire":         {{Param: "url", Value: "http://q/forms/a"}, {Param: "status", Value: "active"}},
	"QuestionnaireResponse": {{Param: "questionnaire", Value: "http://q/forms/a"}},
}

// someGrant returns a random grant.
func (w *world) someGrant() access.Grant {
	terms := access.Terms{Client: "c", ID: fmt.Sprint(w.IntN(1000)), Standings: map[access.Context]access.Standing{}}
	contexts := []access.Context{access.ForPatient}
	if w.IntN(3) == 0 {
		contexts = append(contexts, access.ForUser)
	}
	for _, c := range contexts {
		s := access.Standing{Parties: []access.Key{{Kind: access.Open}, w.party(), w.party()}, All: w.IntN(6) == 0}
		if w.IntN(4) == 0 {
			s.Within = []access.Key{{Kind: access.Open}, w.party(), w.party()}
		}
		for range w.IntN(3) {
			s.Denied = append(s.Denied, w.label())
		}
		if len(s.Denied) > 1 {
			for _, rare := range []string{"HIV", "PSY", "SEX", "SUD"} {
				s.Denied = append(s.Denied, access.Key{Kind: access.Label, Of: rare})
			}
		}
		terms.Standings[c] = s
		terms.Scopes = append(terms.Scopes, w.someScopes(c)...)
	}
	return access.NewGrant(terms)
}

func (w *world) someScopes(c access.Context) []access.Scope {
	both := access.MayRead | access.MaySearch
	if w.IntN(3) == 0 {
		return []access.Scope{{Context: c, Type: "*", Allows: both}}
	}
	var all []access.Scope
	for _, typ := range []string{"Practitioner", "Organization", "Patient", "Questionnaire", "Task", "Communication", "Observation", "QuestionnaireResponse", "RiskAssessment", "List"} {
		allows := both
		if w.IntN(5) == 0 {
			allows = access.MayRead
		}
		where := granularScopes[typ]
		switch {
		case w.IntN(6) == 0:
		case w.IntN(4) == 0 && len(where) > 0:
			for range 1 + w.IntN(2) {
				all = append(all, access.Scope{Context: c, Type: typ, Allows: allows, Where: []access.Argument{where[w.IntN(len(where))]}})
			}
		default:
			all = append(all, access.Scope{Context: c, Type: typ, Allows: allows})
		}
	}
	return all
}

// shown reports whether g shows d to who needs one of some permissions.
func (d *doc) shown(t testing.TB, g access.Grant, needs access.Permission) bool {
	t.Helper()
	typ := d.index.Key.Type
	return g.View(needs, typ).Shows(typ, d.keys, func(where []access.Argument) bool {
		var params []search.Parameter
		for _, a := range where {
			params = append(params, search.Parameter{Name: a.Param, Value: a.Value})
		}
		q, err := d.world.db.Registry().Parse(search.Request{Types: []string{typ}, Params: params})
		if err != nil {
			t.Fatal(err)
		}
		return search.Match(search.And(q.Where), d.index, nil)
	})
}

// seenBy returns the part of w that g shows: a world in which nothing else is. What
// may only be read is no match.
func (w *world) seenBy(t testing.TB, g access.Grant) *world {
	part := &world{Rand: w.Rand, db: w.db, docs: map[fhir.Key]*doc{}, grant: g, unsearched: map[fhir.Key]bool{}}
	for k, d := range w.docs {
		if d.shown(t, g, access.MayRead|access.MaySearch) {
			part.docs[k] = &doc{part, d.index, d.root, d.keys}
		}
		part.unsearched[k] = !d.shown(t, g, access.MaySearch)
	}
	return part
}

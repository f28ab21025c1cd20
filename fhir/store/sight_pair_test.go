package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A pair is two databases that are equal but for what one caller does not see:
// that is in the second one only.
type pair struct {
	*world // draws by lot
	worlds [2]*world
	grant  access.Grant
	hidden []fhir.Key
}

// newPair makes two databases with the same secrets, since the order of resources
// hangs on them.
func newPair(t *testing.T, seed uint64) *pair {
	t.Helper()
	first, database := openInside(t)
	var secrets [3][]byte
	const read = `SELECT hash_secret, signing_key, cursor_key FROM installation`
	if err := database.QueryRow(read).Scan(&secrets[0], &secrets[1], &secrets[2]); err != nil {
		t.Fatal(err)
	}
	other := pgtest.New(t)
	openOn(t, other)
	if _, err := other.Exec(`UPDATE installation SET hash_secret = $1, signing_key = $2, cursor_key = $3`, secrets[0], secrets[1], secrets[2]); err != nil {
		t.Fatal(err)
	}
	p := &pair{world: newWorld(first, seed), worlds: [2]*world{newWorld(first, 0), newWorld(openOn(t, other), 0)}}
	p.grant = p.someGrant()
	return p
}

// fill makes resources, of which the second world has those that are hidden, too.
// Some that are seen have a version before that is hidden, and has other content
// in each world; some are deleted.
func (p *pair) fill(t *testing.T) {
	t.Helper()
	for _, kind := range []struct {
		typ string
		n   int
	}{{"Practitioner", 4}, {"Organization", 4}, {"Patient", 14}, {"Questionnaire", 5}, {"Task", 40}, {"Communication", 15}, {"Observation", 20}, {"QuestionnaireResponse", 12}, {"List", 3}} {
		for n := range kind.n {
			p.add(t, kind.typ, n)
		}
	}
	for _, w := range p.worlds {
		const query = `WITH v AS (UPDATE ver SET updated = timestamptz '2024-01-01' + ((rid % 1000003) * 1000 + ver) * interval '1 millisecond' RETURNING rid, ver, updated)
			UPDATE res SET updated = v.updated FROM v WHERE v.rid = res.rid AND v.ver = res.ver`
		if _, err := w.db.sql.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.hidden) == 0 {
		t.Error("nothing is hidden")
	}
}

func (p *pair) add(t *testing.T, typ string, n int) {
	t.Helper()
	body, keys := p.body(typ, n), p.someKeys()
	if parties := p.grant.Terms().Standings[access.ForPatient].Parties; p.IntN(2) == 0 {
		keys = append(keys, parties[p.IntN(len(parties))])
	}
	before := [2]string{p.body(typ, n), p.body(typ, n)}
	old, gone := p.IntN(4) == 0, p.IntN(8) == 0
	second := p.worlds[1]
	k := keyOf(t, body)
	write := func(i int) {
		w := p.worlds[i]
		if old {
			w.put(t, before[i])
			w.shut(t, k, []access.Key{{Kind: access.Author, Of: "Client/x"}})
			// Who sees everything sees it or not by its content, so that it must be the same.
			if i == 1 && (p.seesAll() || w.docs[k].shown(t, p.grant, access.MayRead|access.MaySearch)) {
				before[0] = before[1]
			}
		}
		w.put(t, body)
		w.shut(t, k, keys)
	}
	write(1)
	d := second.docs[k]
	if gone {
		second.remove(t, k)
	}
	if !d.shown(t, p.grant, access.MayRead|access.MaySearch) {
		p.hidden = append(p.hidden, k)
		return
	}
	if write(0); gone {
		p.worlds[0].remove(t, k)
	}
}

// seesAll reports whether the caller stands for everything in some context.
func (p *pair) seesAll() bool {
	for _, at := range p.grant.Terms().Standings {
		if at.All {
			return true
		}
	}
	return false
}

// keyOf returns what a body is called.
func keyOf(t *testing.T, body string) fhir.Key {
	r := decoded(t, cleaned(body))
	return fhir.Key{Type: r.Type(), ID: r.ID()}
}

// TestNonInterference asks both worlds of a pair the same questions. The answers
// must be equal in every field: what is hidden changes nothing.
func TestNonInterference(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 200+seed)
			p.fill(t)
			for _, w := range p.worlds {
				b := &w.db.bounds
				b.few, b.resolved, b.included = []int{2, 2000}[seed%2], []int{20_000, 8}[seed/2%2], []int{1000, 6}[seed/4%2]
			}
			found := 0
			for n := range 80 {
				// Only what is known of the second world changes.
				if n == 40 {
					if _, err := p.worlds[1].db.sql.Exec("ANALYZE"); err != nil {
						t.Fatal(err)
					}
					if err := p.worlds[1].db.readStatistics(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				found += p.askBoth(t)
			}
			p.histories(t)
			t.Logf("%d resources were found, %d are hidden", found, len(p.hidden))
		})
	}
}

// askBoth sends a random search to both worlds, and follows its pages.
func (p *pair) askBoth(t *testing.T) (found int) {
	t.Helper()
	typ, params := p.request()
	if include := p.includeOf(typ); include != "" && p.IntN(2) == 0 {
		for _, in := range p.ask(t, typ+"?"+include).Applied {
			params = append(params, search.Parameter{Name: in.Name, Value: in.Value})
		}
	}
	if p.IntN(2) == 0 {
		params = append(params, search.Parameter{Name: "_total", Value: p.pick("accurate", "estimate")})
	}
	q := p.query(t, typ, params)
	after := [2]string{}
	for page := range 30 {
		var m [2]*Matches
		var errs [2]string
		for i, w := range p.worlds {
			var err error
			if m[i], err = w.db.Search(t.Context(), p.grant, q, after[i]); err != nil {
				m[i], errs[i] = &Matches{}, err.Error()
			}
			after[i] = m[i].Next
			m[i].Next, m[i].Prev = placeOf(t, m[i].Next), placeOf(t, m[i].Prev)
		}
		if errs[0] != errs[1] || !reflect.DeepEqual(m[0], m[1]) {
			t.Fatalf("%s?%v for %+v, page %d:\n%s %s\n%s %s", typ, params, p.grant.Terms(), page, m[0].brief(), errs[0], m[1].brief(), errs[1])
		}
		found += len(m[0].Versions)
		if after[0] == "" {
			break
		}
	}
	return found
}

// brief says what a page has.
func (m *Matches) brief() string {
	return fmt.Sprint(versionKeys(m.Versions), versionKeys(m.Included), m.Total, m.Estimated, m.Next, m.Prev, m.Warnings)
}

// placeOf returns a position without what its snapshot was.
func placeOf(t *testing.T, text string) string {
	if text == "" {
		return ""
	}
	var at position
	if err := json.Unmarshal([]byte(text), &at); err != nil {
		t.Fatal(err)
	}
	at.Snapshot = ""
	return at.String()
}

// histories reads histories of everything from both worlds.
func (p *pair) histories(t *testing.T) {
	t.Helper()
	all := []History{{}, {Type: "Task"}, {Type: "Patient"}, {Type: "Observation"}, {Type: "Questionnaire"}, {Since: time.Unix(1, 0)}}
	for _, k := range append(slices.Clone(p.hidden[:min(len(p.hidden), 10)]), p.worlds[0].names()...) {
		all = append(all, History{Type: k.Type, ID: k.ID})
	}
	for _, h := range all {
		h.Count = 3
		after := [2]string{}
		for {
			var pages [2]Page
			for i, w := range p.worlds {
				var err error
				h.After = after[i]
				if pages[i], err = w.db.History(t.Context(), p.grant, h); err != nil {
					t.Fatal(err)
				}
				after[i] = pages[i].Next
				pages[i].Safe = time.Time{}
				if pages[i].Next != "" {
					pages[i].Next = "there is one"
				}
			}
			if !reflect.DeepEqual(pages[0], pages[1]) {
				t.Fatalf("history %+v for %+v:\n%v %d\n%v %d", h, p.grant.Terms(), versionKeys(pages[0].Versions), pages[0].Total, versionKeys(pages[1].Versions), pages[1].Total)
			}
			if after[0] == "" {
				break
			}
		}
	}
	for _, k := range p.hidden {
		v, err := p.worlds[1].db.Read(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		v.Keys = p.keysOf(t, k)
		if seen, err := p.worlds[1].db.Sees(p.grant, access.MayRead|access.MaySearch, v); seen || err != nil {
			t.Errorf("sees %s: %v", k, err)
		}
	}
}

// keysOf returns the effective keys of the current version.
func (p *pair) keysOf(t *testing.T, k fhir.Key) []int64 {
	t.Helper()
	var keys pq.Int64Array
	db := p.worlds[1].db
	if err := db.sql.QueryRow(`SELECT acl FROM ver WHERE rid = $1 ORDER BY ver DESC LIMIT 1`, db.secret.RID(k)).Scan(&keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// trusted writes a resource whose gifts all count.
func trusted(t testing.TB, db *DB, body string) (Row, Written) {
	t.Helper()
	r := decoded(t, body)
	row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	row.Allowed = row.Gifts
	w, err := db.Put(t.Context(), row, Anything)
	if err != nil {
		t.Error(err)
	}
	return row, w
}

// TestTeamEndsWithItsGiver: what a team was given ends when the Patient takes the
// record from a practice, and not when it gives it to one more.
func TestTeamEndsWithItsGiver(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	patient := func(practices ...string) {
		t.Helper()
		var list []string
		for _, p := range practices {
			list = append(list, `{"reference":"Organization/`+p+`"}`)
		}
		trusted(t, db, `{"resourceType":"Patient","id":"p","generalPractitioner":[`+strings.Join(list, ",")+`]}`)
	}
	team := `{"resourceType":"CareTeam","id":"c","status":"active","subject":{"reference":"Patient/p"},"participant":[{"member":{"reference":"Organization/team"}}]}`
	shown := func(organization string) bool {
		t.Helper()
		return db.Meets(keysHeld(t, db, "Observation/o"), []access.Key{{Kind: access.Party, Of: "Organization/" + organization}})
	}
	patient("old")
	trusted(t, db, `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"a"},"subject":{"reference":"Patient/p"}}`)
	trusted(t, db, team)
	patient("old", "second")
	if !shown("old") || !shown("second") || !shown("team") {
		t.Error("one more practice takes the record from others")
	}
	patient("second")
	if shown("old") || shown("team") || !shown("second") {
		t.Error("the patient has left a practice: old", shown("old"), "team", shown("team"), "second", shown("second"))
	}
	trusted(t, db, strings.Replace(team, `"id":"c"`, `"id":"c","name":"anew"`, 1))
	if !shown("team") {
		t.Error("who has the record cannot give it anew")
	}
	settledRows(t, db, database)
}

// keysHeld returns the effective keys of the current version of a resource, by
// the statement of a read.
func keysHeld(t testing.TB, db *DB, name string) []int64 {
	t.Helper()
	typ, id, _ := strings.Cut(name, "/")
	v, err := db.Read(t.Context(), fhir.Key{Type: typ, ID: id})
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	return v.Keys
}

// isGift reports whether a gift is in the table.
func isGift(t *testing.T, database *pgtest.Database, basis, target, key int64) (there bool) {
	t.Helper()
	if err := database.QueryRow(`SELECT EXISTS (SELECT FROM access_grant WHERE basis = $1 AND target = $2 AND key = $3)`, basis, target, key).Scan(&there); err != nil {
		t.Fatal(err)
	}
	return there
}

// settledRows checks every row against its content: gifts are those that the
// current versions name, own keys those of the content, and res.keys holds the
// search keys and what follows from own keys and gifts, computed here. It returns
// how many rows and gifts there are.
func settledRows(t *testing.T, db *DB, database *pgtest.Database) (rows, gifts int) {
	t.Helper()
	type current struct {
		key         fhir.Key
		rid         int64
		search, own []int64
		acl, keys   []int64
	}
	var all []current
	want := map[int64][]int64{} // target to keys
	found, err := database.Query(`SELECT t.name, r.id, r.rid, r.deleted, v.acl, r.keys FROM res r JOIN ver v USING (rid, ver) JOIN res_type t ON t.type = r.type`)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var c current
		var deleted bool
		if err := found.Scan(&c.key.Type, &c.key.ID, &c.rid, &deleted, (*keyList)(&c.acl), (*keyList)(&c.keys)); err != nil {
			t.Fatal(err)
		}
		if deleted {
			if len(c.keys) > 0 {
				t.Errorf("%s is deleted and has keys", c.key)
			}
			continue
		}
		v, err := db.Read(t.Context(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		r := decoded(t, string(v.Stored))
		ix, err := db.Registry().Index(r.Root(), c.key.ID)
		if err != nil {
			t.Fatal(err)
		}
		own := access.Keys(ix, r.Root())
		for _, g := range access.Gifts(ix, r.Root(), own) {
			target, key := db.secret.Access(g.Target), db.secret.Access(g.Key)
			// What a team was given ends when the Patient takes the record from somebody.
			if g.Target.Kind == access.Record && c.key.Type != "Patient" && !isGift(t, database, c.rid, target, key) {
				continue
			}
			want[target] = append(want[target], key)
			gifts++
		}
		c.search, c.own = db.secret.Row(ix, search.WordsOf(r.Root(), false)).Keys, db.secret.Accesses(own)
		all = append(all, c)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, database, "access_grant"); n != gifts {
		t.Errorf("there are %d gifts, want %d", n, gifts)
	}
	for _, c := range all {
		if diff := cmp.Diff(asSet(c.own), asSet(c.acl)); diff != "" {
			t.Errorf("%s: own keys (-want +got)\n%s", c.key, diff)
		}
		reached := slices.Concat(c.own, []int64{c.rid})
		for i := 0; i < len(reached); i++ {
			for _, k := range want[reached[i]] {
				if !slices.Contains(reached, k) {
					reached = append(reached, k)
				}
			}
		}
		reached = slices.DeleteFunc(reached, func(k int64) bool { return k == c.rid })
		if diff := cmp.Diff(asSet(slices.Concat(c.search, reached)), asSet(c.keys)); diff != "" {
			t.Errorf("%s: keys (-want +got)\n%s", c.key, diff)
		}
		if diff := cmp.Diff(asSet(reached), asSet(keysHeld(t, db, c.key.String()))); diff != "" {
			t.Errorf("%s: effective keys (-want +got)\n%s", c.key, diff)
		}
	}
	return len(all), gifts
}

func asSet(keys []int64) []int64 {
	keys = append([]int64{}, keys...)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// anyResource makes one of a few resources that give each other keys.
func anyResource(r *rand.Rand) string {
	n := func() int { return r.IntN(3) }
	active := []string{"active", "inactive"}[r.IntN(2)]
	switch r.IntN(9) {
	case 0:
		return fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","managingOrganization":{"reference":"Organization/o%d"},"generalPractitioner":[{"reference":"PractitionerRole/r%d"}]}`, n(), n(), n())
	case 1:
		return fmt.Sprintf(`{"resourceType":"CareTeam","id":"c%d","status":"%s","subject":{"reference":"Patient/p%d"},"participant":[{"member":{"reference":"PractitionerRole/r%d"}},{"member":{"reference":"Organization/o%d"}}]}`, n(), active, n(), n(), n())
	case 2:
		return fmt.Sprintf(`{"resourceType":"PractitionerRole","id":"r%d","active":%t,"practitioner":{"reference":"Practitioner/d%d"},"organization":{"reference":"Organization/o%d"},"healthcareService":[{"reference":"HealthcareService/h%d"}]}`, n(), active == "active", n(), n(), n())
	case 3:
		return fmt.Sprintf(`{"resourceType":"HealthcareService","id":"h%d","providedBy":{"reference":"Organization/o%d"}}`, n(), n())
	case 4:
		return fmt.Sprintf(`{"resourceType":"ServiceRequest","id":"s%d","status":"%s","intent":"order","subject":{"reference":"Patient/p%d"},"performer":[{"reference":"HealthcareService/h%d"}],"supportingInfo":[{"reference":"DocumentReference/f%d"},{"reference":"Binary/b%d"}]}`,
			n(), []string{"active", "revoked"}[r.IntN(2)], n(), n(), n(), n())
	case 5:
		return fmt.Sprintf(`{"resourceType":"Task","id":"t%d","status":"%s","intent":"order","for":{"reference":"Patient/p%d"},"focus":{"reference":"ServiceRequest/s%d"},"owner":{"reference":"PractitionerRole/r%d"},"requester":{"reference":"Patient/p%d"}}`,
			n(), []string{"requested", "cancelled"}[r.IntN(2)], n(), n(), n(), n())
	case 6:
		return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"f%d","status":"current","subject":{"reference":"Patient/p%d"},"author":[{"reference":"Organization/o%d"}],"content":[{"attachment":{"url":"Binary/b%d"}}]}`, n(), n(), n(), n())
	case 7:
		return fmt.Sprintf(`{"resourceType":"Binary","id":"b%d","contentType":"text/plain","data":"%s"}`, n(), []string{"YWJj", "ZGVm"}[r.IntN(2)])
	}
	return fmt.Sprintf(`{"resourceType":"Observation","id":"x%d","status":"final","code":{"text":"c%d"},"subject":{"reference":"Patient/p%d"}}`, r.IntN(9), n(), n())
}

// TestGiftsUnderWriters lets writers change resources that give each other keys,
// and delete some. When all are done, everybody has exactly what follows from
// what is stored, and nobody was in anybody's way.
func TestGiftsUnderWriters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	for seed := range uint64(3) {
		race(6, func(n int) {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			for range 60 {
				body := anyResource(r)
				if r.IntN(8) > 0 {
					trusted(t, db, body)
					continue
				}
				d := decoded(t, body)
				if _, err := db.Delete(t.Context(), fhir.Key{Type: d.Type(), ID: d.ID()}, Anything, "", nil); err != nil {
					t.Error(err)
				}
			}
		})
		if rows, gifts := settledRows(t, db, database); rows < 10 || gifts < 10 {
			t.Errorf("there are only %d rows and %d gifts", rows, gifts)
		}
	}
	if countOf(t, database, "access_event") == 0 {
		t.Error("no event was written")
	}
}

// TestGift gives and takes, step by step.
func TestGift(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	organization := []access.Key{{Kind: access.Party, Of: "Organization/o"}}
	sees := func(name string, want bool) {
		t.Helper()
		if got := db.Meets(keysHeld(t, db, name), organization); got != want {
			t.Errorf("the organisation sees %s: %t", name, got)
		}
	}
	trusted(t, db, `{"resourceType":"Observation","id":"x","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p"}}`)
	trusted(t, db, `{"resourceType":"Observation","id":"y","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/q"}}`)
	team := `{"resourceType":"CareTeam","id":"c","status":"active","subject":{"reference":"Patient/p"},"participant":[{"member":{"reference":"PractitionerRole/r"}}]}`
	trusted(t, db, team)
	sees("Observation/x", false)
	role := `{"resourceType":"PractitionerRole","id":"r","active":true,"organization":{"reference":"Organization/o"}}`
	trusted(t, db, role)
	sees("Observation/x", true)
	sees("Observation/y", false)
	if _, w := trusted(t, db, team); w.Outcome != Unchanged {
		t.Errorf("outcome %d", w.Outcome)
	}
	if n := countOf(t, database, `access_event WHERE reason = 'granted' AND new_acl @> old_acl`); n < 2 {
		t.Errorf("%d events of giving", n)
	}
	if w, err := db.Delete(t.Context(), fhir.Key{Type: "CareTeam", ID: "c"}, Anything, "", nil); err != nil || w.Outcome != Removed {
		t.Fatal(w, err)
	}
	sees("Observation/x", false)
	if n := countOf(t, database, `access_event WHERE reason = 'withdrawn'`); n != 1 {
		t.Errorf("%d events of taking", n)
	}
	settledRows(t, db, database)
}

// TestGiftNotAllowed names gifts that may not be given: they are not, unless they
// were before.
func TestGiftNotAllowed(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	body := `{"resourceType":"Patient","id":"p","gender":"%s","managingOrganization":{"reference":"Organization/%s"}}`
	mustPut(t, db, fmt.Sprintf(body, "male", "o"))
	if n := countOf(t, database, "access_grant"); n != 0 {
		t.Errorf("%d gifts were made that were not allowed", n)
	}
	trusted(t, db, fmt.Sprintf(body, "female", "o"))
	mustPut(t, db, fmt.Sprintf(body, "other", "o"))
	if n := countOf(t, database, "access_grant"); n != 1 {
		t.Errorf("%d gifts are left, want 1", n)
	}
	mustPut(t, db, fmt.Sprintf(body, "other", "q"))
	if n := countOf(t, database, "access_grant"); n != 0 {
		t.Errorf("%d gifts are left that nobody names", n)
	}
}

// TestGiftUndone refuses a write and rolls one back: neither leaves a gift.
func TestGiftUndone(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	trusted(t, db, `{"resourceType":"Observation","id":"x","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p"}}`)
	r := decoded(t, `{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}}`)
	row, err := db.Row(fhir.Key{Type: "Patient", ID: "p"}, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	row.Allowed = row.Gifts
	if w, err := db.Put(t.Context(), row, 7); err != nil || w.Outcome != Mismatch {
		t.Fatal(w, err)
	}
	over := errors.New("over")
	err = db.Conditionally(t.Context(), criteria(t, db, "Patient", "gender=male"), func(ctx context.Context, tx *Tx, _ []Version) error {
		if w, err := tx.WriteOne(ctx, Change{Row: row, Expect: Anything}); err != nil || w.Outcome != Created {
			t.Error(w, err)
		}
		return over
	})
	if !errors.Is(err, over) || countOf(t, database, "access_grant")+countOf(t, database, "access_event") > 0 {
		t.Errorf("gifts are left; %v", err)
	}
	settledRows(t, db, database)
}

// TestAuthorKeysStay writes with keys of the writer's side: they are carried from
// version to version, over a deletion too.
func TestAuthorKeysStay(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	k := fhir.Key{Type: "Basic", ID: "b"}
	a, b := access.Key{Kind: access.Author, Of: "Organization/a"}, access.Key{Kind: access.Author, Of: "Organization/b"}
	write := func(text string, author ...access.Key) {
		row, err := db.Row(k, Update, decoded(t, `{"resourceType":"Basic","id":"b","code":{"text":"`+text+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		row.Author = author
		if _, err := db.Put(t.Context(), row, Anything); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want ...access.Key) {
		t.Helper()
		if got := asSet(keysHeld(t, db, "Basic/b")); !slices.Equal(got, asSet(db.secret.Accesses(want))) {
			t.Errorf("keys %v", got)
		}
	}
	write("1", a)
	is(a)
	write("2")
	is(a)
	write("3", b, a)
	is(a, b)
	if _, err := db.Delete(t.Context(), k, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	is(a, b)
	write("4")
	is(a, b)
}

// TestKnown looks up resources and parties.
func TestKnown(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	trusted(t, db, `{"resourceType":"PractitionerRole","id":"r","active":true,"practitioner":{"reference":"Practitioner/d"},"organization":{"reference":"Organization/o"}}`)
	trusted(t, db, `{"resourceType":"Practitioner","id":"d"}`)
	trusted(t, db, `{"resourceType":"Basic","id":"gone","code":{"text":"x"}}`)
	if _, err := db.Delete(t.Context(), fhir.Key{Type: "Basic", ID: "gone"}, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	organization := []access.Key{{Kind: access.Party, Of: "Organization/o"}}
	ask := map[access.Key]bool{
		{Kind: access.Itself, Of: "Practitioner/d"}:    true,
		{Kind: access.Party, Of: "PractitionerRole/r"}: true,
		{Kind: access.Party, Of: "PractitionerRole/q"}: false,
		{Kind: access.Itself, Of: "Practitioner/e"}:    false,
		{Kind: access.Itself, Of: "Basic/gone"}:        false,
		{Kind: access.Itself, Of: "Nothing/at-all"}:    false,
	}
	var of []access.Key
	for k := range ask {
		of = append(of, k)
	}
	known, err := db.Known(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range ask {
		if db.Meets(known[k], organization) != want {
			t.Errorf("%v has %v", k, known[k])
		}
		if _, ok := known[k]; k.Kind == access.Itself && ok != want {
			t.Errorf("%v has an entry: %t", k, ok)
		}
	}
}

// TestAccessReadsByIndex runs the functions on tables that are analysed while they
// have few rows: none is read from end to end.
func TestAccessReadsByIndex(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		trusted(t, db, anyResource(r))
	}
	if _, err := database.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	tx, err := database.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for range 3 {
		if _, err := tx.Exec(`SELECT access_of('{3,4}', 1), access_held('{3,4}', '{3,4}', 1),
			access_settle('{1}', '{f}', '{1}', '{3}', '{4}', ARRAY[64 + 3 + 8 * 4]::bigint[], '{1,3}', '{2,3}', '{1}', '{}'),
			access_settle('{1}', '{t}', '{}', '{}', '{}', '{}', '{1,3}', '{2,3}', '{1}', '{1}')`); err != nil {
			t.Fatal(err)
		}
	}
	var scans, looks int
	const query = `SELECT sum(seq_scan), sum(idx_scan) FROM pg_stat_xact_user_tables WHERE relname IN ('access_grant', 'ver') OR relname LIKE 'res\_%' AND relname <> 'res_type'`
	if err := tx.QueryRow(query).Scan(&scans, &looks); err != nil || scans > 0 || looks == 0 {
		t.Errorf("%d tables were read from end to end, %d by index; %v", scans, looks, err)
	}
}

// TestKeysOfBefore has rows from before there were access keys: until they are
// built nobody sees them, and then all have what follows from their content. What
// was allowed or not is not known of them; versions before the current one stay
// hidden.
func TestKeysOfBefore(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db := openOn(t, database)
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		mustPut(t, db, anyResource(r))
	}
	forget(t, database)
	for _, s := range []string{`UPDATE ver SET acl = NULL`, `DELETE FROM access_grant`, `UPDATE search_generation SET layout = 1`} {
		if _, err := database.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	db = openOn(t, database)
	const name = "Observation/late"
	trusted(t, db, `{"resourceType":"Observation","id":"late","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p1"}}`)
	defer index(t, db)()
	waitFor(t, db, func() bool { return db.Registry().Missing == 0 })
	if rows, gifts := settledRows(t, db, database); rows < 10 || gifts < 10 {
		t.Errorf("there are only %d rows and %d gifts", rows, gifts)
	}
	if n := countOf(t, database, `ver v WHERE acl IS NOT NULL AND EXISTS (SELECT FROM ver n WHERE n.rid = v.rid AND n.ver > v.ver)`); n > 0 {
		t.Errorf("%d former versions have got keys", n)
	}
	waitFor(t, db, func() bool { return countOf(t, database, "reindex_job WHERE state = 'running'") == 0 })
	before := keysHeld(t, db, name)
	if err := db.StartReindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, db, func() bool { return countOf(t, database, "reindex_job WHERE state = 'running'") == 0 })
	settledRows(t, db, database)
	if !slices.Equal(before, keysHeld(t, db, name)) {
		t.Error("reindexing has changed who sees what")
	}
}

// TestReindexUnderGifts rebuilds all rows while others give and take.
func TestReindexUnderGifts(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	defer index(t, db)()
	race(4, func(n int) {
		r := rand.New(rand.NewPCG(5, uint64(n)))
		for i := range 60 {
			if n == 0 && i%10 == 0 {
				if err := db.StartReindex(t.Context()); err != nil {
					t.Error(err)
				}
			}
			trusted(t, db, anyResource(r))
		}
	})
	waitFor(t, db, func() bool { return countOf(t, database, "reindex_job WHERE state = 'running'") == 0 })
	settledRows(t, db, database)
}

// TestTrailOfWrites writes with a line of audit: it is there with the version, and
// only if there is one.
func TestTrailOfWrites(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 4, Unsafe: true, Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	k := fhir.Key{Type: "Basic", ID: "b"}
	row, err := db.Row(k, Update, decoded(t, `{"resourceType":"Basic","id":"b","code":{"text":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	row.Trail = &Trail{Request: "1", Interaction: "update", Key: k}
	for range 2 { // the second one changes nothing
		if _, err := db.Put(t.Context(), row, Anything); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := db.Delete(t.Context(), k, Anything, "", &Trail{Request: "2", Interaction: "delete", Key: k}); err != nil {
			t.Fatal(err)
		}
	}
	if n := countOf(t, database, "audit"); n != 2 {
		t.Errorf("there are %d lines, want 2", n)
	}
	if n := countOf(t, database, "audit a JOIN ver v USING (rid, ver, type, id) WHERE interaction = CASE v.op WHEN 'D' THEN 'delete' ELSE 'update' END"); n != 2 {
		t.Errorf("%d lines tell of versions, want 2", n)
	}
}

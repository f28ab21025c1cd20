package store

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations"
)

// With -lab the searches that must be fast run on a database that stays, for
// looking at plans: go test -run TestLab -lab 'host=… dbname=…' -v
var (
	lab     = flag.String("lab", "", "database to fill, if it is empty, and to search in")
	labSize = flag.Int("lab-size", 100_000, "thousandths of it are resources of each kind")
)

// labSizes are the shares of the types in the laboratory.
var labSizes = []struct {
	typ   string
	share int
}{{"Patient", 1}, {"Task", 3}, {"Communication", 4}, {"QuestionnaireResponse", 2}}

func labBody(r *rand.Rand, typ string, n, patients int) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(900*24*3600)) * time.Second).Format(time.RFC3339)
	patient := fmt.Sprintf("Patient/pa%d", r.IntN(patients))
	note := strings.Repeat(pick("pain ", "headache ", "since monday ", "better ", "worse ", "please call "), 40)
	switch typ {
	case "Patient":
		family := pick("Smith", "Smythe", "Jones", "Miller", "Andersen", "Jensen", "Hansen", "Garcia", "Rossi", "Weber") + pick("", "son", "berg", "sen", "er") + fmt.Sprint(r.IntN(30))
		return fmt.Sprintf(`{"resourceType":"Patient","id":"pa%d","identifier":[{"system":"urn:cpr","value":"%010d"}],"active":true,"name":[{"family":"%s","given":["%s","%s"]}],"gender":"%s","birthDate":"%04d-%02d-%02d","address":[{"line":["%s 1"],"city":"%s"}]}`,
			n, n, family, pick("Anna", "Bob", "Carl", "Dora", "Emil"), pick("Fred", "Gina", "Hans"), pick("male", "female"), 1930+r.IntN(85), 1+r.IntN(12), 1+r.IntN(28), note[:20], pick("Aarhus", "Odense", "London"))
	case "Task":
		return fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","identifier":[{"system":"urn:task","value":"%d"}],"status":"%s","intent":"order","priority":"%s","code":{"coding":[{"system":"urn:code","code":"c%d"}]},"for":{"reference":"%s"},"owner":{"reference":"Practitioner/pr%d"},"authoredOn":"%s","lastModified":"%s","description":"%s"}`,
			n, n, pick("requested", "requested", "requested", "accepted", "in-progress", "completed", "completed", "completed", "completed", "completed", "failed"), pick("routine", "routine", "routine", "urgent", "asap", "stat"), r.IntN(20), patient, r.IntN(5000), at, at, note)
	case "Communication":
		return fmt.Sprintf(`{"resourceType":"Communication","id":"co%d","status":"completed","subject":{"reference":"%s"},"partOf":[{"reference":"Task/ta%d"}],"sender":{"reference":"Practitioner/pr%d"},"recipient":[{"reference":"%s"}],"sent":"%s","payload":[{"contentString":"%s"}]}`,
			n, patient, r.IntN(3*patients), r.IntN(5000), patient, at, note)
	}
	return fmt.Sprintf(`{"resourceType":"QuestionnaireResponse","id":"qu%d","questionnaire":"http://example.org/Questionnaire/q%d|1","status":"completed","subject":{"reference":"%s"},"authored":"%s","item":[{"linkId":"1","answer":[{"valueString":"%s"}]}]}`,
		n, r.IntN(200), patient, at, note)
}

// labFill writes the resources past the API of the store, with the index of keys
// made at the end.
func labFill(t *testing.T, db *DB) {
	ctx := t.Context()
	must := func(statement string) {
		if _, err := db.sql.ExecContext(ctx, statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	must("DROP INDEX res_keys")
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range labSizes {
		for from := 0; from < kind.share**labSize; from += 20_000 {
			var bodies []string
			for n := from; n < min(from+20_000, kind.share**labSize); n++ {
				bodies = append(bodies, labBody(r, kind.typ, n, *labSize))
			}
			copyIn(t, db, bodies)
		}
		t.Log(kind.typ, time.Now().Format(time.TimeOnly))
	}
	must("CREATE INDEX res_keys ON res USING gin (keys) WITH (fastupdate = off)")
	must("VACUUM ANALYZE")
}

// copyIn writes resources past the API of the store, for tests that need many.
func copyIn(t testing.TB, db *DB, bodies []string) {
	t.Helper()
	tx, err := db.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var rows, versions [][]any
	for n, body := range bodies {
		resource := decoded(t, body)
		k := fhir.Key{Type: resource.Type(), ID: resource.ID()}
		ix, err := db.Registry().Index(resource.Root(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		c := db.secret.Row(ix, search.WordsOf(resource.Root(), false))
		at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n*7919%(300*24*3600)) * time.Second)
		rid, number := db.secret.RID(k), db.types[k.Type]
		codec, packed := db.bodies.pack(resource.Stored(k.ID))
		rows = append(rows, []any{rid, number, 1, at, c.Times[0].Low(), c.Times[0].High(), c.Times[1].Low(), c.Times[1].High(), c.S1, k.ID,
			pq.Array(c.Keys), pq.Array(c.Refs), c.Strs, c.Sorts, 0, 1})
		versions = append(versions, []any{at, rid, 1, number, k.ID, "C", codec, packed, c.Words})
	}
	copyRows(t, tx, "COPY res (rid, type, ver, updated, t1, t1h, t2, t2h, s1, id, keys, refs, strs, sorts, hash, idx_gen) FROM STDIN", rows)
	copyRows(t, tx, "COPY ver (updated, rid, ver, type, id, op, codec, body, words) FROM STDIN", versions)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func copyRows(t testing.TB, tx *sql.Tx, statement string, rows [][]any) {
	stmt, err := tx.Prepare(statement)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := stmt.Exec(row...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stmt.Exec(); err != nil {
		t.Fatal(err)
	}
	if err := stmt.Close(); err != nil {
		t.Fatal(err)
	}
}

// labSearches are those with a target, as templates: # becomes a random number.
var labSearches = []string{
	"Patient?identifier=urn:cpr|%010d", "Task?owner=Practitioner/pr%[2]d&status=requested&_sort=-_lastUpdated", "Task?patient=Patient/pa%d",
	"Communication?subject=Patient/pa%d&sent=ge2024-06-01&_sort=-sent", "Patient?name=smi&birthdate=1980", "QuestionnaireResponse?questionnaire=http://example.org/Questionnaire/q7|1&authored=ge2026-01-01&_sort=-authored",
	"Task?patient.name=smithberg1", "Task?patient.identifier=urn:cpr|%010d", "Task?patient.name=smith&_sort=-_lastUpdated", "Task?patient.name=smith&status=failed&_sort=-_lastUpdated", "Patient?_has:Task:patient:identifier=urn:task|%d", "Patient?_has:Task:patient:owner=Practitioner/pr%[2]d", "Patient?_has:Task:patient:status=requested",
	"Patient?name=smith&_has:Task:patient:status=failed", "Task?status=failed&priority=stat&code=c7", "Task?status=completed&_sort=-_lastUpdated", "Task?status=requested&priority=routine&_sort=-authored-on",
	"Task?status=requested&_summary=count", "Task?status=requested&_total=accurate", "Task?owner=Practitioner/pr%[2]d&_include=Task:patient", "Patient?name=smi&_revinclude=Task:patient", "Communication?sent=2025-03-01&_sort=-sent",
	"Patient?_sort=family", "Patient?_sort=-family", "Patient?_sort=birthdate&gender=female", "Task?code:text=zzz", "Patient?name:contains=mith1", "Patient/pa%d/*", "?_lastUpdated=ge2025-10-20&_sort=-_lastUpdated", "Communication?_content=monday", "Communication?part-of:Task.identifier=urn:task|%d", "Task?authored-on=gt2026-06-10", "Task?authored-on=lt2024-01-02&status=failed&_sort=-authored-on", "Task?patient:missing=true",
}

func TestLab(t *testing.T) {
	if *lab == "" {
		t.Skip("this looks at a database that stays: give -lab")
	}
	pool, err := sql.Open("postgres", *lab)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{DSN: *lab, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.statistics(time.Now()).parts[db.types["Task"]].rows <= 0 {
		labFill(t, db)
		if err := db.readStatistics(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	for _, text := range labSearches {
		labRun(t, db, r, text)
	}
}

func labRun(t *testing.T, db *DB, r *rand.Rand, template string) {
	var took []time.Duration
	var m *Matches
	for range 15 {
		text := template
		if strings.Contains(template, "%") {
			text = strings.Split(fmt.Sprintf(template+"\x00%.0[1]d%.0[2]d", r.IntN(*labSize), r.IntN(5000)), "\x00")[0]
		}
		q, err := labQuery(db, text)
		if err != nil {
			t.Fatal(text, err)
		}
		began := time.Now()
		if _, err = db.Search(context.Background(), q, ""); err != nil {
			t.Log(text, err)
			return
		}
		took = append(took, time.Since(began))
		q.Explain = true
		if m, err = db.Search(context.Background(), q, ""); err != nil {
			t.Fatal(text, err)
		}
	}
	slices.Sort(took)
	t.Logf("p50 %7.2f ms, max %7.2f ms: %s: %d matches, %d included, total %d", float64(took[7].Microseconds())/1000, float64(took[14].Microseconds())/1000, template, len(m.Versions), len(m.Included), m.Total)
	for _, s := range m.Explanation.Steps {
		t.Logf("      %-20s %s, %d rows of %.0f, %.2f ms: %s", s.What, s.Path, s.Rows, s.Expected, float64(s.Took.Microseconds())/1000, s.Why)
		if testing.Verbose() && took[7] > 15*time.Millisecond {
			plan := s.SQL
			t.Logf("%s\n%s", plan[:min(len(plan), 1200)], s.Plan[:min(len(s.Plan), 3000)])
		}
	}
}

func labQuery(db *DB, text string) (*search.Query, error) {
	path, query, _ := strings.Cut(text, "?")
	req := search.Request{Now: time.Now()}
	if parts := strings.Split(path, "/"); len(parts) == 3 {
		req.Within = &fhir.Key{Type: parts[0], ID: parts[1]}
	} else if path != "" {
		req.Types = []string{path}
	}
	for _, p := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		name, value, _ := strings.Cut(p, "=")
		req.Params = append(req.Params, search.Parameter{Name: name, Value: value})
	}
	return db.Registry().Parse(req)
}

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// openAudit returns a store that records, and its database.
func openAudit(t testing.TB, queue int) (*store.DB, *pgtest.Database) {
	t.Helper()
	database := pgtest.New(t)
	return openAuditOn(t, database.DSN, queue), database
}

func openAuditOn(t testing.TB, dsn string, queue int) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: dsn, Conns: 8, Unsafe: true, Audit: true, AuditQueue: queue})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func record(t testing.TB, db *store.DB, trail store.Trail) {
	t.Helper()
	if err := db.Record(t.Context(), trail); err != nil {
		t.Fatal(err)
	}
}

func lines(t testing.TB, db *store.DB, of store.Lines) []store.Line {
	t.Helper()
	if of.Limit == 0 {
		of.Limit = 10_000
	}
	found, err := db.Lines(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// requests returns the request ids of lines in their order.
func requests(found []store.Line) string {
	var ids []string
	for _, l := range found {
		ids = append(ids, l.Request)
	}
	return strings.Join(ids, " ")
}

var trail = store.Trail{
	Request: "r1", Interaction: "read", Client: "app", Agent: "Practitioner/p", Organizations: []string{"o1", "o2"}, Origin: "192.0.2.7",
	Key: fhir.Key{Type: "Observation", ID: "x"}, Version: 3, Patients: []string{"alice", "bob"}, Detail: map[string]string{"a": "1"},
}

func TestRecordedLine(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	before := time.Now().Truncate(time.Microsecond)
	record(t, db, trail)
	found := lines(t, db, store.Lines{})
	if len(found) != 1 {
		t.Fatalf("got %d lines", len(found))
	}
	got := found[0]
	if got.At.Before(before) || got.At.After(time.Now()) {
		t.Errorf("recorded at %v", got.At)
	}
	if fmt.Sprint(got.Trail) != fmt.Sprint(trail) {
		t.Errorf("got  %+v\nwant %+v", got.Trail, trail)
	}
	again, err := db.Line(t.Context(), got.ID())
	if err != nil || again == nil || fmt.Sprint(again.Trail) != fmt.Sprint(trail) {
		t.Errorf("Line(%s) = %v, %v", got.ID(), again, err)
	}
	if !fhir.ValidID(got.ID()) {
		t.Errorf("%s is no id", got.ID())
	}
	for _, id := range []string{"", "a", "a-1-1", "a-1-1-1", got.ID() + "0", "a-01-1", "b" + got.ID()[1:], strings.ToUpper(got.ID())} {
		if l, err := db.Line(t.Context(), id); l != nil || err != nil {
			t.Errorf("Line(%q) = %v, %v", id, l, err)
		}
	}
}

// TestLineTakesAnyText records what Postgres would not take as text.
func TestLineTakesAnyText(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	record(t, db, store.Trail{Request: "\xff\x00", Client: "\x00", Detail: map[string]string{"\x00": "\xfe\x00\u2028"}})
	row, err := db.Row(alice, store.Update, decode(t, first))
	if err != nil {
		t.Fatal(err)
	}
	row.Trail = &store.Trail{Request: "w\x00", Interaction: "update", Origin: "\xff", Detail: map[string]string{"\x00": "\xfe\x00"}}
	if _, err := db.Put(t.Context(), row, store.Anything); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, db, store.Lines{Ascending: true}); len(got) != 2 || got[0].Request != "\uFFFD\uFFFD" || got[1].Request != "w\uFFFD" {
		t.Errorf("got %+v", got)
	}
}

// TestWriteCarriesItsLine looks at which writes have stored their line.
func TestWriteCarriesItsLine(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	write := func(request, body string, expect store.Expect) {
		row, err := db.Row(alice, store.Update, decode(t, body))
		if err != nil {
			t.Fatal(err)
		}
		row.Trail = &store.Trail{Request: request, Interaction: "update", Patients: []string{"alice"}}
		if _, err := db.Put(t.Context(), row, expect); err != nil {
			t.Fatal(err)
		}
	}
	write("created", first, store.Anything)
	write("unchanged", first, store.Anything)
	write("mismatch", second, 7)
	write("updated", second, 1)
	if _, err := db.Delete(t.Context(), alice, store.Anything, "", &store.Trail{Request: "deleted", Interaction: "delete"}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Delete(t.Context(), alice, store.Anything, "", &store.Trail{Request: "nothing", Interaction: "delete"}); err != nil {
		t.Fatal(err)
	}
	put(t, db, alice, first, store.Anything)
	found := lines(t, db, store.Lines{Ascending: true})
	if got := requests(found); got != "created updated deleted" {
		t.Fatalf("got %s", got)
	}
	for i, l := range found {
		if l.Key != alice || l.Version != i+1 {
			t.Errorf("%s: %v version %d", l.Request, l.Key, l.Version)
		}
	}
	about := lines(t, db, store.Lines{About: [][]fhir.Key{{alice}}})
	if got := requests(about); got != "deleted updated created" {
		t.Errorf("about the patient: %s", got)
	}
}

func TestRolledBackWriteLeavesNoLine(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	where, err := db.Registry().Criteria("Patient", "active=true")
	if err != nil {
		t.Fatal(err)
	}
	c := store.Criteria{Type: "Patient", Where: where, Generation: db.Registry().Generation, Grant: access.Trusted("test")}
	stop := errors.New("stop")
	for _, end := range []error{stop, nil} {
		err := db.Conditionally(t.Context(), c, func(ctx context.Context, tx *store.Tx, _ []store.Version) error {
			row, err := db.Row(alice, store.Update, decode(t, first))
			if err != nil {
				return err
			}
			row.Trail = &store.Trail{Request: fmt.Sprint(end), Interaction: "update"}
			if _, err := tx.WriteOne(ctx, store.Change{Row: row, Expect: store.Absent}); err != nil {
				return err
			}
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	if got := requests(lines(t, db, store.Lines{})); got != "<nil>" {
		t.Errorf("got %q", got)
	}
}

// TestLinesFindsExactly holds what the database finds against the same said in Go.
func TestLinesFindsExactly(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	var want []store.Trail
	for i := range 300 {
		l := store.Trail{Request: fmt.Sprint(i), Interaction: []string{"read", "create", "search-type"}[i%3], Agent: []string{"Practitioner/p", "Patient/p1", ""}[i/2%3]}
		for p := range i % 4 {
			l.Patients = append(l.Patients, fmt.Sprintf("p%d", (i+p)%7))
		}
		if i%5 > 0 {
			l.Key = fhir.Key{Type: []string{"Patient", "Task"}[i/5%2], ID: fmt.Sprintf("p%d", i%3)}
		}
		want = append(want, l)
		record(t, db, l)
	}
	about := func(l store.Trail, k fhir.Key) bool {
		return l.Key == k || k.Type == "Patient" && (slices.Contains(l.Patients, k.ID) || l.Agent == k.String())
	}
	p1, p2, task := fhir.Key{Type: "Patient", ID: "p1"}, fhir.Key{Type: "Patient", ID: "p2"}, fhir.Key{Type: "Task", ID: "p1"}
	for _, c := range []struct {
		name  string
		ask   store.Lines
		holds func(store.Trail) bool
	}{
		{"all", store.Lines{}, func(store.Trail) bool { return true }},
		{"one patient", store.Lines{About: [][]fhir.Key{{p1}}}, func(l store.Trail) bool { return about(l, p1) }},
		{"a task", store.Lines{About: [][]fhir.Key{{task}}}, func(l store.Trail) bool { return about(l, task) }},
		{"one of two", store.Lines{About: [][]fhir.Key{{p1, task}}}, func(l store.Trail) bool { return about(l, p1) || about(l, task) }},
		{"both", store.Lines{About: [][]fhir.Key{{p1}, {p2}}}, func(l store.Trail) bool { return about(l, p1) && about(l, p2) }},
		{"nobody", store.Lines{About: [][]fhir.Key{{}}}, func(store.Trail) bool { return false }},
		{"agent", store.Lines{Agents: []string{"Practitioner/p"}}, func(l store.Trail) bool { return l.Agent == "Practitioner/p" }},
		{"except", store.Lines{Except: []string{"read", "create"}, About: [][]fhir.Key{{p2}}}, func(l store.Trail) bool { return l.Interaction == "search-type" && about(l, p2) }},
	} {
		var expected []string
		for _, l := range want {
			if c.holds(l) {
				expected = append(expected, l.Request)
			}
		}
		for _, ascending := range []bool{true, false} {
			ask := c.ask
			ask.Ascending, ask.Limit = ascending, 7
			var got []string
			for {
				page := lines(t, db, ask)
				for _, l := range page {
					got = append(got, l.Request)
				}
				if len(page) < ask.Limit {
					break
				}
				ask.After = &page[len(page)-1]
			}
			if !ascending {
				slices.Reverse(got)
			}
			if !slices.Equal(got, expected) {
				t.Errorf("%s, ascending %t:\ngot  %v\nwant %v", c.name, ascending, got, expected)
			}
		}
	}
}

func TestLinesOfATime(t *testing.T) {
	t.Parallel()
	db, _ := openAudit(t, 0)
	for i := range 9 {
		record(t, db, store.Trail{Request: fmt.Sprint(i), Interaction: "read"})
	}
	all := lines(t, db, store.Lines{Ascending: true})
	if got := requests(lines(t, db, store.Lines{From: all[2].At, To: all[5].At})); got != "5 4 3 2" {
		t.Errorf("got %s", got)
	}
}

// TestAuditIsAppendOnly tries to change lines as who owns the table, and as who
// works with it.
func TestAuditIsAppendOnly(t *testing.T) {
	t.Parallel()
	db, database := openAudit(t, 0)
	record(t, db, trail)
	lines(t, db, store.Lines{}) // stores it
	attempts := []string{
		"UPDATE audit SET client = 'x'", "UPDATE audit SET client = 'x' WHERE false", "DELETE FROM audit", "TRUNCATE audit", "TRUNCATE audit CASCADE",
		"INSERT INTO audit (at, seq, interaction, request, outcome) SELECT at, seq, '', '', 0 FROM audit ON CONFLICT (at, seq) DO UPDATE SET client = 'x'",
	}
	asServer := append([]string{
		"ALTER TABLE audit DISABLE TRIGGER ALL", "DROP TRIGGER audit_append_only ON audit", "DROP TABLE audit", "ALTER TABLE audit ADD COLUMN x int",
		"SET session_replication_role = replica",
		"CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
	}, attempts...)
	for role, statements := range map[string][]string{"": attempts, "SET LOCAL ROLE openconsult_server": asServer} {
		for _, statement := range statements {
			err := inRole(t, database.DB, role, statement)
			if e, ok := errors.AsType[*pq.Error](err); !ok || e.Code != "42501" {
				t.Errorf("%s; %s: %v", role, statement, err)
			}
		}
	}
	if got := lines(t, db, store.Lines{}); len(got) != 1 || got[0].Client != "app" {
		t.Errorf("got %+v", got)
	}
}

func inRole(t testing.TB, db *sql.DB, role, statement string) error {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if role != "" {
		if _, err := tx.Exec(role); err != nil {
			t.Fatal(err)
		}
	}
	_, err = tx.Exec(statement)
	return err
}

// TestServersRoleSuffices does all that a store does as the role that a server
// works as.
func TestServersRoleSuffices(t *testing.T) {
	t.Parallel()
	db := openAuditOn(t, pgtest.New(t).DSN+" role=openconsult_server", 0)
	record(t, db, trail)
	put(t, db, alice, first, store.Absent)
	put(t, db, alice, second, 1)
	remove(t, db, store.Anything)
	if got := lines(t, db, store.Lines{}); len(got) != 1 {
		t.Errorf("got %d lines", len(got))
	}
	if _, err := db.SafeTime(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := db.History(t.Context(), access.Trusted("test"), store.History{Count: 10}); err != nil {
		t.Error(err)
	}
	put(t, db, fhir.Key{Type: "SearchParameter", ID: "s"}, `{"resourceType":"SearchParameter","id":"s","url":"http://x.example/s","name":"S","status":"active",
		"description":"d","code":"born","base":["Patient"],"type":"date","expression":"Patient.birthDate"}`, store.Absent)
	if _, err := db.Purge(t.Context(), alice); err != nil {
		t.Error(err)
	}
}

// lockAudit keeps lines from being stored until the function that it returns is
// called.
func lockAudit(t testing.TB, database *pgtest.Database) (release func()) {
	t.Helper()
	tx, err := database.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE audit IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

func TestFullQueueRefuses(t *testing.T) {
	t.Parallel()
	const queue = 5
	db, database := openAudit(t, queue)
	release := lockAudit(t, database)
	for i := range queue {
		record(t, db, store.Trail{Request: fmt.Sprint(i), Interaction: "read"})
	}
	for range 3 {
		err := db.Record(t.Context(), trail)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unavailable {
			t.Fatalf("a full queue gives %v", err)
		}
	}
	if n, most := db.Unrecorded(); n != queue || most != queue {
		t.Errorf("%d lines of %d wait in a full queue", n, most)
	}
	release()
	if got := requests(lines(t, db, store.Lines{Ascending: true})); got != "0 1 2 3 4" {
		t.Fatalf("got %s", got)
	}
	if n, most := db.Unrecorded(); n != 0 || most != queue {
		t.Errorf("%d lines of %d wait when all are stored", n, most)
	}
	record(t, db, store.Trail{Request: "5", Interaction: "read"})
	if got := requests(lines(t, db, store.Lines{Ascending: true})); got != "0 1 2 3 4 5" {
		t.Errorf("got %s", got)
	}
}

// TestLostConnectionLosesNoLine ends the connection that stores lines in the
// middle of that.
func TestLostConnectionLosesNoLine(t *testing.T) {
	t.Parallel()
	db, database := openAudit(t, 0)
	release := lockAudit(t, database)
	const n = 700
	for i := range n {
		record(t, db, store.Trail{Request: fmt.Sprintf("%04d", i), Interaction: "read"})
	}
	for range 2 {
		ended := false
		for !ended && t.Context().Err() == nil {
			const end = `SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO audit%'`
			if err := database.QueryRow(end).Scan(&ended); err != nil {
				t.Fatal(err)
			}
		}
	}
	release()
	found := lines(t, db, store.Lines{Ascending: true})
	if len(found) != n {
		t.Fatalf("%d lines are stored, want %d", len(found), n)
	}
	for i, l := range found {
		if l.Request != fmt.Sprintf("%04d", i) {
			t.Fatalf("line %d is %s", i, l.Request)
		}
	}
}

func TestCloseStoresWhatWaits(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db := openAuditOn(t, database.DSN, 0)
	for range 3 {
		record(t, db, trail)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := database.QueryRow("SELECT count(*) FROM audit").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d lines, %v", n, err)
	}
	if err := db.Record(t.Context(), trail); err == nil {
		t.Error("a closed store takes lines")
	}
}

func TestWithoutAudit(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: database.DSN, Conns: 2, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	record(t, db, trail)
	if n, most := db.Unrecorded(); n != 0 || most != 0 {
		t.Errorf("%d lines of %d wait", n, most)
	}
	row, err := db.Row(alice, store.Update, decode(t, first))
	if err != nil {
		t.Fatal(err)
	}
	row.Trail = &trail
	if _, err := db.Put(t.Context(), row, store.Absent); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := database.QueryRow("SELECT count(*) FROM audit").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestPatientsOf(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, c := range []struct{ key, body, want string }{
		{"Patient/alice", first, "[alice]"},
		{"Observation/o", `{"resourceType":"Observation","status":"final","code":{"text":"Patient/no one"},"subject":{"reference":"Patient/a"},"performer":[{"reference":"Patient/b-1.2"},{"reference":"Patient/a"}]}`, "[a b-1.2]"},
		{"Organization/o", `{"resourceType":"Organization","name":"Patient/x"}`, "[]"},
	} {
		typ, id, _ := strings.Cut(c.key, "/")
		k := fhir.Key{Type: typ, ID: id}
		put(t, db, k, c.body, store.Anything)
		v, err := db.Read(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(db.PatientsOf(v)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.key, got, c.want)
		}
	}
}

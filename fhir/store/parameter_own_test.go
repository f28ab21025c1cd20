package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// ownOf returns how the server's own parameters are in the database.
func ownOf(t *testing.T, database *pgtest.Database) string {
	t.Helper()
	var all string
	if err := database.QueryRow(`SELECT coalesce(string_agg(code || ' ' || state, ', ' ORDER BY code), '') FROM search_param WHERE rid = 0`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	ownActive = "about active, assigned-to active, due active, filed active, in-response-to active, topic active"

	unfiled = `{"resourceType":"Task","id":"t","status":"requested","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}]},"restriction":{"period":{"end":"2026-03-01"}}}`
)

// countFound returns how many resources a query finds.
func countFound(t *testing.T, db *DB, typ, name, value string) int {
	t.Helper()
	m, err := db.Search(t.Context(), access.Trusted("test"), asked(t, db, typ, search.Parameter{Name: name, Value: value}), "")
	if err != nil {
		t.Fatal(err)
	}
	return len(m.Versions)
}

// TestOwnParameters: on an empty database they are in force at once, and servers that
// start later change nothing.
func TestOwnParameters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	if got := ownOf(t, database); got != ownActive {
		t.Errorf("there are %s", got)
	}
	mustPut(t, db, unfiled)
	if n := countFound(t, db, "Task", "filed", "false"); n != 1 {
		t.Errorf("%d Tasks are found", n)
	}
	before := db.Registry().Generation
	second := openOn(t, database)
	if after := second.Registry().Generation; after != before || countOf(t, database, "reindex_job") != 0 {
		t.Errorf("generation %d became %d", before, after)
	}
	checkAll(t, second, database, 1)
}

// TestOwnParametersOfOldRows: where there are rows already, they are built in the
// background, for the types that have some.
func TestOwnParametersOfOldRows(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	mustPut(t, db, unfiled)
	mustPut(t, db, `{"resourceType":"Patient","id":"p"}`)
	if _, err := database.Exec(`DELETE FROM search_param WHERE rid = 0`); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Exec(`UPDATE res SET keys = '{}', sorts = ''`); err != nil {
		t.Fatal(err)
	}
	first, second := openOn(t, database), openOn(t, database)
	if got := ownOf(t, database); got != strings.NewReplacer("assigned-to active", "assigned-to building", "due active", "due building", "filed active", "filed building").Replace(ownActive) {
		t.Errorf("there are %s", got)
	}
	if n := countOf(t, database, "reindex_job"); n != 1 {
		t.Errorf("%d jobs were begun, want 1", n)
	}
	defer index(t, first)()
	defer index(t, second)()
	for _, server := range []*DB{first, second} {
		waitFor(t, server, func() bool { return server.Registry().Param("Task", "filed").State == search.Active })
		if n := countFound(t, server, "Task", "filed", "false"); n != 1 {
			t.Errorf("%d Tasks are found", n)
		}
	}
	if got := ownOf(t, database); got != ownActive {
		t.Errorf("then there are %s", got)
	}
}

// TestOwnParameterIsTaken: what somebody has defined under the code of one stays, and
// the others are there. What has the server's own URL says nothing new.
func TestOwnParameterIsTaken(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	if _, err := database.Exec(`DELETE FROM search_param WHERE rid = 0`); err != nil {
		t.Fatal(err)
	}
	// As it was before there were any.
	if _, err := db.refresh(t.Context(), &session{querier: db.sql}, db.Registry().Generation); err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, parameterOf("mine", "due", "active", "Task.description"))
	later := openOn(t, database)
	if p := later.Registry().Param("Task", "due"); p == nil || p.URL != "https://practice.example/SearchParameter/mine" {
		t.Errorf("due is %+v", p)
	}
	if got := ownOf(t, database); got != strings.Replace(ownActive, "due active, ", "", 1) {
		t.Errorf("there are %s", got)
	}
	published := strings.Replace(parameterOf("x", "filed", "active", "Task.description"), "https://practice.example/SearchParameter/x", "https://fhir.openconsult.example/SearchParameter/Task-filed", 1)
	if class := tryPut(t, later, published); class != 255 {
		t.Errorf("class %d", class)
	}
	if p := later.Registry().Param("Task", "filed"); p == nil || p.Type != search.TokenType {
		t.Errorf("filed is %+v", p)
	}
}

// BenchmarkPutOwn creates a consultation that is due, with and without the server's own
// parameters.
func BenchmarkPutOwn(b *testing.B) {
	for _, with := range []bool{false, true, false, true} {
		database := pgtest.New(b)
		db, err := Open(b.Context(), Config{DSN: database.DSN, Unsafe: true})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		if !with {
			if _, err := database.Exec(`DELETE FROM search_param`); err != nil {
				b.Fatal(err)
			}
			if _, err := db.refresh(b.Context(), &session{querier: db.sql}, db.Registry().Generation); err != nil {
				b.Fatal(err)
			}
		}
		body := decoded(b, unfiled)
		b.Run(fmt.Sprintf("own=%t", with), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				row, err := db.Row(fhir.Key{Type: "Task", ID: fmt.Sprint(b.N, "-", i)}, Create, body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := db.Put(b.Context(), row, Absent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

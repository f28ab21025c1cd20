package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// parameterOf returns a SearchParameter for the descriptions of Tasks.
func parameterOf(id, code, status, expression string) string {
	return fmt.Sprintf(`{"resourceType":"SearchParameter","id":"%s","url":"https://practice.example/SearchParameter/%[1]s","name":"x","status":"%[3]s",
		"description":"x","code":"%[2]s","base":["Task"],"type":"string","expression":"%[4]s"}`, id, code, status, expression)
}

func taskOf(id, description string) string {
	return fmt.Sprintf(`{"resourceType":"Task","id":"%s","status":"draft","intent":"order","description":"%s"}`, id, description)
}

// tryPut returns the class of the outcome, -1 for none.
func tryPut(t *testing.T, db *DB, body string) fhir.Class {
	t.Helper()
	r := decoded(t, body)
	row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
	if err == nil {
		_, err = db.Put(t.Context(), row, Anything)
	}
	switch o := fhir.AsOutcome(err); {
	case err == nil:
		return 255
	case o == nil:
		t.Fatal(err)
		return 0
	default:
		return o.Class
	}
}

// tableOf returns the search parameters as the database has them.
func tableOf(t *testing.T, database *pgtest.Database) string {
	t.Helper()
	rows, err := database.Query(`SELECT code || ' ' || position || ' ' || state FROM search_param WHERE rid <> 0 ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

// TestParameters writes and deletes SearchParameters, and looks at what is in
// force after each step.
func TestParameters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	first := officialParameters("Task") + 3 // behind the server's own
	const none = 255
	for _, step := range []struct {
		name, body string // a body of one word deletes
		class      fhir.Class
		want       string
		moves      bool
	}{
		{"draft", parameterOf("a", "about", "draft", "Task.description"), none, "", false},
		{"active", parameterOf("a", "about", "active", "Task.description"), none, "about 0 building", true},
		{"the same with another text", strings.Replace(parameterOf("a", "about", "active", "Task.description"), `"name":"x"`, `"name":"y"`, 1), none, "about 0 building", false},
		{"a second", parameterOf("b", "said", "active", "Task.note.text"), none, "about 0 building, said 1 building", true},
		{"a code that is taken", parameterOf("c", "said", "active", "Task.description"), fhir.Unprocessable, "about 0 building, said 1 building", false},
		{"a code of R4", parameterOf("c", "status", "active", "Task.description"), fhir.Unprocessable, "about 0 building, said 1 building", false},
		{"not to be used", parameterOf("c", "bad", "active", "Task.nothing("), fhir.Unprocessable, "about 0 building, said 1 building", false},
		{"not to be used, but a draft", parameterOf("c", "bad", "draft", "Task.nothing("), none, "about 0 building, said 1 building", false},
		{"another code", parameterOf("a", "topic", "active", "Task.description"), none, "about 0 retired, said 1 building, topic 2 building", true},
		{"deleted", "b", none, "about 0 retired, said 1 retired, topic 2 building", true},
		{"deleted again", "b", none, "about 0 retired, said 1 retired, topic 2 building", false},
		{"brought back", parameterOf("b", "said", "active", "Task.note.text"), none, "about 0 retired, said 1 building, topic 2 building", true},
		{"the code of another before", parameterOf("c", "about", "active", "Task.description"), none, "about 0 building, said 1 building, topic 2 building", true},
		{"retired", parameterOf("c", "about", "retired", "Task.description"), none, "about 0 retired, said 1 building, topic 2 building", true},
	} {
		before := db.Registry().Generation
		class := fhir.Class(none)
		if strings.HasPrefix(step.body, "{") {
			class = tryPut(t, db, step.body)
		} else if _, err := db.Delete(t.Context(), fhir.Key{Type: "SearchParameter", ID: step.body}, Anything, "", nil); err != nil {
			t.Fatal(err)
		}
		want := step.want
		for i := range 3 {
			want = strings.Replace(want, fmt.Sprintf(" %d ", i), fmt.Sprintf(" #%d ", first+i), 1)
		}
		if got := tableOf(t, database); got != strings.ReplaceAll(want, "#", "") || class != step.class {
			t.Errorf("%s: class %d, %s; want %d, %s", step.name, class, got, step.class, want)
		}
		if after := db.Registry().Generation; (after > before) != step.moves {
			t.Errorf("%s: generation %d after %d", step.name, after, before)
		}
	}
	if p := db.Registry().Param("Task", "topic"); p == nil || p.State != search.Building || p.Position != first+2 {
		t.Errorf("topic: %+v", p)
	}
	if p := db.Registry().Param("Task", "about"); p != nil {
		t.Errorf("about is retired, but there is %+v", p)
	}
}

// TestParameterForAllTypes has a place among those of each type.
func TestParameterForAllTypes(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	body := strings.Replace(parameterOf("a", "said", "active", "DomainResource.text.status"), `"Task"`, `"DomainResource"`, 1)
	if class := tryPut(t, db, strings.Replace(body, `"type":"string"`, `"type":"token"`, 1)); class != 255 {
		t.Fatalf("class %d", class)
	}
	var n int
	if err := database.QueryRow(`SELECT count(*) FROM search_param WHERE state = 'building'`).Scan(&n); err != nil || n < 140 {
		t.Errorf("it is in force for %d types, %v", n, err)
	}
	var failed string
	err := database.QueryRow(`SELECT coalesce(string_agg(t.name, ' '), '') FROM search_param p JOIN res_type t USING (type)
		WHERE t.name IN ('Bundle', 'Binary', 'Parameters')`).Scan(&failed)
	if err != nil || failed != "" {
		t.Errorf("it is in force for %s, which are no DomainResource; %v", failed, err)
	}
}

// TestStaleWriters has two servers: one adds a parameter, the others go on writing
// with the registry of before. When the parameter is active, every resource is
// found by it, whichever server wrote it, and whenever.
func TestStaleWriters(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	adding, writing := openOn(t, database), openOn(t, database)
	go func() { _ = adding.RunIndexer(t.Context()) }() // ends with the test
	const writers, each = 4, 60
	race(writers+1, func(n int) {
		for i := range each {
			if n < writers {
				mustPut(t, writing, taskOf(fmt.Sprintf("%d-%d", n, i), fmt.Sprintf("number %d", i)))
			} else if i == each/3 {
				mustPut(t, adding, parameterOf("a", "about", "active", "Task.description"))
			}
		}
	})
	waitFor(t, adding, func() bool {
		p := adding.Registry().Param("Task", "about")
		return p != nil && p.State == search.Active
	})
	checkAll(t, adding, database, writers*each)
	// The other server has met the new generation with its first write after it.
	if p := writing.Registry().Param("Task", "about"); p == nil {
		t.Error("the server that wrote does not know the parameter")
	}
}

// checkAll holds every live row against its index.
func checkAll(t *testing.T, db *DB, database *pgtest.Database, want int) {
	t.Helper()
	rows, err := database.Query(`SELECT t.name, r.id FROM res r JOIN res_type t USING (type) WHERE NOT deleted AND t.name <> 'SearchParameter'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n, wrong := 0, 0
	for rows.Next() {
		var k fhir.Key
		if err := rows.Scan(&k.Type, &k.ID); err != nil {
			t.Fatal(err)
		}
		v, err := db.Read(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		n++
		wanted, got := wantRow(t, db, decoded(t, string(v.Stored))), readRow(t, database, db.secret.RID(k))
		if got.Sorts != wanted.Sorts || fmt.Sprint(got.Keys, got.Strs, got.Ranges) != fmt.Sprint(wanted.Keys, wanted.Strs, wanted.Ranges) {
			wrong++
			t.Logf("%s: built in generation %d", k, got.Generation)
		}
	}
	if err := rows.Err(); err != nil || n != want || wrong > 0 {
		t.Errorf("%d rows of %d are not what their index says; want %d rows; %v", wrong, n, want, err)
	}
}

// waitFor waits until is holds.
func waitFor(t *testing.T, db *DB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if err := db.Ping(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatal("nothing has come of it in 30 s: ", err)
		}
	}
}

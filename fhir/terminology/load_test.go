package terminology

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// numbered yields n concepts with parents, and calls at before each.
func numbered(n int, at func(i int) error) iter.Seq2[*concept, error] {
	return func(yield func(*concept, error) bool) {
		for i := range n {
			c := &concept{code: fmt.Sprintf("c%d", i), display: fmt.Sprintf("Concept %d", i)}
			if i > 0 {
				c.parents = []string{fmt.Sprintf("c%d", (i-1)/2), fmt.Sprintf("c%d", i/3)}
			}
			if !yield(c, at(i)) {
				return
			}
		}
	}
}

func undisturbed(int) error { return nil }

func countOf(t *testing.T, db *pgtest.Database, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const allRows = `SELECT (SELECT count(*) FROM terminology_system) + (SELECT count(*) FROM terminology_concept)
	+ (SELECT count(*) FROM terminology_above) + (SELECT count(*) FROM terminology_set)`

// largeSystem is a large one with a stored key.
func largeSystem(t *testing.T, n int) *definition.Definition {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"code":"k%d","display":"Kind %d","property":[{"code":"up","valueCode":"k%d"},{"code":"size","valueInteger":%d}],"concept":[{"code":"n%d","designation":[{"language":"de","value":"Darin %d"}]}]}`, i, i, i/2, i%7, i, i)
	}
	r, err := fhir.Decode("CodeSystem", []byte(`{"resourceType":"CodeSystem","url":"http://example.org/large","version":"3","status":"active","content":"complete","caseSensitive":true,
		"property":[{"code":"up","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"},{"code":"size","type":"integer"},{"code":"never","type":"string"}],
		"concept":[`+b.String()[1:]+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return definition.Of(r.Root())
}

// TestTabled reads the same CodeSystem in by many goroutines of two servers.
func TestTabled(t *testing.T) {
	t.Parallel()
	one, db := onTables(t)
	two := New(Config{DB: db.DB})
	d := largeSystem(t, 300)
	d.Key, d.Number = fhir.Key{Type: "CodeSystem", ID: "large"}, 4
	root, err := d.Root()
	if err != nil {
		t.Fatal(err)
	}
	memory := listOf(d, root)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			s := []*Service{one, two}[i%2]
			table, err := s.tabled(t.Context(), d)
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(*memory.head(), *table.head(), sameConcept); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
	if n := countOf(t, db, `SELECT count(*) FROM terminology_system WHERE state = 'ready' AND source = 'CodeSystem/large' AND number = 4`); n != 1 || countOf(t, db, `SELECT count(*) FROM terminology_system`) != 1 {
		t.Errorf("it was read in %d times", n)
	}
	sameAnswers(t, memory, one, d)
}

// sameAnswers compares all concepts and some questions.
func sameAnswers(t *testing.T, memory *listed, s *Service, d *definition.Definition) {
	t.Helper()
	table, err := s.tabled(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []selection{
		{count: -1}, {count: 7, offset: 590}, {text: "kind 1", count: -1}, {text: "darin", count: 5}, {active: true, count: 3},
		{filters: []filter{{"concept", "is-a", "k3"}}, count: -1}, {filters: []filter{{"size", "=", "3"}, {"concept", "is-not-a", "k2"}}, count: 10},
		{filters: []filter{{"never", "exists", "false"}}, count: 1}, {filters: []filter{{"code", "regex", "k.*1"}}, count: -1},
	} {
		want, wantTotal, err := memory.pick(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		got, total, err := table.pick(t.Context(), ask)
		if err != nil || total != wantTotal || !cmp.Equal(want, got, sameConcept) {
			t.Errorf("%+v: %d of %d in tables, %d of %d in memory, %v: %s", ask, len(got), total, len(want), wantTotal, err, cmp.Diff(want, got, sameConcept))
		}
	}
}

// TestTabledWithoutKey reads a code system in that is not stored: the same content is
// the same code system.
func TestTabledWithoutKey(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	for _, d := range []*definition.Definition{largeSystem(t, 20), largeSystem(t, 20), largeSystem(t, 21)} {
		root, err := d.Root()
		if err != nil {
			t.Fatal(err)
		}
		sameAnswers(t, listOf(d, root), s, d)
	}
	if n := countOf(t, db, `SELECT count(*) FROM terminology_system`); n != 2 {
		t.Errorf("%d code systems are in the tables", n)
	}
}

// TestTabledBySession reads a code system in over the only connection of a pool, as
// the server has it.
func TestTabledBySession(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", pgtest.New(t).DSN+" binary_parameters=yes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	d := largeSystem(t, 300)
	root, err := d.Root()
	if err != nil {
		t.Fatal(err)
	}
	sameAnswers(t, listOf(d, root), New(Config{DB: db}), d)
}

// TestLoadBrokenOff ends the reading of a code system in its middle in several ways.
// Nothing of it is ever used, and nothing stays.
func TestLoadBrokenOff(t *testing.T) {
	t.Parallel()
	const n, middle = 45_000, 43_000 // two batches are committed before it
	broken := errors.New("the source ends")
	for _, c := range []struct {
		name string
		end  func(db *pgtest.Database, cancel func()) error
	}{
		{"the source fails", func(*pgtest.Database, func()) error { return broken }},
		{"the caller goes", func(_ *pgtest.Database, cancel func()) error {
			cancel()
			return nil
		}},
		{"the session is cut", func(db *pgtest.Database, _ func()) error {
			const cut = `SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
			_, err := db.Exec(cut)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, db := onTables(t)
			o := origin{source: "loaded", number: 1}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			from := reading{header: header{url: "http://x"}, concepts: numbered(n, func(i int) error {
				if i == middle {
					return c.end(db, cancel)
				}
				return nil
			})}
			if _, err := s.load(ctx, o, from); err == nil {
				t.Fatal("it was read in to its end")
			}
			if rows := countOf(t, db, `SELECT count(*) FROM terminology_concept`); rows == 0 || rows == n {
				t.Fatalf("%d concepts are left: it was not broken off in the middle", rows)
			}
			if half, err := s.open(t.Context(), db, o); half != nil || err != nil {
				t.Fatalf("what is half there can be opened, or %v", err)
			}
			from.concepts = numbered(100, undisturbed)
			if whole, err := s.load(t.Context(), o, from); err != nil || whole.head().count != 100 {
				t.Fatalf("it cannot be read in again: %v", err)
			}
			settle(t, s, db, 100)
		})
	}
}

// settle sweeps until only so many concepts are left: a session that was cut may
// hold its lock a moment longer.
func settle(t *testing.T, s *Service, db *pgtest.Database, want int) {
	t.Helper()
	for begin := time.Now(); ; {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, systems := countOf(t, db, `SELECT count(*) FROM terminology_concept`), countOf(t, db, `SELECT count(*) FROM terminology_system`)
		if left == want && systems == 1 {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d concepts of %d code systems are left", left, systems)
		}
	}
}

// TestSweepWhileLoading leaves alone what is being read in.
func TestSweepWhileLoading(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	loaded, err := s.load(t.Context(), origin{source: "loaded"}, reading{header: header{}, concepts: numbered(25_000, func(i int) error {
		if i == 22_000 {
			return s.Sweep(t.Context())
		}
		return nil
	})})
	if err != nil || loaded.head().count != 25_000 || countOf(t, db, `SELECT count(*) FROM terminology_concept`) != 25_000 {
		t.Errorf("%v", err)
	}
}

// TestSweep removes what a newer version replaces an hour after its last use, and
// what can be read in again when nobody uses it. Who still has it open is told.
func TestSweep(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	load := func(source string, number int, kept bool) *table {
		loaded, err := s.load(t.Context(), origin{source, number, kept}, reading{header: header{url: "http://x", caseSensitive: true}, concepts: numbered(10, undisturbed)})
		if err != nil {
			t.Fatal(err)
		}
		return loaded
	}
	old, current, lone, kept := load("a", 1, false), load("a", 2, false), load("b", 1, false), load("c", 1, true)
	known := func(loaded *table, code string) error {
		c, err := loaded.concept(t.Context(), code)
		if err == nil && c == nil {
			t.Errorf("%s is not there any more", code)
		}
		return err
	}
	check := func(when string, want ...*table) {
		t.Helper()
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, x := range want {
			if err := known(x, "c5"); err != nil {
				t.Errorf("%s: %s %d: %v", when, x.origin.source, x.origin.number, err)
			}
		}
		if n := countOf(t, db, `SELECT count(*) FROM terminology_system`); n != len(want) {
			t.Errorf("%s: %d are left", when, n)
		}
	}
	age := func(by string) {
		if _, err := db.Exec(`UPDATE terminology_system SET used = clock_timestamp() - $1::interval`, by); err != nil {
			t.Fatal(err)
		}
	}
	check("at once", old, current, lone, kept)
	age("2 hours")
	check("after two hours", current, lone, kept)
	if err := known(old, "c7"); fhir.AsOutcome(err) == nil {
		t.Errorf("who has it open finds %v", err)
	}
	if _, _, err := old.pick(t.Context(), selection{text: "concept", count: 1}); fhir.AsOutcome(err) == nil {
		t.Errorf("who has it open finds %v", err)
	}
	age("31 days")
	check("after 31 days", kept)
	if n := countOf(t, db, allRows); n != countOf(t, db, `SELECT 1 + 10 + 9 + count(*)::int FROM terminology_set`) {
		t.Errorf("%d rows are left", n)
	}
}

// TestLoadRefused refuses code systems that the tables cannot take.
func TestLoadRefused(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	chain := make([]concept, 8000)
	for i := range chain {
		chain[i] = concept{code: fmt.Sprint(i), parents: []string{fmt.Sprint(i - 1)}}
	}
	for name, all := range map[string][]concept{
		"long code":  {{code: "a"}, {code: strings.Repeat("x", longestCode+1)}},
		"deep chain": chain,
	} {
		_, err := s.load(t.Context(), origin{source: name}, reading{concepts: seqOf(all)})
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, db, allRows); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

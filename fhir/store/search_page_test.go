package store

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// TestPagesUnderWrites goes through pages while others write: what was there all
// the while and kept its place is shown once, and nothing twice.
func TestPagesUnderWrites(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"", "&_sort=-_lastUpdated", "&_sort=_lastUpdated", "&_sort=-authored-on", "&_sort=priority,-authored-on"} {
		t.Run(sort, func(t *testing.T) {
			t.Parallel()
			db, _ := openInside(t)
			w := newWorld(db, 1)
			const kept = 120
			for n := range kept {
				w.put(t, taskBody("kept", n, n%7))
				w.put(t, taskBody("moved", n, n%5))
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { churn(t, db, stop) })
			q := w.ask(t, "Task?status=requested&_count=7"+sort)
			for range 5 {
				seen := map[string]int{}
				for after := ""; ; {
					m, err := db.Search(t.Context(), access.Trusted("test"), q, after)
					if err != nil {
						t.Error(err)
						break
					}
					for _, k := range versionKeys(m.Versions) {
						seen[k]++
					}
					if after = m.Next; after == "" {
						break
					}
				}
				checkSeen(t, seen, kept, sort != "&_sort=priority,-authored-on" && sort != "&_sort=-authored-on")
			}
			close(stop)
			wg.Wait()
		})
	}
}

func taskBody(id string, n, day int) string {
	return fmt.Sprintf(`{"resourceType":"Task","id":"%s%d","status":"requested","intent":"order","priority":"%s","authoredOn":"2024-01-%02dT10:00:00Z"}`,
		id, n, []string{"routine", "asap"}[n%2], day+1)
}

func checkSeen(t *testing.T, seen map[string]int, kept int, once bool) {
	for n := range kept {
		if k := fmt.Sprintf("Task/kept%d", n); seen[k] != 1 {
			t.Errorf("%s was shown %d times", k, seen[k])
		}
	}
	for k, n := range seen {
		if n > 1 && once {
			t.Errorf("%s was shown %d times", k, n)
		}
	}
}

// churn writes until it is told to stop: it changes, adds and removes.
func churn(t *testing.T, db *DB, stop chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		k := fhir.Key{Type: "Task", ID: fmt.Sprintf("moved%d", n*37%120)}
		body := taskBody("moved", n*37%120, n%28)
		if n%3 == 0 {
			k.ID = fmt.Sprintf("new%d", n)
			body = taskBody("new", n, n%28)
		}
		row, err := db.Row(k, Update, decoded(t, body))
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := db.Put(t.Context(), row, Anything); err != nil {
			t.Error(err)
			return
		}
		if n%5 == 0 {
			if _, err := db.Delete(t.Context(), k, Anything, "", nil); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	p := &position{Format: positionFormat, Back: true, Keys: []searchsql.Value{{Text: "ä"}, {Missing: true}, {Text: "-5"}}, Snapshot: "1:2:"}
	got, err := parsePosition(p.String(), 3)
	if err != nil || !slices.Equal(got.Keys, p.Keys) || !got.Back || got.Snapshot != p.Snapshot {
		t.Errorf("%s was read as %+v, %v", p, got, err)
	}
	if first, err := parsePosition("", 3); first != nil || err != nil {
		t.Errorf("the beginning was read as %v, %v", first, err)
	}
	for _, after := range []string{"x", "{}", `{"f":1,"k":[{"t":"5"}]}`, `{"f":2,"k":[{},{},{}]}`, p.String() + "x"} {
		if _, err := parsePosition(after, 3); fhir.AsOutcome(err) == nil {
			t.Errorf("%s was taken, or failed with %v", after, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add(`{"f":1,"k":[{"t":"5"},{"m":true}]}`)
	f.Add(`{"f":1,"b":true,"k":[{"t":"5"},{"t":"7"}],"s":"1:1:"}`)
	f.Fuzz(func(t *testing.T, after string) {
		p, err := parsePosition(after, 2)
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Errorf("%q: %v is no answer for a client", after, err)
			}
			return
		}
		if p != nil && len(p.Keys) != 2 {
			t.Errorf("%q has %d keys", after, len(p.Keys))
		}
	})
}

func TestSeal(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	plain := []byte(`{"query":"name=x"}`)
	word := db.Seal(plain)
	if db.Seal(plain) != word || bytes.Contains([]byte(word), plain) {
		t.Errorf("%q is not sealed the same way twice", word)
	}
	if got, err := db.Unseal(word); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("unsealed %q, %v", got, err)
	}
	changed := "A" + word[1:]
	if word[0] == 'A' {
		changed = "B" + word[1:]
	}
	other, _ := openInside(t)
	for name, try := range map[string]func() ([]byte, error){
		"changed":                 func() ([]byte, error) { return db.Unseal(changed) },
		"cut":                     func() ([]byte, error) { return db.Unseal(word[:10]) },
		"no base64":               func() ([]byte, error) { return db.Unseal("%") },
		"empty":                   func() ([]byte, error) { return db.Unseal("") },
		"of another installation": func() ([]byte, error) { return other.Unseal(word) },
		"from before a new feed":  func() ([]byte, error) { return unsealAfterRestore(t, db, word) },
	} {
		if _, err := try(); name != "of another installation" && fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = database
}

func unsealAfterRestore(t *testing.T, db *DB, word string) ([]byte, error) {
	if err := db.BeginFeed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db.Unseal(word)
}

// TestForeignPosition hands a position of one search to another.
func TestForeignPosition(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 1)
	w.fill(t)
	for _, after := range []string{"nonsense", `{"f":1,"k":[{"t":"x"},{"t":"5"}]}`, `{"f":1,"k":[{"t":"5"}]}`, `{"f":1,"k":[{"m":true},{"t":"5"}]}`, `{"f":1,"k":[{"t":"ffffffffffffffffff"},{"t":"5;"}]}`} {
		if _, err := db.Search(t.Context(), access.Trusted("test"), w.ask(t, "Task?_sort=-_lastUpdated"), after); fhir.AsOutcome(err) == nil {
			t.Errorf("%s was taken, or failed with %v", after, err)
		}
	}
	var _ search.Query
}

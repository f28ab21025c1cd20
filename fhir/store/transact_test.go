package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

var trustedGrant = access.Trusted("test")

func searchFor(typ, param, value string) search.Request {
	return search.Request{Types: []string{typ}, Params: []search.Parameter{{Name: param, Value: value}, {Name: "_count", Value: "10"}}}
}

func outcomes(all []Written) []Outcome {
	var o []Outcome
	for _, w := range all {
		o = append(o, w.Outcome)
	}
	return o
}

// changeOf makes a change of a resource whose gifts all count.
func changeOf(t testing.TB, db *DB, op Op, expect Expect, body string) Change {
	t.Helper()
	r := decoded(t, body)
	row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, op, r)
	if err != nil {
		t.Fatal(err)
	}
	row.Allowed = row.Gifts
	return Change{row, expect}
}

const (
	basic     = `{"resourceType":"Basic","id":"%s","code":{"text":"%s"}}`
	parameter = `{"resourceType":"SearchParameter","id":"%s","url":"http://sp/%s","name":"%s","status":"active","description":"d","code":"%s","base":["Basic"],"type":"token","expression":"%s"}`
)

// TestAllOrNothing writes what cannot be written as a whole: nothing of it is,
// with SearchParameters or without. Each by itself, what can be is written.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	mustPut(t, db, fmt.Sprintf(basic, "there", "1"))
	code := fmt.Sprintf(parameter, "sp", "sp", "sp", "mine", "Basic.code")
	for _, c := range []struct {
		name    string
		changes []Change
		want    []Outcome
	}{
		{"another version", []Change{changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "a", "1")), changeOf(t, db, Update, 7, fmt.Sprintf(basic, "there", "2"))}, []Outcome{Created, Mismatch}},
		{"there already", []Change{changeOf(t, db, Update, Absent, fmt.Sprintf(basic, "there", "2")), {Row{Key: fhir.Key{Type: "Basic", ID: "x"}, Op: Delete}, Anything}}, []Outcome{Mismatch, Nothing}},
		{"deletion of another version", []Change{{Row{Key: fhir.Key{Type: "Basic", ID: "there"}, Op: Delete}, 3}, changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "b", "1"))}, []Outcome{Mismatch, Created}},
		{"with a SearchParameter", []Change{changeOf(t, db, Update, Anything, code), changeOf(t, db, Update, 7, fmt.Sprintf(basic, "there", "2"))}, []Outcome{Created, Mismatch}},
		{"another version of a SearchParameter", []Change{changeOf(t, db, Update, 2, code), changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "there", "2"))}, []Outcome{Mismatch, Updated}},
	} {
		got, err := db.WriteAll(t.Context(), c.changes, &Receipt{Holder: "h", Key: c.name, Digest: []byte{1}})
		if err != nil || !slices.Equal(outcomes(got), c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, outcomes(got), err, c.want)
		}
		if n := countOf(t, database, "ver"); n != 1 {
			t.Fatalf("%s: there are %d versions, want 1", c.name, n)
		}
		if n := countOf(t, database, "idempotency") + countOf(t, database, "search_param WHERE rid <> 0"); n != 0 {
			t.Errorf("%s: something is left", c.name)
		}
	}
	got, err := db.WriteEach(t.Context(), []Change{
		changeOf(t, db, Update, 7, fmt.Sprintf(basic, "there", "2")), changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "a", "1")), changeOf(t, db, Update, 1, fmt.Sprintf(basic, "there", "3")),
		changeOf(t, db, Update, Anything, code), {Row{Key: fhir.Key{Type: "Basic", ID: "there"}, Op: Delete}, 2},
	})
	if want := []Outcome{Mismatch, Created, Updated, Created, Removed}; err != nil || !slices.Equal(outcomes(got), want) {
		t.Errorf("each: %v, %v; want %v", outcomes(got), err, want)
	}
	settledRows(t, db, database)
}

// TestWriteWithParameter writes a SearchParameter and what it finds in one
// transaction.
func TestWriteWithParameter(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	// Nothing builds here: the end of a build would begin a further generation.
	stop := changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "b", "word"))
	r := &Receipt{Holder: "h", Key: "k", Digest: []byte{1}}
	got, err := db.WriteAll(t.Context(), []Change{stop, changeOf(t, db, Create, Absent, fmt.Sprintf(parameter, "sp", "sp", "sp", "mine", "Basic.code"))}, r)
	if err != nil || !slices.Equal(outcomes(got), []Outcome{Created, Created}) {
		t.Fatal(got, err)
	}
	if n := countOf(t, database, "res r, search_generation g WHERE r.idx_gen < g.gen AND r.id = 'b'"); n != 0 {
		t.Error("a row is of the search parameters of before")
	}
	back, err := db.Received(t.Context(), "h", "k")
	if err != nil || back == nil {
		t.Fatal(back, err)
	}
	if diff := cmp.Diff(got, back.Results); diff != "" {
		t.Errorf("receipt: (-want +got)\n%s", diff)
	}
}

// TestDry says what would become of a transaction, and leaves nothing.
func TestDry(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	patient := `{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o%d"}}`
	trusted(t, db, fmt.Sprintf(patient, 1))
	before := stored(t, database)
	var got []Written
	err := db.Atomically(t.Context(), true, func(ctx context.Context, tx *Tx) (err error) {
		if err := tx.Receive(ctx, Receipt{Holder: "h", Key: "k", Digest: []byte{1}}); err != nil {
			return err
		}
		got, err = tx.Write(ctx, []Change{changeOf(t, db, Update, Anything, fmt.Sprintf(patient, 2)), changeOf(t, db, Create, Absent, fmt.Sprintf(parameter, "sp", "sp", "sp", "mine", "Basic.code"))}, nil)
		if err != nil {
			return err
		}
		now, err := tx.Current(ctx, []fhir.Key{{Type: "Patient", ID: "p"}, {Type: "Patient", ID: "q"}})
		if v := now[fhir.Key{Type: "Patient", ID: "p"}]; err != nil || len(now) != 1 || v.Number != 2 || !strings.Contains(string(v.Stored), "o2") {
			t.Errorf("%+v, %v", now, err)
		}
		return err
	})
	if err != nil || !slices.Equal(outcomes(got), []Outcome{Updated, Created}) {
		t.Errorf("%v, %v", outcomes(got), err)
	}
	if diff := cmp.Diff(before, stored(t, database)); diff != "" {
		t.Error(diff)
	}
	if n := countOf(t, database, "access_event") + countOf(t, database, "idempotency") + countOf(t, database, "search_param WHERE rid <> 0"); n != 0 {
		t.Error("something is left")
	}
}

// TestCurrent reads several resources as one by one.
func TestCurrent(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	trusted(t, db, `{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}}`)
	trusted(t, db, fmt.Sprintf(basic, "b", "1"))
	trusted(t, db, fmt.Sprintf(basic, "b", "2"))
	if _, err := db.Delete(t.Context(), fhir.Key{Type: "Patient", ID: "p"}, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	of := []fhir.Key{{Type: "Basic", ID: "b"}, {Type: "Patient", ID: "p"}, {Type: "Basic", ID: "none"}, {Type: "Nothing", ID: "n"}}
	got, err := db.Current(t.Context(), of)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for _, k := range of[:2] {
		want, err := db.Read(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[k]); diff != "" {
			t.Errorf("%s: (-read +current)\n%s", k, diff)
		}
	}
}

// TestPast marks versions that are loaded as history, alone and in a batch.
func TestPast(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	one, two := changeOf(t, db, Update, Anything, fmt.Sprintf(basic, "one", "1")), changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "two", "1"))
	one.Past, two.Past = true, true
	if _, err := db.Put(t.Context(), one.Row, one.Expect); err != nil {
		t.Fatal(err)
	}
	if _, err := db.WriteAll(t.Context(), []Change{two, changeOf(t, db, Create, Absent, fmt.Sprintf(basic, "three", "1"))}, nil); err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, database, "ver WHERE past AND id IN ('one', 'two')"); n != 2 || countOf(t, database, "ver WHERE past IS NULL") != 1 {
		t.Errorf("%d versions are past, want 2", n)
	}
}

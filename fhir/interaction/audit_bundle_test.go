package interaction_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestBundlesAreRecorded looks at the lines of transactions and batches: one for each
// entry, and for dry runs and repetitions one that says so.
func TestBundlesAreRecorded(t *testing.T) {
	t.Parallel()
	e, db, _ := auditing(t, interaction.Config{})
	s := e.For(access.Trusted("app"), interaction.Origin{Request: "rq"})
	about := func(id string) string {
		return `{"resourceType":"Observation",` + id + `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"}}`
	}
	good := func() interaction.Bundle {
		return bundle(request(t, "PUT Patient/ada", `{"resourceType":"Patient","id":"ada"}`), request(t, "POST Observation", about("")),
			request(t, "POST Observation?status=final", about("")), request(t, "DELETE Observation/none", ""), request(t, "GET Patient/ada", ""), request(t, "GET Observation?patient=ada", ""))
	}
	bad := bundle(good().Entries[1], request(t, "PATCH Patient/none", `[]`), request(t, "PATCH Patient/gone", `[]`))
	seen := 0
	for _, tt := range []struct {
		what string
		act  func() error
		want []string
	}{
		{"a transaction", func() error { _, err := s.Transaction(t.Context(), good()); return err }, []string{
			"create Observation 1 0 [ada] map[]", "create Observation 1 0 [ada] map[]", "delete Observation 0 0 [] map[]", "read Patient 1 0 [ada] map[]", "search-type Observation 0 0 [ada] map[query:Observation?patient=ada]", "update Patient 1 0 [ada] map[]"}},
		{"a transaction that is refused", func() error {
			_, err := s.Transaction(t.Context(), bad)
			refused(t, "a patch of nothing", err, fhir.Unknown)
			return nil
		}, []string{"patch Patient 0 4 [] map[issue:not-found]", "patch Patient 0 4 [] map[issue:not-found]"}},
		{"a batch", func() error { _, err := s.Batch(t.Context(), bad); return err }, []string{
			"create Observation 1 0 [ada] map[]", "patch Patient 0 4 [] map[issue:not-found]", "patch Patient 0 4 [] map[issue:not-found]"}},
		{"a dry run", func() error {
			b := good()
			b.Entries, b.Dry = b.Entries[:2], true
			_, err := s.Transaction(t.Context(), b)
			return err
		}, []string{"transaction  0 0 [ada] map[dry-run:true]"}},
		{"a repetition", func() error {
			b := bundle(good().Entries[1])
			b.Receipt = &store.Receipt{Key: "k", Digest: []byte{1}}
			_, err := s.Transaction(t.Context(), b)
			if err == nil {
				_, err = s.Received(t.Context(), "k", []byte{1})
			}
			return err
		}, []string{"create Observation 1 0 [ada] map[]", "transaction Observation 1 0 [ada] map[replayed:true]"}},
	} {
		done(t, tt.what, tt.act())
		lines, err := db.Lines(t.Context(), store.Lines{Ascending: true, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range lines[seen:] {
			got = append(got, fmt.Sprintf("%s %s %d %d %v %v", l.Interaction, l.Key.Type, l.Version, l.Outcome, l.Patients, l.Detail))
		}
		seen = len(lines)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: recorded\n%s\nwant\n%s", tt.what, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

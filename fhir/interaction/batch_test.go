package interaction_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestBatch performs entries of which some fail, and several that are about one
// resource, which are performed in their order.
func TestBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := "urn:uuid:00000000-0000-4000-8000-000000000001"
	got, err := w.as(w.system(0)).Batch(t.Context(), bundle(
		request(t, "PUT Observation/one", observation("one", "a")),
		request(t, "PATCH Observation/one", `[{"op":"replace","path":"/status","value":"amended"}]`),
		interaction.Entry{Method: "POST", Problem: fhir.Errorf(fhir.Unprocessable, fhir.Invalid, "Patient.name", "No.")},
		request(t, "DELETE Observation/one", ""),
		request(t, "POST Organization", `{"resourceType":"Organization","name":"x"}`),
		request(t, "GET Observation/a", ""),
		request(t, "GET Observation/none", ""),
		request(t, "HEAD Observation/a/_history/1", ""),
		request(t, "GET Patient?family=a", ""),
		named(t, link, "POST Observation", observation("x", "a")),
		request(t, "POST Observation", strings.Replace(observation("x", "a"), `"status"`, `"hasMember":[{"reference":"`+link+`"}],"status"`, 1)),
	))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		outcome store.Outcome
		version int
		class   fhir.Class
	}{
		{store.Created, 1, 0}, {store.Updated, 2, 0}, {0, 0, fhir.Unprocessable}, {store.Removed, 3, 0}, {0, 0, fhir.Denied},
		{0, 1, 0}, {0, 0, fhir.Unknown}, {0, 1, 0}, {0, 0, 0}, {store.Created, 1, 0}, {store.Created, 1, 0},
	} {
		r := got[i]
		if want.class != 0 {
			refused(t, "an entry", r.Err, want.class)
		} else if r.Err != nil || r.Outcome != want.outcome || r.Number != want.version {
			t.Errorf("entry %d: outcome %d, version %d, %v; want %d, %d", i, r.Outcome, r.Number, r.Err, want.outcome, want.version)
		}
	}
	if found := got[8].Found; found == nil || len(found.Versions) != 1 {
		t.Errorf("the search finds %+v", found)
	}
	if text := w.stored(got[10].Key); !strings.Contains(text, link) {
		t.Errorf("the entries of a batch do not name one another: %s", text)
	}
}

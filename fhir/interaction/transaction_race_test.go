package interaction_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestTransactionsOverlap lets clients change the same resources, in different orders,
// all at once: each transaction succeeds, and none is lost.
func TestTransactionsOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 6 {
		w.put(observation(fmt.Sprint(i), "a"))
	}
	const clients, each = 12, 4
	doctor := w.as(w.doctor("a"))
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := range each {
				var entries []interaction.Entry
				for i := range 4 {
					target := (c + n + i*(1+c%3)) % 6
					entry := request(t, fmt.Sprintf("PATCH Observation/%d", target), fmt.Sprintf(`[{"op":"add","path":"/note","value":[{"text":"%d-%d"}]}]`, c, n))
					if i > 0 && entries[0].Key == entry.Key || i > 1 && entries[1].Key == entry.Key || i > 2 && entries[2].Key == entry.Key {
						continue
					}
					entries = append(entries, entry)
				}
				entries = append(entries, request(t, "POST Observation", observation("x", "a")))
				by := doctor
				if c%2 == 0 {
					by = w.trusted
				}
				_, err := by.Transaction(t.Context(), bundle(entries...))
				for o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Clash; o = fhir.AsOutcome(err) {
					_, err = by.Transaction(t.Context(), bundle(entries...))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	page := typedPage("Observation", "_summary=count")
	found, err := w.trusted.Search(t.Context(), page)
	if want := 6 + 2 + clients*each; err != nil || found.Total != want {
		t.Errorf("%d Observations, %v; want %d", found.Total, err, want)
	}
}

// TestOneIsCreated lets many send a transaction that creates something unless it is
// there.
func TestOneIsCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			got, err := doctor.Transaction(t.Context(), bundle(
				named(t, "urn:oid:1.2", "POST Patient?identifier=urn:x|1", `{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}],"managingOrganization":{"reference":"Organization/a"}}`),
				request(t, "POST Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:oid:1.2"}}`),
			))
			if err != nil {
				t.Error(err)
			} else if got[0].Outcome == store.Created {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Errorf("%d were created", created.Load())
	}
	found, err := doctor.Search(t.Context(), typedPage("Observation", "patient.identifier=urn:x|1&_summary=count"))
	if err != nil || found.Total != 32 {
		t.Errorf("%d Observations of one Patient, %v; want 32", found.Total, err)
	}
}

// TestOneIsCarriedOut lets many send a request with one key at once: one is carried
// out, the others learn that it is being or was.
func TestOneIsCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	entries := []interaction.Entry{request(t, "POST Observation", observation("x", "a")), request(t, "GET Patient/a", "")}
	for i, name := range []string{"straight", "reading"} {
		b := bundle(entries[:i+1]...)
		b.Receipt = &store.Receipt{Key: name, Digest: []byte{1}}
		if name == "reading" {
			b.Compose = func(all []interaction.Reply) ([]byte, error) { return all[1].Stored, nil }
		}
		var first atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, err := doctor.Transaction(t.Context(), b)
				o := fhir.AsOutcome(err)
				switch {
				case err == nil:
					first.Add(1)
				case errors.Is(err, store.ErrReceived):
				case o == nil || o.Class != fhir.Clash || o.Issues[0].Detail != "request-in-flight":
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if first.Load() != 1 {
			t.Errorf("%s: %d were carried out", name, first.Load())
		}
		r, err := doctor.Received(t.Context(), name, []byte{1})
		if err != nil || r == nil || r.Replies[0].Outcome != store.Created || name == "reading" && r.Body == nil {
			t.Errorf("%s: received %+v, %v", name, r, err)
		}
		found, err := doctor.Search(t.Context(), typedPage("Observation", "_summary=count"))
		if want := 2 + i; err != nil || found.Total != want {
			t.Errorf("%s: %d Observations, %v; want %d", name, found.Total, err, want)
		}
	}
}

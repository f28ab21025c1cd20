package interaction_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestMergesAtOnce merges two patients in both directions at once: one merge is done.
func TestMergesAtOnce(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 6 {
		q := mergeOf("old", "new")
		if i%2 == 1 {
			q = mergeOf("new", "old")
		}
		wg.Go(func() {
			switch _, err := w.trusted.Merge(t.Context(), q); {
			case err == nil:
				won.Add(1)
			case fhir.AsOutcome(err) == nil:
				t.Errorf("a fault: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d merges were done", won.Load())
	}
	gone := "old"
	if strings.Contains(bodies(t, w)["Patient/new"], "replaced-by") {
		gone = "new"
	}
	nobodyNames(t, w, gone)
}

// TestMergeBesideWriters merges while others write about the source at full speed: what was acknowledged
// is there, and about the target.
func TestMergeBesideWriters(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	wrote := map[string]int{} // version that was acknowledged, by id
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id, who := fmt.Sprintf("w%d-%d", n, i), "old"
				if i%4 == 3 {
					id = fmt.Sprintf("w%d-%d", n, i-1) // again
				}
				for range 2 {
					body := decode(t, strings.Replace(observation(id, who), `"final"`, fmt.Sprintf(`"amended","note":[{"text":"%d"}]`, i), 1))
					done, err := w.trusted.Update(t.Context(), id, body, store.Anything)
					if err == nil {
						mu.Lock()
						wrote[id] = max(wrote[id], done.Number)
						mu.Unlock()
						break
					}
					if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable {
						t.Errorf("write: %v", err)
						return
					}
					who = "new"
				}
			}
		})
	}
	for range 3 {
		for _, act := range []func() error{
			func() error { _, err := w.trusted.Merge(t.Context(), mergeOf("old", "new")); return err },
			func() error {
				_, err := w.trusted.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new"))
				return err
			},
		} {
			if err := act(); err != nil {
				t.Errorf("beside writers: %v", err)
			}
		}
	}
	_, err := w.trusted.Merge(t.Context(), mergeOf("old", "new"))
	done(t, "the last merge", err)
	close(stop)
	wg.Wait()
	for id, n := range wrote {
		v, err := w.trusted.Read(t.Context(), key("Observation/"+id))
		if err != nil || v.Number < n || !strings.Contains(string(v.Stored), "Patient/new") {
			t.Errorf("%s: version %d was acknowledged, there is %v, %v", id, n, v, err)
		}
	}
	if len(wrote) < 20 {
		t.Errorf("only %d were written beside", len(wrote))
	}
	nobodyNamesAmong(t, w, wrote)
}

func nobodyNamesAmong(t *testing.T, w *world, ids map[string]int) {
	t.Helper()
	for id := range ids {
		v, err := w.trusted.Read(t.Context(), key("Observation/"+id))
		if err != nil || strings.Contains(string(v.Stored), "Patient/old") {
			t.Errorf("%s refers to the source, %v", id, err)
		}
	}
}

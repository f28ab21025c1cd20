package interaction_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// newDesk returns a world whose practices take forms.
func newDesk(t testing.TB) *world {
	t.Helper()
	pg := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: pg.DSN, Conns: 8, Unsafe: true, Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	checks := interaction.NewChecks(db, terminology.Config{DB: pg.DB}, nil)
	w := worldOf(t, interaction.New(interaction.Config{Store: db, Checks: checks, Conversation: &interaction.Conversation{}}))
	w.put(`{"resourceType":"Questionnaire","id":"ask","url":"https://a.example/ask","version":"1","status":"active",
		"code":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}],"item":[{"linkId":"text","text":"What is it?","type":"text"}]}`)
	return w
}

// asking returns a form of patient a.
func asking(identifier, text string) string {
	if identifier != "" {
		identifier = fmt.Sprintf(`"identifier":{"system":"https://app.example/forms","value":%q},`, identifier)
	}
	return fmt.Sprintf(`{"resourceType":"QuestionnaireResponse",%s"questionnaire":"https://a.example/ask|1","status":"completed","subject":{"reference":"Patient/a"},"item":[{"linkId":"text","answer":[{"valueString":%q}]}]}`, identifier, text)
}

// TestSubmissionsAtOnce sends forms with the same identifier at the same moment. Those that say
// the same are one consultation; of those that do not one is taken.
func TestSubmissionsAtOnce(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	for _, alike := range []bool{true, false} {
		name := fmt.Sprint("alike ", alike)
		var made, repeated, refused atomic.Int32
		tasks := sync.Map{}
		var group sync.WaitGroup
		for i := range 8 {
			text := name
			if !alike {
				text = strings.Repeat(fmt.Sprint("words of number ", i, " "), i+1)
			}
			group.Go(func() {
				done, err := w.as(w.patient("a")).Create(t.Context(), decode(t, asking(name, text)))
				switch o := fhir.AsOutcome(err); {
				case o != nil && o.Issues[0].Detail == "identifier-in-use" && o.Class == fhir.Clash:
					refused.Add(1)
				case err != nil:
					t.Error(err)
				case done.Repeated:
					repeated.Add(1)
					tasks.Store(done.Links[0].Key, true)
				default:
					made.Add(1)
					tasks.Store(done.Links[0].Key, true)
				}
			})
		}
		group.Wait()
		n := 0
		tasks.Range(func(any, any) bool { n++; return true })
		if made.Load() != 1 || alike && repeated.Load() != 7 || !alike && refused.Load() != 7 || n != 1 {
			t.Errorf("%s: %d made, %d repeated, %d refused, %d Tasks", name, made.Load(), repeated.Load(), refused.Load(), n)
		}
	}
}

// TestSubmissionIdentifiers has others use an identifier that somebody uses: each has their own.
func TestSubmissionIdentifiers(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	client := w.system(access.AssertAuthor | access.AssertPatient)
	for name, terms := range map[string]access.Terms{"the patient": w.patient("a"), "a product": client} {
		done, err := w.as(terms).Create(t.Context(), decode(t, asking("1", "From "+name)))
		if err != nil || done.Repeated {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
		_, err = w.as(terms).Create(t.Context(), decode(t, asking("1", "Another one from "+name)))
		if used, is := err.(*interaction.InUse); !is || used.By != done.Key {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkSubmission has a patient send forms, each of which becomes a request with all that
// comes of it.
func BenchmarkSubmission(b *testing.B) {
	w := newDesk(b)
	for i := range 100 {
		w.put(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","managingOrganization":{"reference":"Organization/a"},"name":[{"family":"p"}]}`, i))
	}
	var sessions []*interaction.Session
	for i := range 100 {
		sessions = append(sessions, w.as(w.patient(fmt.Sprint("p", i))))
	}
	n := 0 // nobody sends the same twice
	for _, key := range []bool{false, true} {
		b.Run(fmt.Sprintf("key=%v", key), func(b *testing.B) {
			b.ReportAllocs()
			for ; b.Loop(); n++ {
				body := strings.ReplaceAll(asking("", fmt.Sprint("It has been so for ", n*7919, " days and ", n*104729, " nights, and on the ", n*1299709, "th")), "Patient/a", fmt.Sprint("Patient/p", n%100))
				bundle := interaction.Bundle{Single: true, Entries: []interaction.Entry{{Method: "POST", Key: fhir.Key{Type: "QuestionnaireResponse"}, Resource: decode(b, body)}}}
				if key {
					bundle.Receipt = &store.Receipt{Key: fmt.Sprint("form-", n), Digest: []byte("digest")}
				}
				if _, err := sessions[n%100].Transaction(b.Context(), bundle); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "forms/s")
		})
	}
}

package interaction_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A clinic is a world in which the practice a has asked the hospital c for advice, with as many
// messages as it takes, of which every fifth is a note of the practice.
type clinic struct {
	*world
	task     fhir.Key
	messages []string // ids in the order in which they were sent
}

func newClinic(t testing.TB, n int) *clinic {
	t.Helper()
	pg := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: pg.DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	checks := interaction.NewChecks(db, terminology.Config{DB: pg.DB}, nil)
	e := interaction.New(interaction.Config{Store: db, Checks: checks, Conversation: &interaction.Conversation{}})
	w := &clinic{worldOf(t, e), key("Task/ask"), nil}
	w.past("Task", "ask", `"status":"completed","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}]},
		"for":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"owner":{"reference":"Organization/c"},"groupIdentifier":{"system":"https://fhir.openconsult.example/Id/thread","value":"t"}`)
	begun := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i := range n {
		id, category, to := fmt.Sprintf("m%d", (i*37)%n), "advice-and-guidance", "c"
		if i%5 == 4 {
			category, to = "internal-note", "a"
		}
		w.messages = append(w.messages, id)
		w.past("Communication", id, fmt.Sprintf(`"status":"completed","partOf":[{"reference":"Task/ask"}],"category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":"%s"}]}],
			"subject":{"reference":"Patient/a"},"sent":"%s","sender":{"reference":"PractitionerRole/a"},"recipient":[{"reference":"Organization/%s"}],"payload":[{"contentString":"What message %d says, in some words of a usual length."}]`,
			category, begun.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), to, i))
	}
	return w
}

// past loads a resource as history.
func (w *clinic) past(typ, id, elements string) {
	w.t.Helper()
	e := request(w.t, "PUT "+typ+"/"+id, `{"resourceType":"`+typ+`","id":"`+id+`",`+elements+`}`)
	if _, err := w.trusted.Transaction(w.t.Context(), interaction.Bundle{Entries: []interaction.Entry{e}, Single: true, Past: true}); err != nil {
		w.t.Fatal(err)
	}
}

// TestThreadPages reads a conversation page by page while messages come: each is on one page,
// in the order in which they were sent, and none that the caller is not shown.
func TestThreadPages(t *testing.T) {
	t.Parallel()
	w := newClinic(t, 23)
	var shown []string
	for i, id := range w.messages {
		if i%5 != 4 {
			shown = append(shown, id)
		}
	}
	for name, want := range map[string][]string{"a": w.messages, "c": shown} {
		var got []string
		q := interaction.ThreadRequest{Task: w.task, Count: 4}
		for {
			th, err := w.as(w.doctor(name)).Thread(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if th.Total != len(want) {
				t.Errorf("%s: the total is %d, not %d", name, th.Total, len(want))
			}
			for _, m := range th.Messages {
				got = append(got, m.Key.ID)
			}
			if q.After = th.Next; th.Next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the pages have %v, not %v", name, got, want)
		}
	}
	if _, err := w.as(w.doctor("b")).Thread(t.Context(), interaction.ThreadRequest{Task: w.task}); fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unknown {
		t.Errorf("a stranger gets %v", err)
	}
}

// TestRetractRace takes a message back while it is read, marked and taken back by others: it is
// gone, its receipt has come to one end, and nobody is told of a fault.
func TestRetractRace(t *testing.T) {
	t.Parallel()
	w := newClinic(t, 1)
	w.past("Task", "receipt", `"status":"completed","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},
		"partOf":[{"reference":"Task/ask"}],"focus":{"reference":"Communication/m0"},"for":{"reference":"Patient/a"},"requester":{"reference":"Device/server"},"owner":{"reference":"Organization/c"}`)
	ready := `{"resourceType":"Task","id":"receipt","status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},
		"partOf":[{"reference":"Task/ask"}],"focus":{"reference":"Communication/m0"},"for":{"reference":"Patient/a"},"requester":{"reference":"Device/server"},"owner":{"reference":"Organization/c"}}`
	if _, err := w.engine.System(interaction.Origin{}).Update(t.Context(), "receipt", decode(t, ready), store.Anything); err != nil {
		t.Fatal(err)
	}
	message := key("Communication/m0")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := w.as(w.doctor("a")).Retract(t.Context(), message, "wrong"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := w.as(w.doctor("c")).MarkRead(t.Context(), message); err != nil && (fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unknown) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	v, err := w.trusted.Read(t.Context(), message)
	if err != nil || v.Number != 2 {
		t.Errorf("the message has version %v: %v", v, err)
	}
	r, err := w.trusted.Read(t.Context(), key("Task/receipt"))
	if err != nil || r.Number != 3 {
		t.Errorf("the receipt is %v: %v", r, err)
	}
	for _, name := range []string{"a", "c"} {
		if _, err := w.as(w.doctor(name)).Read(t.Context(), message); fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unknown {
			t.Errorf("%s reads what was taken back: %v", name, err)
		}
		if _, err := w.as(w.doctor(name)).ReadAt(t.Context(), message, time.Now()); fhir.AsOutcome(err) == nil || fhir.AsOutcome(err).Class != fhir.Unknown {
			t.Errorf("%s reads what was taken back at a time: %v", name, err)
		}
	}
}

// BenchmarkThread reads a conversation of 50 messages.
func BenchmarkThread(b *testing.B) {
	w := newClinic(b, 50)
	by := w.as(w.doctor("c"))
	b.ReportAllocs()
	for b.Loop() {
		if th, err := by.Thread(b.Context(), interaction.ThreadRequest{Task: w.task}); err != nil || th.Total != 40 {
			b.Fatal(th, err)
		}
	}
}

package interaction_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A surgery is a practice with a diary of Slots of a quarter of an hour, the doctor a and
// patients p0, p1 and so on.
type surgery struct {
	*world
	slots int
}

func newSurgery(t testing.TB, slots, patients int) *surgery {
	t.Helper()
	pg := pgtest.New(t)
	db, err := store.Open(t.Context(), store.Config{DSN: pg.DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	checks := interaction.NewChecks(db, terminology.Config{DB: pg.DB}, nil)
	checks.StructureOnly = true
	e := interaction.New(interaction.Config{Store: db, Checks: checks, Conversation: &interaction.Conversation{}, Now: func() time.Time { return now }})
	s := &surgery{&world{t, e, e.For(access.Trusted("test"), interaction.Origin{})}, slots}
	s.put(`{"resourceType":"Organization","id":"a"}`)
	s.put(`{"resourceType":"Practitioner","id":"a"}`)
	s.put(`{"resourceType":"PractitionerRole","id":"a","practitioner":{"reference":"Practitioner/a"},"organization":{"reference":"Organization/a"}}`)
	s.put(`{"resourceType":"HealthcareService","id":"a","providedBy":{"reference":"Organization/a"}}`)
	s.put(`{"resourceType":"Schedule","id":"a","actor":[{"reference":"HealthcareService/a"}]}`)
	for i := range slots {
		s.put(s.slot(i, "free"))
	}
	for i := range patients {
		s.put(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","managingOrganization":{"reference":"Organization/a"}}`, i))
	}
	return s
}

// slot returns the Slot with a number: they follow one another from noon on.
func (s *surgery) slot(i int, status string) string {
	at := time.Date(2026, 3, 2, 12, 15*i, 0, 0, time.UTC)
	return fmt.Sprintf(`{"resourceType":"Slot","id":"s%d","schedule":{"reference":"Schedule/a"},"status":%q,"start":%q,"end":%q}`,
		i, status, at.Format(time.RFC3339), at.Add(15*time.Minute).Format(time.RFC3339))
}

// visit returns an Appointment of a patient that is booked from one Slot to another.
func visit(patient, from, to int) string {
	var slots string
	for i := from; i <= to; i++ {
		if i > from {
			slots += ","
		}
		slots += fmt.Sprintf(`{"reference":"Slot/s%d"}`, i)
	}
	return fmt.Sprintf(`{"resourceType":"Appointment","status":"booked","slot":[%s],"participant":[{"actor":{"reference":"Patient/p%d"},"status":"accepted"},{"actor":{"reference":"HealthcareService/a"},"status":"accepted"}]}`, slots, patient)
}

const cancelled = `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"add","path":"/cancelationReason","value":{"text":"well"}}]`

// TestOneBooks lets fifty book one Slot at once, patients and staff: one gets it.
func TestOneBooks(t *testing.T) {
	t.Parallel()
	s := newSurgery(t, 3, 25)
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		by := s.as(s.patient(fmt.Sprintf("p%d", i/2)))
		if i%2 == 1 {
			by = s.as(s.doctor("a"))
		}
		wg.Go(func() {
			_, err := by.Create(t.Context(), decode(t, visit(i/2, i%2, 1+i%2))) // they want the one in the middle, and one beside it
			switch o := fhir.AsOutcome(err); {
			case err == nil:
				won.Add(1)
			case o != nil && o.Class == fhir.Clash && o.Issues[0].Detail == "slot-unavailable":
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d have it, %d were told that it is taken", won.Load(), lost.Load())
	}
	s.agree()
}

// TestDiaryHolds lets many book, move and cancel the same few Slots, and others meddle with them: in
// the end each Slot is busy because of exactly one Appointment, or free.
func TestDiaryHolds(t *testing.T) {
	t.Parallel()
	const slots, patients, clients, each = 6, 4, 8, 30
	s := newSurgery(t, slots, patients)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	var visits []fhir.Key
	var done [6]atomic.Int32
	var wg sync.WaitGroup
	for c := range clients {
		r := rand.New(rand.NewPCG(seed, uint64(c)))
		patient := r.IntN(patients)
		by := []*interaction.Session{s.trusted, s.as(s.doctor("a")), s.as(s.patient(fmt.Sprintf("p%d", patient)))}[c%3]
		wg.Go(func() {
			for range each {
				mu.Lock()
				k := fhir.Key{Type: "Appointment", ID: "none"}
				if len(visits) > 0 {
					k = visits[max(0, len(visits)-1-r.IntN(slots))]
				}
				mu.Unlock()
				from := r.IntN(slots)
				to := min(slots-1, from+r.IntN(2))
				what := [...]int{0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 5}[r.IntN(12)]
				made, err := s.meddle(by, what, k, [3]int{patient, from, to})
				switch o := fhir.AsOutcome(err); {
				case err == nil:
					done[what].Add(1)
				case o == nil:
					t.Errorf("%d: %v", what, err)
				}
				if made.ID != "" {
					mu.Lock()
					visits = append(visits, made)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for what := range done {
		t.Logf("%d times %d", done[what].Load(), what)
		if what < 2 && done[what].Load() == 0 {
			t.Errorf("%d was never done", what)
		}
	}
	s.agree()
}

// meddle does something with a diary: books, cancels, moves, frees a Slot by hand, deletes an
// Appointment, or cancels one and books another one with it. It returns the Appointment that it has
// made.
func (s *surgery) meddle(by *interaction.Session, what int, k fhir.Key, of [3]int) (fhir.Key, error) {
	ctx := s.t.Context()
	switch what {
	case 0:
		made, err := by.Create(ctx, decode(s.t, visit(of[0], of[1], of[2])))
		return made.Key, err
	case 1:
		_, err := by.Patch(ctx, k, interaction.Change{JSON: []byte(cancelled)}, store.Anything)
		return fhir.Key{}, err
	case 2:
		_, err := by.Patch(ctx, k, interaction.Change{JSON: fmt.Appendf(nil, `[{"op":"replace","path":"/slot","value":[{"reference":"Slot/s%d"}]},{"op":"remove","path":"/start"},{"op":"remove","path":"/end"}]`, of[1])}, store.Anything)
		return fhir.Key{}, err
	case 3:
		id := fmt.Sprintf("s%d", of[1])
		_, err := by.Update(ctx, id, decode(s.t, s.slot(of[1], "free")), store.Anything)
		return fhir.Key{}, err
	case 4:
		_, err := by.Delete(ctx, k, store.Anything)
		return fhir.Key{}, err
	}
	both, err := by.Transaction(ctx, bundle(request(s.t, "POST Appointment", visit(of[0], of[1], of[2])), request(s.t, "PATCH "+k.String(), cancelled)))
	if err != nil {
		return fhir.Key{}, err
	}
	return both[0].Key, nil
}

// agree holds the Slots against the Appointments.
func (s *surgery) agree() {
	s.t.Helper()
	ctx := s.t.Context()
	held := map[string]int{}
	found, err := s.trusted.Search(ctx, typedPage("Appointment", "status=booked&_count=1000"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, v := range found.Versions {
		r := decode(s.t, string(v.Stored))
		for slot := range r.Root().Each("slot") {
			held[slot.Child("reference").Text()]++
		}
	}
	busy := 0
	for i := range s.slots {
		k := fhir.Key{Type: "Slot", ID: fmt.Sprintf("s%d", i)}
		v, err := s.trusted.Read(ctx, k)
		if err != nil {
			s.t.Fatal(err)
		}
		status := decode(s.t, string(v.Stored)).Root().Child("status").Text()
		if n := held[k.String()]; n > 1 || (status == "busy") != (n == 1) || status != "busy" && status != "free" {
			s.t.Errorf("%s is %s and %d Appointments hold it", k, status, n)
		}
		if status == "busy" {
			busy++
		}
	}
	s.t.Logf("%d of %d Slots are busy", busy, s.slots)
}

// TestOneIsAskedFor lets a patient ask many times at once for the same repeat prescription: one
// request is stored.
func TestOneIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSurgery(t, 0, 1)
	s.put(`{"resourceType":"MedicationRequest","id":"mr","status":"active","intent":"plan","medicationCodeableConcept":{"text":"Ramipril"},"subject":{"reference":"Patient/p0"},"dispenseRequest":{"numberOfRepeatsAllowed":3}}`)
	task := `{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"prescription-reissue"}]},
		"focus":{"reference":"MedicationRequest/mr"},"for":{"reference":"Patient/p0"},"requester":{"reference":"Patient/p0"},"owner":{"reference":"Organization/a"}}`
	by := s.as(s.patient("p0"))
	var stored atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			_, err := by.Create(t.Context(), decode(t, task))
			if o := fhir.AsOutcome(err); err == nil {
				stored.Add(1)
			} else if o == nil || o.Issues[0].Detail != "already-requested" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if stored.Load() != 1 {
		t.Errorf("%d were stored", stored.Load())
	}
}

// BenchmarkBook books a Slot as its patient, and gives it back.
func BenchmarkBook(b *testing.B) {
	s := newSurgery(b, 1, 1)
	by := s.as(s.patient("p0"))
	for b.Loop() {
		made, err := by.Create(b.Context(), decode(b, visit(0, 0, 0)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := by.Patch(b.Context(), made.Key, interaction.Change{JSON: []byte(cancelled)}, store.Anything); err != nil {
			b.Fatal(err)
		}
	}
}

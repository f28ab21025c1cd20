package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A world is a database with messages, on which engines are at work. Its time stands still unless
// it is moved on.
type world struct {
	t     *testing.T
	db    *pgtest.Database
	store *store.DB
	desk  *desk

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.New(t), now: start, desk: &desk{letters: map[string]*Letter{}, writes: map[string][]string{}}}
	var err error
	w.store, err = store.Open(t.Context(), store.Config{DSN: w.db.DSN, Conns: 6, Unsafe: true, BaseURL: "https://fhir.example.org/fhir"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	pulsing := make(chan error, 1)
	go func() { pulsing <- w.store.RunPulse(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-pulsing, w.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// engine returns an engine that sends by some providers.
func (w *world) engine(channels map[consultation.Channel]Provider, change func(*Config)) *Engine {
	w.t.Helper()
	c := Config{Store: w.store, DSN: w.db.DSN, Channels: map[consultation.Channel]Sender{}, Link: "https://example.org/m/{id}", Now: w.Now, Idle: 10 * time.Millisecond,
		Node: "test", Log: slog.New(slog.NewTextHandler(w.t.Output(), nil))}
	for name, p := range channels {
		c.Channels[name] = Sender{Provider: p, Secret: []byte("0123456789abcdef")}
	}
	change(&c)
	e, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { e.Close() })
	return e
}

// run runs an engine until it is stopped or the test ends.
func (w *world) run(e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx, w.desk); err != nil {
			w.t.Error(err)
		}
	}()
	<-e.ready
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// message stores a message that is to be sent, which the desk knows as l.
func (w *world) message(id string, l Letter) {
	w.t.Helper()
	l.Status = "in-progress"
	w.desk.set(id, &l)
	w.put("Communication", id, `"status":"in-progress","basedOn":[{"reference":"CommunicationRequest/cr-`+id+`"}]`)
}

func (w *world) put(typ, id, rest string) {
	w.t.Helper()
	r, err := fhir.Decode(typ, fmt.Appendf(nil, `{"resourceType":%q,"id":%q,%s}`, typ, id, rest))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.store.Row(fhir.Key{Type: typ, ID: id}, store.Update, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if done, err := w.store.Put(w.t.Context(), row, store.Anything); err != nil || done.Outcome != store.Created && done.Outcome != store.Updated {
		w.t.Fatal(done, err)
	}
}

// until waits for something to be true.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("it is not so that %s", what)
		}
		store.Wait(w.t.Context(), 5*time.Millisecond, nil)
	}
}

func (w *world) is(id, status string) {
	w.t.Helper()
	w.until(id+" is "+status, func() bool { return w.desk.status(id) == status })
}

// A desk keeps letters, and writes what becomes of them as the server does: forward only.
type desk struct {
	mu       sync.Mutex
	letters  map[string]*Letter
	writes   map[string][]string // statuses, by message
	read     []string
	attempts []Attempt
}

func (d *desk) set(id string, l *Letter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters[id] = l
}

func (d *desk) status(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.letters[id].Status
}

func (d *desk) written(id string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.writes[id])
}

func (d *desk) revoke(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters[id].Revoked = true
}

func (d *desk) Letter(_ context.Context, id string, _ []consultation.Channel) (*Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.letters[id]
	if !ok {
		return nil, nil
	}
	copied := *l
	return &copied, nil
}

func (d *desk) Delivered(_ context.Context, o Outcome) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.letters[o.Message]; consultation.MayProgress(l.Status, o.Status) {
		l.Status = o.Status
		d.writes[o.Message] = append(d.writes[o.Message], o.Status)
	}
	if !o.Read.IsZero() && !slices.Contains(d.read, o.Message) {
		d.read = append(d.read, o.Message)
	}
	return nil
}

func (d *desk) Attempted(_ context.Context, a Attempt) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts = append(d.attempts, a)
	return nil
}

func (d *desk) Heard(context.Context, Callback) error { return nil }

// A box is a provider that keeps what it gets.
type box struct {
	mu     sync.Mutex
	got    []Message
	answer func(Message) (Acceptance, error) // nil takes everything
}

func (b *box) Send(_ context.Context, m Message) (Acceptance, error) {
	b.mu.Lock()
	b.got = append(b.got, m)
	answer := b.answer
	b.mu.Unlock()
	if answer == nil {
		return Acceptance{}, nil
	}
	return answer(m)
}

func (b *box) all() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

func by(channels ...consultation.Channel) []consultation.Way {
	var all []consultation.Way
	for _, c := range channels {
		all = append(all, consultation.Way{Channel: c, Address: "07700900123"})
	}
	return all
}

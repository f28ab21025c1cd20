package definition

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long Get waits for somebody else to finish what it needs. Whoever
// waits longer makes it, too: two that wait for each other, as those do that follow
// value sets in a circle from different ends, must come to an end.
const patience = 2 * time.Second

// A Memo keeps what was made from definitions. Each Definition holds it itself: it goes
// when the Definition is no longer current, or was not used for so long that the
// Catalog makes room. The zero Memo is ready; it must not be copied.
type Memo[T any] struct {
	_ byte // gives every Memo an address of its own
}

// A memory is what the memos keep by one Definition.
type memory struct {
	mu   sync.Mutex
	kept atomic.Pointer[[]memorized] // replaced, never changed
}

// memorized is what one Memo keeps: a *making[T] for a *Memo[T].
type memorized struct{ memo, making any }

// A making is something that is made, or is ready when done is closed.
type making[T any] struct {
	done  chan struct{}
	value T
	ok    bool
}

// Get returns what make gives for d, which it does once, however many ask. An error is
// handed on and not kept, so that it may be one of the moment; what is wrong with d
// for good should be part of T. If make calls Get for other definitions it must not
// come back to d.
func (m *Memo[T]) Get(d *Definition, make func() (T, error)) (T, error) {
	w, mine := m.of(d)
	if mine {
		return m.make(d, w, make)
	}
	select {
	case <-w.done:
	default:
		w.wait()
	}
	if w.ready() {
		return w.value, nil
	}
	return make()
}

// of returns what is kept for d, or that the caller has to make it.
func (m *Memo[T]) of(d *Definition) (w *making[T], mine bool) {
	if w := m.find(d); w != nil {
		return w, false
	}
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	if w := m.find(d); w != nil {
		return w, false
	}
	w = &making[T]{done: make(chan struct{})}
	d.memory.replace(append(slices.Clone(d.memory.list()), memorized{m, w}))
	return w, true
}

func (m *Memo[T]) find(d *Definition) *making[T] {
	for _, x := range d.memory.list() {
		if x.memo == any(m) {
			return x.making.(*making[T])
		}
	}
	return nil
}

// make makes it for everybody. What fails, or panics, is forgotten.
func (m *Memo[T]) make(d *Definition, w *making[T], make func() (T, error)) (T, error) {
	defer func() {
		if !w.ok {
			m.forget(d)
		}
		close(w.done)
	}()
	value, err := make()
	if err == nil {
		w.value, w.ok = value, true
	}
	return value, err
}

func (m *Memo[T]) forget(d *Definition) {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	d.memory.replace(slices.DeleteFunc(slices.Clone(d.memory.list()), func(x memorized) bool { return x.memo == any(m) }))
}

func (m *memory) list() []memorized {
	if p := m.kept.Load(); p != nil {
		return *p
	}
	return nil
}

func (m *memory) replace(list []memorized) { m.kept.Store(&list) }

func (w *making[T]) wait() {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
}

// ready reports whether value may be used.
func (w *making[T]) ready() bool {
	select {
	case <-w.done:
		return w.ok
	default:
		return false
	}
}

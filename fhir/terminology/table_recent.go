package terminology

import (
	"container/list"
	"sync"
)

// A recent keeps what was used last, up to a weight. The zero value is not usable.
type recent[K comparable, V any] struct {
	mu     sync.Mutex
	most   int
	weight int
	order  *list.List // of *kept[K, V], the last used one first
	byKey  map[K]*list.Element
}

type kept[K comparable, V any] struct {
	key    K
	value  V
	weight int
}

// newRecent returns one that keeps values that weigh most together.
func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, order: list.New(), byKey: map[K]*list.Element{}}
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.byKey[key]
	if !ok {
		return value, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*kept[K, V]).value, true
}

// put keeps a value, unless it weighs more than all may.
func (r *recent[K, V]) put(key K, value V, weight int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(r.byKey[key])
	if weight > r.most {
		return
	}
	r.byKey[key] = r.order.PushFront(&kept[K, V]{key, value, weight})
	for r.weight += weight; r.weight > r.most; {
		r.remove(r.order.Back())
	}
}

// remove forgets an element, which may be nil.
func (r *recent[K, V]) remove(e *list.Element) {
	if e == nil {
		return
	}
	k := r.order.Remove(e).(*kept[K, V])
	delete(r.byKey, k.key)
	r.weight -= k.weight
}

// drop forgets a key.
func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(r.byKey[key])
}

package main

import (
	"math/rand/v2"
	"slices"
)

// held is a resource on the target that one worker alone may change.
type held struct {
	typeName string
	number   uint64
	revision int
	id       string
	version  string
}

// worker decides the requests of one client. It is used by one goroutine.
type worker struct {
	workload workload
	types    string
	content  *generator
	random   *rand.Rand
	// next number and the step to the one after, so that no two workers make the same resource.
	number, step uint64
	own          []*held
	// current is the resource that the request under way concerns.
	current *held
}

// next makes the next request, body included, so that making it is not measured.
func (w *worker) next() op {
	k := w.workload.kindAt(w.random.IntN(100))
	if len(w.own) == 0 {
		k = create
	}
	switch k {
	case create:
		return w.create()
	case update:
		return w.update()
	case remove:
		return w.remove()
	default:
		h := w.pick()
		return op{kind: k, typeName: h.typeName, id: h.id, version: h.version}
	}
}

func (w *worker) pick() *held {
	w.current = w.own[w.random.IntN(len(w.own))]
	return w.current
}

func (w *worker) create() op {
	h := &held{typeName: typeAt(w.types, w.random.IntN(100)), number: w.number}
	w.number += w.step
	w.current = h
	return op{kind: create, typeName: h.typeName, body: w.content.resource(*h)}
}

func (w *worker) update() op {
	h := w.pick()
	h.revision++
	return op{kind: update, typeName: h.typeName, id: h.id, body: w.content.resource(*h)}
}

// remove forgets the resource at once: whether or not the target deletes it, nothing may be expected of it later.
func (w *worker) remove() op {
	i := w.random.IntN(len(w.own))
	h := w.own[i]
	w.own = slices.Delete(w.own, i, i+1)
	w.current = h
	return op{kind: remove, typeName: h.typeName, id: h.id}
}

// learn takes over what the target said about the resource of the last request.
func (w *worker) learn(o op, a answer) {
	if !a.ok() {
		return
	}
	if a.version != "" {
		w.current.version = a.version
	}
	if o.kind == create && w.workload.growing && a.id != "" {
		w.current.id = a.id
		w.own = append(w.own, w.current)
	}
}

package fhirpath

import (
	"hash/maphash"
	"regexp"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An expr is a node of a compiled expression. It does not change.
type expr interface {
	// eval appends what the expression gives in f to dst.
	eval(r *run, f frame, dst Collection) (Collection, error)
}

// A frame is what an expression is evaluated on.
type frame struct {
	this  Collection  // $this, which names without a receiver start from
	total *Collection // $total, nil outside of aggregate
	index int         // $index, -1 outside of an iteration
}

// A run is the state of one evaluation.
type run struct {
	env      Env
	focus    Collection
	steps    int // left
	output   int // the most items a collection may have
	now      time.Time
	free     []Collection // buffers that are not in use
	memos    map[*memo]Collection
	patterns map[string]*pattern
	seed     maphash.Seed
	seeded   bool // whether seed is set
}

// A pattern is a regular expression with what a byte of text costs it.
type pattern struct {
	*regexp.Regexp
	size int
}

const (
	defaultSteps  = 1_000_000
	defaultOutput = 100_000
	maxText       = 1 << 20 // bytes of a computed string
)

// step counts n units of work against the limit.
func (r *run) step(n int) error {
	if r.steps -= n; r.steps < 0 {
		return errorf(Limit, nowhere, "The evaluation takes more steps than the server allows: make the expression or its input smaller.")
	}
	return nil
}

// room refuses a collection that has grown too long.
func (r *run) room(c Collection) error {
	if len(c) > r.output {
		return errorf(Limit, nowhere, "A collection of the evaluation has more than %d items: make the expression or its input smaller.", r.output)
	}
	return nil
}

// copied counts n items that were appended to c at once.
func (r *run) copied(n int, c Collection) error {
	if err := r.step(n / 16); err != nil {
		return err
	}
	return r.room(c)
}

// write counts a computed string of n bytes.
func (r *run) write(n int) error {
	if n > maxText {
		return errorf(Limit, nowhere, "A string of the evaluation has more than %d bytes: make the expression or its input smaller.", maxText)
	}
	return r.step(1 + n/64)
}

// take returns an empty buffer, to be given back by give.
func (r *run) take() Collection {
	if n := len(r.free); n > 0 {
		c := r.free[n-1]
		r.free = r.free[:n-1]
		return c
	}
	return make(Collection, 0, 8)
}

func (r *run) give(c Collection) {
	if cap(c) > 0 {
		r.free = append(r.free, c[:0])
	}
}

// resource returns the resource that n is in, n itself if it is one.
func resource(n fhir.Node) fhir.Node {
	for !n.IsZero() && !isResource(n) {
		n = n.Parent()
	}
	return n
}

// container returns the resource that contains the resource n, or n itself if it
// is not contained.
func container(n fhir.Node) fhir.Node {
	if n.IsZero() || n.Element() == nil || n.Name() != "contained" {
		return n
	}
	return resource(n.Parent())
}

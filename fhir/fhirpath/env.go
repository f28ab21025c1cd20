package fhirpath

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Env is what an evaluation knows beside its focus. The zero Env, which nil
// stands for, is enough for most expressions.
type Env struct {
	Resource     fhir.Node // %resource; zero is the resource that the focus is in
	RootResource fhir.Node // %rootResource; zero is the resource that contains %resource, or %resource itself

	// Now is what now(), today() and timeOfDay() go by, zone included; zero is
	// the time of the evaluation.
	Now time.Time

	// Resolve loads what a reference points to that is neither contained nor in
	// the same Bundle. nil makes resolve() answer with a Stub of the type that
	// the reference names.
	Resolve func(reference string) (Item, bool)

	// MemberOf says whether a code, Coding or CodeableConcept is in a value set.
	// nil knows the enumerable value sets of R4's required bindings.
	MemberOf func(valueSet string, coded Item) (bool, error)

	// Subsumes says whether the concept a is b or one of its ancestors. nil
	// knows that a concept subsumes itself.
	Subsumes func(a, b Item) (bool, error)

	// ConformsTo says whether n conforms to a profile. nil knows the base
	// definitions of R4.
	ConformsTo func(n fhir.Node, profile string) (bool, error)

	// Trace is told the items that pass a trace(); nil drops them.
	Trace func(name string, items Collection)

	// Constants are further %names. They come before the predefined ones.
	Constants map[string]Collection

	// Strict makes it an error to ask for an element that the type of a node
	// does not define, to cast a collection of several items by as, to take one
	// of an unordered collection, and to use something else for a Boolean.
	Strict bool

	Steps  int // the most steps an evaluation may take; 0 is a million
	Output int // the most items a collection may have; 0 is 100,000
}

// Package typed turns resources into the protocol buffers of
// github.com/google/fhir/go and back. It is the one door to that library, for
// code that authors whole resources with typed fields, for Go integrators, and
// for a second opinion on what [fhir.Decode] accepted.
//
// The library is slow (about half a millisecond for 2 kB), does not keep every
// detail of a client's text, and can be made to hang. So this package never
// stands between a client and what is stored: a change to a client's resource is
// an edit of its own JSON. What [Decode] loses is the id and extensions of a
// Reference.reference, digits after the microsecond, and how many digits a
// fraction of a second was written with.
//
// To import the package costs every process that does 50 to 100 ms and some 30
// MB when it starts, which is spent in the library's initialization. It knows
// nothing about HTTP, storage or access.
package typed

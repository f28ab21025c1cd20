// Package search says what a FHIR search means: which parameters there are, what
// a resource is found by, what a client asks, and when the two agree. It is pure:
// tables, caches and callers are the business of others.
//
// [Registry] holds the parameters, [Registry.Index] extracts what a resource is
// found by, [Registry.Parse] reads what a client asks, and [Match] holds one
// against the other. searchsql says the same with tables, and tests hold the two
// together. https://hl7.org/fhir/R4/search.html
package search

// Package fhirpath evaluates FHIRPath over the node tree of package fhir: the
// whole of FHIRPath N1 and the functions that FHIR R4 adds to it. Regular expressions are
// those of RE2, without back references and looking around.
//
// An expression is compiled once and evaluated many times, by any number of
// goroutines. Values stay nodes of the resource until an operator needs more
// than that, so a plain path copies nothing. Every evaluation is bounded in
// steps and in output, and every expression in length and nesting: none can hold
// up the server, whoever wrote it.
//
// https://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html
package fhirpath

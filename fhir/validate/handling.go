package validate

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A kind says how an invariant is held.
type kind string

// The kinds of a handling.
const (
	structure kind = "structure" // the decoder refuses what breaks it
	inGo      kind = "native"    // a Go function, which agrees with the expression
	evaluated kind = "fhirpath"  // the expression of R4
	mended    kind = "mended"    // the expression of R4 does not say what its words say, or fails; another one is evaluated
)

// A native checks an invariant in Go.
type native func(*checker, fhir.Node) verdict

// A handling is how an invariant is held.
type handling struct {
	kind       kind
	native     native
	blame      func(*checker, fhir.Node) []fhir.Node
	expression string // that is evaluated
	note       string // why it is mended
}

// handlingOf returns how an invariant of the definition source is held.
func handlingOf(source string, i spec.Invariant) handling {
	name := source + "#" + i.Key
	if i.Key == "txt-1" || i.Key == "txt-2" {
		return handling{kind: structure}
	}
	h := handling{kind: evaluated, expression: i.Expression}
	if expression, note := mend(name); note != "" {
		h.kind, h.expression, h.note = mended, expression, note
	}
	if h.native = nativeOf(name); h.native != nil && h.kind == evaluated || i.Key == "ele-1" {
		h.kind = inGo
	}
	h.blame = blameOf(name)
	return h
}

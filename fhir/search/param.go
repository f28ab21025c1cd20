package search

import "github.com/openconsult/openconsult/fhir/fhirpath"

// Type is the type of a search parameter.
// https://hl7.org/fhir/R4/valueset-search-param-type.html
type Type string

// The types of a search parameter.
const (
	NumberType    Type = "number"
	DateType      Type = "date"
	StringType    Type = "string"
	TokenType     Type = "token"
	ReferenceType Type = "reference"
	CompositeType Type = "composite"
	QuantityType  Type = "quantity"
	URIType       Type = "uri"
	SpecialType   Type = "special"
)

// A Param is a search parameter as it applies to one resource type. It does not
// change.
type Param struct {
	Code    string // as in a query: "birthdate"
	Type    Type
	URL     string   // canonical URL of its definition
	Base    string   // the resource type that it is defined for: "Task"; "Resource" or "DomainResource" for those of all types
	Targets []string // resource types a reference may point to, "Patient"; empty is any
	Parts   []Part   // of a composite

	// Position is the place of the parameter among those of its resource type. It
	// never changes: those of R4 stand in alphabetical order, custom ones follow.
	Position int

	// Bare says that all its values are primitive codes or booleans, whose system
	// System is implied by the definition.
	Bare   bool
	System string

	// Canonical says that a reference parameter, or a uri one, holds canonical URLs.
	Canonical bool

	Custom  bool
	Own     bool // it is custom, but the server's own
	State   State
	Percent int // built so far, while State is Building

	// Contact says that its values may be ContactPoints, so that what is asked is
	// written as FoldContact writes it.
	Contact bool

	compartments []string             // what it makes a resource a member of
	compiled     *fhirpath.Expression // nil where the walk of the type finds its values
}

// A Part is one part of a composite parameter.
type Part struct {
	Param *Param // type and code of the part

	source   string               // its expression, relative to the composite's own
	compiled *fhirpath.Expression // of source; nil where the walk of the type finds the composite
}

// State says whether a parameter can be searched by.
type State uint8

// The states of a parameter. Those of R4 are always Active.
const (
	Active   State = iota
	Building       // rows are being rebuilt; searches would find too little
	Failed
)

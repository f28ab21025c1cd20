package search

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Index is what a resource is found by.
type Index struct {
	Key      fhir.Key
	Base     string    // of the Registry that made it: URLs below it are relative references; may be empty
	Updated  time.Time // meta.lastUpdated; zero while the resource is being written
	Entries  []Entry   // one for each value, those of a parameter together, in the order of the parameters
	Members  []Member
	Mentions []fhir.Key // patients that it refers to where no parameter of R4 looks
	Failed   []*Param   // custom parameters whose expression is in error for this resource, or finds too much: they have no values in it
}

// An Entry is one value of one parameter.
type Entry struct {
	Param *Param
	Value Value
}

// A Member says that the resource belongs to a compartment.
// https://hl7.org/fhir/R4/compartmentdefinition.html
type Member struct {
	Compartment fhir.Key // Patient/123
}

// A Value is what one parameter finds in a resource: a [Token], [String],
// [Reference], [Range], [Quantity], [URI] or [Composite].
type Value interface{ value() }

// A Token is a coded value: a Coding, an Identifier, a ContactPoint, a code, or a
// boolean. https://hl7.org/fhir/R4/search.html#token
type Token struct {
	System string   // empty for none; implied by the definition for a Bare parameter
	Code   string   // in lower case unless the system is known to be case-sensitive; empty when there are only texts
	Folded bool     // Code is in lower case: see FoldCase
	Texts  []string // what :text looks at, folded: CodeableConcept.text, Coding.display, Identifier.type.text
	Kinds  []Token  // of an Identifier: the codings of its type, for :of-type
}

// A String is one string, or one part of a name or an address.
// https://hl7.org/fhir/R4/search.html#string
type String struct {
	Text   string // as it stands in the resource, for :exact
	Folded string // without case, marks and superfluous space: see Fold
}

// A Reference is what a Reference or a canonical names. Either Key, URL, or only
// Identifier is set. https://hl7.org/fhir/R4/search.html#reference
type Reference struct {
	Key        fhir.Key // of a resource on this server, whether it is there or not
	URL        string   // anything else, as sent; of a canonical without |version
	Version    string   // of a canonical
	Type       string   // Reference.type, or what the literal says; may be empty
	Identifier *Token   // Reference.identifier
}

// A Range is a date or a number: from Lo to before Hi. Dates are microseconds
// since 1970 in UTC; a partial date covers all that it may stand for. A number is
// a point: Lo and Hi are equal. Infinities stand for open ends.
type Range struct{ Lo, Hi float64 }

// A Quantity is a number with a unit. Numbers without a comparator are points.
// https://hl7.org/fhir/R4/search.html#quantity
type Quantity struct {
	Range     // in the unit that was sent
	System    string
	Code      string
	Unit      string // the text of the unit
	Canonical Range  // in the canonical unit
	Base      string // the canonical unit of a valid UCUM code, else empty
}

// A URI is a uri, url, oid or uuid; of a canonical what stands before |version.
// https://hl7.org/fhir/R4/search.html#uri
type URI struct {
	Text    string
	Version string
}

// A Composite holds one value for each part. https://hl7.org/fhir/R4/search.html#composite
type Composite []Value

func (Token) value()     {}
func (String) value()    {}
func (Reference) value() {}
func (Range) value()     {}
func (Quantity) value()  {}
func (URI) value()       {}
func (Composite) value() {}

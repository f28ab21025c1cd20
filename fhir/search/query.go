package search

import (
	"github.com/openconsult/openconsult/fhir"
)

// A Query is a search as it was understood.
type Query struct {
	Types    []string    // the resource types searched; empty for all
	Within   *fhir.Key   // the compartment; nil for none
	Where    []Condition // all of them must hold
	Sort     []Order
	Count    int // matches on a page; 0 asks for the total only
	Total    Total
	Includes []Include
	Select   fhir.Selection // _summary and _elements

	Applied  []Parameter  // what really took part, in order, for the self link
	Warnings []fhir.Issue // what was left out because the caller asked for leniency
	Explain  bool
}

// A Parameter is one name=value of a request, not escaped.
type Parameter struct{ Name, Value string }

// Total says how the number of matches is asked for.
// https://hl7.org/fhir/R4/search.html#total
type Total uint8

// The values of _total.
const (
	TotalNone Total = iota
	TotalEstimate
	TotalAccurate
)

// An Order is one key of _sort.
type Order struct {
	Param      *Param // of the first type searched; each type is asked for its own of that code
	Descending bool
}

// A Condition is something that holds for a resource or not: [And], [Or], [Not],
// [Test], [Chain], [Has], [Listed], [Words], [IDs] or [Updated].
type Condition interface{ condition() }

// And holds when all of them do; an empty one holds.
type And []Condition

// Or holds when one of them does; an empty one does not.
type Or []Condition

// Not holds when its Condition does not.
type Not struct{ Condition Condition }

// A Test holds when the resource has a value of Param that answers one of Values,
// and with the modifiers :missing, when it has a value or has none.
// Modifiers that mean a negation, :not and :not-in, are a Not around a Test.
// Modifiers that need a value set are resolved into tokens.
type Test struct {
	Param    *Param
	Modifier Modifier
	Values   []Asked // alternatives; none with :missing
	Missing  bool    // with :missing: the value that was asked
	Name     string  // the parameter as the client wrote it: "status:missing"; for messages
}

// A Chain holds when a reference of the resource points to a resource of Target
// for which Where holds. Several targets are an Or of Chains.
type Chain struct {
	Param  *Param // a reference parameter of the resource
	Target string // resource type
	Where  Condition
	Name   string // "patient.name"
}

// A Has holds when a resource of type Source for which Where holds points to this
// one by its reference parameter Param. https://hl7.org/fhir/R4/search.html#has
type Has struct {
	Source string
	Param  *Param
	Where  Condition
	Name   string // "_has:Observation:patient:code"
}

// Listed holds for the entries of a List. https://hl7.org/fhir/R4/search.html#list
type Listed struct{ ID string }

// IDs holds for the resources with one of these logical ids.
type IDs []string

// Updated holds when meta.lastUpdated answers one of Values, which are AskedRange.
type Updated struct{ Values []Asked }

// Words holds when the content of a resource, or its narrative, has all words of
// one of the alternatives. https://hl7.org/fhir/R4/search.html#content
type Words struct {
	Narrative    bool       // only the narrative counts
	Alternatives [][]string // folded words
	Name         string
}

func (And) condition()     {}
func (Or) condition()      {}
func (Not) condition()     {}
func (*Test) condition()   {}
func (*Chain) condition()  {}
func (*Has) condition()    {}
func (Listed) condition()  {}
func (IDs) condition()     {}
func (Updated) condition() {}
func (*Words) condition()  {}

// A Modifier is what follows the colon, as far as it is left in a Test.
type Modifier uint8

// The modifiers of a Test.
const (
	Plain Modifier = iota
	Missing
	Exact      // string
	Contains   // string
	Text       // token: starts one of the texts
	OfType     // token: the identifier's type and value
	Identifier // reference: its identifier is the token asked
	Above      // uri: begins what is asked; of a token whose system has a hierarchy becomes a list of tokens
	Below      // uri: begins with what is asked; canonical reference: so does its version; token: a media type but for its parameters
	Whole      // string, in a _filter: is what is asked but for case and marks
	Ends       // string, in a _filter: ends with what is asked
	Differs    // token, string, uri, reference, composite, in a _filter: a value is not what is asked
)

// An Asked is one alternative of what a client asks of a parameter: an
// [AskedToken], [AskedString], [AskedReference], [AskedRange], [AskedQuantity],
// [AskedURI] or [AskedComposite].
type Asked interface{ asked() }

// An AskedToken is "code" (AnySystem), "system|code", "|code" (no system), or
// "system|" (AnyCode).
type AskedToken struct {
	System    string
	Code      string // as written
	AnySystem bool
	AnyCode   bool
	Kind      *AskedToken // with OfType: the type of the identifier; System and Code of it are set
	Text      string      // with Text: folded
}

// An AskedString is a string: folded, and as written.
type AskedString struct{ Text, Folded string }

// An AskedReference is a resource by type and id, or by URL. With the modifier
// Identifier only Token is set.
type AskedReference struct {
	Keys    []fhir.Key // alternatives: an id without a type stands for every type allowed
	URL     string
	Version string // of a canonical
	Token   *AskedToken
}

// A Prefix is how a range is compared. https://hl7.org/fhir/R4/search.html#prefix
type Prefix string

// The prefixes. Equal is the default.
const (
	Equal          Prefix = "eq"
	NotEqual       Prefix = "ne"
	Greater        Prefix = "gt"
	Less           Prefix = "lt"
	GreaterOrEqual Prefix = "ge"
	LessOrEqual    Prefix = "le"
	StartsAfter    Prefix = "sa"
	EndsBefore     Prefix = "eb"
	Approximately  Prefix = "ap"
)

// An AskedRange is a prefix with a date or a number and its implicit precision.
// For gt, lt, ge, le, sa and eb of numbers the precision is ignored: Lo and Hi are
// equal. Approximately has widened the range already and holds for what overlaps
// with it, which a point at one of its ends does, and a range that only touches it
// does not.
type AskedRange struct {
	Prefix Prefix
	Range
}

// An AskedQuantity is a range with a unit. Without any unit all compare by
// number; System alone means any code of that system; Code alone is compared with
// code and unit text; System and Code together with both, in the canonical unit
// if Base is set.
type AskedQuantity struct {
	AskedRange
	System, Code string
	Canonical    Range
	Base         string
}

// An AskedURI is a uri, compared as it stands.
type AskedURI struct {
	Text    string
	Version string
}

// An AskedComposite has one value for each part.
type AskedComposite []Asked

func (AskedToken) asked()     {}
func (AskedString) asked()    {}
func (AskedReference) asked() {}
func (AskedRange) asked()     {}
func (AskedQuantity) asked()  {}
func (AskedURI) asked()       {}
func (AskedComposite) asked() {}

// An Include is one _include or _revinclude.
// https://hl7.org/fhir/R4/search.html#revinclude
type Include struct {
	Reverse bool
	Iterate bool
	Source  string   // resource type that has the reference; "*" for any with Params nil
	Params  []*Param // reference parameters; several for a wildcard
	Target  string   // only resources of this type; empty for any
	Name    string   // as the client wrote it
}

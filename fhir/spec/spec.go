// Package spec holds the FHIR R4 (4.0.1) definitions that the server works by:
// types and their elements, bindings, invariants, search parameters,
// compartments, and the code systems and value sets that required bindings need.
//
// The definitions are a compact digest, data/r4.bin, made by the generator in
// gen from the official definitions and from the descriptors of google/fhir/go.
// The package knows nothing about resources in flight: it imports nothing of
// ours, does no I/O after [R4] has unpacked the digest, and everything it hands
// out is shared and must not be changed.
package spec

// Kind says what sort of thing a Type is.
type Kind uint8

// The kinds of a Type.
const (
	KindPrimitive Kind = iota + 1 // a data type with a value: boolean, code, xhtml
	KindComplex                   // a data type with elements: HumanName, Extension
	KindBackbone                  // an inline component of a resource or data type: Patient.contact
	KindResource                  // a resource type: Patient; also the abstract Resource and DomainResource
)

// Primitive names the grammar of a primitive value.
// https://hl7.org/fhir/R4/datatypes.html#primitive
type Primitive uint8

// The primitive types of R4. NotPrimitive is the zero value.
const (
	NotPrimitive Primitive = iota
	Boolean
	Integer
	UnsignedInt
	PositiveInt
	Decimal
	String
	Markdown
	Code
	ID
	URI
	URL
	Canonical
	OID
	UUID
	Base64Binary
	Date
	DateTime
	Instant
	Time
	XHTML
)

// Unbounded is the Max of an element that may repeat without limit ("*").
const Unbounded = -1

// A Type is the definition of a resource type, a data type, or an inline
// component. https://hl7.org/fhir/R4/structuredefinition.html
type Type struct {
	Name       string      // "Patient", "HumanName", "code"; "Patient.contact" for a component
	Kind       Kind        //
	Abstract   bool        // Element, BackboneElement, Resource, DomainResource
	Base       *Type       // what it specializes: DomainResource for Patient, BackboneElement for a component; nil for the roots
	Primitive  Primitive   // the grammar, NotPrimitive unless Kind is KindPrimitive
	Elements   []*Element  // in the order of the definition, inherited ones included; none for primitives but id and extension
	Invariants []Invariant // those on the type itself, by key, inherited ones included; for a component, those of the element that defines it

	properties map[string]*Property
}

// Property returns the JSON property of t named key ("birthDate", "_birthDate",
// "valueQuantity"), or nil when t has none of that exact name.
func (t *Type) Property(key []byte) *Property { return t.properties[string(key)] }

// PropertyNames returns the number of distinct JSON property names of t. Every
// Property.Slot of t is below it.
func (t *Type) PropertyNames() int { return len(t.properties) }

// Element returns the element named name ("birthDate", "value" for value[x]),
// or nil when t has none of that exact name.
func (t *Type) Element(name string) *Element {
	for _, e := range t.Elements {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Is reports whether t is the type named name or specializes it.
func (t *Type) Is(name string) bool {
	for ; t != nil; t = t.Base {
		if t.Name == name {
			return true
		}
	}
	return false
}

// An Element is one element of a Type.
// https://hl7.org/fhir/R4/elementdefinition.html
type Element struct {
	Name       string      // "value" for value[x]
	Path       string      // the path in the definition: "Observation.value[x]", "HumanName.family"
	Order      int         // its index in Type.Elements, the order XML demands
	Min        int         //
	Max        int         // Unbounded for "*"
	Choice     bool        // value[x]
	Types      []TypeRef   // one for most, several for a choice; never empty
	Binding    *Binding    // nil without one
	Invariants []Invariant // those on this element that one of its types lacks, by key; sqty-1 where R4 demands a SimpleQuantity
	Summary    bool        // in _summary=true
	Modifier   bool        // isModifier
	Attribute  bool        // an attribute in XML: Element.id, Extension.url
}

// Repeats reports whether e is an array in JSON.
func (e *Element) Repeats() bool { return e.Max == Unbounded || e.Max > 1 }

// A TypeRef is one type that an element may have.
type TypeRef struct {
	Type    *Type    // the component itself for inline content and content references
	Targets []string // resource types a Reference or canonical may point to; nil is any
}

// A Property is one JSON property of a Type: an element, one variant of a
// choice, or the companion ("_name") that carries a primitive's id and
// extensions. https://hl7.org/fhir/R4/json.html#primitive
type Property struct {
	Name      string   // as in JSON: "valueQuantity", "_birthDate"
	Element   *Element //
	Type      *Type    // the type of the value; for a companion, of the primitive it accompanies
	Targets   []string // as TypeRef.Targets
	Companion bool     // starts with "_"
	Slot      int      // the same for no two properties of a type
}

// Strength is how binding a Binding is.
type Strength uint8

// The strengths of a binding, strongest first.
const (
	Required Strength = iota + 1
	Extensible
	Preferred
	Example
)

// A Binding ties a coded element to a value set.
type Binding struct {
	Strength Strength
	ValueSet string    // canonical URL, with |version where the definition has one
	Set      *ValueSet // its enumerable content when Strength is Required; nil when it cannot be listed
}

// An Invariant is a constraint with a FHIRPath expression.
type Invariant struct {
	Key        string // "pat-1"
	Warning    bool   // severity warning rather than error
	Human      string
	Expression string
}

// A SearchParameter is an official search parameter of R4.
// https://hl7.org/fhir/R4/searchparameter.html
type SearchParameter struct {
	URL        string
	Code       string   // as in a query: "birthdate"
	Type       string   // number date string token reference composite quantity uri special
	Base       []string // resource types, or "Resource", "DomainResource"
	Expression string   // FHIRPath; empty for the few without
	Targets    []string // of a reference
	Components []Component
}

// A Component is one part of a composite search parameter.
type Component struct {
	Definition string // canonical URL of the part's SearchParameter
	Expression string // relative to the composite's own expression
}

// A CodeSystem is one of the code systems that required bindings draw on.
type CodeSystem struct {
	URL           string
	Version       string
	CaseSensitive bool
	Concepts      []Concept // parents before children
}

// A Concept is one code of a CodeSystem.
type Concept struct {
	Code    string
	Display string
	Parent  int // index of the parent in CodeSystem.Concepts, -1 at the top
}

// A ValueSet is an enumerable value set of a required binding.
type ValueSet struct {
	URL     string
	Version string
	Codes   []Coding

	codes map[string]struct{} // codes alone, for elements of type code
}

// HasCode reports whether code is in v under any system, which is what an
// element of type code is held against.
func (v *ValueSet) HasCode(code []byte) bool {
	_, ok := v.codes[string(code)]
	return ok
}

// A Coding is a code with the system that defines it.
type Coding struct {
	System string
	Code   string
}

// Definitions is one release of FHIR.
type Definitions struct {
	Version          string // "4.0.1"
	SearchParameters []*SearchParameter
	CodeSystems      []*CodeSystem
	ValueSets        []*ValueSet

	types        map[string]*Type
	all          []*Type
	resources    []*Type
	compartments map[string]map[string][]string
}

// Type returns the type named name ("Patient", "HumanName", "code",
// "Patient.contact"), or nil. SimpleQuantity and MoneyQuantity are Quantity, of
// which they are profiles.
func (d *Definitions) Type(name string) *Type { return d.types[name] }

// Types returns all types, components and abstract types included, by name.
func (d *Definitions) Types() []*Type { return d.all }

// Resource returns the concrete resource type named name, or nil when R4 has
// none of that exact name.
func (d *Definitions) Resource(name string) *Type {
	t := d.types[name]
	if t == nil || t.Kind != KindResource || t.Abstract {
		return nil
	}
	return t
}

// Resources returns the 146 concrete resource types, by name.
func (d *Definitions) Resources() []*Type { return d.resources }

// Compartment returns the search parameters that put a resource of the given
// type into the named compartment ("Patient", "Encounter", "RelatedPerson",
// "Practitioner", "Device"); nil when the type is outside it. The parameter
// "{def}" stands for the compartment's own resource.
// https://hl7.org/fhir/R4/compartmentdefinition.html
func (d *Definitions) Compartment(name, resourceType string) []string {
	return d.compartments[name][resourceType]
}

package definition

// An ownExtension is an extension of this server itself: with a value of one of some
// types, or with parts.
type ownExtension struct {
	name, title, description string
	on                       []string // what it may stand at: "Task"
	value                    []string // types: "boolean"; nil with parts
	parts                    []ownPart
	many                     bool // there may be several
}

// An ownPart is a part of an extension.
type ownPart struct {
	name, short string
	value       []string
}

// A typeCode, a placement and an element are parts of a StructureDefinition.
type (
	typeCode struct {
		Code string `json:"code"`
	}
	placement struct {
		Type       string `json:"type"`
		Expression string `json:"expression"`
	}
	element struct {
		ID        string     `json:"id"`
		Path      string     `json:"path"`
		SliceName string     `json:"sliceName,omitempty"`
		Short     string     `json:"short,omitempty"`
		Min       *int       `json:"min,omitempty"`
		Max       string     `json:"max,omitempty"`
		Type      []typeCode `json:"type,omitempty"`
		FixedURI  string     `json:"fixedUri,omitempty"`
	}
)

// resource returns x as a StructureDefinition, by what differs from Extension.
// https://hl7.org/fhir/R4/defining-extensions.html
func (x ownExtension) resource() any {
	var on []placement
	for _, e := range x.on {
		on = append(on, placement{"element", e})
	}
	type differential struct {
		Element []element `json:"element"`
	}
	return struct {
		ownHead
		FHIRVersion  string       `json:"fhirVersion"`
		Kind         string       `json:"kind"`
		Abstract     bool         `json:"abstract"`
		Context      []placement  `json:"context"`
		Type         string       `json:"type"`
		Base         string       `json:"baseDefinition"`
		Derivation   string       `json:"derivation"`
		Differential differential `json:"differential"`
	}{headOf("StructureDefinition", x.name, x.title, x.description), "4.0.1", "complex-type", false, on, "Extension",
		"http://hl7.org/fhir/StructureDefinition/Extension", "constraint", differential{x.elements()}}
}

func (x ownExtension) elements() []element {
	zero, one, most := new(int), new(int), "1"
	*one = 1
	if x.many {
		most = "*"
	}
	all := []element{{ID: "Extension", Path: "Extension", Short: x.title, Min: zero, Max: most}}
	for _, p := range x.parts {
		at := "Extension.extension:" + p.name
		all = append(all,
			element{ID: at, Path: "Extension.extension", SliceName: p.name, Short: p.short, Min: zero, Max: "1", Type: []typeCode{{"Extension"}}},
			element{ID: at + ".extension", Path: "Extension.extension.extension", Max: "0"},
			element{ID: at + ".url", Path: "Extension.extension.url", FixedURI: p.name},
			element{ID: at + ".value[x]", Path: "Extension.extension.value[x]", Min: one, Type: codesOf(p.value)})
	}
	if x.parts == nil {
		all = append(all, element{ID: "Extension.extension", Path: "Extension.extension", Max: "0"})
	}
	all = append(all, element{ID: "Extension.url", Path: "Extension.url", FixedURI: ownBase + "StructureDefinition/" + x.name})
	if x.parts != nil {
		return append(all, element{ID: "Extension.value[x]", Path: "Extension.value[x]", Min: zero, Max: "0"})
	}
	return append(all, element{ID: "Extension.value[x]", Path: "Extension.value[x]", Min: one, Type: codesOf(x.value)})
}

func codesOf(types []string) []typeCode {
	var all []typeCode
	for _, t := range types {
		all = append(all, typeCode{t})
	}
	return all
}

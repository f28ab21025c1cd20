package search

import (
	"slices"

	"github.com/openconsult/openconsult/fhir/spec"
)

// booleanSystem is the code system of true and false.
// https://hl7.org/fhir/R4/search.html#token
const booleanSystem = "http://terminology.hl7.org/CodeSystem/special-values"

// describe tells the parameter what its values can be, after the elements that
// it finds.
func (b *builder) describe() {
	p := b.param
	switch p.Type {
	case TokenType:
		b.describeTokens()
	case ReferenceType:
		p.Targets = b.targets()
		p.Canonical = b.every(isCanonical)
	case URIType:
		p.Canonical = b.every(isCanonical)
	}
}

func (b *builder) every(is func(leaf) bool) bool {
	return len(b.leaves) > 0 && !slices.ContainsFunc(b.leaves, func(l leaf) bool { return !is(l) })
}

func isCanonical(l leaf) bool { return l.at.typ.Primitive == spec.Canonical }

func (b *builder) describeTokens() {
	for i, l := range b.leaves {
		if l.at.typ.Name == "ContactPoint" {
			b.param.Contact = true
		}
		system, _ := impliedSystems(l.at)
		if i == 0 {
			b.param.System = system
		}
		if system == "" || system != b.param.System {
			b.param.Bare, b.param.System = false, ""
			return
		}
		b.param.Bare = true
	}
}

// impliedSystems returns the code system of the codes at p, or, when the value
// set draws on several, that of each code. Both are empty for what is no code.
func impliedSystems(p *place) (system string, byCode map[string]string) {
	switch {
	case p.typ.Primitive == spec.Boolean:
		return booleanSystem, nil
	case p.typ.Primitive != spec.Code || p.elem == nil || p.elem.Binding == nil || p.elem.Binding.Strength != spec.Required:
		return "", nil
	case p.elem.Binding.Set == nil:
		return unlistedSystem(p.elem.Binding.ValueSet), nil
	}
	codes := p.elem.Binding.Set.Codes
	if !slices.ContainsFunc(codes, func(c spec.Coding) bool { return c.System != codes[0].System }) {
		return codes[0].System, nil
	}
	byCode = make(map[string]string, len(codes))
	for _, c := range codes {
		if _, twice := byCode[c.Code]; twice {
			byCode[c.Code] = "" // in two systems: neither is implied
			continue
		}
		byCode[c.Code] = c.System
	}
	return "", byCode
}

// unlistedSystem returns the code system of value sets that cannot be listed.
func unlistedSystem(valueSet string) string {
	switch valueSet {
	case "http://hl7.org/fhir/ValueSet/mimetypes|4.0.1":
		return "urn:ietf:bcp:13"
	case "http://hl7.org/fhir/ValueSet/all-languages|4.0.1":
		return "urn:ietf:bcp:47"
	case "http://hl7.org/fhir/ValueSet/currencies|4.0.1":
		return currencySystem
	}
	return ""
}

// targets returns the resource types that the elements and the definition both
// allow; nil is any.
func (b *builder) targets() []string {
	var all []string
	for _, l := range b.leaves {
		switch {
		case l.is != "":
			all = append(all, l.is)
		case len(l.at.ref.Targets) == 0 && l.at.typ.Kind == spec.KindResource:
			all = append(all, b.def.Targets...)
		case len(l.at.ref.Targets) == 0:
			return b.declared()
		default:
			all = append(all, l.at.ref.Targets...)
		}
	}
	if len(b.leaves) == 0 {
		return b.declared()
	}
	if len(b.def.Targets) > 0 {
		all = slices.DeleteFunc(all, func(t string) bool { return !slices.Contains(b.def.Targets, t) })
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// declared returns the targets of the definition; nil when those are all types.
// R4 lists these one by one and forgets a few.
func (b *builder) declared() []string {
	if len(b.def.Targets) > len(b.registry.spec.Resources())*9/10 {
		return nil
	}
	return b.def.Targets
}

// fits reports whether some of the elements have a value for the type of the
// parameter.
func (b *builder) fits() bool {
	return slices.ContainsFunc(b.leaves, func(l leaf) bool { return givesValue(l.at.typ, b.param.Type) })
}

// givesValue reports whether elements of type t can have a value for parameters
// of that type. https://hl7.org/fhir/R4/search.html#table
func givesValue(t *spec.Type, want Type) bool {
	name := t.Name
	switch want {
	case NumberType:
		return name == "Range" || isNumber(t.Primitive) || name == "Extension"
	case DateType:
		return name == "Period" || name == "Timing" || isDate(t.Primitive) || name == "Extension"
	case QuantityType:
		return name == "Money" || name == "Range" || t.Is("Quantity") || name == "Extension"
	case StringType:
		return isText(t.Primitive) || isSearchedPart(name, "text") || isSearchedPart(name, "value") ||
			isSearchedPart(name, "display") || isSearchedPart(name, "title") || name == "Extension"
	case TokenType:
		return isText(t.Primitive) || t.Primitive == spec.Boolean || name == "Coding" || name == "CodeableConcept" ||
			name == "Identifier" || name == "ContactPoint" || name == "Extension"
	case URIType:
		return isText(t.Primitive) || name == "Extension"
	case ReferenceType:
		return name == "Reference" || t.Kind == spec.KindResource || isURI(t.Primitive) || name == "Extension"
	}
	return want == CompositeType
}

func isNumber(p spec.Primitive) bool {
	return p == spec.Integer || p == spec.UnsignedInt || p == spec.PositiveInt || p == spec.Decimal
}

func isDate(p spec.Primitive) bool { return p == spec.Date || p == spec.DateTime || p == spec.Instant }

func isURI(p spec.Primitive) bool {
	return p == spec.URI || p == spec.URL || p == spec.Canonical || p == spec.OID || p == spec.UUID
}

// isText reports whether values of p are strings that stand for themselves.
func isText(p spec.Primitive) bool {
	return isURI(p) || p == spec.String || p == spec.Markdown || p == spec.Code || p == spec.ID
}

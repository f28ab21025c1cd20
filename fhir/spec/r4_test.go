package spec

import (
	"slices"
	"strings"
	"testing"
)

func TestResources(t *testing.T) {
	t.Parallel()
	d := R4()
	if d.Version != "4.0.1" {
		t.Errorf("version %q, want 4.0.1", d.Version)
	}
	if n := len(d.Resources()); n != 146 {
		t.Errorf("%d resources, want 146", n)
	}
	byName := func(a, b *Type) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(d.Resources(), byName) || !slices.IsSortedFunc(d.Types(), byName) {
		t.Error("types are not ordered by name")
	}
	for _, r := range d.Resources() {
		if d.Resource(r.Name) != r || d.Type(r.Name) != r || !r.Is("Resource") {
			t.Errorf("%s is not found as a resource", r.Name)
		}
	}
	for _, name := range []string{"", "patient", "Resource", "DomainResource", "HumanName", "Patient.contact", "SubscriptionStatus"} {
		if d.Resource(name) != nil {
			t.Errorf("Resource(%q) is not nil", name)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		kind     Kind
		base     string
		abstract bool
	}{
		{"Resource", KindResource, "", true},
		{"DomainResource", KindResource, "Resource", true},
		{"Patient", KindResource, "DomainResource", false},
		{"Bundle", KindResource, "Resource", false},
		{"Element", KindComplex, "", true},
		{"BackboneElement", KindComplex, "Element", true},
		{"HumanName", KindComplex, "Element", false},
		{"Age", KindComplex, "Quantity", false},
		{"Timing", KindComplex, "BackboneElement", false},
		{"Timing.repeat", KindBackbone, "Element", false},
		{"Patient.contact", KindBackbone, "BackboneElement", false},
		{"code", KindPrimitive, "string", false},
		{"positiveInt", KindPrimitive, "integer", false},
		{"xhtml", KindPrimitive, "Element", false},
	}
	for _, tt := range tests {
		got := R4().Type(tt.name)
		if got == nil {
			t.Errorf("%s: not defined", tt.name)
			continue
		}
		base := ""
		if got.Base != nil {
			base = got.Base.Name
		}
		if got.Kind != tt.kind || base != tt.base || got.Abstract != tt.abstract {
			t.Errorf("%s: kind %d base %q abstract %t, want %d %q %t",
				tt.name, got.Kind, base, got.Abstract, tt.kind, tt.base, tt.abstract)
		}
	}
	for _, alias := range []string{"SimpleQuantity", "MoneyQuantity"} {
		if R4().Type(alias) != R4().Type("Quantity") {
			t.Errorf("%s is not Quantity", alias)
		}
	}
}

func TestElementOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"HumanName":          "id extension use text family given prefix suffix period",
		"Narrative":          "id extension status div",
		"Extension":          "id extension url value",
		"code":               "id extension",
		"xhtml":              "id",
		"Patient.contact":    "id extension modifierExtension relationship name telecom address gender organization period",
		"Resource":           "id meta implicitRules language",
		"DomainResource":     "id meta implicitRules language text contained extension modifierExtension",
		"Bundle.entry":       "id extension modifierExtension link fullUrl resource search request response",
		"Questionnaire.item": "id extension modifierExtension linkId definition code prefix text type enableWhen enableBehavior required repeats readOnly maxLength answerValueSet answerOption initial item",
	}
	for name, want := range tests {
		var got []string
		for i, e := range R4().Type(name).Elements {
			got = append(got, e.Name)
			if e.Order != i {
				t.Errorf("%s: order %d, want %d", e.Path, e.Order, i)
			}
			if !strings.HasPrefix(e.Path, name+".") {
				t.Errorf("path %s is not within %s", e.Path, name)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s has %s, want %s", name, s, want)
		}
	}
}

func TestElementTypes(t *testing.T) {
	t.Parallel()
	tests := []struct{ owner, element, want string }{
		{"Element", "id", "string"},
		{"Patient", "id", "id"},
		{"xhtml", "id", "string"},
		{"Extension", "url", "uri"},
		{"Narrative", "div", "xhtml"},
		{"Bundle.entry", "resource", "Resource"},
		{"Bundle.entry", "link", "Bundle.link"},
		{"Patient", "contained", "Resource"},
		{"Patient", "contact", "Patient.contact"},
		{"Questionnaire.item", "item", "Questionnaire.item"},
		{"QuestionnaireResponse.item.answer", "item", "QuestionnaireResponse.item"},
		{"Observation.component", "referenceRange", "Observation.referenceRange"},
		{"Observation.referenceRange", "low", "Quantity"},
		{"Observation", "value", "Quantity CodeableConcept string boolean integer Range Ratio SampledData time dateTime Period"},
		{"ElementDefinition", "slicing", "ElementDefinition.slicing"},
	}
	for _, tt := range tests {
		var got []string
		for _, ref := range R4().Type(tt.owner).Element(tt.element).Types {
			got = append(got, ref.Type.Name)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s.%s has types %s, want %s", tt.owner, tt.element, s, tt.want)
		}
	}
	for owner, name := range map[string]string{
		"Extension": "value", "ElementDefinition": "fixed", "Parameters.parameter": "value", "Task.input": "value",
	} {
		if n := len(R4().Type(owner).Element(name).Types); n != 50 {
			t.Errorf("%s.%s has %d open types, want 50", owner, name, n)
		}
	}
}

func TestElementFacts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		owner, element              string
		min, max                    int
		summary, modifier, repeats  bool
		path                        string
		choice, attribute, required bool
	}{
		{"Patient", "name", 0, Unbounded, true, false, true, "Patient.name", false, false, false},
		{"Patient", "active", 0, 1, true, true, false, "Patient.active", false, false, false},
		{"Communication", "status", 1, 1, true, true, false, "Communication.status", false, false, true},
		{"Observation", "value", 0, 1, true, false, false, "Observation.value[x]", true, false, false},
		{"HumanName", "id", 0, 1, false, false, false, "HumanName.id", false, true, false},
		{"Extension", "url", 1, 1, false, false, false, "Extension.url", false, true, false},
		{"Patient", "id", 0, 1, true, false, false, "Patient.id", false, false, false},
		{"Patient", "photo", 0, Unbounded, false, false, true, "Patient.photo", false, false, false},
	}
	for _, tt := range tests {
		e := R4().Type(tt.owner).Element(tt.element)
		if e.Path != tt.path || e.Min != tt.min || e.Max != tt.max || e.Repeats() != tt.repeats {
			t.Errorf("%s: path %s, %d..%d, repeats %t", tt.path, e.Path, e.Min, e.Max, e.Repeats())
		}
		if e.Summary != tt.summary || e.Modifier != tt.modifier || e.Choice != tt.choice || e.Attribute != tt.attribute {
			t.Errorf("%s: summary %t modifier %t choice %t attribute %t", tt.path, e.Summary, e.Modifier, e.Choice, e.Attribute)
		}
		if required := e.Binding != nil && e.Binding.Strength == Required; required != tt.required {
			t.Errorf("%s: required binding %t, want %t", tt.path, required, tt.required)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	tests := []struct{ owner, property, want string }{
		{"Communication", "subject", "Patient Group"},
		{"Task", "focus", ""},
		{"Observation", "valueQuantity", ""},
		{"MedicationRequest", "medicationReference", "Medication"},
		{"MedicationRequest", "medicationCodeableConcept", ""},
		{"QuestionnaireResponse", "questionnaire", "Questionnaire"},
		{"PlanDefinition.action", "definitionCanonical", "ActivityDefinition PlanDefinition Questionnaire"},
	}
	for _, tt := range tests {
		p := R4().Type(tt.owner).Property([]byte(tt.property))
		if got := strings.Join(p.Targets, " "); got != tt.want {
			t.Errorf("%s.%s points to %q, want %q", tt.owner, tt.property, got, tt.want)
		}
	}
}

func TestProperties(t *testing.T) {
	t.Parallel()
	tests := []struct {
		owner, property string
		typ             string // "" for none
		companion       bool
	}{
		{"Patient", "birthDate", "date", false},
		{"Patient", "_birthDate", "date", true},
		{"Patient", "BirthDate", "", false},
		{"Patient", "id", "id", false},
		{"Patient", "_id", "id", true},
		{"Patient", "_name", "", false},
		{"Patient", "deceasedBoolean", "boolean", false},
		{"Patient", "_deceasedBoolean", "boolean", true},
		{"Patient", "deceased", "", false},
		{"Patient", "deceased[x]", "", false},
		{"Observation", "valueQuantity", "Quantity", false},
		{"Observation", "_valueQuantity", "", false},
		{"Extension", "url", "uri", false},
		{"Extension", "_url", "", false},
		{"Extension", "valueBase64Binary", "base64Binary", false},
		{"HumanName", "id", "string", false},
		{"HumanName", "_id", "", false},
		{"Narrative", "div", "xhtml", false},
		{"Narrative", "_div", "", false},
		{"code", "extension", "Extension", false},
		{"code", "value", "", false},
		{"Patient", "resourceType", "", false},
	}
	for _, tt := range tests {
		p := R4().Type(tt.owner).Property([]byte(tt.property))
		switch {
		case p == nil && tt.typ != "":
			t.Errorf("%s has no %s", tt.owner, tt.property)
		case p != nil && (p.Type.Name != tt.typ || p.Companion != tt.companion || p.Name != tt.property):
			t.Errorf("%s.%s is %s %s, companion %t", tt.owner, tt.property, p.Name, p.Type.Name, p.Companion)
		}
	}
}

func TestSlotsAreDense(t *testing.T) {
	t.Parallel()
	for _, typ := range R4().Types() {
		seen := make([]*Property, typ.PropertyNames())
		for name, p := range typ.properties {
			if p.Name != name || p.Slot >= len(seen) || seen[p.Slot] != nil {
				t.Fatalf("%s.%s has slot %d of %d", typ.Name, name, p.Slot, len(seen))
			}
			seen[p.Slot] = p
		}
		last := 0
		for _, p := range seen {
			if p.Element.Order < last || typ.Elements[p.Element.Order] != p.Element {
				t.Fatalf("%s.%s is out of order", typ.Name, p.Name)
			}
			last = p.Element.Order
		}
	}
}

func TestEveryTypeIsReachable(t *testing.T) {
	t.Parallel()
	reached := make(map[*Type]bool)
	var visit func(*Type)
	visit = func(typ *Type) {
		if typ == nil || reached[typ] {
			return
		}
		reached[typ] = true
		visit(typ.Base)
		for _, e := range typ.Elements {
			for _, ref := range e.Types {
				visit(ref.Type)
			}
		}
	}
	for _, r := range R4().Resources() {
		visit(r)
	}
	for _, typ := range R4().Types() {
		if !reached[typ] {
			t.Errorf("%s is not used by any resource", typ.Name)
		}
	}
}

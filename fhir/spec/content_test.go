package spec

import (
	"slices"
	"strings"
	"testing"
)

func keys(list []Invariant) string {
	var s []string
	for _, x := range list {
		s = append(s, x.Key)
	}
	return strings.Join(s, " ")
}

func TestInvariants(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"Patient":         "dom-2 dom-3 dom-4 dom-5 dom-6",
		"Patient.contact": "ele-1 pat-1",
		"Extension":       "ele-1 ext-1",
		"Age":             "age-1 ele-1 qty-3",
		"HumanName":       "ele-1",
		"Task":            "dom-2 dom-3 dom-4 dom-5 dom-6 inv-1",
		"string":          "ele-1",
		"Resource":        "",
	}
	for name, want := range tests {
		if got := keys(R4().Type(name).Invariants); got != want {
			t.Errorf("%s has invariants %q, want %q", name, got, want)
		}
	}
	inv := R4().Type("Task").Invariants[5]
	if !strings.Contains(inv.Expression, "lastModified >= authoredOn") || inv.Warning {
		t.Errorf("inv-1 of Task is %+v", inv)
	}
	if dom6 := R4().Type("Task").Invariants[4]; !dom6.Warning {
		t.Error("dom-6 is not a warning")
	}
}

func TestElementInvariants(t *testing.T) {
	t.Parallel()
	tests := []struct{ owner, element, want string }{
		{"Patient", "contact", ""},
		{"Patient", "extension", ""},
		{"Narrative", "div", "txt-1 txt-2"},
		{"Observation.referenceRange", "low", "sqty-1"},
		{"TestScript.test.action", "operation", "tst-8"},
		{"Timing.repeat", "offset", ""},
	}
	for _, tt := range tests {
		if got := keys(R4().Type(tt.owner).Element(tt.element).Invariants); got != tt.want {
			t.Errorf("%s.%s has invariants %q, want %q", tt.owner, tt.element, got, tt.want)
		}
	}
}

func TestInvariantsAreComplete(t *testing.T) {
	t.Parallel()
	distinct := make(map[string]bool)
	check := func(where string, list []Invariant) {
		for _, x := range list {
			distinct[x.Key] = true
			if x.Key == "" || x.Expression == "" || x.Human == "" {
				t.Errorf("%s has invariant %+v", where, x)
			}
		}
	}
	for _, typ := range R4().Types() {
		check(typ.Name, typ.Invariants)
		for _, e := range typ.Elements {
			check(e.Path, e.Invariants)
		}
	}
	if len(distinct) != 238 {
		t.Errorf("%d distinct keys, want the 237 of the definitions and sqty-1", len(distinct))
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	b := R4().Type("Communication").Element("status").Binding
	if b.Strength != Required || b.ValueSet != "http://hl7.org/fhir/ValueSet/event-status|4.0.1" {
		t.Errorf("Communication.status is bound to %+v", b)
	}
	var codes []string
	for _, c := range b.Set.Codes {
		codes = append(codes, c.Code)
		if c.System != "http://hl7.org/fhir/event-status" || !b.Set.HasCode([]byte(c.Code)) {
			t.Errorf("event-status has %+v", c)
		}
	}
	const want = "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
	if got := strings.Join(codes, " "); got != want {
		t.Errorf("event-status has %s, want %s", got, want)
	}
	if b.Set.HasCode([]byte("draft")) || b.Set.HasCode(nil) {
		t.Error("event-status has a code that it does not define")
	}
	if r := R4().Type("Bundle.entry.request").Element("method").Binding.Set; !r.HasCode([]byte("PATCH")) {
		t.Error("http-verb lacks PATCH")
	}
}

func TestBindingsWithoutCodes(t *testing.T) {
	t.Parallel()
	unlisted := make(map[string]bool)
	for _, typ := range R4().Types() {
		for _, e := range typ.Elements {
			switch b := e.Binding; {
			case b == nil:
			case b.ValueSet == "" && b.Strength == Required, b.Strength == 0:
				t.Errorf("%s is bound to %+v", e.Path, b)
			case b.Strength == Required && b.Set == nil:
				unlisted[b.ValueSet] = true
			case b.Strength != Required && b.Set != nil:
				t.Errorf("%s lists the codes of a binding that is not required", e.Path)
			}
		}
	}
	if len(unlisted) != 4 {
		t.Errorf("required value sets without codes: %v, want media types, UCUM, currencies and LOINC's LL379-9", unlisted)
	}
	for _, v := range R4().ValueSets {
		if len(v.Codes) == 0 {
			t.Errorf("%s has no codes", v.URL)
		}
	}
}

func TestCodeSystems(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(R4().CodeSystems, func(c *CodeSystem) bool { return c.URL == "http://hl7.org/fhir/issue-type" })
	if i < 0 {
		t.Fatal("issue-type is missing")
	}
	c := R4().CodeSystems[i]
	j := slices.IndexFunc(c.Concepts, func(x Concept) bool { return x.Code == "structure" })
	if j < 0 || c.Concepts[j].Display != "Structural Issue" || c.Concepts[c.Concepts[j].Parent].Code != "invalid" {
		t.Errorf("structure of issue-type is missing or out of place")
	}
	for _, c := range R4().CodeSystems {
		for i, x := range c.Concepts {
			if x.Code == "" || x.Parent < -1 || x.Parent >= i {
				t.Errorf("%s has %+v at %d", c.URL, x, i)
			}
		}
	}
}

func TestSearchParameters(t *testing.T) {
	t.Parallel()
	if n := len(R4().SearchParameters); n != 1387 {
		t.Errorf("%d search parameters, want 1387", n)
	}
	byURL := make(map[string]*SearchParameter)
	definers := make(map[string]string)
	for _, p := range R4().SearchParameters {
		byURL[p.URL] = p
		for _, base := range p.Base {
			if R4().Type(base) == nil || p.Code == "" || p.Type == "" {
				t.Errorf("%s is for %s, which is not defined", p.URL, base)
			}
			if other := definers[base+" "+p.Code]; other != "" {
				t.Errorf("%s and %s define %s of %s", p.URL, other, p.Code, base)
			}
			definers[base+" "+p.Code] = p.URL
		}
	}
	for _, p := range R4().SearchParameters {
		for _, c := range p.Components {
			if byURL[c.Definition] == nil || c.Expression == "" {
				t.Errorf("%s has component %+v", p.URL, c)
			}
		}
	}
	p := byURL["http://hl7.org/fhir/SearchParameter/Communication-sender"]
	if p == nil || p.Type != "reference" || p.Expression != "Communication.sender" || !slices.Contains(p.Targets, "Patient") {
		t.Errorf("Communication sender is %+v", p)
	}
	if p := byURL["http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity"]; len(p.Components) != 2 {
		t.Errorf("code-value-quantity has components %+v", p.Components)
	}
}

func TestCompartments(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, resource, want string }{
		{"Patient", "Communication", "subject sender recipient"},
		{"Patient", "Patient", "link"},
		{"Patient", "Task", ""},
		{"Patient", "Organization", ""},
		{"Encounter", "Encounter", "{def}"},
		{"RelatedPerson", "Communication", "sender recipient"},
		{"Practitioner", "Practitioner", "{def}"},
		{"Device", "Account", "subject"},
		{"Nothing", "Patient", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(R4().Compartment(tt.name, tt.resource), " "); got != tt.want {
			t.Errorf("compartment %s has %s by %q, want %q", tt.name, tt.resource, got, tt.want)
		}
	}
}

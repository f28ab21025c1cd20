package validate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestInheritance constrains a slice of the profile below without saying again how the
// slices are told apart.
func TestInheritance(t *testing.T) {
	t.Parallel()
	v := knowing(
		profileOf(t, "base", "Patient", definitions+"Patient", fmt.Sprintf(identifierSlices, "open")+`,{'path':'Patient.birthDate','min':1}`),
		profileOf(t, "middle", "Patient", made+"base", `{'id':'Patient.identifier:b.value','path':'Patient.identifier.value','min':1}`),
		profileOf(t, "p", "Patient", made+"middle", `{'id':'Patient.identifier:c','path':'Patient.identifier','sliceName':'c','max':'0'},{'id':'Patient.identifier:c.system','path':'Patient.identifier.system','fixedUri':'urn:c'}`),
	)
	n := profileResource(t, `{'resourceType':'Patient','identifier':[{'system':'urn:b'},{'system':'urn:c'}]}`).Root()
	issues, err := v.conform(t.Context(), n, made+"p", Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := told(issues)
	slices.Sort(got)
	want := []string{"cardinality-min Patient.birthDate", "cardinality-min Patient.identifier[0].value", "slice-max Patient.identifier[1]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if rule := issues[0].Rule; !strings.HasPrefix(rule, made+"p#Patient.") {
		t.Errorf("the rule is %q", rule)
	}
}

// TestDefinition says what is wrong with profiles, to whom stores them and to whom uses
// them.
func TestDefinition(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, typ, base, elements, want string
		grave                           bool
	}{
		{"sound", "Patient", definitions + "Patient", `{'path':'Patient.name','min':1}`, "", false},
		{"unknown base", "Patient", made + "nowhere", `{'path':'Patient.name'}`, "profile-base-unknown StructureDefinition.baseDefinition", true},
		{"based on itself", "Patient", made + "p", `{'path':'Patient.name'}`, "profile-base-cyclic StructureDefinition.baseDefinition", true},
		{"unknown path", "Patient", definitions + "Patient", `{'path':'Patient.name'},{'path':'Patient.nam.e'}`, "profile-path-unknown StructureDefinition.differential.element[1]", true},
		{"unknown type", "Patience", definitions + "Patient", `{'path':'Patience.name'}`, "profile-type-unknown StructureDefinition.type", true},
		{"type of an element", "Patient", definitions + "Patient", `{'path':'Patient.name','type':[{'code':'HumanNam'}]}`, "profile-type-unknown StructureDefinition.differential.element[0].type[0]", true},
		{"expression", "Patient", definitions + "Patient", `{'path':'Patient','constraint':[{'key':'k','severity':'error','human':'h','expression':'name.('}]}`, "profile-expression-invalid StructureDefinition.differential.element[0].constraint[0]", true},
		{"discriminator", "Patient", definitions + "Patient", `{'path':'Patient.name','slicing':{'discriminator':[{'type':'value','path':'use.first('}],'rules':'open'}}`, "profile-discriminator-invalid StructureDefinition.differential.element[0].slicing.discriminator[0]", true},
		{"slices without slicing", "Patient", definitions + "Patient", `{'path':'Patient.name','sliceName':'a','min':1}`, "profile-slicing-missing StructureDefinition.differential.element[0]", false},
	}
	for _, c := range cases {
		p := profileOf(t, "p", c.typ, c.base, c.elements)
		v := knowing(p)
		issues, err := v.flawsIn(t.Context(), p.Root())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, is := range issues {
			got += is.Detail + " " + is.Expression
			if is.Severity != fhir.Warning || !strings.HasSuffix(is.Text, ".") {
				t.Errorf("%s: %+v", c.name, is)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		for _, explicit := range []bool{false, true} {
			brokenUse(t, v, explicit, c.grave)
		}
	}
}

// brokenUse holds a Patient against the profile "p", which it claims or the caller
// demands.
func brokenUse(t *testing.T, v *Validator, explicit, grave bool) {
	t.Helper()
	n := profileResource(t, `{'resourceType':'Patient','meta':{'profile':['http://example.org/StructureDefinition/p']},'name':[{'family':'x'}]}`).Root()
	o := Options{}
	if explicit {
		o.Profiles = []string{made + "p"}
	}
	issues, err := v.Check(t.Context(), n, o)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	switch {
	case grave && explicit:
		want = []string{"profile-broken Patient.meta.profile[0]"}
	case grave:
		want = []string{"warning profile-broken Patient.meta.profile[0]"}
	}
	if got := told(issues); !slices.Equal(got, want) {
		t.Errorf("explicit %v: got %q, want %q", explicit, got, want)
	}
}

// TestUnknownProfile is a warning to whom claims it and an error to whom demands it.
func TestUnknownProfile(t *testing.T) {
	t.Parallel()
	n := profileResource(t, `{'resourceType':'Patient','meta':{'profile':['urn:x','http://hl7.org/fhir/StructureDefinition/Observation','http://hl7.org/fhir/StructureDefinition/Patient|4.0.1']}}`).Root()
	issues, err := validator().Check(t.Context(), n, Options{Profiles: []string{"urn:y"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"profile-unknown Patient", "warning profile-unknown Patient.meta.profile[0]", "profile-type Patient.meta.profile[1]"}
	if got := told(issues); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestProfileCircle lets profiles name each other through types and references.
func TestProfileCircle(t *testing.T) {
	t.Parallel()
	v := knowing(
		profileOf(t, "a", "Practitioner", definitions+"Practitioner", `{'path':'Practitioner.qualification.issuer','type':[{'code':'Reference','targetProfile':['http://example.org/StructureDefinition/b']}]}`),
		profileOf(t, "b", "Organization", definitions+"Organization", `{'path':'Organization.partOf','type':[{'code':'Reference','targetProfile':['http://example.org/StructureDefinition/b']}]},{'path':'Organization','constraint':[{'key':'k','severity':'error','human':'h','expression':'conformsTo(\u0027http://example.org/StructureDefinition/b\u0027)'}]}`),
		profileOf(t, "e", "Extension", definitions+"Extension", `{'path':'Extension.extension','type':[{'code':'Extension','profile':['http://example.org/StructureDefinition/e']}]}`),
	)
	n := profileResource(t, `{'resourceType':'Practitioner','contained':[{'resourceType':'Organization','id':'o','name':'x','partOf':{'reference':'#o'}}],'qualification':[{'code':{'text':'x'},'issuer':{'reference':'#o'}}],
		'extension':[{'url':'http://example.org/StructureDefinition/e','extension':[{'url':'http://example.org/StructureDefinition/e','valueString':'x'}]}]}`).Root()
	issues, err := v.Check(t.Context(), n, Options{Profiles: []string{made + "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := told(issues); got != nil {
		t.Errorf("got %q", got)
	}
}

// TestBaseChanges changes the profile below a profile that is in use.
func TestBaseChanges(t *testing.T) {
	t.Parallel()
	base := profileOf(t, "base", "Patient", definitions+"Patient", `{'path':'Patient.name','min':1}`)
	p := profileOf(t, "p", "Patient", made+"base", `{'path':'Patient.active','min':0}`)
	books := shelf{base, p}
	v := knowing(books...)
	n := profileResource(t, `{'resourceType':'Patient','active':true}`).Root()
	if got := places(t, v, n, made+"p"); !slices.Equal(got, []string{"cardinality-min Patient.name"}) {
		t.Errorf("before: %q", got)
	}
	s, err := v.shape(t.Context(), made+"p")
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.shape(t.Context(), made+"p")
	if err != nil || again != s {
		t.Errorf("it was compiled twice, or %v", err)
	}
	stale := *s
	stale.links = []link{{made + "base", nil}}
	if fresh, err := v.isCurrent(t.Context(), &stale); fresh || err != nil {
		t.Errorf("another base is taken for current, or %v", err)
	}
}

// TestProfileNonsense holds resources against profiles that were changed at random:
// nothing panics, and all ends soon.
func TestProfileNonsense(t *testing.T) {
	t.Parallel()
	resources := map[string][]fhir.Node{}
	for _, n := range decoded(t) {
		if len(n.Raw()) < 20_000 {
			resources[n.Type().Name] = append(resources[n.Type().Name], n)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	source := lines(t, shared(t, "r4/StructureDefinition.ndjson.gz"))
	tried, refused := 0, 0
	for range 500 {
		src := scramble(t, random, source[random.IntN(len(source))], source[random.IntN(len(source))])
		p, err := fhir.Decode("StructureDefinition", src)
		if err != nil {
			refused++
			continue
		}
		tried++
		of := resources[p.Root().Child("type").Text()]
		if len(of) == 0 {
			of = resources["Patient"]
		}
		nonsense(t, p, of[random.IntN(len(of))])
	}
	t.Logf("%d profiles, %d not well-formed", tried, refused)
	if tried < 200 {
		t.Errorf("only %d profiles could be tried", tried)
	}
}

func nonsense(t *testing.T, p *fhir.Resource, n fhir.Node) {
	t.Helper()
	v := knowing(p)
	if _, err := v.flawsIn(t.Context(), p.Root()); err != nil {
		t.Fatal(err)
	}
	url := p.Root().Child("url").Text()
	if _, err := v.Check(t.Context(), n, Options{Warnings: true, Profiles: []string{url}}); err != nil {
		t.Fatal(err)
	}
}

// scramble changes a StructureDefinition here and there, with parts of another one.
func scramble(t *testing.T, random *rand.Rand, line, other []byte) []byte {
	t.Helper()
	var s, o map[string]any
	if err := json.Unmarshal(line, &s); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(other, &o); err != nil {
		t.Fatal(err)
	}
	if random.IntN(2) == 0 {
		delete(s, "differential")
	}
	s["derivation"] = "constraint"
	elements := elementsIn(s)
	for range 1 + random.IntN(12) {
		if len(elements) == 0 {
			break
		}
		e := elements[random.IntN(len(elements))].(map[string]any)
		shuffleElement(random, e, elements, elementsIn(o))
	}
	src, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func elementsIn(s map[string]any) []any {
	for _, part := range []string{"differential", "snapshot"} {
		if p, ok := s[part].(map[string]any); ok {
			return p["element"].([]any)
		}
	}
	return nil
}

func shuffleElement(random *rand.Rand, e map[string]any, own, others []any) {
	another := own[random.IntN(len(own))].(map[string]any)
	if len(others) > 0 && random.IntN(3) == 0 {
		another = others[random.IntN(len(others))].(map[string]any)
	}
	switch random.IntN(9) {
	case 0:
		e["path"] = another["path"]
	case 1:
		delete(e, "id")
	case 2:
		e["id"] = another["id"]
	case 3:
		e["sliceName"] = []string{"a", "a/b", "@default", "valueQuantity", "a/b/c"}[random.IntN(5)]
		delete(e, "id")
	case 4:
		path := []string{"$this", "code", "resolve()", "coding.code", "value.ofType(Quantity)", "extension('x').value", "", "a(", "resolve().code.coding"}[random.IntN(9)]
		kind := []string{"value", "pattern", "exists", "type", "profile"}[random.IntN(5)]
		e["slicing"] = map[string]any{"rules": []string{"open", "closed", "openAtEnd"}[random.IntN(3)], "ordered": random.IntN(2) == 0, "discriminator": []any{map[string]any{"type": kind, "path": path}}}
	case 5:
		e["min"], e["max"] = random.IntN(3), []string{"0", "1", "*", "x"}[random.IntN(4)]
	case 6:
		e["type"] = []any{map[string]any{"code": []string{"Reference", "Extension", "Quantity", "Nothing"}[random.IntN(4)], "profile": []any{definitions + "bp", definitions + "patient-birthPlace"}}}
	case 7:
		e["constraint"] = []any{map[string]any{"key": "k", "severity": "error", "human": "h", "expression": []string{"children().exists()", "repeat(children()).count() < 3", "name.", "conformsTo('" + definitions + "vitalsigns')"}[random.IntN(4)]}}
	case 8:
		for k, v := range another {
			e[k] = v
		}
	}
}

// TestCostlyProfile gives up on what takes too long, and says so.
func TestCostlyProfile(t *testing.T) {
	t.Parallel()
	var elements strings.Builder
	elements.WriteString(`{'id':'Patient.identifier','path':'Patient.identifier','slicing':{'discriminator':[{'type':'value','path':'system'}],'rules':'open'}}`)
	for i := range 900 {
		fmt.Fprintf(&elements, `,{'id':'Patient.identifier:s%d.system','path':'Patient.identifier.system','fixedUri':'urn:%[1]d'}`, i)
	}
	all := []*fhir.Resource{profileOf(t, "wide", "Patient", definitions+"Patient", elements.String())}
	for i := range 30 {
		next := fmt.Sprintf(`conformsTo(\u0027%sdeep%d\u0027)`, made, i+1)
		all = append(all, profileOf(t, fmt.Sprintf("deep%d", i), "Patient", definitions+"Patient", fmt.Sprintf(`{'path':'Patient','constraint':[{'key':'a','severity':'error','human':'h','expression':'%s'},{'key':'b','severity':'error','human':'h','expression':'%s or true'}]}`, next, next)))
	}
	v := knowing(append(all, profileOf(t, "deep30", "Patient", definitions+"Patient", `{'path':'Patient.name','min':0}`))...)
	n := profileResource(t, `{'resourceType':'Patient','identifier':[`+strings.Repeat(`{'value':'1'},`, 3000)+`{'value':'1'}]}`).Root()
	for _, name := range []string{"wide", "deep0"} {
		issues, err := v.conform(t.Context(), n, made+name, Options{Profiles: []string{made + name}})
		if err != nil {
			t.Fatal(err)
		}
		if got := told(issues); !slices.Contains(got, "profile-too-costly Patient") {
			t.Errorf("%s: %q", name, got[:min(3, len(got))])
		}
	}
}

// TestFixedWithID: the id that an element has is no part of its value, as an extension is.
func TestFixedWithID(t *testing.T) {
	t.Parallel()
	v := knowing(profileOf(t, "p", "Patient", definitions+"Patient", `{'path':'Patient.gender','fixedCode':'male'},{'path':'Patient.maritalStatus','fixedCodeableConcept':{'text':'x'}}`))
	for content, want := range map[string]int{
		`'gender':'male','maritalStatus':{'text':'x'}`:                                                  0,
		`'gender':'male','_gender':{'id':'a'},'maritalStatus':{'id':'b','text':'x','_text':{'id':'c'}}`: 0,
		`'gender':'male','_gender':{'extension':[{'url':'http://e.example','valueCode':'x'}]}`:          1,
		`'gender':'female','_gender':{'id':'a'},'maritalStatus':{'id':'b','text':'y'}`:                  2,
		`'maritalStatus':{'text':'x','coding':[{'code':'x'}]},'gender':'male'`:                          1,
	} {
		issues, err := v.conform(t.Context(), profileResource(t, `{'resourceType':'Patient',`+content+`}`).Root(), made+"p", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := told(issues); len(got) != want {
			t.Errorf("%s: %q, want %d", content, got, want)
		}
	}
}

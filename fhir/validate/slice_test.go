package validate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const made = "http://example.org/StructureDefinition/"

// profileOf returns a profile called name on base with the elements of a differential.
func profileOf(t testing.TB, name, typ, base, elements string) *fhir.Resource {
	t.Helper()
	return profileResource(t, fmt.Sprintf(`{'resourceType':'StructureDefinition','id':'%[1]s','url':'%[2]s%[1]s','name':'P','status':'draft','kind':'resource','abstract':true,'type':'%[3]s','baseDefinition':'%[4]s','derivation':'constraint','differential':{'element':[%[5]s]}}`, name, made, typ, base, elements))
}

// A profileCase holds a resource against the profile "p", made of elements.
type profileCase struct {
	name     string
	elements string // of the differential, on the type of the resource
	resource string
	want     []string
}

const identifierSlices = `{'id':'Patient.identifier','path':'Patient.identifier','slicing':{'discriminator':[{'type':'value','path':'system'}],'rules':'%s'}},
	{'id':'Patient.identifier:a','path':'Patient.identifier','sliceName':'a','max':'1'},
	{'id':'Patient.identifier:a.system','path':'Patient.identifier.system','fixedUri':'urn:a'},
	{'id':'Patient.identifier:b','path':'Patient.identifier','sliceName':'b','min':1},
	{'id':'Patient.identifier:b.system','path':'Patient.identifier.system','fixedUri':'urn:b'}`

const observation = `'resourceType':'Observation','status':'final','code':{'coding':[{'system':'http://loinc.org','code':'1-8'}]}`

var profileCases = []profileCase{
	// Rules of slicing.
	{"open", fmt.Sprintf(identifierSlices, "open"), `{'resourceType':'Patient','identifier':[{'system':'urn:c'},{'system':'urn:b'},{'system':'urn:b'}]}`, nil},
	{"slice missing", fmt.Sprintf(identifierSlices, "open"), `{'resourceType':'Patient','identifier':[{'system':'urn:a'}]}`, []string{"slice-min Patient.identifier"}},
	{"slice too often", fmt.Sprintf(identifierSlices, "open"), `{'resourceType':'Patient','identifier':[{'system':'urn:a'},{'system':'urn:b'},{'system':'urn:a'}]}`, []string{"slice-max Patient.identifier[2]"}},
	{"closed", fmt.Sprintf(identifierSlices, "closed"), `{'resourceType':'Patient','identifier':[{'system':'urn:b'},{'system':'urn:c'}]}`, []string{"slice-closed Patient.identifier[1]"}},
	{"open at the end", fmt.Sprintf(identifierSlices, "openAtEnd"), `{'resourceType':'Patient','identifier':[{'system':'urn:a'},{'system':'urn:b'},{'system':'urn:c'}]}`, nil},
	{"not at the end", fmt.Sprintf(identifierSlices, "openAtEnd"), `{'resourceType':'Patient','identifier':[{'system':'urn:a'},{'system':'urn:c'},{'system':'urn:b'}]}`, []string{"slice-order Patient.identifier[2]"}},
	{"ordered", fmt.Sprintf(identifierSlices, "open','ordered':true,'description':'x"), `{'resourceType':'Patient','identifier':[{'system':'urn:a'},{'system':'urn:c'},{'system':'urn:b'}]}`, nil},
	{"out of order", fmt.Sprintf(identifierSlices, "open','ordered':true,'description':'x"), `{'resourceType':'Patient','identifier':[{'system':'urn:b'},{'system':'urn:a'}]}`, []string{"slice-order Patient.identifier[1]"}},
	{"default slice", fmt.Sprintf(identifierSlices, "closed") + `,{'id':'Patient.identifier:@default','path':'Patient.identifier','sliceName':'@default','max':'1'},{'id':'Patient.identifier:@default.value','path':'Patient.identifier.value','min':1}`, `{'resourceType':'Patient','identifier':[{'system':'urn:b'},{'system':'urn:c'},{'system':'urn:d','value':'1'}]}`, []string{"cardinality-min Patient.identifier[1].value", "slice-max Patient.identifier[2]"}},
	{"unsliced and sliced", fmt.Sprintf(identifierSlices, "open") + `,{'path':'Patient.identifier','max':'2'},{'path':'Patient.identifier.value','min':1}`, `{'resourceType':'Patient','identifier':[{'system':'urn:b'},{'system':'urn:c','value':'1'},{'system':'urn:d','value':'1'}]}`, []string{"cardinality-max Patient.identifier[2]", "cardinality-min Patient.identifier[0].value"}},
	{"slice of a slice", fmt.Sprintf(identifierSlices, "open") + `,{'id':'Patient.identifier:b','path':'Patient.identifier','sliceName':'b','slicing':{'discriminator':[{'type':'value','path':'use'}],'rules':'closed'}},{'id':'Patient.identifier:b/old','path':'Patient.identifier','sliceName':'b/old','max':'1'},{'id':'Patient.identifier:b/old.use','path':'Patient.identifier.use','fixedCode':'old'}`, `{'resourceType':'Patient','identifier':[{'system':'urn:b','use':'old'},{'system':'urn:b','use':'old'},{'system':'urn:b','use':'usual'},{'system':'urn:c','use':'usual'}]}`, []string{"slice-closed Patient.identifier[2]", "slice-max Patient.identifier[1]"}},
	{"by path alone", `{'path':'Patient.identifier','slicing':{'discriminator':[{'type':'value','path':'system'}],'rules':'open'}},{'path':'Patient.identifier','sliceName':'a','max':'1'},{'path':'Patient.identifier.system','fixedUri':'urn:a','min':1},{'path':'Patient.identifier','sliceName':'b','max':'0'},{'path':'Patient.identifier.system','fixedUri':'urn:b'}`, `{'resourceType':'Patient','identifier':[{'system':'urn:a'},{'system':'urn:a'},{'system':'urn:b'}]}`, []string{"slice-max Patient.identifier[1]", "slice-max Patient.identifier[2]"}},

	// Discriminators.
	{"value of a pattern above", `{'path':'Observation.component','slicing':{'discriminator':[{'type':'value','path':'code.coding.code'}],'rules':'open'}},{'path':'Observation.component','sliceName':'x','max':'1'},{'path':'Observation.component.code','patternCodeableConcept':{'coding':[{'code':'x'}]}}`, `{` + observation + `,'component':[{'code':{'coding':[{'code':'x'}]}},{'code':{'coding':[{'code':'y'},{'code':'x'}]}}]}`, []string{"slice-max Observation.component[1]"}},
	{"value that is fixed further in", `{'path':'Observation.component','slicing':{'discriminator':[{'type':'value','path':'code'}],'rules':'open'}},{'path':'Observation.component','sliceName':'x','max':'0'},{'path':'Observation.component.code.coding.code','fixedCode':'x'}`, `{` + observation + `,'component':[{'code':{'coding':[{'code':'x'}]}},{'code':{'text':'x'}}]}`, []string{"slice-max Observation.component[0]"}},
	{"value in a slice", `{'path':'Observation.component','slicing':{'discriminator':[{'type':'value','path':'code.coding.code'}],'rules':'closed'}},{'path':'Observation.component','sliceName':'x'},{'path':'Observation.component.code.coding','slicing':{'discriminator':[{'type':'value','path':'system'}],'rules':'open'}},{'path':'Observation.component.code.coding','sliceName':'l','min':1},{'path':'Observation.component.code.coding.system','fixedUri':'urn:l'},{'path':'Observation.component.code.coding.code','fixedCode':'x'}`, `{` + observation + `,'component':[{'code':{'coding':[{'system':'urn:l','code':'x'}]}},{'code':{'coding':[{'code':'y'}]}}]}`, []string{"slice-closed Observation.component[1]"}},
	{"pattern", `{'path':'Patient.maritalStatus.coding','slicing':{'discriminator':[{'type':'pattern','path':'$this'}],'rules':'closed'}},{'path':'Patient.maritalStatus.coding','sliceName':'m','patternCoding':{'system':'urn:m'}}`, `{'resourceType':'Patient','maritalStatus':{'coding':[{'system':'urn:m','code':'1'},{'system':'urn:n'}]}}`, []string{"slice-closed Patient.maritalStatus.coding[1]"}},
	{"no discriminator", `{'path':'Patient.name','slicing':{'rules':'closed'}},{'path':'Patient.name','sliceName':'u'},{'path':'Patient.name.use','fixedCode':'usual'}`, `{'resourceType':'Patient','name':[{'use':'usual'},{'use':'old'}]}`, []string{"slice-closed Patient.name[1]"}},
	{"exists", `{'path':'Patient.name','slicing':{'discriminator':[{'type':'exists','path':'period'}],'rules':'open'}},{'path':'Patient.name','sliceName':'with','max':'1'},{'path':'Patient.name.period','min':1},{'path':'Patient.name','sliceName':'without','max':'1'},{'path':'Patient.name.period','max':'0'}`, `{'resourceType':'Patient','name':[{'text':'a'},{'period':{'start':'2020'}},{'text':'b'}]}`, []string{"slice-max Patient.name[2]"}},
	{"type", `{'path':'Observation.component','slicing':{'discriminator':[{'type':'type','path':'value'}],'rules':'closed'}},{'path':'Observation.component','sliceName':'q'},{'path':'Observation.component.value[x]','type':[{'code':'Quantity'}]},{'path':'Observation.component.value[x].code','min':1}`, `{` + observation + `,'component':[{'code':{'text':'x'},'valueQuantity':{'value':1}},{'code':{'text':'x'},'valueString':'1'}]}`, []string{"cardinality-min Observation.component[0].value.code", "slice-closed Observation.component[1]"}},
	{"type of a reference", `{'path':'Observation.performer','slicing':{'discriminator':[{'type':'type','path':'resolve()'}],'rules':'open'}},{'path':'Observation.performer','sliceName':'p','max':'1','type':[{'code':'Reference','targetProfile':['http://hl7.org/fhir/StructureDefinition/Practitioner']}]}`, `{` + observation + `,'performer':[{'reference':'Practitioner/1'},{'reference':'Organization/1'},{'reference':'Practitioner/2'}]}`, []string{"slice-max Observation.performer[2]"}},
	{"value behind a reference", `{'path':'Observation.performer','slicing':{'discriminator':[{'type':'value','path':'resolve().active'}],'rules':'closed'}},{'path':'Observation.performer','sliceName':'p','type':[{'code':'Reference','targetProfile':['http://example.org/StructureDefinition/active']}]}`, `{` + observation + `,'contained':[{'resourceType':'Practitioner','id':'a','active':true},{'resourceType':'Practitioner','id':'b','active':false}],'performer':[{'reference':'#a'},{'reference':'#b'}]}`, []string{"slice-closed Observation.performer[1]"}},
	{"profile", `{'path':'Bundle.entry','slicing':{'discriminator':[{'type':'profile','path':'resource'}],'rules':'closed'}},{'path':'Bundle.entry','sliceName':'a','max':'1'},{'path':'Bundle.entry.resource','type':[{'code':'Practitioner','profile':['http://example.org/StructureDefinition/active']}]}`, `{'resourceType':'Bundle','type':'collection','entry':[{'resource':{'resourceType':'Practitioner','active':true}},{'resource':{'resourceType':'Practitioner'}},{'resource':{'resourceType':'Patient'}},{'resource':{'resourceType':'Practitioner','active':true}}]}`, []string{"slice-closed Bundle.entry[1]", "slice-closed Bundle.entry[2]", "slice-max Bundle.entry[3]"}},
	{"value of an extension", `{'path':'Patient.identifier','slicing':{'discriminator':[{'type':'value','path':'extension(\u0027urn:kind\u0027).value'}],'rules':'closed'}},{'path':'Patient.identifier','sliceName':'k'},{'path':'Patient.identifier.extension','sliceName':'kind','type':[{'code':'Extension','profile':['urn:kind']}]},{'path':'Patient.identifier.extension.value[x]','fixedString':'k'}`, `{'resourceType':'Patient','identifier':[{'extension':[{'url':'urn:kind','valueString':'k'}]},{'extension':[{'url':'urn:kind','valueString':'l'}]}]}`, []string{"slice-closed Patient.identifier[1]"}},
	{"value of one type", `{'path':'Observation.component','slicing':{'discriminator':[{'type':'value','path':'value.ofType(Coding)'},{'type':'value','path':'value.ofType(CodeableConcept).text'}],'rules':'closed'}},{'path':'Observation.component','sliceName':'t'},{'path':'Observation.component.value[x]','patternCodeableConcept':{'text':'t'}}`, `{` + observation + `,'component':[{'code':{'text':'x'},'valueCodeableConcept':{'text':'t'}}]}`, []string{"slice-closed Observation.component[0]"}},
	{"two discriminators", `{'path':'Patient.telecom','slicing':{'discriminator':[{'type':'value','path':'system'},{'type':'value','path':'use'}],'rules':'open'}},{'path':'Patient.telecom','sliceName':'hp','max':'0'},{'path':'Patient.telecom.system','fixedCode':'phone'},{'path':'Patient.telecom.use','fixedCode':'home'}`, `{'resourceType':'Patient','telecom':[{'system':'phone','use':'work','value':'1'},{'system':'phone','use':'home','value':'1'}]}`, []string{"slice-max Patient.telecom[1]"}},
	{"required value set", `{'path':'Patient.name','slicing':{'discriminator':[{'type':'value','path':'use'}],'rules':'open'}},{'path':'Patient.name','sliceName':'s','max':'0'},{'path':'Patient.name.use','binding':{'strength':'required','valueSet':'http://hl7.org/fhir/ValueSet/address-use'}}`, `{'resourceType':'Patient','name':[{'use':'nickname'},{'use':'temp'}]}`, []string{"slice-max Patient.name[1]"}},
	{"extension by url", `{'path':'Patient.extension','sliceName':'x','max':'1','min':1,'type':[{'code':'Extension','profile':['urn:x']}]}`, `{'resourceType':'Patient','extension':[{'url':'urn:x','valueString':'1'},{'url':'urn:x','valueString':'2'}]}`, []string{"slice-max Patient.extension[1]"}},

	{"parts of an extension that is not known", `{'id':'Patient.extension:x','path':'Patient.extension','sliceName':'x','type':[{'code':'Extension','profile':['urn:x']}]},{'id':'Patient.extension:x.extension:y','path':'Patient.extension.extension','sliceName':'y','min':1}`, `{'resourceType':'Patient','extension':[{'url':'urn:x','extension':[{'url':'y','valueString':'1'}]}]}`, nil},

	// Choices.
	{"one type", `{'path':'Observation.value[x]','type':[{'code':'Quantity'}]}`, `{` + observation + `,'valueString':'1'}`, []string{"type-not-allowed Observation.value"}},
	{"none of two types", `{'path':'Observation.value[x]','type':[{'code':'string'},{'code':'Quantity'}]}`, `{` + observation + `,'valueDateTime':'2020'}`, []string{"type-not-allowed Observation.value"}},
	{"shortcut", `{'path':'Observation.valueQuantity','min':1},{'path':'Observation.valueQuantity.code','min':1}`, `{` + observation + `,'valueQuantity':{'value':1}}`, []string{"cardinality-min Observation.value.code"}},
	{"shortcut and another type", `{'path':'Observation.valueQuantity'}`, `{` + observation + `,'valueString':'1'}`, []string{"type-not-allowed Observation.value"}},
	{"slice by type", `{'id':'Observation.value[x]','path':'Observation.value[x]','slicing':{'discriminator':[{'type':'type','path':'$this'}],'rules':'open'}},{'id':'Observation.value[x]:valueQuantity','path':'Observation.value[x]','sliceName':'valueQuantity','min':0},{'id':'Observation.value[x]:valueQuantity.code','path':'Observation.value[x].code','min':1}`, `{` + observation + `,'valueString':'1'}`, nil},
	{"slice by type holds", `{'id':'Observation.value[x]:valueQuantity','path':'Observation.value[x]','sliceName':'valueQuantity'},{'id':'Observation.value[x]:valueQuantity.code','path':'Observation.value[x].code','min':1}`, `{` + observation + `,'valueQuantity':{'value':1}}`, []string{"cardinality-min Observation.value.code"}},
	{"slice by type demanded", `{'id':'Observation.value[x]:valueQuantity','path':'Observation.value[x]','sliceName':'valueQuantity','min':1}`, `{` + observation + `,'valueString':'1'}`, []string{"slice-min Observation.value"}},

	// Values.
	{"fixed", `{'path':'Patient.name.family','fixedString':'A'}`, `{'resourceType':'Patient','name':[{'family':'A'},{'family':'B'}]}`, []string{"fixed-value Patient.name[1].family"}},
	{"fixed as a whole", `{'path':'Observation.code','fixedCodeableConcept':{'coding':[{'code':'a'}]}}`, `{` + observation + `}`, []string{"fixed-value Observation.code"}},
	{"fixed order", `{'path':'Patient.name','fixedHumanName':{'given':['A','B']}}`, `{'resourceType':'Patient','name':[{'given':['A','B']},{'given':['B','A']},{'given':['A','B','C']}]}`, []string{"fixed-value Patient.name[1]", "fixed-value Patient.name[2]"}},
	{"pattern", `{'path':'Patient.name','patternHumanName':{'use':'usual','given':['A']}}`, `{'resourceType':'Patient','name':[{'use':'usual','given':['B','A']},{'use':'usual','given':['B']},{'given':['A']}]}`, []string{"pattern-value Patient.name[1]", "pattern-value Patient.name[2]"}},
	{"decimals", `{'path':'Observation.valueQuantity.value','fixedDecimal':1.0}`, `{` + observation + `,'valueQuantity':{'value':1.00}}`, nil},
	{"smallest", `{'path':'Observation.value[x]','minValueQuantity':{'value':1,'code':'kg','system':'http://unitsofmeasure.org'}}`, `{` + observation + `,'valueQuantity':{'value':999,'code':'g','system':'http://unitsofmeasure.org'}}`, []string{"min-value Observation.value"}},
	{"largest", `{'path':'Patient.birthDate','maxValueDate':'2000-01-01'}`, `{'resourceType':'Patient','birthDate':'2000-01-02'}`, []string{"max-value Patient.birthDate"}},
	{"within", `{'path':'Patient.multipleBirth[x]','minValueInteger':1,'maxValueInteger':3}`, `{'resourceType':'Patient','multipleBirthInteger':3}`, nil},
	{"length", `{'path':'Patient.name.family','maxLength':3}`, `{'resourceType':'Patient','name':[{'family':'Äöü'},{'family':'abcd'}]}`, []string{"max-length Patient.name[1].family"}},
	{"invariant", `{'path':'Patient.name','constraint':[{'key':'n','severity':'error','human':'h','expression':'family.exists()'},{'key':'w','severity':'warning','human':'h','expression':'false'}]}`, `{'resourceType':'Patient','name':[{'text':'x'}]}`, []string{"invariant Patient.name[0]"}},
	{"required binding", `{'path':'Patient.maritalStatus','binding':{'strength':'required','valueSet':'http://hl7.org/fhir/ValueSet/yesnodontknow'}}`, `{'resourceType':'Patient','maritalStatus':{'text':'x'}}`, []string{"code-required Patient.maritalStatus"}},
	{"content reference", `{'path':'Questionnaire.item.text','min':1}`, `{'resourceType':'Questionnaire','status':'draft','item':[{'linkId':'1','text':'x','type':'group','item':[{'linkId':'2','type':'group','item':[{'linkId':'3','type':'display'}]}]}]}`, []string{"cardinality-min Questionnaire.item[0].item[0].item[0].text", "cardinality-min Questionnaire.item[0].item[0].text"}},
	{"data type with a profile", `{'path':'Patient.contact.name','type':[{'code':'HumanName','profile':['http://example.org/StructureDefinition/named']}]}`, `{'resourceType':'Patient','contact':[{'name':{'text':'x'}}]}`, []string{"cardinality-min Patient.contact[0].name.family"}},
	{"one of two profiles", `{'path':'Patient.name','type':[{'code':'HumanName','profile':['http://example.org/StructureDefinition/named','http://example.org/StructureDefinition/texted']}]}`, `{'resourceType':'Patient','name':[{'text':'x'},{'family':'x'},{'use':'old'}]}`, []string{"profile-none Patient.name[2]"}},
	{"target", `{'path':'Observation.subject','type':[{'code':'Reference','targetProfile':['http://hl7.org/fhir/StructureDefinition/Patient']}]}`, `{` + observation + `,'subject':{'reference':'Group/1'}}`, []string{"target-not-allowed Observation.subject"}},
	{"target with a profile", `{'path':'Observation.performer','type':[{'code':'Reference','targetProfile':['http://example.org/StructureDefinition/active']}]}`, `{` + observation + `,'contained':[{'resourceType':'Practitioner','id':'a','active':true},{'resourceType':'Practitioner','id':'b'}],'performer':[{'reference':'#a'},{'reference':'#b'},{'reference':'Practitioner/1'}]}`, []string{"target-profile Observation.performer[1]"}},
}

// beside are the profiles that others refer to.
func beside(t testing.TB) []*fhir.Resource {
	return []*fhir.Resource{
		profileOf(t, "active", "Practitioner", definitions+"Practitioner", `{'path':'Practitioner.active','min':1,'fixedBoolean':true}`),
		profileOf(t, "named", "HumanName", definitions+"HumanName", `{'path':'HumanName.family','min':1}`),
		profileOf(t, "texted", "HumanName", definitions+"HumanName", `{'path':'HumanName.text','min':1}`),
	}
}

// TestProfiles holds small resources against small profiles.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, c := range profileCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := profileResource(t, c.resource)
			p := profileOf(t, "p", r.Type(), definitions+r.Type(), c.elements)
			v := knowing(append(beside(t), p)...)
			issues, err := v.conform(t.Context(), r.Root(), made+"p", Options{Profiles: []string{made + "p"}})
			if err != nil {
				t.Fatal(err)
			}
			got := told(issues)
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

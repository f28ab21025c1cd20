package validate

import (
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestExtensions puts extensions of R4, and some made for it, where they belong and where
// they do not.
func TestExtensions(t *testing.T) {
	t.Parallel()
	v := knowing(
		profileResource(t, `{'resourceType':'StructureDefinition','id':'s','url':'urn:s','name':'S','status':'draft','kind':'complex-type','abstract':false,'type':'Extension','baseDefinition':'http://hl7.org/fhir/StructureDefinition/Extension','derivation':'constraint',
			'context':[{'type':'fhirpath','expression':'Patient.name.where(use=\u0027official\u0027)'},{'type':'extension','expression':'urn:t'}],'contextInvariant':['%extension.value = \u0027x\u0027 or family.exists()'],'differential':{'element':[{'path':'Extension.value[x]','min':1,'type':[{'code':'string'}]}]}}`),
		profileResource(t, `{'resourceType':'StructureDefinition','id':'m','url':'urn:m','name':'M','status':'draft','kind':'complex-type','abstract':false,'type':'Extension','baseDefinition':'http://hl7.org/fhir/StructureDefinition/Extension','derivation':'constraint',
			'context':[{'type':'element','expression':'http://example.org/p#Patient.contact:next.telecom'},{'type':'element','expression':'Observation.value[x]'},{'type':'element','expression':'Questionnaire.item.text'}],'differential':{'element':[{'path':'Extension','isModifier':true}]}}`),
	)
	cases := []struct {
		name, resource string
		want           []string
	}{
		{"path", `{'resourceType':'Patient','name':[{'use':'official','extension':[{'url':'urn:s','valueString':'x'}]}]}`, nil},
		{"another path", `{'resourceType':'Patient','name':[{'use':'old','extension':[{'url':'urn:s','valueString':'x'}]}]}`, []string{"extension-context Patient.name[0].extension[0]"}},
		{"invariant holds", `{'resourceType':'Patient','name':[{'use':'official','family':'F','extension':[{'url':'urn:s','valueString':'y'}]}]}`, nil},
		{"invariant", `{'resourceType':'Patient','name':[{'use':'official','text':'F','extension':[{'url':'urn:s','valueString':'y'}]}]}`, []string{"extension-context Patient.name[0].extension[0]"}},
		{"in an extension", `{'resourceType':'Patient','extension':[{'url':'urn:t','extension':[{'url':'urn:s','valueString':'x'}]}]}`, nil},
		{"in another extension", `{'resourceType':'Patient','extension':[{'url':'urn:u','extension':[{'url':'urn:s','valueString':'x'}]}]}`, []string{"extension-context Patient.extension[0].extension[0]"}},
		{"modifier", `{'resourceType':'Patient','contact':[{'telecom':[{'value':'1','extension':[{'url':'urn:m','valueString':'x'}]}]}]}`, []string{"extension-is-modifier Patient.contact[0].telecom[0].extension[0]"}},
		{"choice", `{'resourceType':'Observation','status':'final','code':{'text':'x'},'valueQuantity':{'value':1,'extension':[{'url':'urn:m','valueString':'x'}]}}`, []string{"extension-is-modifier Observation.value.extension[0]"}},
		{"nested item", `{'resourceType':'Questionnaire','status':'draft','item':[{'linkId':'1','type':'group','text':'x','item':[{'linkId':'2','type':'display','text':'x','_text':{'extension':[{'url':'urn:m','valueString':'x'}]}}]}]}`, []string{"extension-is-modifier Questionnaire.item[0].item[0].text.extension[0]"}},
		{"of a primitive", `{'resourceType':'Patient','birthDate':'2020-01-01','_birthDate':{'extension':[{'url':'http://hl7.org/fhir/StructureDefinition/patient-birthTime','valueDateTime':'2020-01-01T10:00:00Z'}]}}`, nil},
		{"beside a primitive", `{'resourceType':'Patient','extension':[{'url':'http://hl7.org/fhir/StructureDefinition/patient-birthTime','valueDateTime':'2020-01-01T10:00:00Z'}]}`, []string{"extension-context Patient.extension[0]"}},
		{"data type", `{'resourceType':'Patient','extension':[{'url':'http://hl7.org/fhir/StructureDefinition/patient-birthPlace','valueString':'Leeds'}]}`, []string{"type-not-allowed Patient.extension[0].value"}},
		{"of R5", `{'resourceType':'Patient','extension':[{'url':'http://hl7.org/fhir/StructureDefinition/patient-of-the-future','valueString':'Leeds'}]}`, nil},
		{"modifier in a message", `{'resourceType':'Communication','status':'completed','payload':[{'contentString':'x','modifierExtension':[{'url':'urn:n','valueString':'x'}]}]}`, []string{"modifier-extension-unknown Communication.payload[0].modifierExtension[0]"}},
		{"modifier contained in a form", `{'resourceType':'QuestionnaireResponse','status':'completed','contained':[{'resourceType':'Patient','id':'p','modifierExtension':[{'url':'urn:n','valueString':'x'}]}],'subject':{'reference':'#p'}}`, []string{"modifier-extension-unknown QuestionnaireResponse.contained[0].modifierExtension[0]"}},
		{"modifier elsewhere", `{'resourceType':'Bundle','type':'collection','entry':[{'resource':{'resourceType':'Patient','modifierExtension':[{'url':'urn:n','valueString':'x'}]}}]}`, []string{"warning modifier-extension-unknown Bundle.entry[0].resource.modifierExtension[0]"}},
	}
	for _, c := range cases {
		issues, err := v.extensions(t.Context(), profileResource(t, c.resource).Root(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := told(issues); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestUnknownExtension is told to whom asks for warnings.
func TestUnknownExtension(t *testing.T) {
	t.Parallel()
	n := profileResource(t, `{'resourceType':'Patient','extension':[{'url':'urn:x','valueString':'x'}]}`).Root()
	for _, warnings := range []bool{false, true} {
		issues, err := validator().extensions(t.Context(), n, Options{Warnings: warnings})
		if err != nil {
			t.Fatal(err)
		}
		if told := len(issues) == 1 && issues[0].Severity == fhir.Information && issues[0].Detail == "extension-unknown"; told != warnings {
			t.Errorf("with warnings %v: %+v", warnings, issues)
		}
	}
}

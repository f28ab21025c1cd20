package consultation_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// FuzzRules compiles the rules of any form and asks them about a response: nothing panics,
// and what cannot be read counts.
func FuzzRules(f *testing.F) {
	f.Add(sample(f, "questionnaire.json"))
	f.Add([]byte(`{"resourceType":"Questionnaire","status":"active","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/triage-rule"}]}`))
	f.Add([]byte(`{"resourceType":"Questionnaire","status":"active","version":"1","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/triage-rule","extension":[{"url":"condition","valueExpression":{"language":"text/fhirpath","expression":"item.where(linkId='a\\'b')"}},{"url":"disposition","valueString":"x"}]}]}`))
	response := read(f, "QuestionnaireResponse", sample(f, "qr-valid-07-two-rules.json"))
	f.Fuzz(func(t *testing.T, src []byte) {
		form, err := fhir.Decode("Questionnaire", src)
		if err != nil {
			return
		}
		rules, issues := consultation.CompileRules(form.Root())
		got := rules.Evaluate(response.Root(), demoEnv())
		for _, is := range issues {
			if is.Severity == fhir.Error && len(got.Counting()) == 0 {
				t.Errorf("a broken rule does not count: %v", is)
			}
		}
		if _, err := fhir.Decode("Parameters", got.Explain()); err != nil {
			t.Errorf("%v: %s", err, got.Explain())
		}
	})
}

// FuzzPost sends any Communication: what is accepted is a Communication again.
func FuzzPost(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/t"}],"recipient":[{"reference":"Organization/prac-1"}],"payload":[{"contentString":"text"}]}`))
	f.Add([]byte(`{"resourceType":"Communication", "_status":{"id":"x"},"status":"completed","identifier":[ ] ,"partOf":[{"reference":"Task/t"}],"about":[{"reference":"Task/t"} ],"recipient":[{"reference":"RelatedPerson/rel-1"},{"reference":"Organization/prac-1"}],"payload":[{"contentAttachment":{"url":"Binary/photo"}}],"inResponseTo":[{"reference":"Communication/q/_history/1"}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := fhir.Decode("Communication", src)
		if err != nil {
			return
		}
		c := talk(t, consultation.Consultation, "on-hold")
		c.Messages = []consultation.Message{question("q", once())}
		for _, caller := range []consultation.Caller{thePatient(), theGP()} {
			got, err := consultation.Post(posting(c, caller, m))
			if err != nil {
				continue
			}
			for _, a := range append(got.Receipts, got.Message) {
				if _, err := fhir.Decode(a.Type, a.JSON); err != nil {
					t.Errorf("%v: %s", err, a.JSON)
				}
			}
		}
	})
}

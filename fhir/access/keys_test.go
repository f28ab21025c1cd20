package access

import (
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// letter writes a key for a test: "sees Patient/1".
func letter(k Key) string {
	name := [...]string{"", "open", "sees", "record", "party", "author", "label", "itself"}[k.Kind]
	return strings.TrimSpace(name + " " + k.Of)
}

func letters(keys []Key) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = letter(k)
	}
	return strings.Join(words, ", ")
}

func indexed(tb testing.TB, r *search.Registry, src string) (*search.Index, fhir.Node) {
	tb.Helper()
	doc := decode(tb, src)
	ix, err := r.Index(doc.Root(), doc.ID())
	if err != nil {
		tb.Fatalf("%s: %v", src, err)
	}
	return ix, doc.Root()
}

func TestKeys(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for name, tt := range map[string]struct{ src, want string }{
		"patient": {`{"resourceType":"Patient","id":"1","generalPractitioner":[{"reference":"Organization/o"}],"link":[{"type":"seealso","other":{"reference":"Patient/2"}}]}`,
			"sees Patient/1, record Patient/1"},
		"related person": {`{"resourceType":"RelatedPerson","id":"r","patient":{"reference":"Patient/1"}}`,
			"sees Patient/1, record Patient/1, party RelatedPerson/r"},
		"message": {`{"resourceType":"Communication","id":"c","status":"completed","subject":{"reference":"Patient/1"},"sender":{"reference":"Patient/1"},"recipient":[{"reference":"Organization/o"},{"reference":"PractitionerRole/r"}]}`,
			"sees Patient/1, party Organization/o, party PractitionerRole/r"},
		"message between clinicians": {`{"resourceType":"Communication","id":"c","status":"completed","subject":{"reference":"Patient/1"},"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Organization/b"}]}`,
			"party Organization/a, party Organization/b"},
		"internal note that names the patient": {`{"resourceType":"Communication","id":"c","status":"completed","category":[{"coding":[{"system":"urn:any","code":"Internal-Note"}]}],"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Patient/1"}]}`,
			"party Organization/a"},
		"draft of a message": {`{"resourceType":"Communication","id":"c","status":"preparation","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/release-to-patient","valueBoolean":true}],"subject":{"reference":"Patient/1"},"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Organization/b"},{"reference":"Patient/1"}]}`,
			"party Organization/a"},
		"draft of a patient": {`{"resourceType":"Communication","id":"c","status":"preparation","subject":{"reference":"Patient/1"},"sender":{"reference":"Patient/1"},"recipient":[{"reference":"Organization/b"}]}`,
			"sees Patient/1"},
		"draft of a request": {`{"resourceType":"CommunicationRequest","id":"c","status":"draft","requester":{"reference":"Organization/a"},"sender":{"reference":"Organization/s"},"recipient":[{"reference":"Patient/1"}]}`,
			"party Organization/a, party Organization/s"},
		"message that is released": {`{"resourceType":"Communication","id":"c","status":"completed","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/release-to-patient","valueBoolean":true}],"subject":{"reference":"Patient/1"},"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Organization/b"}]}`,
			"sees Patient/1, party Organization/a, party Organization/b"},
		"message that is not": {`{"resourceType":"Communication","id":"c","status":"completed","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/release-to-patient","valueBoolean":false}],"subject":{"reference":"Patient/1"},"sender":{"reference":"Organization/a"},"recipient":[{"reference":"Organization/b"}]}`,
			"party Organization/a, party Organization/b"},
		"note that is released": {`{"resourceType":"Communication","id":"c","status":"completed","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/release-to-patient","valueBoolean":true}],"category":[{"coding":[{"system":"urn:any","code":"internal-note"}]}],"subject":{"reference":"Patient/1"},"sender":{"reference":"Organization/a"}}`,
			"party Organization/a"},
		"receipt between clinicians": {`{"resourceType":"Task","id":"t","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/message-sender","valueReference":{"reference":"Organization/a"}}],"status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},"for":{"reference":"Patient/1"},"requester":{"reference":"Device/server"},"owner":{"reference":"Organization/b"}}`,
			"party Organization/a, party Organization/b"},
		"receipt of a patient": {`{"resourceType":"Task","id":"t","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/message-sender","valueReference":{"reference":"Organization/a"}}],"status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},"for":{"reference":"Patient/1"},"requester":{"reference":"Device/server"},"owner":{"reference":"Patient/1"}}`,
			"sees Patient/1, party Organization/a"},
		"receipt for a patient's message": {`{"resourceType":"Task","id":"t","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/message-sender","valueReference":{"reference":"Patient/1"}}],"status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},"for":{"reference":"Patient/1"},"requester":{"reference":"Device/server"},"owner":{"reference":"Organization/b"}}`,
			"sees Patient/1, party Organization/b"},
		"task": {`{"resourceType":"Task","id":"t","status":"requested","intent":"order","for":{"reference":"Patient/1"},"requester":{"reference":"Organization/a"},"owner":{"reference":"Organization/b"},"focus":{"reference":"ServiceRequest/s"}}`,
			"sees Patient/1, party Organization/a, party Organization/b"},
		"receipt": {`{"resourceType":"Task","id":"t","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/message-sender","valueReference":{"reference":"Organization/a"}}],"status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"message-receipt"}]},"requester":{"reference":"Device/server"},"owner":{"reference":"Organization/b"}}`,
			"party Organization/a, party Organization/b"},
		"task that is no receipt": {`{"resourceType":"Task","id":"t","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/message-sender","valueReference":{"reference":"Organization/a"}}],"status":"ready","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"patient-action"}]},"owner":{"reference":"Organization/b"}}`,
			"party Organization/b"},
		"referral": {`{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order","subject":{"reference":"Patient/1"},"requester":{"reference":"PractitionerRole/r"},"performer":[{"reference":"HealthcareService/h"},{"reference":"Patient/2"}]}`,
			"sees Patient/1, party HealthcareService/h, party PractitionerRole/r"},
		"observation": {`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"},"focus":[{"reference":"Patient/3"}],"performer":[{"reference":"Patient/2"},{"reference":"Practitioner/p"}]}`,
			"sees Patient/1, sees Patient/2, record Patient/1, party Practitioner/p"},
		"device of a patient":        {`{"resourceType":"Device","id":"d","patient":{"reference":"Patient/1"}}`, "sees Patient/1, record Patient/1"},
		"device of nobody":           {`{"resourceType":"Device","id":"d"}`, "open"},
		"device of somebody unknown": {`{"resourceType":"Device","id":"d","patient":{"identifier":{"value":"9"}}}`, ""},
		"device of a stranger":       {`{"resourceType":"Device","id":"d","patient":{"reference":"https://other.example.org/Patient/1"}}`, ""},
		"group":                      {`{"resourceType":"Group","id":"g","type":"person","actual":true,"managingEntity":{"reference":"Organization/o"},"member":[{"entity":{"reference":"Patient/1"}}]}`, "party Organization/o"},
		"list":                       {`{"resourceType":"List","id":"l","status":"current","mode":"working","subject":{"reference":"Patient/1"},"source":{"reference":"Patient/2"}}`, "sees Patient/1, record Patient/1"},
		"answers": {`{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","subject":{"reference":"Patient/1"},"author":{"reference":"Patient/2"}}`,
			"sees Patient/1, sees Patient/2, record Patient/1"},
		"appointment": {`{"resourceType":"Appointment","id":"a","status":"booked","participant":[{"status":"accepted","actor":{"reference":"Patient/1"}},{"status":"accepted","actor":{"reference":"HealthcareService/h"}}]}`,
			"sees Patient/1, party HealthcareService/h"},
		"care team": {`{"resourceType":"CareTeam","id":"c","status":"active","subject":{"reference":"Patient/1"},"managingOrganization":[{"reference":"` + base + `/Organization/m"}],"participant":[{"member":{"reference":"Practitioner/p"},"onBehalfOf":{"reference":"Organization/b"}}]}`,
			"sees Patient/1, record Patient/1, party Organization/b, party Organization/m, party Practitioner/p"},
		"schedule":              {`{"resourceType":"Schedule","id":"s","actor":[{"reference":"Practitioner/p"}]}`, "open, party Practitioner/p"},
		"schedule of a patient": {`{"resourceType":"Schedule","id":"s","actor":[{"reference":"Practitioner/p"},{"reference":"Patient/1"}]}`, "sees Patient/1, party Practitioner/p"},
		"schedule of somebody":  {`{"resourceType":"Schedule","id":"s","actor":[{"display":"who?"}]}`, ""},
		"directory":             {`{"resourceType":"PractitionerRole","id":"r","organization":{"reference":"Organization/o"}}`, "open"},
		"form":                  {`{"resourceType":"Questionnaire","id":"q","status":"active"}`, "open"},
		"person":                {`{"resourceType":"Person","id":"p","link":[{"target":{"reference":"Patient/1"}},{"target":{"reference":"Practitioner/2"}}],"managingOrganization":{"reference":"Organization/o"}}`, "sees Patient/1, party Organization/o"},
		"audit":                 {`{"resourceType":"AuditEvent","id":"e","type":{"code":"rest"},"recorded":"2024-01-01T00:00:00Z","agent":[{"who":{"reference":"Practitioner/p"},"requestor":true}],"source":{"observer":{"reference":"Organization/o"}},"entity":[{"what":{"reference":"Patient/1"}}]}`, "sees Patient/1"},
		"own absolute URL":      {`{"resourceType":"Condition","id":"c","subject":{"reference":"` + base + `/Patient/1"}}`, "sees Patient/1, record Patient/1"},
		"other server":          {`{"resourceType":"Condition","id":"c","subject":{"reference":"https://other.example.org/Patient/1"}}`, ""},
		"version":               {`{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/1/_history/2"}}`, "sees Patient/1, record Patient/1"},
		"contained":             {`{"resourceType":"Condition","id":"c","contained":[{"resourceType":"Patient","id":"1"}],"subject":{"reference":"#1"}}`, ""},
		"by identifier":         {`{"resourceType":"Condition","id":"c","subject":{"type":"Patient","identifier":{"value":"1"}}}`, ""},
		"type that lies":        {`{"resourceType":"Task","id":"t","status":"draft","intent":"order","for":{"reference":"Group/1","type":"Patient"}}`, ""},
		"binary":                {`{"resourceType":"Binary","id":"b","contentType":"text/plain","securityContext":{"reference":"Patient/1"}}`, ""},
		"basic":                 {`{"resourceType":"Basic","id":"b","code":{"text":"x"},"subject":{"reference":"Patient/1"},"author":{"reference":"Practitioner/p"}}`, "sees Patient/1, record Patient/1, party Practitioner/p"},
		"labels": {`{"resourceType":"Basic","id":"b","code":{"text":"x"},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"},{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"},
			{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"psy"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NODSCLCD"},
			{"system":"http://example.org","code":"V"},{"code":"V"}]}}`, "label *, label NOPAT, label PSY, label R"},
		"labels of old systems": {`{"resourceType":"Basic","id":"b","code":{"text":"x"},"meta":{"security":[{"system":"http://hl7.org/fhir/v3/Confidentiality","code":"V"},{"system":"urn:oid:2.16.840.1.113883.5.4","code":"HIV"},{"system":"urn:oid:2.16.840.1.113883.5.25","code":"S"}]}}`,
			"label *, label HIV, label R, label V"},
	} {
		ix, root := indexed(t, r, tt.src)
		keys := Keys(ix, root)
		if got := letters(keys); got != tt.want {
			t.Errorf("%s: keys %s, want %s", name, got, tt.want)
		}
		if !slices.IsSortedFunc(keys, compareKeys) {
			t.Errorf("%s: keys are not in order: %v", name, keys)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	got := Subjects([]Key{{Record, "Patient/2"}, {Patient, "Patient/1"}, {Patient, "Patient/2"}, {Author, "Patient/3"}, {Party, "Organization/1"}})
	if want := []string{"Patient/1", "Patient/2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAuthors(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for name, tt := range map[string]struct {
		src, authors, reporters string
		stranger                bool
	}{
		"message":          {`{"resourceType":"Communication","id":"c","status":"completed","sender":{"reference":"Patient/1"},"recipient":[{"reference":"Organization/o"}]}`, "Patient/1", "", false},
		"without a sender": {`{"resourceType":"Communication","id":"c","status":"completed"}`, "", "", false},
		"contained sender": {`{"resourceType":"Communication","id":"c","status":"completed","contained":[{"resourceType":"Practitioner","id":"h"}],"sender":{"reference":"#h"}}`, "", "", true},
		"shown sender":     {`{"resourceType":"Communication","id":"c","status":"completed","sender":{"display":"Dr House"}}`, "", "", true},
		"identified":       {`{"resourceType":"Communication","id":"c","status":"completed","sender":{"identifier":{"value":"1"}}}`, "", "", true},
		"elsewhere":        {`{"resourceType":"Task","id":"c","status":"draft","intent":"order","requester":{"reference":"https://other.example.org/Organization/1"}}`, "", "", true},
		"request":          {`{"resourceType":"CommunicationRequest","id":"c","status":"active","sender":{"reference":"Organization/a"},"requester":{"reference":"Patient/1"}}`, "Organization/a Patient/1", "", false},
		"document":         {`{"resourceType":"DocumentReference","id":"c","status":"current","author":[{"reference":"Practitioner/b"},{"reference":"Practitioner/a"},{"reference":"Practitioner/a"}],"authenticator":{"reference":"Organization/o"},"content":[{"attachment":{"title":"x"}}]}`, "Practitioner/a Practitioner/b", "Organization/o", false},
		"one of two":       {`{"resourceType":"DocumentReference","id":"c","status":"current","author":[{"reference":"Practitioner/b"},{"display":"x"}],"content":[{"attachment":{"title":"x"}}]}`, "Practitioner/b", "", true},
		"observation":      {`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"performer":[{"reference":"Patient/1"}]}`, "", "Patient/1", false},
		"answers":          {`{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","author":{"reference":"Practitioner/1"},"source":{"reference":"Patient/1"}}`, "Practitioner/1", "Patient/1", false},
		"provenance":       {`{"resourceType":"Provenance","id":"q","target":[{"reference":"Task/1"}],"recorded":"2024-01-01T00:00:00Z","agent":[{"who":{"reference":"Practitioner/1"}},{"who":{"reference":"Organization/1"}}]}`, "Organization/1 Practitioner/1", "", false},
		"medication":       {`{"resourceType":"MedicationStatement","id":"m","status":"active","medicationCodeableConcept":{"text":"x"},"subject":{"reference":"Patient/1"},"informationSource":{"reference":"Patient/1"}}`, "", "Patient/1", false},
		"nobody asks":      {`{"resourceType":"Condition","id":"m","subject":{"reference":"Patient/1"},"asserter":{"reference":"Practitioner/1"}}`, "", "", false},
	} {
		ix, root := indexed(t, r, tt.src)
		c := NewContent(ix, root)
		if a, p := joined(c.Authors), joined(c.Reporters); a != tt.authors || p != tt.reporters || c.Stranger != tt.stranger {
			t.Errorf("%s: authors %q, reporters %q, stranger %v", name, a, p, c.Stranger)
		}
	}
}

func joined(names []fhir.Key) string {
	words := make([]string, len(names))
	for i, k := range names {
		words[i] = k.String()
	}
	return strings.Join(words, " ")
}

package conformance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// A submissionCase is a response to the form of the set that is good, and what comes of it.
type submissionCase struct {
	File     string
	Priority *string // of the Task; nil when there is none
	Rules    []string
	photos   []string // that are uploaded first, as the response names them
	photo    string   // what they show
}

// aPhoto returns a picture as a Binary.
func aPhoto(t *testing.T) string {
	t.Helper()
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"resourceType":"Binary","contentType":"image/jpeg","data":%q}`, base64.StdEncoding.EncodeToString(picture.Bytes()))
}

// TestSubmissions has patients, and who acts for one, send the good responses of the set. Each
// leads to one Task with the priority that the rules of the form give, and to an acknowledgement.
func TestSubmissions(t *testing.T) {
	t.Parallel()
	set := formSet(t)
	var manifest struct{ Valid []submissionCase }
	if err := json.Unmarshal(set.read(t, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Valid) != 8 {
		t.Fatalf("%d good responses", len(manifest.Valid))
	}
	text := "# A form that is good becomes a Task with the priority that its rules give.\n" + submissionWorld(t, set)
	files := "-- form.json --\n" + string(set.read(t, "questionnaire.json")) + "\n"
	for i, c := range manifest.Valid {
		body := string(set.read(t, c.File))
		for _, photo := range []string{"photo-1", "photo-2"} {
			if strings.Contains(body, "Binary/"+photo) {
				name := strings.ReplaceAll(photo, "-", "")
				body = strings.ReplaceAll(body, "Binary/"+photo, "Binary/{"+name+"}")
				c.photo, c.photos = aPhoto(t), append(c.photos, name)
			}
		}
		text += c.script(i, strings.Contains(body, "RelatedPerson/rel-1"))
		files += fmt.Sprintf("-- %s --\n%s\n", c.File, body)
	}
	s, err := parse("set-a", []byte(text+files))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.run(serveSignIn(t, api.Config{})) {
		t.Error(err)
	}
}

// submissionWorld returns the requests that make the practice and the patients of the set.
func submissionWorld(t *testing.T, set folder) string {
	t.Helper()
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(set.read(t, "context-bundle.json"), &b); err != nil {
		t.Fatal(err)
	}
	text := "as administrator\n"
	for _, e := range b.Entry {
		var of struct{ ResourceType, ID string }
		if err := json.Unmarshal(e.Resource, &of); err != nil {
			t.Fatal(err)
		}
		body := strings.Join(strings.Fields(string(e.Resource)), " ")
		text += fmt.Sprintf("PUT /fhir/%s/%s\n%s\n= 201\n\n", of.ResourceType, of.ID, body)
	}
	return text + `PUT /fhir/Questionnaire/online-consult-general-1-0-0
< form.json
= 201

POST /fhir/Consent
{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"Proxy"}],"patient":{"reference":"Patient/pat-2"},"policyRule":{"text":"Proxy"},"provision":{"type":"permit","actor":[{"role":{"text":"proxy"},"reference":{"reference":"RelatedPerson/rel-1"}}]}}
= 201
`
}

// script returns the requests about case n.
func (c submissionCase) script(n int, byProxy bool) string {
	who := "as patient pat-1 patient/*.cruds\n"
	if byProxy {
		who = "as relative rel-1 patient=pat-2 patient/*.cruds\n"
	}
	for _, photo := range c.photos {
		who += "\nPOST /fhir/Binary\n" + c.photo + "\n= 201\nlet " + photo + " = id\n"
	}
	text := fmt.Sprintf("\n# %s\n%s\nPOST /fhir/QuestionnaireResponse\nIdempotency-Key: submission-%d\n< %s\n= 201\nlet answers = id\n", c.File, who, n, c.File)
	look := "\nGET /fhir/Task?focus=QuestionnaireResponse/{answers}\n= 200\n"
	if c.Priority == nil {
		return text + look + "= json total 0\n"
	}
	text += "= header Link ~ Task/[^>]*>; rel=\"task\"\n" + look + "= json total 1\nlet task = json entry[0].resource.id\n" +
		"= json entry[0].resource.status requested\n= json entry[0].resource.owner.reference Organization/prac-1\n" +
		"= json entry[0].resource.restriction.period.end\n= json entry[0].resource.priority " + *c.Priority + "\n"
	for i, rule := range c.Rules {
		text += fmt.Sprintf("= json entry[0].resource.extension[%d].extension[0].valueId %s\n", i, rule)
	}
	if len(c.Rules) == 0 {
		text += "= no json entry[0].resource.extension\n"
	}
	return text + "\nGET /fhir/Communication?part-of=Task/{task}\n= 200\n= json total 1\n= json entry[0].resource.category[0].coding[0].code acknowledgement\nlet message = json entry[0].resource.id\n" +
		"\nGET /fhir/Task?focus=Communication/{message}&status=ready\n= 200\n= json total 1\n"
}

// TestSubmissionTask holds the Task that comes of a red flag against the one of the set.
func TestSubmissionTask(t *testing.T) {
	t.Parallel()
	set := formSet(t)
	var want struct {
		Extension []struct {
			Extension []struct {
				URL, ValueID, ValueCanonical string
				ValueCoding                  struct{ System, Code string }
			}
		}
		BusinessStatus, Code json.RawMessage
		Priority, Status     string
		Intent               string
		Requester, Owner     struct{ Reference string }
		Focus                struct{ Type string }
		Input                []struct {
			Type                 json.RawMessage
			ValueCodeableConcept json.RawMessage
		}
	}
	if err := json.Unmarshal(set.read(t, "expected-triage-task-for-02.json"), &want); err != nil {
		t.Fatal(err)
	}
	business, code := tight(t, want.BusinessStatus), tight(t, want.Code)
	text := "# A red flag makes a Task that says which rule has found what.\n" + submissionWorld(t, set) +
		"as patient pat-1 patient/*.cruds\nPOST /fhir/QuestionnaireResponse\n< answers.json\n= 201\nlet answers = id\n" +
		"\nGET /fhir/Task?focus=QuestionnaireResponse/{answers}\n= 200\n= json entry[0].resource.businessStatus " + business + "\n= json entry[0].resource.code " + code + "\n" +
		fmt.Sprintf("= json entry[0].resource.status %s\n= json entry[0].resource.intent %s\n= json entry[0].resource.requester.reference %s\n", want.Status, want.Intent, want.Requester.Reference) +
		fmt.Sprintf("= json entry[0].resource.extension[0].extension[1].valueCanonical %s\n", want.Extension[0].Extension[1].ValueCanonical) +
		fmt.Sprintf("= json entry[0].resource.extension[0].extension[2].valueCoding.code %s\n", want.Extension[0].Extension[2].ValueCoding.Code) +
		"= json entry[0].resource.input[0].valueReference.reference QuestionnaireResponse/{answers}/_history/1\n" +
		"= json entry[0].resource.input[1].valueCodeableConcept " + tight(t, want.Input[1].ValueCodeableConcept) + "\n" +
		"= count entry[0].resource.input 2\n"
	files := "-- form.json --\n" + string(set.read(t, "questionnaire.json")) + "\n-- answers.json --\n" + string(set.read(t, "qr-valid-02-redflag-stat.json")) + "\n"
	s, err := parse("set-a-task", []byte(text+files))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.run(serveSignIn(t, api.Config{})) {
		t.Error(err)
	}
}

// tight returns JSON without blanks and with sorted names.
func tight(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

package consultation_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

const ours = "https://fhir.openconsult.example/"

func key(reference string) fhir.Key {
	r, _ := fhir.ParseReference(reference)
	return r.Key
}

func reference(s string) object { return object{"reference": s} }

// talkSample returns a file of the example messages.
func talkSample(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata/talk", name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// The people of the conversations.
func thePatient() consultation.Caller {
	return consultation.Caller{Persons: []fhir.Key{key("Patient/pat-1")}}
}

func theProxy() consultation.Caller {
	return consultation.Caller{Persons: []fhir.Key{key("RelatedPerson/rel-1")}, Proxies: []fhir.Key{key("Patient/pat-1")}}
}

func staff(person, organization string) consultation.Caller {
	return consultation.Caller{Persons: []fhir.Key{key(person)}, Memberships: []consultation.Membership{{Of: key(organization)}}}
}

func theGP() consultation.Caller { return staff("PractitionerRole/gp-1", "Organization/prac-1") }

func theConsultant() consultation.Caller {
	return staff("PractitionerRole/cons-1", "Organization/hosp-1")
}

func theStranger() consultation.Caller {
	return consultation.Caller{Persons: []fhir.Key{key("Patient/pat-2")}}
}

// parties are whom roles and services stand for.
func parties() map[fhir.Key]fhir.Key {
	return map[fhir.Key]fhir.Key{
		key("PractitionerRole/gp-1"):      key("Organization/prac-1"),
		key("PractitionerRole/gp-2"):      key("Organization/prac-1"),
		key("PractitionerRole/cons-1"):    key("Organization/hosp-1"),
		key("HealthcareService/card-ag"):  key("Organization/hosp-1"),
		key("RelatedPerson/rel-1"):        key("Patient/pat-1"),
		key("PractitionerRole/elsewhere"): key("Organization/elsewhere"),
	}
}

var talkNow = time.Date(2025, 11, 21, 7, 0, 0, 0, time.UTC)

// talk returns a conversation in a status, with nothing said.
func talk(t testing.TB, kind consultation.Kind, status string) consultation.Conversation {
	t.Helper()
	requester, owner := "Patient/pat-1", "Organization/prac-1"
	switch kind {
	case consultation.AdviceAndGuidance, consultation.Referral:
		requester, owner = "Organization/prac-1", "Organization/hosp-1"
	case consultation.PatientAction:
		requester, owner = "Organization/prac-1", "Patient/pat-1"
	}
	task, err := consultation.ReadTask(make1(t, object{
		"resourceType": "Task", "id": "t", "status": status, "intent": "order", "for": reference("Patient/pat-1"),
		"code":  object{"coding": []any{object{"system": consultation.KindSystem, "code": kind}}},
		"focus": reference("QuestionnaireResponse/qr-1"), "requester": reference(requester), "owner": reference(owner),
		"groupIdentifier": object{"system": consultation.ThreadSystem, "value": "thread-1"}, "priority": "urgent",
	}), "")
	if err != nil {
		t.Fatal(err)
	}
	return consultation.Conversation{Task: task, Parties: parties(), CompletedAt: talkNow.Add(-time.Hour)}
}

// says is a message that has been sent.
func says(id, from, to string, policy *consultation.Policy) consultation.Message {
	return consultation.Message{Key: key("Communication/" + id), Task: key("Task/t"), Status: "completed", Category: "consultation",
		Sender: key(from), Recipients: []fhir.Key{key(to)}, Sent: talkNow.Add(-24 * time.Hour), Policy: policy}
}

// question is a message of the practice to the patient.
func question(id string, policy *consultation.Policy) consultation.Message {
	return says(id, "PractitionerRole/gp-1", "Patient/pat-1", policy)
}

func once() *consultation.Policy {
	return &consultation.Policy{Mode: consultation.ReplyOnce, Until: time.Date(2025, 11, 27, 18, 30, 0, 0, time.UTC)}
}

// letter returns a Communication in a conversation; more replaces its elements, nil leaves
// one out.
func letter(t testing.TB, c consultation.Conversation, to string, more object) *fhir.Resource {
	t.Helper()
	o := object{"resourceType": "Communication", "status": "completed", "partOf": []any{reference(c.Task.Key.String())},
		"recipient": []any{reference(to)}, "payload": []any{object{"contentString": "text"}}}
	for name, v := range more {
		if o[name] = v; v == nil {
			delete(o, name)
		}
	}
	return make1(t, o)
}

// posting is that of a letter.
func posting(c consultation.Conversation, caller consultation.Caller, m *fhir.Resource) consultation.Posting {
	return consultation.Posting{Message: m, Conversation: c, Caller: caller, Limits: consultation.DefaultLimits(),
		ID: "m", Identifier: "7b2c9a52-0000-4000-8000-0000000000ff", Receipts: []string{"r1", "r2", "r3"}, Now: talkNow,
		Attachments: map[string]consultation.Attachment{
			"Binary/photo":  {ContentType: "image/jpeg", Bytes: 1000, State: consultation.ScanAvailable},
			"Binary/new":    {ContentType: "image/jpeg", Bytes: 1000, State: consultation.ScanPending},
			"Binary/virus":  {ContentType: "image/jpeg", Bytes: 1000, State: consultation.ScanThreats},
			"Binary/broken": {ContentType: "image/jpeg", Bytes: 1000, State: consultation.ScanInvalid},
			"Binary/movie":  {ContentType: "video/mp4", Bytes: 1000, State: consultation.ScanAvailable},
			"Binary/big":    {ContentType: "image/jpeg", Bytes: 100 << 20, State: consultation.ScanAvailable},
		}}
}

func photo(url string) object {
	return object{"contentAttachment": object{"contentType": "image/jpeg", "url": url}}
}

func photos(n int, url string) []any {
	all := []any{}
	for range n {
		all = append(all, photo(url))
	}
	return all
}

func replyTo(id string) object {
	return object{"inResponseTo": []any{reference("Communication/" + id)}}
}

// with joins parts of a resource.
func with(parts ...object) object {
	all := object{}
	for _, p := range parts {
		for k, v := range p {
			all[k] = v
		}
	}
	return all
}

func category(code string) object {
	return object{"category": []any{object{"coding": []any{object{"system": consultation.CategorySystem, "code": code}}}}}
}

func policyExtension(parts ...object) object {
	return object{"extension": []any{object{"url": ours + "StructureDefinition/reply-policy", "extension": parts}}}
}

// stored returns a message as the next one finds it.
func stored(t testing.TB, p consultation.Posted) consultation.Message {
	t.Helper()
	return consultation.ReadMessage(read(t, "Communication", p.Message.JSON), "")
}

func post(t testing.TB, p consultation.Posting) consultation.Posted {
	t.Helper()
	got, err := consultation.Post(p)
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, append([]consultation.Authored{got.Message}, got.Receipts...)...)
	return got
}

func moves(p consultation.Posted) string {
	s := ""
	for _, m := range p.Follow {
		s += fmt.Sprintf("%s: %s -> %s %s", m.Task, m.From, m.To, m.BusinessStatus)
	}
	return s
}

package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// An object is a resource, or a part of one, about to be written.
type object = map[string]any

// A lot draws resources. Their ids are few, so that some name what is there,
// others what is not.
type lot struct{ *rand.Rand }

// ids is how many resources of a type can be named, by type, in an order that
// stays.
func ids() []struct {
	typ string
	n   int
} {
	return []struct {
		typ string
		n   int
	}{
		{"Organization", 4}, {"Practitioner", 5}, {"PractitionerRole", 7}, {"HealthcareService", 3}, {"Patient", 8}, {"RelatedPerson", 4}, {"Consent", 3},
		{"Coverage", 6}, {"CareTeam", 4}, {"EpisodeOfCare", 3}, {"Encounter", 5}, {"Observation", 24}, {"Condition", 12}, {"Medication", 2},
		{"MedicationRequest", 6}, {"Binary", 10}, {"DocumentReference", 10}, {"DiagnosticReport", 6}, {"Questionnaire", 2}, {"QuestionnaireResponse", 8},
		{"ServiceRequest", 14}, {"Task", 16}, {"Communication", 16}, {"Appointment", 5}, {"List", 4}, {"Group", 3}, {"Provenance", 6}, {"Device", 3}, {"Basic", 3}, {"Person", 2},
	}
}

// some returns the nth name of a type.
func some(typ string, n int) string { return fmt.Sprintf("%s/%s-%d", typ, strings.ToLower(typ), n) }

func (l lot) oneIn(n int) bool { return l.IntN(n) == 0 }

func (l lot) pick(from ...string) string { return from[l.IntN(len(from))] }

// name draws a resource of one of some types.
func (l lot) name(types ...string) string {
	typ := l.pick(types...)
	for _, t := range ids() {
		if t.typ == typ {
			return some(typ, 1+l.IntN(t.n))
		}
	}
	return typ + "/unheard-of"
}

func (l lot) ref(types ...string) object { return object{"reference": l.name(types...)} }

// refs draws up to three.
func (l lot) refs(types ...string) []object {
	var all []object
	for range l.IntN(4) {
		all = append(all, l.ref(types...))
	}
	return all
}

func (l lot) patient() object { return l.ref("Patient") }

func (l lot) staff() object { return l.ref("Practitioner", "PractitionerRole", "Organization") }

// body draws the resource of a name.
func (l lot) body(name string) object {
	typ, id, _ := strings.Cut(name, "/")
	o := l.content(typ)
	o["resourceType"], o["id"] = typ, id
	if typ == "Questionnaire" { // of which no two have the same url
		o["url"] = "http://forms/" + id
	}
	if typ != "Binary" {
		o["identifier"] = []object{{"system": "http://ids", "value": id}, {"system": "http://of", "value": l.pick("a", "b", "c", "d")}}
	}
	switch typ {
	case "Binary", "Bundle":
	case "Provenance", "Medication":
		delete(o, "identifier")
	case "QuestionnaireResponse":
		o["identifier"] = o["identifier"].([]object)[0]
	}
	if label := l.label(); label != nil {
		o["meta"] = object{"security": []object{label}, "tag": []object{{"system": "http://t", "code": l.pick("x", "y")}}}
	}
	return o
}

// label draws a label, mostly none.
func (l lot) label() object {
	if !l.oneIn(5) {
		return nil
	}
	code := l.pick("R", "V", "NOPAT", "PSY", "N")
	if code == "NOPAT" || code == "PSY" {
		return object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}
	}
	return object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}
}

func (l lot) concept() object {
	return object{"coding": []object{{"system": "http://codes", "code": l.pick("glucose", "hiv", "weight", "asthma", "knee")}}, "text": l.pick("knee pain", "lung", "heart rate")}
}

func (l lot) day() string { return fmt.Sprintf("2025-%02d-%02d", 1+l.IntN(12), 1+l.IntN(28)) }

func (l lot) moment() string { return l.day() + "T10:00:00Z" }

// content draws what is particular to a type.
func (l lot) content(typ string) object {
	if o := l.directory(typ); o != nil {
		return o
	}
	if o := l.clinical(typ); o != nil {
		return o
	}
	return l.exchanged(typ)
}

// directory draws who there is.
func (l lot) directory(typ string) object {
	switch typ {
	case "Organization":
		return object{"name": l.pick("Surgery", "Hospital", "Clinic")}
	case "Practitioner":
		return object{"name": l.names()}
	case "PractitionerRole":
		return object{"practitioner": l.ref("Practitioner"), "organization": l.ref("Organization"), "active": !l.oneIn(5)}
	case "HealthcareService":
		return object{"providedBy": l.ref("Organization"), "name": l.pick("Knees", "Lungs")}
	case "Patient":
		return object{"name": l.names(), "gender": l.pick("male", "female"), "birthDate": l.day(), "managingOrganization": l.ref("Organization"), "generalPractitioner": l.generalPractitioners(), "active": true}
	case "RelatedPerson":
		return object{"patient": l.patient(), "name": l.names(), "active": true}
	case "Person":
		return object{"name": l.names(), "link": []object{{"target": l.patient()}}}
	case "Consent":
		return object{"status": "active", "scope": l.code("x"), "category": []object{l.code("x")}, "patient": l.patient(), "policyRule": l.code("OPTIN"),
			"provision": object{"type": l.pick("permit", "deny"), "actor": []object{{"role": l.code("x"), "reference": l.ref("RelatedPerson")}}}}
	case "Group":
		return object{"type": "person", "actual": true, "member": l.members(), "managingEntity": l.ref("Organization")}
	case "CareTeam":
		return object{"status": l.pick("active", "active", "inactive"), "subject": l.patient(), "participant": []object{{"member": l.staff()}, {"member": l.ref("Practitioner", "Patient")}, {"member": l.ref("Practitioner"), "onBehalfOf": l.ref("Organization")}}}
	case "EpisodeOfCare":
		return object{"status": l.pick("active", "finished"), "patient": l.patient(), "managingOrganization": l.ref("Organization"), "team": []object{l.ref("CareTeam")}}
	}
	return nil
}

func (l lot) code(code string) object { return object{"coding": []object{{"code": code}}} }

func (l lot) names() []object {
	return []object{{"family": l.pick("Smith", "Jones", "Ahmed"), "given": []string{l.pick("Ann", "Bob", "Cleo", "Dan")}}}
}

func (l lot) generalPractitioners() []object {
	if l.oneIn(2) {
		return []object{l.staff()}
	}
	return []object{l.ref("PractitionerRole"), l.ref("Practitioner")}
}

func (l lot) members() []object {
	var all []object
	for range 1 + l.IntN(3) {
		all = append(all, object{"entity": l.patient()})
	}
	return all
}

// clinical draws what belongs to a record.
func (l lot) clinical(typ string) object {
	switch typ {
	case "Observation":
		return object{"status": l.pick("final", "amended", "preliminary"), "code": l.concept(), "subject": l.patient(), "performer": l.refs("Practitioner", "Organization", "Patient", "PractitionerRole"),
			"category": []object{{"coding": []object{{"system": "http://c", "code": l.pick("laboratory", "vital-signs", "social-history")}}}}, "effectiveDateTime": l.day(),
			"valueQuantity": object{"value": l.IntN(200), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}, "hasMember": l.refs("Observation"), "focus": l.refs("Patient", "Observation")}
	case "Condition":
		return object{"code": l.concept(), "subject": l.patient(), "asserter": l.ref("Practitioner", "Patient"), "recorder": l.ref("Practitioner", "PractitionerRole"), "onsetDateTime": l.day(), "encounter": l.ref("Encounter"),
			"clinicalStatus": object{"coding": []object{{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}}}}
	case "Coverage":
		return object{"status": "active", "beneficiary": l.patient(), "payor": []object{l.ref("Organization", "Patient")}}
	case "Encounter":
		return object{"status": l.pick("planned", "finished"), "class": object{"code": "AMB"}, "subject": l.patient(), "serviceProvider": l.ref("Organization"), "participant": []object{{"individual": l.ref("Practitioner", "PractitionerRole")}}}
	case "Medication":
		return object{"code": l.concept()}
	case "MedicationRequest":
		return object{"status": "active", "intent": "order", "subject": l.patient(), "medicationReference": l.drug(), "requester": l.staff(), "contained": []object{{"resourceType": "Medication", "id": "m", "code": l.concept()}},
			"supportingInformation": []object{{"reference": "#m"}}}
	case "DiagnosticReport":
		return object{"status": "final", "code": l.concept(), "subject": l.patient(), "performer": []object{l.staff()}, "result": l.refs("Observation"), "presentedForm": l.attachments(), "basedOn": l.refs("ServiceRequest")}
	case "Device":
		if l.oneIn(2) {
			return object{"status": "active", "deviceName": []object{{"name": "pump", "type": "other"}}}
		}
		return object{"status": "active", "patient": l.patient(), "owner": l.ref("Organization")}
	case "List":
		return object{"status": "current", "mode": "working", "subject": l.patient(), "source": l.ref("Practitioner", "Patient"), "entry": l.entries()}
	case "Basic":
		return object{"code": l.concept(), "author": l.ref("Practitioner", "PractitionerRole", "Patient")}
	case "Provenance":
		return object{"target": []object{l.ref("Observation", "Patient", "ServiceRequest", "Binary"), l.ref("Condition")}, "recorded": l.moment(), "agent": []object{{"who": l.staff()}}}
	}
	return nil
}

func (l lot) drug() object {
	if l.oneIn(2) {
		return object{"reference": "#m"}
	}
	return l.ref("Medication")
}

func (l lot) entries() []object {
	var all []object
	for range 1 + l.IntN(4) {
		all = append(all, object{"item": l.ref("Observation", "Condition", "Task", "Patient", "Communication")})
	}
	return all
}

func (l lot) attachments() []object {
	var all []object
	for range 1 + l.IntN(2) {
		all = append(all, object{"contentType": "text/plain", "url": l.name("Binary")})
	}
	return all
}

// exchanged draws what is sent between those who treat a patient.
func (l lot) exchanged(typ string) object {
	switch typ {
	case "Binary":
		o := object{"contentType": "text/plain", "data": base64.StdEncoding.EncodeToString([]byte(l.pick("secret", "letter", "scan")))}
		if l.oneIn(3) {
			o["securityContext"] = l.ref("Patient", "DocumentReference", "Organization")
		}
		return o
	case "DocumentReference":
		return object{"status": "current", "subject": l.patient(), "author": []object{l.staff()}, "custodian": l.ref("Organization"), "description": l.pick("letter", "scan"),
			"content": []object{{"attachment": l.attachments()[0]}}, "context": object{"related": []object{l.ref("ServiceRequest", "Task")}}}
	case "Questionnaire":
		return object{"status": "active", "title": l.pick("Pain", "Sleep"),
			"item": []object{{"linkId": "1", "type": "attachment"}}}
	case "QuestionnaireResponse":
		return object{"status": l.pick("in-progress", "completed"), "subject": l.patient(), "author": l.ref("Practitioner", "Patient"), "source": l.ref("Patient", "RelatedPerson"), "questionnaire": "http://forms/questionnaire-" + l.pick("0", "1", "2"),
			"item": []object{{"linkId": "1", "answer": []object{{"valueAttachment": l.attachments()[0]}}}}, "basedOn": l.refs("ServiceRequest")}
	case "ServiceRequest":
		return object{"status": l.pick("draft", "active", "completed", "revoked"), "intent": "order", "code": l.concept(), "subject": l.patient(), "requester": l.staff(),
			"performer": []object{l.ref("Organization", "PractitionerRole", "HealthcareService", "Practitioner")}, "supportingInfo": l.refs("Observation", "Condition", "DocumentReference", "QuestionnaireResponse"),
			"reasonReference": l.refs("Condition", "Observation"), "insurance": l.refs("Coverage"), "authoredOn": l.day()}
	case "Task":
		return object{"status": l.pick("draft", "requested", "accepted", "completed", "rejected"), "intent": "order", "code": l.concept(), "for": l.patient(), "owner": l.ref("Organization", "Practitioner", "PractitionerRole", "Patient", "HealthcareService"),
			"requester": l.ref("Practitioner", "Organization", "Patient"), "focus": l.ref("ServiceRequest", "Communication", "Questionnaire", "Observation"), "basedOn": l.refs("ServiceRequest"), "authoredOn": l.moment(), "partOf": l.refs("Task")}
	case "Communication":
		return object{"status": l.pick("preparation", "completed"), "category": []object{l.code(l.pick("notification", "internal-note", "notification"))}, "subject": l.patient(), "sender": l.ref("Practitioner", "Patient", "Organization", "RelatedPerson"),
			"recipient": append(l.refs("Practitioner", "RelatedPerson"), l.ref("Organization", "Patient", "HealthcareService")), "sent": l.moment(), "about": l.refs("ServiceRequest", "Observation"),
			"basedOn": l.refs("ServiceRequest", "Task"), "inResponseTo": l.refs("Communication"), "payload": []object{{"contentString": l.pick("knee", "hello", "secret word")}, {"contentAttachment": l.attachments()[0]}}}
	case "Appointment":
		return object{"status": "booked", "start": l.moment(), "end": l.day() + "T23:00:00Z", "participant": []object{{"status": "accepted", "actor": l.patient()}, {"status": "accepted", "actor": l.ref("Practitioner", "HealthcareService")}}}
	}
	return object{}
}

// encode writes a resource. Members that are empty are left out: there are none in
// FHIR.
func encode(o object) string {
	for name, value := range o {
		if list, ok := value.([]object); ok && len(list) == 0 {
			delete(o, name)
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // objects are made of what JSON has
	}
	return string(text)
}

// decodedObject reads what encode has written.
func decodedObject(text string) object {
	o := object{}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	return o
}

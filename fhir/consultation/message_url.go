package consultation

import "github.com/openconsult/openconsult/fhir"

// The extensions of messages and forms, and the beginning of the others.
const (
	extensionBase  = Base + "StructureDefinition/"
	replyPolicyURL = extensionBase + "reply-policy"
)

// The code systems and identifier systems of a conversation.
const (
	CategorySystem       = Base + "CodeSystem/message-category" // of Communication.category
	MessageIDSystem      = Base + "Id/message"                  // of Communication.identifier
	ConsultationIDSystem = Base + "Id/consultation"             // of Task.identifier of a consultation
	receiptStatusSystem  = "https://fhir.nhs.uk/CodeSystem/NHSApp-Communication-Status"
	sentBySystem         = "https://fhir.nhs.uk/STU3/CodeSystem/eRS-CommunicationSentBy-1"
	snomedSystem         = "http://snomed.info/sct"
	participantSystem    = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	clientIDSystem       = Base + "Id/client"
)

const ukCore = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"

// serverDevice is who writes what nobody has written.
const serverDevice = "Device/server"

// extensionPart returns the value of the first part of a complex extension with a name, or
// the zero Node.
func extensionPart(e fhir.Node, name string) fhir.Node { return e.Extension(name).Child("value") }

// canonicalOf returns the canonical URL of a definition with its version.
func canonicalOf(n fhir.Node) string {
	url, version := n.Child("url").Text(), n.Child("version").Text()
	if version == "" {
		return url
	}
	return url + "|" + version
}

// declined returns an Outcome of one issue with our own code for the situation.
func declined(class fhir.Class, code fhir.Code, detail, text string) *fhir.Outcome {
	return &fhir.Outcome{Class: class, Issues: []fhir.Issue{{Code: code, Detail: detail, Text: text}}}
}

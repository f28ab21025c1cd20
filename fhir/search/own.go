package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Where this server's own definitions are.
const (
	ownBase      = "https://fhir.openconsult.example/"
	ownParameter = ownBase + "SearchParameter/"
	ownExtension = ownBase + "StructureDefinition/"
	ownKinds     = ownBase + "CodeSystem/task-kind"
)

// An OwnParameter is a search parameter that this server adds to those of R4, without
// anybody storing a SearchParameter.
type OwnParameter struct {
	spec.SearchParameter
	Description string
}

// Key returns where p is published: SearchParameter/openconsult-Task-due.
func (p *OwnParameter) Key() fhir.Key {
	return fhir.Key{Type: "SearchParameter", ID: "openconsult-" + strings.TrimPrefix(p.URL, ownParameter)}
}

// filedExpression is true or false for the kinds of Task of which something is to be
// filed in a record, and of others for those that say so.
const filedExpression = "Task.extension('" + ownExtension + "filed').value.ofType(boolean) | " +
	"Task.where(extension('" + ownExtension + "filed').empty() and code.coding.where(system = '" + ownKinds + "' and " +
	"(code = 'consultation' or code = 'advice-and-guidance' or code = 'referral')).exists()).select(false)"

// Own returns the search parameters of this server itself, those of a type in
// alphabetical order. Each is for one type.
func Own() []OwnParameter {
	own := func(typ, code string, kind Type, expression, description string, targets ...string) OwnParameter {
		return OwnParameter{spec.SearchParameter{
			URL: ownParameter + typ + "-" + code, Code: code, Type: string(kind), Base: []string{typ}, Expression: expression, Targets: targets,
		}, description}
	}
	return []OwnParameter{
		own("Communication", "about", ReferenceType, "Communication.about",
			"What a message is about: its conversation, and what that was begun for."),
		own("Communication", "in-response-to", ReferenceType, "Communication.inResponseTo",
			"The message that a message answers.", "Communication"),
		own("Communication", "topic", TokenType, "Communication.topic",
			"The topic of a message: of an alert, what it alerts to."),
		own("Task", "assigned-to", ReferenceType, "Task.extension('"+ownExtension+"assigned-to').value.ofType(Reference)",
			"The person or team of the owner who sees to a Task.", "CareTeam", "Organization", "Practitioner", "PractitionerRole"),
		own("Task", "due", DateType, "Task.restriction.period.end",
			"By when a Task is to be answered."),
		own("Task", "filed", TokenType, filedExpression,
			"Whether all that was said in a conversation has been filed in a record. A message or form after the last filing makes it false again; what was never filed is false."),
	}
}

// isOwn reports whether url is that of a search parameter of this server itself.
func isOwn(url string) bool {
	for _, p := range Own() {
		if p.URL == url {
			return true
		}
	}
	return false
}

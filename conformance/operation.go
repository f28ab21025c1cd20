package conformance

import (
	"fmt"
	"slices"
	"strings"
)

type operation struct {
	Name          string `json:"name"`
	Definition    string `json:"definition"`
	Documentation string `json:"documentation"`
}

// A description says what an operation at an address does.
type description struct {
	path          string
	definition    string // of a guide; empty for ours
	documentation string
}

// descriptions are those of every operation that there can be.
func descriptions() []description {
	return []description{
		{"/$reindex", "", "POST $reindex finds anew what every resource is searched by; GET $reindex says how far that is."},
		{"/$changes", "", "GET $changes gives what there is, then every change since, in an order in which nothing is missed. Its last page is asked for again later, and with Prefer: wait=30 answers when there is something."},
		{"/$task-machine", "", "GET $task-machine says as JSON which moves of Tasks there are, for each kind: from which status to which, by whom, and what they require."},
		{"/$export", bulkData + "export", "GET or POST $export with Prefer: respond-async gives everything as NDJSON."},
		{"/Patient/$export", bulkData + "patient-export", "GET or POST Patient/$export gives what is in the compartments of patients as NDJSON."},
		{"/Group/:id/$export", bulkData + "group-export", "GET or POST Group/[id]/$export gives what is in the compartments of its members as NDJSON."},
		{"/$import", "", "POST $import takes NDJSON, as the body or from addresses in Parameters, and tells line by line what was refused."},
		{"/Subscription/:id/$status", backport + "backport-subscription-status", "GET Subscription/[id]/$status says how far delivery is, and what hinders it."},
		{"/Subscription/$status", backport + "backport-subscription-status", "GET Subscription/$status says so for several subscriptions."},
		{"/Subscription/:id/$events", backport + "backport-subscription-events", "GET Subscription/[id]/$events gives events again, by their numbers."},
		{"/Subscription/:id/$get-ws-binding-token", backport + "backport-subscription-get-ws-binding-token", "GET Subscription/[id]/$get-ws-binding-token gives what a websocket is opened with."},
		{"/Subscription/$get-ws-binding-token", backport + "backport-subscription-get-ws-binding-token", "GET Subscription/$get-ws-binding-token does so for several subscriptions."},
		{"/:type/:id/$meta", resourceOperation + "meta", "GET [type]/[id]/$meta returns profiles, tags and labels."},
		{"/:type/:id/$meta-add", resourceOperation + "meta-add", "POST [type]/[id]/$meta-add adds profiles, tags and labels, in a further version."},
		{"/:type/:id/$meta-delete", resourceOperation + "meta-delete", "POST [type]/[id]/$meta-delete takes profiles, tags and labels away, in a further version. A label that hides the resource goes in this way only, and for who may."},
		{"/:type/$validate", resourceOperation + "validate", "POST [type]/$validate says everything that is to be said of a resource, and with a mode, what would refuse it. Nothing is stored."},
		{"/:type/:id/$validate", resourceOperation + "validate", "GET [type]/[id]/$validate says so of the resource that is stored; POST of one that would follow it."},
		{"/QuestionnaireResponse/$validate-form", "", "POST QuestionnaireResponse/$validate-form says if answers are those to their Questionnaire, or to one that is sent with them. Nothing is stored."},
		{"/QuestionnaireResponse/$extract", structuredCapture + "QuestionnaireResponse-extract", "POST QuestionnaireResponse/$extract gives what was answered as a transaction Bundle, by observations and by definitions."},
		{"/QuestionnaireResponse/:id/$extract", structuredCapture + "QuestionnaireResponse-extract", "GET QuestionnaireResponse/[id]/$extract does so for answers that are stored."},
		{"/Questionnaire/$populate", structuredCapture + "Questionnaire-populate", "POST Questionnaire/$populate fills a form in from what is known, by expressions and by observations."},
		{"/Questionnaire/:id/$populate", structuredCapture + "Questionnaire-populate", "GET or POST Questionnaire/[id]/$populate does so for a form that is stored."},
		{"/CodeSystem/$lookup", terminologyOperation + "CodeSystem-lookup", "GET or POST CodeSystem/$lookup says what a code means."},
		{"/CodeSystem/$validate-code", terminologyOperation + "CodeSystem-validate-code", "GET or POST CodeSystem/$validate-code says if a code is one of a code system."},
		{"/CodeSystem/:id/$validate-code", terminologyOperation + "CodeSystem-validate-code", "The same for a code system that is stored here."},
		{"/CodeSystem/$subsumes", terminologyOperation + "CodeSystem-subsumes", "GET or POST CodeSystem/$subsumes says how two codes relate."},
		{"/CodeSystem/:id/$subsumes", terminologyOperation + "CodeSystem-subsumes", "The same for a code system that is stored here."},
		{"/ValueSet/$expand", terminologyOperation + "ValueSet-expand", "GET or POST ValueSet/$expand lists the codes of a value set, filtered by words and page by page."},
		{"/ValueSet/:id/$expand", terminologyOperation + "ValueSet-expand", "The same for a value set that is stored here."},
		{"/ValueSet/$validate-code", terminologyOperation + "ValueSet-validate-code", "GET or POST ValueSet/$validate-code says if a code is in a value set."},
		{"/ValueSet/:id/$validate-code", terminologyOperation + "ValueSet-validate-code", "The same for a value set that is stored here."},
		{"/ConceptMap/$translate", terminologyOperation + "ConceptMap-translate", "GET or POST ConceptMap/$translate says what a code is in another code system."},
		{"/ConceptMap/:id/$translate", terminologyOperation + "ConceptMap-translate", "The same by a map that is stored here."},
		{"/Patient/:id/$everything", patientOperation + "everything", "GET or POST Patient/[id]/$everything gives what is about a patient, and what that refers to, as far as the caller may see it: from start to end, of _type, changed _since, on pages of _count."},
		{"/Patient/$everything", patientOperation + "everything", "The same for the patient whom the token is about."},
		{"/Patient/:id/$summary", summaryOperation, "GET or POST Patient/[id]/$summary gives an International Patient Summary, a document of what of the record is of use to who has never seen the patient."},
		{"/Patient/$summary", summaryOperation, "GET or POST Patient/$summary does so for the patient with an identifier, or the one whom the token is about."},
		{"/Patient/$match", patientOperation + "match", "POST Patient/$match says who may be meant by what is known of somebody, the likeliest first, with a score and match-grade. It is for staff and their systems."},
		{"/Patient/$merge", "", "POST Patient/$merge has all that refers to source-patient refer to target-patient, in one transaction; with preview it says what that would be. Both may be given by identifier instead, and result-patient says what the target is to say. It is for who administers the records."},
		{"/Patient/:id/$unmerge", "", "POST Patient/[id]/$unmerge takes back what the merge of source-patient into this one has moved."},
		{"/HealthcareService/:id/$due", "", "GET HealthcareService/[id]/$due?kind=consultation&priority=urgent says by when the service answers what is asked now, or at start, and which hours count."},
		{"/Task/:id/$available-actions", "", "GET or POST Task/[id]/$available-actions lists the moves that the caller may make with the Task now, with what each requires; none for Tasks that are no conversation, and for who may not change it."},
		{"/Task/:id/$thread", "", "GET Task/[id]/$thread gives a conversation as a searchset, from one state of the database: the Task, what it is about, the messages in the order in which they were sent, which are the matches, and the Tasks that are part of it, without the receipts of others. The extension thread-unread of the entry of the Task counts the messages that the caller has not read. All messages come at once, or on pages of _count."},
		{"/Communication/:id/$mark-read", "", "POST Communication/[id]/$mark-read completes the receipts that the caller has for the message. Who may read it may say so; a further time changes nothing. The answer names the receipts that were completed."},
		{"/Task/:id/$mark-read", "", "POST Task/[id]/$mark-read does so for all messages of a conversation."},
		{"/Task/:id/$identify", "", "POST Task/[id]/$identify says with the parameter patient, a reference, who has sent a consultation that came from somebody unknown. It is for who has to answer it; from then on it can be filed."},
		{"/Communication/:id/$retract", "", "POST Communication/[id]/$retract takes a message back, with the parameter reason or without: it becomes entered-in-error, without content, and neither it nor its earlier versions are shown to anybody but auditors. It is for who has sent it, and their organisation. A further time changes nothing."},
		{"/Questionnaire/:id/$triage", "", "POST Questionnaire/[id]/$triage says of each triage rule of the form what it makes of the parameter response, a QuestionnaireResponse or a reference to one, and why. It is for clinicians; nothing is stored."},
		{"/Questionnaire/$triage", "", "POST Questionnaire/$triage does so for the form that the response names."},
		{"/Questionnaire/$process-response", "", "POST Questionnaire/$process-response takes the parameter response as POST QuestionnaireResponse does, under the same Idempotency-Key rules, and answers with the references of response, task and acknowledgement, with priority and due time, the text of the acknowledgement, and advice to be shown to who has sent it."},
		{"/$install-package", "", "POST $install-package takes a FHIR package, as .tgz, and stores the definitions in it."},
		{"/:type/:id/$access-explain", "", "POST [type]/[id]/$access-explain tells whoever runs the server why somebody sees the resource, or does not."},
		{"/:type/:id/$purge", "", "POST [type]/[id]/$purge removes all versions but the current one, for good."},
	}
}

// Where guides define operations.
const (
	bulkData          = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
	backport          = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"
	resourceOperation = "http://hl7.org/fhir/OperationDefinition/Resource-"
	patientOperation  = "http://hl7.org/fhir/OperationDefinition/Patient-"
	summaryOperation  = "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"

	terminologyOperation = "http://hl7.org/fhir/OperationDefinition/"
	structuredCapture    = "http://hl7.org/fhir/uv/sdc/OperationDefinition/"
)

// described fails when there is an operation that nothing is said of.
func (s Served) described() error {
	all := descriptions()
	for _, path := range s.Operations {
		if !slices.ContainsFunc(all, func(d description) bool { return d.path == path }) {
			return fmt.Errorf("the operation at %s is not described", path)
		}
	}
	return nil
}

// operations returns those on a type, or on the whole system when it is empty.
func (s Served) operations(typ string) []operation {
	var list []operation
	for _, d := range descriptions() {
		level, name := d.level()
		if !slices.Contains(s.Operations, d.path) || level != typ && (level != ":type" || typ == "") || contains(list, name) {
			continue
		}
		definition := d.definition
		if definition == "" {
			definition = ownOperations + name
		}
		list = append(list, operation{name, definition, d.documentation})
	}
	return list
}

func contains(list []operation, name string) bool {
	return slices.ContainsFunc(list, func(o operation) bool { return o.Name == name })
}

// level returns what an operation is on, ":type" for all types and empty for the
// system, and its name.
func (d description) level() (level, name string) {
	names := strings.Split(strings.TrimPrefix(d.path, "/"), "/")
	if len(names) > 1 {
		level = names[0]
	}
	return level, strings.TrimPrefix(names[len(names)-1], "$")
}

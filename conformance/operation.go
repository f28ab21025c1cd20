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
		{"/HealthcareService/:id/$due", "", "GET HealthcareService/[id]/$due?kind=consultation&priority=urgent says by when the service answers what is asked now, or at start, and which hours count."},
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
			definition = "https://fhir.openconsult.example/OperationDefinition/" + name
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

package questionnaire

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// An Extraction is what is known beside the form and the response.
type Extraction struct {
	Reference string               // to the response, "QuestionnaireResponse/1"; empty goes by its id
	Contexts  map[string]fhir.Node // launch contexts by name, for expressions
	Now       time.Time            // by which expressions go; zero is now
	Search    Search               // finds the resources to update; nil finds nothing, and says so
}

// extractedURL is the system of the identifiers by which what was extracted is found
// again.
const extractedURL = "https://fhir.openconsult.example/Id/extracted"

// What Extract does at most.
const (
	maxExtracted = 1_000   // resources
	maxVisited   = 200_000 // items of the form, once for each place in the response
)

// Extract makes resources of a completed or amended response, as far as its form says
// how, and returns a transaction Bundle in JSON, which may be empty:
//
//   - an Observation for each answer to a question that has a code, where
//     observationExtract holds (an item goes by the nearest one above it that says so);
//   - a resource for each place with an itemExtractionContext (itemContext before,
//     definitionExtract later), made of the answers below it whose definition is a path
//     in its type. A group whose definition is a path makes an element of its own for
//     each of its repetitions; answers beside each other share elements, unless their
//     slices have different names. The initial values of hidden questions that were not
//     answered count, too, if something was. If the context is a query or expression that
//     gives one resource, that one is updated: what the form does not speak of stays.
//     Paths come from the base definitions of R4: names of slices set elements apart and
//     are then forgotten, and extensions cannot be made.
//
// Every new resource has an identifier that is made of the response, the linkId and a
// number. It is created only if there is none with that identifier; an amended response
// updates or creates it. So the same response makes the same resources, however often it
// is extracted. What an answer made that was taken back stays as it is, however.
//
// The answers have been checked before: all are taken for enabled. Not supported, and
// reported: StructureMaps, templates, panels with components, and what R4 does not allow
// at a path. The issues are warnings, about elements of the form; what they speak of is
// not in the Bundle.
//
// The error is an *fhir.Outcome when the two do not belong together or the response is
// not complete, else that of a search.
// https://hl7.org/fhir/uv/sdc/STU3/extraction.html
func Extract(ctx context.Context, form, response fhir.Node, x Extraction) (bundle []byte, issues []fhir.Issue, err error) {
	if err := extractable(form, response); err != nil {
		return nil, nil, err
	}
	if x.Now.IsZero() {
		x.Now = time.Now()
	}
	e := &extractor{evaluator: newEvaluator(form, x.Now, x.Search), subject: response.Child("subject"),
		amended: response.Child("status").Text() == "amended", self: x.Reference, numbers: map[string]int{}, updates: map[fhir.Key]*target{}}
	e.resource = response
	e.identify()
	e.unsupported(form)
	outer := &scope{names: map[string]*variable{}}
	for name, n := range x.Contexts {
		outer.bindNode(name, n)
	}
	all := e.enter(ctx, form, passage{scope: outer})
	e.fixed(ctx, form, all)
	e.walk(ctx, form, response, all)
	for _, t := range e.targets {
		e.finish(t)
	}
	if e.err != nil {
		return nil, nil, fmt.Errorf("extract from a response to %s: %w", form.Child("url").Text(), e.err)
	}
	return e.bundle(), e.issues, nil
}

// extractable refuses what nothing can be extracted from.
func extractable(form, response fhir.Node) error {
	if form.IsZero() || form.Type().Name != "Questionnaire" || response.IsZero() || response.Type().Name != "QuestionnaireResponse" {
		return fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "Extraction needs a QuestionnaireResponse and its Questionnaire: send both, or name them")
	}
	of, _, _ := strings.Cut(response.Child("questionnaire").Text(), "|")
	if of != "" && of != form.Child("url").Text() {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "QuestionnaireResponse.questionnaire", "The response answers another form: extract with that one")
	}
	if s := response.Child("status").Text(); s != "completed" && s != "amended" {
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "QuestionnaireResponse.status", "Only a completed or amended response can be extracted: complete it first")
	}
	return nil
}

// An extractor extracts from one response.
type extractor struct {
	*evaluator
	subject fhir.Node // of the response; may be zero
	amended bool
	self    string // reference to the response; empty when it is not stored
	source  string // what identifiers begin with; empty when the response has no name
	numbers map[string]int
	visited int
	targets []*target // in the order in which they were opened
	updates map[fhir.Key]*target
	entries []extracted
}

// An extracted is one entry of the Bundle.
type extracted struct {
	resource    []byte
	method, url string
	condition   string // identifier of a conditional create
	version     string // of the resource that is updated
	fullURL     string
}

// identify finds out what the response is called.
func (e *extractor) identify() {
	if id := e.resource.Child("id").Text(); e.self == "" && id != "" {
		e.self = fhir.Key{Type: "QuestionnaireResponse", ID: id}.String()
	}
	e.source = e.self
	if i := e.resource.Child("identifier"); e.source == "" && i.Child("value").HasValue() {
		e.source = i.Child("system").Text() + "|" + i.Child("value").Text()
	}
	if e.source == "" {
		e.warn(e.root, fhir.Informational, "response-unnamed", "The response has neither id nor identifier: extracting it again will make its resources again.")
	}
}

// unsupported reports the other ways of extraction that a form asks for.
func (e *extractor) unsupported(n fhir.Node) {
	for _, kind := range []string{"targetStructureMap", "templateExtract", "templateExtractBundle"} {
		if x := n.Extension(sdcURL + kind); !x.IsZero() {
			e.warn(x, fhir.NotSupported, "extraction-unsupported", "Extraction by %s is not supported: use definitions or observations.", kind)
		}
	}
	for item := range n.Each("item") {
		e.unsupported(item)
	}
}

// identifier returns the value of the identifier of the next resource with a label,
// "" when the response has no name.
func (e *extractor) identifier(label string) string {
	e.numbers[label]++
	if e.source == "" {
		return ""
	}
	return e.source + "#" + label + "." + strconv.Itoa(e.numbers[label])
}

// add puts a new resource into the Bundle.
func (e *extractor) add(at fhir.Node, typ, identifier string, resource []byte) {
	if !e.decodes(at, typ, resource) {
		return
	}
	x := extracted{resource: resource, method: "POST", url: typ, fullURL: uuidOf(typ, identifier, len(e.entries))}
	if identifier != "" {
		token := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`).Replace(identifier)
		x.condition = "identifier=" + url.QueryEscape(extractedURL+"|"+token)
	}
	if x.condition != "" && e.amended {
		x.method, x.url, x.condition = "PUT", typ+"?"+x.condition, ""
	}
	e.entries = append(e.entries, x)
}

// decodes reports whether a resource is one, and what is wrong with it if not.
func (e *extractor) decodes(at fhir.Node, typ string, resource []byte) bool {
	if len(e.entries) >= maxExtracted {
		e.warn(e.root, fhir.TooCostly, "too-many-resources", "More than %d resources would be made: the rest was left out.", maxExtracted)
		return false
	}
	_, err := fhir.Decode(typ, resource)
	if err == nil {
		return true
	}
	o := fhir.AsOutcome(err)
	if o == nil {
		e.err = err
		return false
	}
	for _, is := range o.Issues[:min(len(o.Issues), 5)] {
		e.warn(at, is.Code, "resource-invalid", "The %s made here is left out; %s: %s", typ, is.Expression, is.Text)
	}
	return false
}

// uuidOf returns the full URL of an entry, which is always the same for an identifier.
func uuidOf(typ, identifier string, number int) string {
	sum := sha256.Sum256([]byte(typ + "\x00" + identifier + "\x00" + strconv.Itoa(number)))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// bundle returns the transaction.
func (e *extractor) bundle() []byte {
	dst := []byte(`{"resourceType":"Bundle","type":"transaction"`)
	for i, x := range e.entries {
		dst = append(dst, [...]string{`,"entry":[`, `,`}[min(i, 1)]...)
		dst = fhir.AppendString(append(dst, `{"fullUrl":`...), x.fullURL)
		dst = append(append(dst, `,"resource":`...), x.resource...)
		dst = append(dst, `,"request":{"method":"`+x.method+`","url":`...)
		dst = fhir.AppendString(dst, x.url)
		if x.condition != "" {
			dst = fhir.AppendString(append(dst, `,"ifNoneExist":`...), x.condition)
		}
		if x.version != "" {
			dst = fhir.AppendString(append(dst, `,"ifMatch":`...), `W/"`+x.version+`"`)
		}
		dst = append(dst, `}}`...)
	}
	if len(e.entries) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// mayPointTo reports whether an element of a type may be a reference to a resource of
// another type.
func mayPointTo(t *spec.Type, element, resourceType string) bool {
	e := t.Element(element)
	if e == nil || resourceType == "" {
		return false
	}
	return slices.ContainsFunc(e.Types, func(r spec.TypeRef) bool {
		return r.Type.Name == "Reference" && (r.Targets == nil || slices.Contains(r.Targets, resourceType))
	})
}

// typeOfReference returns the resource type that a Reference names, or "".
func typeOfReference(n fhir.Node) string {
	if r, ok := fhir.ParseReference(n.Child("reference").Text()); ok && r.Key.Type != "" {
		return r.Key.Type
	}
	return n.Child("type").Text()
}

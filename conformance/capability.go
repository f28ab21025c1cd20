// Package conformance says what the server claims: its CapabilityStatement, and
// in testdata the scripts that prove each claim over HTTP. It is told what is
// served by the router and adds nothing to it.
package conformance

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Served is what the router serves.
type Served struct {
	Version string    // of the software
	Date    time.Time // when the server was started with this configuration
	Type    []string  // interactions on every resource type
	System  []string  // interactions on the whole system

	Operations []string // addresses of operations: "/$reindex", "/:type/:id/$meta", "/Patient/$export"
	Topics     []string // canonical URLs of what subscriptions can be about

	Published []fhir.Key // resources of the server's own

	// Recorded is the type of resource that only the server itself writes, or empty.
	Recorded string

	CodeSystems []CodeSystem // that come with the server
	Expansion   []string     // parameters of ValueSet/$expand

	// Security says how clients sign in; nil is that they do not.
	Security *Security

	// Parameters returns the search parameters that there are now. It may be nil,
	// and return nil, for none.
	Parameters func() *search.Registry

	ConditionalCreate, ConditionalUpdate bool
	ConditionalDelete                    bool // of one resource
}

// Statements are the answers to GET /metadata.
type Statements struct {
	served Served

	lock sync.Mutex
	made map[name]statement // what was asked for last; of one registry
	of   *search.Registry
}

// A name says which statement.
type name struct{ mode, base string }

// A statement is one that was made, and its entity tag.
type statement struct {
	body []byte
	tag  string
}

// maxMade bounds how many statements are kept. Clients name bases.
const maxMade = 8

// New returns the statements about what is served. It fails when they are not
// valid R4.
func New(s Served) (*Statements, error) {
	if err := s.described(); err != nil {
		return nil, err
	}
	statements := &Statements{served: s}
	for _, mode := range []string{"full", "normative", "terminology"} {
		body, _, err := statements.For(mode, "http://localhost/fhir")
		if err != nil {
			return nil, err
		}
		if _, err := fhir.Decode("", body); err != nil {
			return nil, fmt.Errorf("check the statement for mode %s: %w", mode, err)
		}
	}
	body, _, err := statements.Compartment()
	if err != nil {
		return nil, err
	}
	if _, err := fhir.Decode("", body); err != nil {
		return nil, fmt.Errorf("check the CompartmentDefinition: %w", err)
	}
	return statements, nil
}

// For returns the statement for a mode of https://hl7.org/fhir/R4/http.html#capabilities,
// "full" when it is empty, and its entity tag.
func (s *Statements) For(mode, base string) (body []byte, tag string, err error) {
	if mode == "" {
		mode = "full"
	}
	var registry *search.Registry
	if s.served.Parameters != nil {
		registry = s.served.Parameters()
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if registry != s.of || s.made == nil || len(s.made) >= maxMade {
		s.made, s.of = map[name]statement{}, registry
	}
	m, ok := s.made[name{mode, base}]
	if !ok {
		if m, err = s.make(mode, base, registry); err != nil {
			return nil, "", err
		}
		s.made[name{mode, base}] = m
	}
	return m.body, m.tag, nil
}

func (s *Statements) make(mode, base string, r *search.Registry) (statement, error) {
	var content any
	switch mode {
	case "full":
		content = s.capability(base, r, false)
	case "normative":
		content = s.capability(base, r, true)
	case "terminology":
		content = s.terminology(base)
	default:
		return statement{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "mode is full, normative or terminology.")
	}
	body, err := json.Marshal(content)
	if err != nil {
		return statement{}, fmt.Errorf("write the statement for mode %s: %w", mode, err)
	}
	return statement{body, tagOf(body)}, nil
}

// tagOf returns the entity tag of what is served as it is.
func tagOf(body []byte) string {
	h := fnv.New64a()
	h.Write(body)
	return `W/"` + hex.EncodeToString(h.Sum(nil)) + `"`
}

type software struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type implementation struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

// header is what both statements begin with.
type header struct {
	ResourceType   string         `json:"resourceType"`
	URL            string         `json:"url"`
	Version        string         `json:"version,omitempty"`
	Name           string         `json:"name"`
	Title          string         `json:"title"`
	Status         string         `json:"status"`
	Date           string         `json:"date"`
	Description    string         `json:"description,omitempty"`
	Kind           string         `json:"kind"`
	Software       software       `json:"software"`
	Implementation implementation `json:"implementation"`
}

type capabilityStatement struct {
	header
	Instantiates []string `json:"instantiates,omitempty"`
	FHIRVersion  string   `json:"fhirVersion"`
	Format       []string `json:"format"`
	PatchFormat  []string `json:"patchFormat"`
	Rest         []rest   `json:"rest"`
}

type rest struct {
	Mode          string        `json:"mode"`
	Documentation string        `json:"documentation"`
	Security      security      `json:"security"`
	Resource      []resource    `json:"resource"`
	Interaction   []interaction `json:"interaction,omitempty"`
	SearchParam   []searchParam `json:"searchParam,omitempty"`
	Operation     []operation   `json:"operation,omitempty"`
	Compartment   []string      `json:"compartment,omitempty"`
}

type interaction struct {
	Code string `json:"code"`
}

// A topic says that subscriptions can be about something.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.html
type topic struct {
	URL       string `json:"url"`
	Canonical string `json:"valueCanonical"`
}

const topicExtension = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"

type resource struct {
	Extension         []topic       `json:"extension,omitempty"`
	Type              string        `json:"type"`
	Profile           string        `json:"profile"`
	SupportedProfile  []string      `json:"supportedProfile,omitempty"`
	Documentation     string        `json:"documentation,omitempty"`
	Interaction       []interaction `json:"interaction"`
	Versioning        string        `json:"versioning"`
	ReadHistory       bool          `json:"readHistory"`
	UpdateCreate      bool          `json:"updateCreate"`
	ConditionalCreate bool          `json:"conditionalCreate"`
	ConditionalRead   string        `json:"conditionalRead"`
	ConditionalUpdate bool          `json:"conditionalUpdate"`
	ConditionalDelete string        `json:"conditionalDelete"`
	ReferencePolicy   []string      `json:"referencePolicy"`
	SearchInclude     []string      `json:"searchInclude,omitempty"`
	SearchRevInclude  []string      `json:"searchRevInclude,omitempty"`
	SearchParam       []searchParam `json:"searchParam,omitempty"`
	Operation         []operation   `json:"operation,omitempty"`
}

func (s *Statements) header(typ, base string) header {
	return header{
		ResourceType:   typ,
		URL:            "https://fhir.openconsult.example/" + typ + "/openconsult",
		Version:        s.served.Version,
		Name:           "OpenConsult",
		Title:          "OpenConsult FHIR R4 server",
		Status:         "active",
		Date:           s.served.Date.UTC().Format(time.RFC3339),
		Kind:           "instance",
		Software:       software{"OpenConsult", s.served.Version},
		Implementation: implementation{"Online consultations in general practice over FHIR R4", base},
	}
}

// searching says what of searches has no place of its own in the statement.
const searching = "A parameter, modifier or value that a search cannot use is refused; with Prefer: handling=lenient it is left out, which a warning in the answer says. " +
	"Links between pages are opaque and good for the caller who got them. A total is counted when _total asks for it, and an estimated one has the extension " + fhir.EstimateURL + ". " +
	"_elements selects elements of the matches; what they include comes whole. " +
	"With _explain=true whoever runs the server is told how a search was carried out."

func (s *Statements) capability(base string, registry *search.Registry, normative bool) capabilityStatement {
	r := rest{
		Mode:          "server",
		Documentation: searching,
		Security:      s.served.Security.statement(),
		Interaction:   codes(s.served.System),
		SearchParam:   searchParams(registry, ""),
		Compartment:   compartments(registry),
	}
	r.Operation = s.served.operations("")
	in := inclusionsOf(registry, s.served.Recorded)
	for _, t := range spec.R4().Resources() {
		if !normative || isNormative(t.Name) {
			described := s.resource(t.Name)
			described.SearchParam = searchParams(registry, t.Name)
			described.SearchInclude, described.SearchRevInclude = in.forward[t.Name], in.reverse[t.Name]
			r.Resource = append(r.Resource, described)
		}
	}
	var instantiates []string
	if slices.Contains(s.served.Operations, "/$export") {
		instantiates = []string{"http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"}
	}
	return capabilityStatement{
		header:       s.header("CapabilityStatement", base),
		Instantiates: instantiates,
		FHIRVersion:  "4.0.1",
		Format:       []string{"application/fhir+json", "application/fhir+xml", "json", "xml"},
		PatchFormat:  []string{"application/json-patch+json", "application/fhir+json", "application/fhir+xml"},
		Rest:         []rest{r},
	}
}

func (s *Statements) resource(typ string) resource {
	r := resource{
		Type:              typ,
		Profile:           "http://hl7.org/fhir/StructureDefinition/" + typ,
		Interaction:       codes(s.served.Type),
		Versioning:        "versioned-update",
		ReadHistory:       true,
		UpdateCreate:      s.served.Security == nil,
		ConditionalCreate: s.served.ConditionalCreate,
		ConditionalRead:   "full-support",
		ConditionalUpdate: s.served.ConditionalUpdate,
		ConditionalDelete: "not-supported",
		ReferencePolicy:   []string{"literal", "logical", "local"},
	}
	if s.served.ConditionalDelete {
		r.ConditionalDelete = "single"
	}
	if own := access.Published(); typ == own.Type {
		r.Documentation = "GET " + own.String() + " says what patients see. It is the server's own: nobody changes it, it has no history, and searches do not find it."
	}
	if typ == "Binary" {
		r.Documentation = attaching
	}
	if own := s.served.publishedOf(typ); len(own) > 0 {
		r.Documentation = "The server's own, which nobody changes and searches do not find, are read by GET: " + strings.Join(own, ", ") + "."
	}
	if typ == "Subscription" && len(s.served.Topics) > 0 {
		r.SupportedProfile = []string{"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"}
		for _, url := range s.served.Topics {
			r.Extension = append(r.Extension, topic{topicExtension, url})
		}
	}
	r.Operation = s.served.operations(typ)
	if typ == s.served.Recorded {
		r.recorded()
	}
	return r
}

// recorded leaves what can be done with resources that only the server writes.
func (r *resource) recorded() {
	r.Documentation = "The server records them, and nobody changes them."
	r.Interaction = slices.DeleteFunc(r.Interaction, func(i interaction) bool {
		return !slices.Contains([]string{"read", "vread", "history-instance", "search-type"}, i.Code)
	})
	r.Operation = slices.DeleteFunc(r.Operation, func(o operation) bool { return o.Name != "meta" && o.Name != "validate" })
	r.UpdateCreate, r.ConditionalCreate, r.ConditionalUpdate, r.ConditionalDelete = false, false, false, "not-supported"
}

func codes(names []string) []interaction {
	list := make([]interaction, len(names))
	for i, name := range names {
		list[i] = interaction{name}
	}
	return list
}

// isNormative reports whether a resource type is normative in R4.
// https://hl7.org/fhir/R4/versions.html#std-process
func isNormative(typ string) bool {
	switch typ {
	case "Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition",
		"OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet":
		return true
	}
	return false
}

// Package conformance says what the server claims: its CapabilityStatement, and
// in testdata the scripts that prove each claim over HTTP. It is told what is
// served by the router and adds nothing to it.
package conformance

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Served is what the router serves.
type Served struct {
	Version string    // of the software
	BaseURL string    // public address; empty is what a request names
	Date    time.Time // when the server was started with this configuration
	Type    []string  // interactions on every resource type
	System  []string  // interactions on the whole system
	Purge   bool      // the operation $purge
}

// Statements are the answers to GET /metadata.
type Statements struct {
	served Served
}

// New returns the statements about what is served. It fails when they are not
// valid R4.
func New(s Served) (*Statements, error) {
	statements := &Statements{s}
	for _, mode := range []string{"full", "normative", "terminology"} {
		body, _, err := statements.For(mode, "http://localhost/fhir")
		if err != nil {
			return nil, err
		}
		if _, err := fhir.Decode("", body); err != nil {
			return nil, fmt.Errorf("check the statement for mode %s: %w", mode, err)
		}
	}
	return statements, nil
}

// For returns the statement for a mode of https://hl7.org/fhir/R4/http.html#capabilities,
// "full" when it is empty, and its entity tag.
func (s *Statements) For(mode, base string) (body []byte, tag string, err error) {
	var statement any
	switch mode {
	case "", "full":
		statement = s.capability(base, false)
	case "normative":
		statement = s.capability(base, true)
	case "terminology":
		statement = s.terminology(base)
	default:
		return nil, "", fhir.Errorf(fhir.BadRequest, fhir.Value, "", "mode is full, normative or terminology.")
	}
	body, err = json.Marshal(statement)
	if err != nil {
		return nil, "", fmt.Errorf("write the statement for mode %s: %w", mode, err)
	}
	h := fnv.New64a()
	h.Write(body)
	return body, `W/"` + hex.EncodeToString(h.Sum(nil)) + `"`, nil
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
	Kind           string         `json:"kind"`
	Software       software       `json:"software"`
	Implementation implementation `json:"implementation"`
}

type capabilityStatement struct {
	header
	FHIRVersion string   `json:"fhirVersion"`
	Format      []string `json:"format"`
	PatchFormat []string `json:"patchFormat"`
	Rest        []rest   `json:"rest"`
}

type rest struct {
	Mode        string        `json:"mode"`
	Security    security      `json:"security"`
	Resource    []resource    `json:"resource"`
	Interaction []interaction `json:"interaction,omitempty"`
}

type security struct {
	CORS        bool   `json:"cors"`
	Description string `json:"description"`
}

type interaction struct {
	Code string `json:"code"`
}

type resource struct {
	Type              string        `json:"type"`
	Profile           string        `json:"profile"`
	Interaction       []interaction `json:"interaction"`
	Versioning        string        `json:"versioning"`
	ReadHistory       bool          `json:"readHistory"`
	UpdateCreate      bool          `json:"updateCreate"`
	ConditionalCreate bool          `json:"conditionalCreate"`
	ConditionalRead   string        `json:"conditionalRead"`
	ConditionalUpdate bool          `json:"conditionalUpdate"`
	ConditionalDelete string        `json:"conditionalDelete"`
	ReferencePolicy   []string      `json:"referencePolicy"`
	Operation         []operation   `json:"operation,omitempty"`
}

type operation struct {
	Name          string `json:"name"`
	Definition    string `json:"definition"`
	Documentation string `json:"documentation"`
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

func (s *Statements) capability(base string, normative bool) capabilityStatement {
	r := rest{Mode: "server", Security: security{true, "There is no sign-in: the server listens on its own machine only and trusts who reaches it."}, Interaction: codes(s.served.System)}
	for _, t := range spec.R4().Resources() {
		if !normative || isNormative(t.Name) {
			r.Resource = append(r.Resource, s.resource(t.Name))
		}
	}
	return capabilityStatement{
		header:      s.header("CapabilityStatement", base),
		FHIRVersion: "4.0.1",
		Format:      []string{"application/fhir+json", "application/fhir+xml", "json", "xml"},
		PatchFormat: []string{"application/json-patch+json"},
		Rest:        []rest{r},
	}
}

func (s *Statements) resource(typ string) resource {
	r := resource{
		Type:              typ,
		Profile:           "http://hl7.org/fhir/StructureDefinition/" + typ,
		Interaction:       codes(s.served.Type),
		Versioning:        "versioned-update",
		ReadHistory:       true,
		UpdateCreate:      true,
		ConditionalRead:   "full-support",
		ConditionalDelete: "not-supported",
		ReferencePolicy:   []string{"literal", "logical", "local"},
	}
	if s.served.Purge {
		r.Operation = []operation{{"purge", "https://fhir.openconsult.example/OperationDefinition/purge", "POST [type]/[id]/$purge removes all versions but the current one, for good."}}
	}
	return r
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

type terminologyCapabilities struct {
	header
}

func (s *Statements) terminology(base string) terminologyCapabilities {
	return terminologyCapabilities{header: s.header("TerminologyCapabilities", base)}
}

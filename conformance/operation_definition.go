package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// ownOperations begins the canonical URLs of the operations that no guide defines.
const ownOperations = "https://fhir.openconsult.example/OperationDefinition/"

// operationDefinition is what an operation of the server's own is, for programs to read.
// https://hl7.org/fhir/R4/operationdefinition.html
type operationDefinition struct {
	ResourceType string               `json:"resourceType"`
	ID           string               `json:"id"`
	URL          string               `json:"url"`
	Version      string               `json:"version"`
	Name         string               `json:"name"`
	Status       string               `json:"status"`
	Kind         string               `json:"kind"`
	Publisher    string               `json:"publisher"`
	Description  string               `json:"description"`
	AffectsState bool                 `json:"affectsState"`
	Code         string               `json:"code"`
	Resource     []string             `json:"resource,omitempty"`
	System       bool                 `json:"system"`
	Type         bool                 `json:"type"`
	Instance     bool                 `json:"instance"`
	Parameter    []operationParameter `json:"parameter,omitempty"`
}

type operationParameter struct {
	Name          string               `json:"name"`
	Use           string               `json:"use"`
	Min           int                  `json:"min"`
	Max           string               `json:"max"`
	Documentation string               `json:"documentation,omitempty"`
	Type          string               `json:"type,omitempty"`
	Part          []operationParameter `json:"part,omitempty"`
}

// OperationDefinitions returns the definitions of the operations that are the server's own.
// It panics if one cannot be written, which only a broken build can cause.
func OperationDefinitions() []Published {
	var all []Published
	var done []string
	for _, d := range descriptions() {
		_, name := d.level()
		if d.definition != "" || slices.Contains(done, name) {
			continue
		}
		done = append(done, name)
		text, err := json.Marshal(defined(name))
		if err != nil {
			panic(fmt.Sprintf("write the OperationDefinition %s: %v", name, err))
		}
		all = append(all, Published{fhir.Key{Type: "OperationDefinition", ID: "openconsult-" + name}, text})
	}
	return all
}

// defined puts together what stands of an operation at each of its addresses.
func defined(name string) operationDefinition {
	o := operationDefinition{
		ResourceType: "OperationDefinition", ID: "openconsult-" + name, URL: ownOperations + name, Version: "1.0.0", Name: nameOf(name),
		Status: "active", Kind: "operation", Publisher: "OpenConsult", Code: name, AffectsState: affectsState(name), Parameter: parametersOf(name),
	}
	var said []string
	for _, d := range descriptions() {
		level, its := d.level()
		if its != name || d.definition != "" {
			continue
		}
		said = append(said, d.documentation)
		if level == ":type" {
			level = "Resource"
		}
		if level != "" && !slices.Contains(o.Resource, level) {
			o.Resource = append(o.Resource, level)
		}
		instance := strings.Contains(d.path, "/:id/")
		o.System, o.Type, o.Instance = o.System || level == "", o.Type || level != "" && !instance, o.Instance || instance
	}
	o.Description = strings.Join(said, " ")
	return o
}

// affectsState says whether an operation of the server's own may change what is stored.
func affectsState(name string) bool {
	return !slices.Contains([]string{"changes", "task-machine", "validate-form", "due", "available-actions", "thread", "triage", "access-explain"}, name)
}

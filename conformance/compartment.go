package conformance

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
)

// compartmentURL is the canonical URL of our patient compartment, by which access
// is decided. It is beside R4's, which compartment searches go by.
const compartmentURL = "https://fhir.openconsult.example/CompartmentDefinition/patient"

type compartmentDefinition struct {
	ResourceType string   `json:"resourceType"`
	ID           string   `json:"id"`
	URL          string   `json:"url"`
	Version      string   `json:"version,omitempty"`
	Name         string   `json:"name"`
	Status       string   `json:"status"`
	Date         string   `json:"date"`
	Description  string   `json:"description"`
	Purpose      string   `json:"purpose"`
	Code         string   `json:"code"`
	Search       bool     `json:"search"`
	Resource     []member `json:"resource"`
}

type member struct {
	Code          string   `json:"code"`
	Param         []string `json:"param,omitempty"`
	Documentation string   `json:"documentation,omitempty"`
}

// Compartment returns the CompartmentDefinition of what patients see, and its
// entity tag. https://hl7.org/fhir/R4/compartmentdefinition.html
func (s *Statements) Compartment() (body []byte, tag string, err error) {
	c := compartmentDefinition{
		ResourceType: access.Published().Type,
		ID:           access.Published().ID,
		URL:          compartmentURL,
		Version:      s.served.Version,
		Name:         "OpenConsultPatient",
		Status:       "active",
		Date:         s.served.Date.UTC().Format(time.RFC3339),
		Description: "What a patient, and who acts for one, sees on this server: a resource that names the patient in one of the parameters here, unless its labels hide it (NOPAT, or more than the clearance covers). " +
			"Only references to resources of this server count, and none from contained resources. Types without parameters no patient sees by reference; the documentation says which are open.",
		Purpose: "To say where access differs from the patient compartment of R4. Searches in a compartment go by R4's, with Task added to it, and find nothing that the caller does not see.",
		Code:    "Patient",
	}
	for _, m := range access.Compartment() {
		c.Resource = append(c.Resource, member{m.Type, m.Params, m.Remark})
	}
	if body, err = json.Marshal(c); err != nil {
		return nil, "", fmt.Errorf("write the CompartmentDefinition: %w", err)
	}
	return body, tagOf(body), nil
}

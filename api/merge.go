package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// merge serves POST [base]/Patient/$merge.
// https://build.fhir.org/patient-operation-merge.html
func (s *Server) merge(c *gin.Context) error {
	r, err := s.identities(c, interaction.Merge)
	if err != nil {
		return err
	}
	q := interaction.MergeRequest{Source: interaction.PatientName{Parameter: "source-patient"}, Target: interaction.PatientName{Parameter: "target-patient"}}
	for p := range r.Root().Each("parameter") {
		if err := takeMerge(&q, p); err != nil {
			return err
		}
	}
	done, err := s.session(c).Merge(c.Request.Context(), q)
	if err != nil {
		return err
	}
	text := "The patients were merged: what referred to the source refers to the target now."
	if q.Preview {
		text = "The patients can be merged. Nothing was done."
	}
	s.render(c, http.StatusOK, mergeAnswer(text, done))
	return nil
}

// takeMerge takes one parameter of $merge.
func takeMerge(q *interaction.MergeRequest, p fhir.Node) error {
	switch name := p.Child("name").Text(); name {
	case "source-patient", "source-patient-identifier":
		return takePatient(&q.Source, p)
	case "target-patient", "target-patient-identifier":
		return takePatient(&q.Target, p)
	case "result-patient":
		n := p.Child("resource")
		if n.IsZero() || n.Type().Name != "Patient" || q.Result != nil {
			return wrongParameter(p, fhir.Value, "The result-patient is one Patient: what the target is to say after the merge.")
		}
		r, err := fhir.DecodeDerived("Patient", n.Raw())
		q.Result = r
		return err
	case "preview":
		text := p.Child("value").Text()
		if text != "true" && text != "false" {
			return wrongParameter(p, fhir.Value, "preview is a valueBoolean.")
		}
		q.Preview = text == "true"
		return nil
	}
	return wrongParameter(p, fhir.NotSupported, "This operation has no such parameter here. It has source-patient, source-patient-identifier, target-patient, target-patient-identifier, result-patient and preview.")
}

// takePatient takes one that says who is meant.
func takePatient(of *interaction.PatientName, p fhir.Node) error {
	value := p.Child("value")
	switch name := p.Child("name").Text(); {
	case value.IsZero():
		return wrongParameter(p, fhir.Required, "Give the parameter a value.")
	case name != of.Parameter && value.Type().Name == "Identifier":
		of.Identifiers = append(of.Identifiers, value)
	case name == of.Parameter && value.Type().Name == "Reference" && of.Reference == "" && value.Child("reference").Text() != "":
		of.Reference = value.Child("reference").Text()
	default:
		return wrongParameter(p, fhir.Value, "Give a valueReference to the patient once, or else a valueIdentifier of the parameter "+of.Parameter+"-identifier.")
	}
	return nil
}

// unmerge serves POST [base]/Patient/[id]/$unmerge, where the id is that of the target.
func (s *Server) unmerge(c *gin.Context) error {
	r, err := s.identities(c, interaction.Unmerge)
	if err != nil {
		return err
	}
	id := c.Param("id")
	if !fhir.ValidID(id) || id == "." || id == ".." {
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The address has no valid id: 1 to 64 letters, digits, hyphens and full stops.")
	}
	source := interaction.PatientName{Parameter: "source-patient"}
	for p := range r.Root().Each("parameter") {
		if name := p.Child("name").Text(); name != "source-patient" && name != "source-patient-identifier" {
			return wrongParameter(p, fhir.NotSupported, "This operation has no such parameter. It has source-patient and source-patient-identifier.")
		}
		if err := takePatient(&source, p); err != nil {
			return err
		}
	}
	done, err := s.session(c).Unmerge(c.Request.Context(), source, interaction.PatientName{Parameter: "target-patient", Reference: "Patient/" + id})
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, mergeAnswer("The merge was undone: what it had moved refers to the source again, but for what is left.", done))
	return nil
}

// mergeAnswer returns the Parameters that say what came of it.
func mergeAnswer(text string, done interaction.MergeResult) []byte {
	type reference struct {
		Reference string `json:"reference"`
	}
	type parameter struct {
		Name      string          `json:"name"`
		Resource  json.RawMessage `json:"resource,omitempty"`
		Reference *reference      `json:"valueReference,omitempty"`
		Code      string          `json:"valueCode,omitempty"`
		Count     *int            `json:"valueUnsignedInt,omitempty"`
		Part      []parameter     `json:"part,omitempty"`
	}
	var notes []fhir.Issue
	if len(done.Left) > 0 {
		notes = append(notes, fhir.Issue{Severity: fhir.Warning, Code: fhir.Informational, Text: fmt.Sprintf("%d resources stay with the target, since they were written or changed since; look if they are about the source.", len(done.Left))})
	}
	all := []parameter{{Name: "outcome", Resource: success(text, notes...).JSON()}}
	if done.Target.Number > 0 {
		all = append(all, parameter{Name: "result", Resource: done.Target.Resource()}, parameter{Name: "source", Resource: done.Source.Resource()})
	}
	if done.Provenance.ID != "" {
		all = append(all, parameter{Name: "provenance", Reference: &reference{done.Provenance.String()}})
	}
	for _, typ := range done.Types() {
		n := done.Moved[typ]
		all = append(all, parameter{Name: "moved", Part: []parameter{{Name: "type", Code: typ}, {Name: "count", Count: &n}}})
	}
	for _, k := range done.Left {
		all = append(all, parameter{Name: "left", Reference: &reference{k.String()}})
	}
	// Resources and texts always marshal.
	doc, _ := json.Marshal(struct {
		Type      string      `json:"resourceType"`
		Parameter []parameter `json:"parameter"`
	}{"Parameters", all})
	return doc
}

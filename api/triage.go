package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// questionRoutes are those of operations on forms that start a consultation.
func (s *Server) questionRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Converses() {
		return nil
	}
	return []route{
		{"POST", "/Questionnaire/$triage", granted, interaction.TriageOperation, s.triage, nil, false, false},
		{"POST", "/Questionnaire/:id/$triage", granted, interaction.TriageOperation, s.triage, nil, false, false},
		{"POST", "/Questionnaire/$process-response", granted, interaction.ProcessResponse, s.processResponse, nil, true, false},
	}
}

// triage serves POST [base]/Questionnaire/$triage, and the same on one form.
func (s *Server) triage(c *gin.Context) error {
	q := interaction.TriageRequest{Form: fhir.Key{Type: "Questionnaire"}}
	if c.Param("id") != "" {
		var err error
		if q.Form, err = keyParam(c); err != nil {
			return err
		}
	}
	if err := s.triaged(c, &q); err != nil {
		return err
	}
	body, err := s.session(c).Triage(c.Request.Context(), q)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, body)
	return nil
}

// triaged reads which response is asked about.
func (s *Server) triaged(c *gin.Context, q *interaction.TriageRequest) error {
	r, err := s.decode(c, "")
	if err != nil {
		return err
	}
	if r.Type() == "QuestionnaireResponse" {
		q.Response = r
		return nil
	}
	if r.Type() != "Parameters" {
		return noResponse()
	}
	for p := range r.Root().Each("parameter") {
		if q.Response != nil || q.Stored.ID != "" || p.Child("name").Text() != "response" {
			return wrongParameter(p, fhir.NotSupported, "This operation has the parameter response, once.")
		}
		if err := takeResponse(p, q); err != nil {
			return err
		}
	}
	if q.Response == nil && q.Stored.ID == "" {
		return noResponse()
	}
	return nil
}

func noResponse() error {
	return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Send the answers, a QuestionnaireResponse, by themselves or as the parameter response of a Parameters.")
}

// takeResponse takes a response, or a reference to one, from the parameter response.
func takeResponse(p fhir.Node, q *interaction.TriageRequest) error {
	if resource := p.Child("resource"); !resource.IsZero() {
		r, err := fhir.DecodeDerived("QuestionnaireResponse", resource.Raw())
		if err != nil {
			return wrongParameter(p, fhir.Value, "The parameter response is a QuestionnaireResponse.")
		}
		q.Response = r
		return nil
	}
	ref, ok := fhir.ParseReference(p.Child("value").Child("reference").Text())
	if !ok || ref.Base != "" || ref.Key.Type != "QuestionnaireResponse" || !fhir.ValidID(ref.Key.ID) {
		return wrongParameter(p, fhir.Value, "The parameter response is a QuestionnaireResponse, or a valueReference to one: QuestionnaireResponse/[id].")
	}
	q.Stored = ref.Key
	return nil
}

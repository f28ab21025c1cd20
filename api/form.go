package api

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// formRoutes are those of operations on forms and the answers to them.
func (s *Server) formRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	asked := []string{"subject", "canonical"}
	return []route{
		{"GET", "/Questionnaire/$populate", granted, interaction.Populate, s.populate, asked, false, false},
		{"POST", "/Questionnaire/$populate", granted, interaction.Populate, s.populate, asked, false, false},
		{"GET", "/Questionnaire/:id/$populate", granted, interaction.Populate, s.populate, asked, false, false},
		{"POST", "/Questionnaire/:id/$populate", granted, interaction.Populate, s.populate, asked, false, false},
		{"POST", "/QuestionnaireResponse/$extract", granted, interaction.Extract, s.extract, nil, false, false},
		{"GET", "/QuestionnaireResponse/:id/$extract", granted, interaction.Extract, s.extract, nil, false, false},
		{"POST", "/QuestionnaireResponse/:id/$extract", granted, interaction.Extract, s.extract, nil, false, false},
	}
}

// populate serves [base]/Questionnaire/$populate and the same on one form.
// https://hl7.org/fhir/uv/sdc/STU3/OperationDefinition-Questionnaire-populate.html
func (s *Server) populate(c *gin.Context) error {
	f, err := s.formRequest(c)
	if err != nil {
		return err
	}
	filled, err := s.session(c).Populate(c.Request.Context(), f)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, answerParameters("response", filled.Response, filled.Issues))
	return nil
}

// extract serves [base]/QuestionnaireResponse/$extract and the same on one response.
// https://hl7.org/fhir/uv/sdc/STU3/OperationDefinition-QuestionnaireResponse-extract.html
func (s *Server) extract(c *gin.Context) error {
	k := fhir.Key{Type: "QuestionnaireResponse"}
	var response, form *fhir.Resource
	if c.Param("id") != "" {
		var err error
		if k, err = keyParam(c); err != nil {
			return err
		}
	} else {
		sent, err := s.sent(c, k.Type)
		if err != nil {
			return err
		}
		if sent.issues != nil {
			return &fhir.Outcome{Class: fhir.BadRequest, Issues: sent.issues}
		}
		if response, form = sent.resource, sent.others["questionnaire"]; response == nil {
			return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Send the answers, by themselves or as the parameter questionnaire-response of a Parameters.")
		}
	}
	bundle, issues, err := s.session(c).Extract(c.Request.Context(), k, response, form)
	if err != nil {
		return err
	}
	if len(issues) == 0 {
		s.render(c, http.StatusOK, bundle)
		return nil
	}
	s.render(c, http.StatusOK, answerParameters("return", bundle, issues))
	return nil
}

// answerParameters returns Parameters with a resource and what is to be noted about it.
func answerParameters(name string, resource []byte, issues []fhir.Issue) []byte {
	type answer struct {
		Name     string          `json:"name"`
		Resource json.RawMessage `json:"resource"`
	}
	all := []answer{{name, resource}}
	if len(issues) > 0 {
		all = append(all, answer{"issues", (&fhir.Outcome{Issues: issues}).JSON()})
	}
	// Texts and resources always marshal.
	b, _ := json.Marshal(struct {
		Type      string   `json:"resourceType"`
		Parameter []answer `json:"parameter"`
	}{"Parameters", all})
	return b
}

// formRequest reads which form is to be filled in, and for whom.
func (s *Server) formRequest(c *gin.Context) (interaction.FormRequest, error) {
	query := c.Request.URL.Query()
	f := interaction.FormRequest{Canonical: query.Get("canonical"), Subject: query.Get("subject"), Contexts: map[string]fhir.Node{}}
	if c.Param("id") != "" {
		var err error
		if f.Key, err = keyParam(c); err != nil {
			return f, err
		}
	}
	if c.Request.Method == http.MethodPost && c.Request.ContentLength != 0 {
		r, err := s.decode(c, "Parameters")
		if err != nil {
			return f, err
		}
		for p := range r.Root().Each("parameter") {
			if err := f.Take(p); err != nil {
				return f, err
			}
		}
	}
	if f.Resource == nil && f.Key.ID == "" && f.Canonical == "" {
		return f, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Say which form: Questionnaire/[id]/$populate, or one of the parameters canonical and questionnaire.")
	}
	return f, nil
}

package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// processResponse serves POST [base]/Questionnaire/$process-response: a create of a response that
// is answered by what came of it.
func (s *Server) processResponse(c *gin.Context) error {
	if err := writable(c); err != nil {
		return err
	}
	sent, err := s.sent(c, "QuestionnaireResponse")
	switch {
	case err != nil:
		return err
	case sent.issues != nil:
		return &fhir.Outcome{Class: fhir.BadRequest, Issues: sent.issues}
	case sent.resource == nil:
		return noResponse()
	case len(sent.others) > 0 || len(sent.texts) > 0:
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "This operation has the parameter response only; leave the others out.")
	}
	done, err := s.carryOut(c, interaction.Entry{Method: http.MethodPost, Key: fhir.Key{Type: "QuestionnaireResponse"}, Resource: sent.resource})
	if err != nil {
		return err
	}
	p, err := s.session(c).Processed(c.Request.Context(), done)
	if err != nil {
		return err
	}
	if isDry(c.Request) {
		p = interaction.Processed{Advice: p.Advice}
	} else {
		versionHeaders(c, &done.Version)
		s.location(c, &done.Version)
		s.linked(c, done.Links)
	}
	s.render(c, http.StatusOK, processedJSON(p))
	return nil
}

// linked names in headers what else came of a write.
func (s *Server) linked(c *gin.Context, links []interaction.Link) {
	for _, l := range links {
		c.Writer.Header().Add("Link", fmt.Sprintf(`<%s/%s>; rel=%q`, s.baseURL(c.Request), l.Key, l.Rel))
	}
}

// processedJSON returns the Parameters that say what has come of a response.
func processedJSON(p interaction.Processed) []byte {
	type reference struct {
		Reference string `json:"reference"`
	}
	type parameter struct {
		Name      string          `json:"name"`
		Reference *reference      `json:"valueReference,omitempty"`
		Code      string          `json:"valueCode,omitempty"`
		DateTime  string          `json:"valueDateTime,omitempty"`
		String    string          `json:"valueString,omitempty"`
		Resource  json.RawMessage `json:"resource,omitempty"`
	}
	var all []parameter
	for _, r := range []struct {
		name string
		key  fhir.Key
	}{{"response", p.Response}, {"task", p.Task}, {"acknowledgement", p.Acknowledgement}} {
		if r.key.ID != "" {
			all = append(all, parameter{Name: r.name, Reference: &reference{r.key.String()}})
		}
	}
	if p.Text != "" {
		all = append(all, parameter{Name: "text", String: p.Text})
	}
	if p.Priority != "" {
		all = append(all, parameter{Name: "priority", Code: p.Priority})
	}
	if p.Due != "" {
		all = append(all, parameter{Name: "due", DateTime: p.Due})
	}
	if len(p.Advice) > 0 {
		all = append(all, parameter{Name: "advice", Resource: (&fhir.Outcome{Issues: p.Advice}).JSON()})
	}
	// Texts and resources always marshal.
	b, _ := json.Marshal(struct {
		Type      string      `json:"resourceType"`
		Parameter []parameter `json:"parameter,omitempty"`
	}{"Parameters", all})
	return b
}

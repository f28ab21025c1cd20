package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// summary serves [base]/Patient/[id]/$summary, and [base]/Patient/$summary for a
// patient with an identifier. https://hl7.org/fhir/uv/ips/STU1.1/OperationDefinition-summary.html
func (s *Server) summary(c *gin.Context) error {
	q, err := s.summaryRequest(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	b, err := s.session(c).Summary(c.Request.Context(), q)
	if err != nil {
		return err
	}
	keepable(c)
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// summaryRequest reads whose summary is asked for.
func (s *Server) summaryRequest(c *gin.Context) (q interaction.SummaryRequest, err error) {
	q.Base = s.baseURL(c.Request)
	if q.Patient, err = recordOf(c); err != nil {
		return q, err
	}
	list, cursor, err := s.operationParams(c)
	if err != nil {
		return q, err
	}
	lenient := parsePrefer(c.Request.Header.Values("Prefer")).Lenient
	for _, p := range list {
		into := map[string]*string{"identifier": &q.Identifier, "profile": &q.Profile}[p.Name]
		switch {
		case into == nil && lenient:
		case into == nil:
			return q, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "This operation has no parameter %s here. It has identifier and profile.", shown(p.Name))
		case *into != "" || p.Value == "":
			return q, fhir.Errorf(fhir.BadRequest, fhir.Value, "http."+p.Name, "Give %s once, and a value.", p.Name)
		default:
			*into = p.Value
		}
	}
	if cursor != "" {
		return q, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "A summary has no pages.")
	}
	return q, nil
}

package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// serviceRoutes are those of operations on services.
func (s *Server) serviceRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	return []route{{"GET", "/HealthcareService/:id/$due", granted, interaction.Due, s.due, []string{"kind", "priority", "start"}, false, false}}
}

// due serves GET [base]/HealthcareService/[id]/$due.
func (s *Server) due(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	query := c.Request.URL.Query()
	q := interaction.DueRequest{Service: k, Kind: consultation.Kind(query.Get("kind")), Priority: query.Get("priority")}
	if q.Kind == "" {
		q.Kind = consultation.Consultation
	}
	if start := query.Get("start"); start != "" {
		if q.Start, err = time.Parse(time.RFC3339, start); err != nil {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "http.start", "The start is an instant with its time zone, such as 2026-11-22T09:00:00Z.")
		}
	}
	body, err := s.session(c).Due(c.Request.Context(), q)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, body)
	return nil
}

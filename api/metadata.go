package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// capabilities serves GET [base]/metadata.
// https://hl7.org/fhir/R4/http.html#capabilities
func (s *Server) capabilities(c *gin.Context) error {
	statement, tag, err := s.metadata.For(c.Query("mode"), s.baseURL(c.Request))
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	c.Header("ETag", tag)
	c.Header("Cache-Control", "no-cache")
	if none, sent := headerList(c.Request.Header, "If-None-Match"); sent {
		t, ok := parseTags(none)
		if !ok {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "", `If-None-Match takes ETags, such as W/"3", or *.`)
		}
		if t.any || t.lists(tag) {
			c.Status(http.StatusNotModified)
			return nil
		}
	}
	s.render(c, http.StatusOK, statement)
	return nil
}

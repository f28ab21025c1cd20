package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// capabilities serves GET [base]/metadata.
// https://hl7.org/fhir/R4/http.html#capabilities
func (s *Server) capabilities(c *gin.Context) error {
	statement, tag, err := s.metadata.For(c.Query("mode"), s.baseURL(c.Request))
	if err != nil {
		return err
	}
	return s.statement(c, statement, tag)
}

// compartment serves GET [base]/CompartmentDefinition/openconsult-patient.
func (s *Server) compartment(c *gin.Context) error {
	definition, tag, err := s.metadata.Compartment()
	if err != nil {
		return err
	}
	selection, err := selectionOf(c, access.Published().Type)
	if err != nil {
		return err
	}
	if definition, err = fhir.Subset(access.Published().Type, definition, selection); err != nil {
		return err
	}
	return s.statement(c, definition, tag)
}

// statement answers with what is the same for everybody.
func (s *Server) statement(c *gin.Context, statement []byte, tag string) error {
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

package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// noneExist is the header of a conditional create.
const noneExist = "If-None-Exist"

// createIf serves POST [base]/[type] with If-None-Exist.
// https://hl7.org/fhir/R4/http.html#ccreate
func (s *Server) createIf(c *gin.Context, r *fhir.Resource) error {
	values := c.Request.Header.Values(noneExist)
	if len(values) > 1 || values[0] == "" {
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "If-None-Exist takes the criteria of one search, as they stand after the question mark of an address: identifier=system|value.")
	}
	done, err := s.session(c).CreateIf(c.Request.Context(), r, values[0])
	if err != nil {
		return err
	}
	if done.Outcome != store.Unchanged {
		return s.written(c, done)
	}
	versionHeaders(c, &done.Version)
	s.location(c, &done.Version)
	return s.answerWrite(c, http.StatusOK, done, "There already is a "+done.Key.Type+" that answers the criteria; nothing was created.")
}

// updateIf serves PUT [base]/[type]?criteria.
// https://hl7.org/fhir/R4/http.html#cond-update
func (s *Server) updateIf(c *gin.Context) error {
	t, err := conditionOf(c)
	if err != nil {
		return err
	}
	r, err := s.decodeAny(c, t.Type, "")
	if err != nil {
		return err
	}
	done, err := s.session(c).UpdateIf(c.Request.Context(), r, t)
	if err != nil {
		return err
	}
	return s.written(c, done)
}

// patchIf serves PATCH [base]/[type]?criteria.
// https://hl7.org/fhir/R4/http.html#patch
func (s *Server) patchIf(c *gin.Context) error {
	t, err := conditionOf(c)
	if err != nil {
		return err
	}
	ops, err := s.patchBody(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).PatchIf(c.Request.Context(), t, ops)
	if err != nil {
		return err
	}
	return s.written(c, done)
}

// deleteIf serves DELETE [base]/[type]?criteria.
// https://hl7.org/fhir/R4/http.html#2.1.0.12.1
func (s *Server) deleteIf(c *gin.Context) error {
	t, err := conditionOf(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).DeleteIf(c.Request.Context(), t)
	if err != nil {
		return err
	}
	s.deleted(c, done)
	return nil
}

// conditionOf returns what finds the resource that a conditional write is about,
// and what must be true of it. It also makes sure that the answer can be given.
func conditionOf(c *gin.Context) (t interaction.Target, err error) {
	if t.Type, err = typeParam(c); err != nil {
		return t, err
	}
	if t.Criteria, err = criteria(c); err != nil {
		return t, err
	}
	if _, err := negotiate(c.Request); err != nil {
		return t, err
	}
	t.Expect, err = demanded(c.Request)
	return t, err
}

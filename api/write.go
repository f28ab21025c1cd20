package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// create serves POST [base]/[type]. https://hl7.org/fhir/R4/http.html#create
func (s *Server) create(c *gin.Context) error {
	typ, err := typeParam(c)
	if err != nil {
		return err
	}
	if err := writable(c); err != nil {
		return err
	}
	r, err := s.decodeAny(c, typ, "")
	if err != nil {
		return err
	}
	if len(c.Request.Header.Values(noneExist)) > 0 {
		return s.createIf(c, r)
	}
	done, err := s.session(c).Create(c.Request.Context(), r)
	if err != nil {
		return err
	}
	return s.written(c, done)
}

// update serves PUT [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#update
func (s *Server) update(c *gin.Context) error {
	k, expect, err := target(c)
	if err != nil {
		return err
	}
	r, err := s.decodeAny(c, k.Type, k.ID)
	if err != nil {
		return err
	}
	done, err := s.session(c).Update(c.Request.Context(), k.ID, r, expect)
	if err != nil {
		return err
	}
	return s.written(c, done)
}

// patch serves PATCH [base]/[type]/[id].
// https://hl7.org/fhir/R4/http.html#patch
func (s *Server) patch(c *gin.Context) error {
	k, expect, err := target(c)
	if err != nil {
		return err
	}
	ops, err := s.patchBody(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).Patch(c.Request.Context(), k, ops, expect)
	if err != nil {
		if done.Number > 0 {
			versionHeaders(c, &done.Version)
		}
		return err
	}
	return s.written(c, done)
}

// patchBody reads the patch that a request sends: a JSON Patch, or Parameters
// with a FHIRPath Patch.
func (s *Server) patchBody(c *gin.Context) (ops interaction.Change, err error) {
	header := c.GetHeader("Content-Type")
	name, ok := splitType(header)
	f := formatOf(name)
	switch {
	case ok && isUTF8(header) && f == patchFormat:
		ops.JSON, err = s.readBody(c, s.config.Limits.Body)
	case ok && isUTF8(header) && (f == jsonFormat || f == xmlFormat):
		ops.FHIRPath, err = s.decode(c, "Parameters")
	default:
		c.Header("Accept-Patch", "application/json-patch+json, application/fhir+json, application/fhir+xml")
		err = unsupportedType("a JSON Patch as application/json-patch+json, or a FHIRPath Patch as application/fhir+json or application/fhir+xml,")
	}
	return ops, err
}

// delete serves DELETE [base]/[type]/[id].
// https://hl7.org/fhir/R4/http.html#delete
func (s *Server) delete(c *gin.Context) error {
	k, expect, err := target(c)
	if err != nil {
		return err
	}
	done, err := s.session(c).Delete(c.Request.Context(), k, expect)
	if err != nil {
		return err
	}
	s.deleted(c, done)
	return nil
}

// deleted answers a delete.
func (s *Server) deleted(c *gin.Context, done interaction.Result) {
	if done.Number > 0 {
		versionHeaders(c, &done.Version)
	}
	if parsePrefer(c.Request.Header.Values("Prefer")).Return == "OperationOutcome" {
		s.render(c, http.StatusOK, success(outcomeText(done)).JSON())
		return
	}
	c.Status(http.StatusNoContent)
}

// purge serves POST [base]/[type]/[id]/$purge, which is the operator's.
func (s *Server) purge(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	purged, err := s.session(c).Purge(c.Request.Context(), k)
	if err != nil {
		return err
	}
	s.config.Log.WarnContext(c.Request.Context(), "history purged", "request", requestID(c.Request), "type", k.Type, "rid", purged.RID, "versions", purged.Versions)
	s.render(c, http.StatusOK, success("The earlier versions were removed for good.").JSON())
	return nil
}

// writable makes sure that the answer to a create can be given before anything
// is stored.
func writable(c *gin.Context) error {
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if len(c.Request.Header.Values(name)) > 0 {
			return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "%s has no meaning for a create; use it with PUT.", name)
		}
	}
	return nil
}

// target returns the resource that a write is about and what must be true of
// it. It also makes sure that the answer can be given.
func target(c *gin.Context) (fhir.Key, store.Expect, error) {
	k, err := keyParam(c)
	if err != nil {
		return k, 0, err
	}
	if _, err := negotiate(c.Request); err != nil {
		return k, 0, err
	}
	expect, err := demanded(c.Request)
	return k, expect, err
}

// demanded returns what must be true of the resource for a write to happen.
func demanded(r *http.Request) (store.Expect, error) {
	expect, err := expectation(r.Header)
	if err == nil && expect == store.Absent && r.Method != http.MethodPut {
		err = fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "If-None-Match has no meaning for %s; use If-Match.", r.Method)
	}
	return expect, err
}

package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// create serves POST [base]/[type], with If-None-Exist unless there is one already.
// https://hl7.org/fhir/R4/http.html#create https://hl7.org/fhir/R4/http.html#ccreate
func (s *Server) create(c *gin.Context) error {
	typ, err := typeParam(c)
	if err != nil {
		return err
	}
	if err := writable(c); err != nil {
		return err
	}
	e := interaction.Entry{Method: http.MethodPost, Key: fhir.Key{Type: typ}}
	if e.Resource, err = s.decodeAny(c, typ, ""); err != nil {
		return err
	}
	if e.Criteria, e.Conditional, err = noneExistOf(c.Request.Header); err != nil {
		return err
	}
	return s.perform(c, e)
}

// change serves PUT, PATCH and DELETE of the resource that of takes from the request: the one
// with an id, or the one that criteria find.
// https://hl7.org/fhir/R4/http.html#update https://hl7.org/fhir/R4/http.html#cond-update
func (s *Server) change(c *gin.Context, of func(*gin.Context) (interaction.Entry, error)) error {
	e, err := of(c)
	if err != nil {
		return err
	}
	switch e.Method {
	case http.MethodPut:
		e.Resource, err = s.decodeAny(c, e.Key.Type, e.Key.ID)
	case http.MethodPatch:
		var ops interaction.Change
		ops, err = s.patchBody(c)
		e.Patch = &ops
	}
	if err != nil {
		return err
	}
	return s.perform(c, e)
}

// changeOne serves PUT, PATCH and DELETE [base]/[type]/[id].
func (s *Server) changeOne(c *gin.Context) error { return s.change(c, target) }

// changeFound serves PUT, PATCH and DELETE [base]/[type]?criteria.
func (s *Server) changeFound(c *gin.Context) error { return s.change(c, conditionOf) }

// perform performs one write and answers it.
func (s *Server) perform(c *gin.Context, e interaction.Entry) error {
	done, err := s.carryOut(c, e)
	return s.done(c, e, done, err)
}

// carryOut performs one write. One that is to be repeatable, or tried out, or that has a
// Provenance, is a transaction of its own.
func (s *Server) carryOut(c *gin.Context, e interaction.Entry) (interaction.Result, error) {
	dry, past := isDry(c.Request), isPast(c.Request)
	entries, err := withProvenance(c.Request.Header, e)
	if err != nil {
		return interaction.Result{}, err
	}
	if noteOf(c.Request).key == "" && !dry && !past && len(entries) == 1 {
		return s.plainly(c, e)
	}
	var repeat *interaction.Repeat
	if past || len(entries) > 1 || !s.session(c).SeesReceipt(c.Request.Context(), e) {
		repeat, err = s.repeated(c)
	}
	var replies []interaction.Reply
	if repeat == nil && err == nil {
		b := interaction.Bundle{Entries: entries, Single: len(entries) == 1, Dry: dry, Past: past, Receipt: s.receipt(c)}
		if replies, repeat, err = s.transact(c, b); !b.Single {
			err = alone(err, e.Key.Type)
		}
	}
	if err == nil && repeat != nil {
		replies, err = repeat.Replies, s.repeat(c, repeat)
	}
	if err != nil {
		return interaction.Result{}, err
	}
	return replies[0].Result, nil
}

// plainly performs a write that is by itself.
func (s *Server) plainly(c *gin.Context, e interaction.Entry) (interaction.Result, error) {
	session, ctx := s.session(c), c.Request.Context()
	t := interaction.Target{Type: e.Key.Type, Criteria: e.Criteria, Expect: e.Expect}
	switch {
	case e.Method == http.MethodPost && e.Conditional:
		return session.CreateIf(ctx, e.Resource, e.Criteria)
	case e.Method == http.MethodPost:
		return session.Create(ctx, e.Resource)
	case e.Method == http.MethodPut && e.Conditional:
		return session.UpdateIf(ctx, e.Resource, t)
	case e.Method == http.MethodPut:
		return session.Update(ctx, e.Key.ID, e.Resource, e.Expect)
	case e.Method == http.MethodPatch && e.Conditional:
		return session.PatchIf(ctx, t, *e.Patch)
	case e.Method == http.MethodPatch:
		return session.Patch(ctx, e.Key, *e.Patch, e.Expect)
	case e.Conditional:
		return session.DeleteIf(ctx, t)
	}
	return session.Delete(ctx, e.Key, e.Expect)
}

// done answers a write. A patch that is refused may say of which version.
func (s *Server) done(c *gin.Context, e interaction.Entry, done interaction.Result, err error) error {
	switch {
	case err != nil:
		if e.Method == http.MethodPatch && done.Number > 0 {
			versionHeaders(c, &done.Version)
		}
		return err
	case e.Method == http.MethodDelete:
		s.deleted(c, done)
		return nil
	}
	return s.written(c, e.Method, done)
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

// deleted answers a delete.
func (s *Server) deleted(c *gin.Context, done interaction.Result) {
	preferred := parsePrefer(c.Request.Header.Values("Prefer"))
	if done.Number > 0 && !preferred.Dry {
		versionHeaders(c, &done.Version)
	}
	if preferred.Return == "OperationOutcome" {
		s.render(c, http.StatusOK, success(writeText(http.MethodDelete, done, preferred.Dry)).JSON())
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

// target returns the write of a resource that the address names. It also makes
// sure that the answer can be given.
func target(c *gin.Context) (interaction.Entry, error) {
	e := interaction.Entry{Method: c.Request.Method}
	var err error
	if e.Key, err = keyParam(c); err != nil {
		return e, err
	}
	if _, err := negotiate(c.Request); err != nil {
		return e, err
	}
	e.Expect, err = demanded(c.Request)
	return e, err
}

// demanded returns what must be true of the resource for a write to happen.
func demanded(r *http.Request) (store.Expect, error) {
	expect, err := expectation(r.Header)
	if err == nil && expect == store.Absent && r.Method != http.MethodPut {
		err = fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "If-None-Match has no meaning for %s; use If-Match.", r.Method)
	}
	return expect, err
}

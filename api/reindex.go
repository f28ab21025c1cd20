package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// reindex serves POST [base]/$reindex, which is the operator's.
func (s *Server) reindex(c *gin.Context) error {
	if err := s.session(c).StartReindex(c.Request.Context()); err != nil {
		return err
	}
	c.Header("Content-Location", s.baseURL(c.Request)+"/$reindex")
	return s.tellReindexing(c, http.StatusAccepted)
}

// reindexing serves GET [base]/$reindex.
func (s *Server) reindexing(c *gin.Context) error { return s.tellReindexing(c, http.StatusOK) }

func (s *Server) tellReindexing(c *gin.Context, status int) error {
	r, err := s.session(c).Reindexing(c.Request.Context())
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", reindexParameters(r)})
	if err != nil {
		return fmt.Errorf("write the state of the reindexing: %w", err)
	}
	s.render(c, status, body)
	return nil
}

// A parameter is one of a Parameters resource. One of its values is set.
// https://hl7.org/fhir/R4/parameters.html
type parameter struct {
	Name    string      `json:"name"`
	Code    string      `json:"valueCode,omitempty"`
	Number  json.Number `json:"valueDecimal,omitempty"`
	Instant string      `json:"valueInstant,omitempty"`
}

// reindexParameters says how far a reindexing has come: its state, which is
// never, running or completed, and beside it numbers and times.
func reindexParameters(r *store.Reindexing) []parameter {
	if r == nil {
		return []parameter{{Name: "state", Code: "never"}}
	}
	number := func(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
	instant := func(t time.Time) string { return t.UTC().Format(fhir.InstantFormat) }
	list := []parameter{
		{Name: "state", Code: "running"},
		{Name: "percent", Number: number(int64(r.Percent))},
		{Name: "resources", Number: number(r.Built)},
		{Name: "failed", Number: number(r.Failed)},
		{Name: "started", Instant: instant(r.Started)},
	}
	if !r.Running {
		list[0].Code = "completed"
		list = append(list, parameter{Name: "ended", Instant: instant(r.Ended)})
	}
	return list
}

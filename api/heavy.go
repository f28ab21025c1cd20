package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// What an operation may be sent before it counts as heavy, and how long such a one
// waits for its turn.
const (
	lightBody  = 64 << 10
	heavyAfter = 2 * time.Second
)

// heavySlots is how many heavy operations go on at once: one for each core but one, so
// that there is always one for everybody else.
func heavySlots() int64 { return int64(max(1, runtime.GOMAXPROCS(0)-1)) }

// inTurn has those of routes that are sent something large wait for one another: forms,
// code systems and profiles that come with the request take thirty times their size in
// memory, and seconds, whoever sends them.
func (s *Server) inTurn(routes []route) []route {
	for i := range routes {
		serve := routes[i].serve
		routes[i].serve = func(c *gin.Context) error {
			if c.Request.ContentLength >= 0 && c.Request.ContentLength <= lightBody {
				return serve(c)
			}
			// Who sends slowly keeps nobody else from their turn.
			if err := s.readAhead(c); err != nil {
				return err
			}
			if err := s.heavyTurn(c.Request); err != nil {
				return fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "Others are having large definitions looked at; send the request again later, or store the definition and name it.")
			}
			defer s.heavy.Release(1)
			return serve(c)
		}
	}
	return routes
}

// heavyTurn waits for the turn of a request, which gives its place to others meanwhile.
func (s *Server) heavyTurn(r *http.Request) error {
	if s.heavy.TryAcquire(1) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), heavyAfter)
	defer cancel()
	p := noteOf(r).seat
	p.yield()
	if err := s.heavy.Acquire(ctx, 1); err != nil {
		return err
	}
	err := p.resume(r.Context())
	if err != nil {
		s.heavy.Release(1)
	}
	return err
}

// readAhead reads the body of a request, which is read again from memory.
func (s *Server) readAhead(c *gin.Context) error {
	limit := s.limitOf(c.Param("type"))
	if c.Param("type") == "" { // a package
		limit = s.config.Limits.Bundle
	}
	body, err := s.readBody(c, limit)
	if err != nil {
		return err
	}
	c.Request.Body, c.Request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

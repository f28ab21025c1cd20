package api

import (
	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// identify asks who sends the request and keeps the answer with it. Who may not
// do what r does is refused before anything is read; the interaction asks again.
func (s *Server) identify(c *gin.Context, r route) error {
	if s.config.Caller == nil {
		return fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Sign in first.")
	}
	g, err := s.config.Caller(c.Request)
	if err != nil {
		return err
	}
	if err := g.Allow(r.interaction, searchedType(c)); err != nil {
		return err
	}
	noteOf(c.Request).grant = g
	return nil
}

// session returns the interactions of the request's sender. Without a Grant they
// all refuse.
func (s *Server) session(c *gin.Context) *interaction.Session {
	return s.config.Engine.For(noteOf(c.Request).grant)
}

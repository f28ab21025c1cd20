package api

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// grantKey is where a request keeps the Grant of its sender.
type grantKey struct{}

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
	if err := g.Allow(r.interaction, c.Param("type")); err != nil {
		return err
	}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), grantKey{}, g))
	return nil
}

// session returns the interactions of the request's sender. Without a Grant they
// all refuse.
func (s *Server) session(c *gin.Context) *interaction.Session {
	g, _ := c.Request.Context().Value(grantKey{}).(access.Grant)
	return s.config.Engine.For(g)
}

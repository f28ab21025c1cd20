package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
)

// publications returns the definitions of the server itself that can be read.
var publications = sync.OnceValue(func() []conformance.Published {
	all := append(conformance.SearchParameters(), conformance.OperationDefinitions()...)
	for _, o := range definition.Own() {
		all = append(all, conformance.Published(o))
	}
	return all
})

// publishedOf returns those of them that tell of a server with such routes: an operation that
// it does not have is not defined.
func publishedOf(routes []route) []conformance.Published {
	return slices.DeleteFunc(slices.Clone(publications()), func(p conformance.Published) bool {
		if p.Key.Type != "OperationDefinition" {
			return false
		}
		operation := "/$" + strings.TrimPrefix(p.Key.ID, "openconsult-")
		return !slices.ContainsFunc(routes, func(r route) bool { return strings.HasSuffix(r.path, operation) })
	})
}

// withPublished adds to routes those of what the server itself defines, for everybody to read.
func (s *Server) withPublished(routes []route) []route {
	routes = append(routes, route{"GET", "/$task-machine", public, "", s.taskMachine, nil, false, false})
	for _, p := range publishedOf(routes) {
		routes = append(routes, route{"GET", "/" + p.Key.String(), public, "", s.publish(p), []string{"_summary", "_elements"}, false, false})
	}
	return routes
}

// publish serves one of them.
func (s *Server) publish(p conformance.Published) func(*gin.Context) error {
	return func(c *gin.Context) error {
		selection, err := selectionOf(c, p.Key.Type)
		if err != nil {
			return err
		}
		text, err := fhir.Subset(p.Key.Type, p.Text, selection)
		if err != nil {
			return fmt.Errorf("publish %s: %w", p.Key, err)
		}
		return s.statement(c, text, p.Tag())
	}
}

// taskMachine serves GET [base]/$task-machine, which is no FHIR: the moves of Tasks as
// the server enforces them.
func (s *Server) taskMachine(c *gin.Context) error {
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "application/json; charset=utf-8", []byte(consultation.MachineJSON()))
	return nil
}

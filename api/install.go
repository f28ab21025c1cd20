package api

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// installPackage serves POST [base]/$install-package.
func (s *Server) installPackage(c *gin.Context) error {
	switch name, ok := splitType(c.GetHeader("Content-Type")); {
	case ok && (name == "application/gzip" || name == "application/x-gzip" || name == "application/octet-stream" || name == "application/tar+gzip"):
	default:
		return &refusal{http.StatusUnsupportedMediaType, fhir.NotSupported, "Send a FHIR package, the .tgz file, as application/gzip."}
	}
	session := s.session(c)
	if err := session.MayInstall(); err != nil {
		return err
	}
	body, err := s.readBody(c, s.config.Limits.Bundle)
	if err != nil {
		return err
	}
	p, err := definition.ReadPackage("package.tgz", bytes.NewReader(body))
	if err != nil {
		return err
	}
	done, err := session.Install(c.Request.Context(), p)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, success(installed(p, done), done.Problems...).JSON())
	return nil
}

// installed says what came of a package.
func installed(p *definition.Package, done interaction.Installation) string {
	return fmt.Sprintf("%s %s: %d definitions are new, %d have changed, %d were there.", p.Name, p.Version, done.Created, done.Updated, done.Unchanged)
}

// installRoutes are those of packages.
func (s *Server) installRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	return []route{{"POST", "/$install-package", granted, interaction.InstallPackage, s.installPackage, nil, true, false}}
}

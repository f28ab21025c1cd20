package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// maxReason bounds how long the reason may be why a message is taken back, in bytes.
const maxReason = 4000

// retract serves POST [base]/Communication/[id]/$retract.
func (s *Server) retract(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	var reason string
	err = s.asking(c, func(p fhir.Node) bool {
		first := reason == ""
		reason = p.Child("value").Text()
		return first && reason != "" && len(reason) <= maxReason && p.Child("name").Text() == "reason"
	})
	if err != nil {
		return err
	}
	done, err := s.session(c).Retract(c.Request.Context(), k, reason)
	if err != nil {
		return err
	}
	versionHeaders(c, &done.Version)
	return s.answerWrite(c, http.StatusOK, done, "The message was taken back.")
}

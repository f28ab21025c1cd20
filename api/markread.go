package api

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// markRead serves POST [base]/Communication/[id]/$mark-read, and the same on a Task for the
// whole conversation.
func (s *Server) markRead(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	if err := s.asking(c, func(fhir.Node) bool { return false }); err != nil {
		return err
	}
	receipts, err := s.session(c).MarkRead(c.Request.Context(), k)
	if err != nil {
		return err
	}
	body := []byte(`{"resourceType":"Parameters","parameter":[{"name":"marked","valueInteger":`)
	body = append(strconv.AppendInt(body, int64(len(receipts)), 10), '}')
	for _, r := range receipts {
		body = fhir.AppendString(append(body, `,{"name":"receipt","valueReference":{"reference":`...), r.String())
		body = append(body, "}}"...)
	}
	s.render(c, http.StatusOK, append(body, "]}"...))
	return nil
}

package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// conversationRoutes are those of operations on conversations and their messages.
func (s *Server) conversationRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Converses() {
		return nil
	}
	return []route{
		{"GET", "/Task/:id/$available-actions", granted, interaction.AvailableActions, s.availableActions, nil, false, false},
		{"POST", "/Task/:id/$available-actions", granted, interaction.AvailableActions, s.availableActions, nil, false, false},
		{"GET", "/Task/:id/$thread", granted, interaction.ThreadOperation, s.thread, []string{"_count", threadAfter}, false, false},
		{"POST", "/Task/:id/$mark-read", granted, interaction.MarkRead, s.markRead, nil, true, false},
		{"POST", "/Task/:id/$identify", granted, interaction.Identify, s.identifyPatient, nil, true, false},
		{"POST", "/Communication/:id/$mark-read", granted, interaction.MarkRead, s.markRead, nil, true, false},
		{"POST", "/Communication/:id/$retract", granted, interaction.Retract, s.retract, nil, true, false},
	}
}

// availableActions serves [base]/Task/[id]/$available-actions.
func (s *Server) availableActions(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	body, err := s.session(c).AvailableActions(c.Request.Context(), k)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, body)
	return nil
}

// asking reads the Parameters of an operation that may come without any, and has take each of
// them, which reports whether it is known.
func (s *Server) asking(c *gin.Context, take func(fhir.Node) (known bool)) error {
	if c.Request.ContentLength == 0 {
		return nil
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return err
	}
	for p := range r.Root().Each("parameter") {
		if !take(p) {
			return wrongParameter(p, fhir.NotSupported, "This operation has no such parameter, or not as often; leave it out.")
		}
	}
	return nil
}

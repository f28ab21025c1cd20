package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
)

// identifyPatient serves POST [base]/Task/[id]/$identify.
func (s *Server) identifyPatient(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	var patient fhir.Key
	err = s.asking(c, func(p fhir.Node) bool {
		first := patient.ID == ""
		r, ok := fhir.ParseReference(p.Child("value").Child("reference").Text())
		patient = r.Key
		return first && ok && r.Base == "" && patient.Type == "Patient" && p.Child("name").Text() == "patient"
	})
	if err != nil {
		return err
	}
	if patient.ID == "" {
		return fhir.Errorf(fhir.BadRequest, fhir.Required, "Parameters.parameter", "Say who it is: give the parameter patient, a reference to a Patient here.")
	}
	done, err := s.session(c).Identify(c.Request.Context(), k, patient)
	if err != nil {
		return err
	}
	versionHeaders(c, &done.Version)
	return s.answerWrite(c, http.StatusOK, done, "The Task is for this patient now.")
}

package interaction

import (
	"context"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A PatientName says which Patient is meant: by a reference, or by identifiers.
type PatientName struct {
	Parameter   string // "source-patient"
	Reference   string
	Identifiers []fhir.Node
}

// patientNamed returns the Patient whom n means. That it is there and the caller sees it is not
// said of one who is named by a reference.
func (s *Session) patientNamed(ctx context.Context, n PatientName) (fhir.Key, error) {
	switch {
	case n.Reference != "" && len(n.Identifiers) > 0, n.Reference == "" && len(n.Identifiers) == 0:
		return fhir.Key{}, fhir.Errorf(fhir.BadRequest, fhir.Required, inParameter(n.Parameter), "Say who is meant by %s, or else by %s-identifier.", n.Parameter, n.Parameter)
	case n.Reference != "":
		k := s.namedBy(n.Reference)
		if k.Type != "Patient" || k.ID == "" || strings.Contains(n.Reference, "/_history/") {
			return k, fhir.Errorf(fhir.BadRequest, fhir.Value, inParameter(n.Parameter), "This is to be a reference to a Patient of this server, without a version: Patient/[id].")
		}
		return k, nil
	}
	var params []search.Parameter
	for _, id := range n.Identifiers {
		system, value := id.Child("system").Text(), id.Child("value").Text()
		if system == "" || value == "" {
			return fhir.Key{}, fhir.Errorf(fhir.BadRequest, fhir.Required, inParameter(n.Parameter+"-identifier"), "An identifier has a system and a value here.")
		}
		params = append(params, search.Parameter{Name: "identifier", Value: search.Escape(system) + "|" + search.Escape(value)})
	}
	found, err := s.find(ctx, Page{Request: search.Request{Types: []string{"Patient"}, Params: append(params, search.Parameter{Name: "_count", Value: "2"}), Now: s.clock()}})
	switch {
	case err != nil:
		return fhir.Key{}, err
	case len(found.Versions) == 0:
		return fhir.Key{}, noPatient(n.Parameter + "-identifier")
	case len(found.Versions) > 1:
		return fhir.Key{}, fhir.Errorf(fhir.Unprocessable, fhir.MultipleMatches, inParameter(n.Parameter+"-identifier"), "More than one Patient has these identifiers; give one that one has, or a reference.")
	}
	return found.Versions[0].Key, nil
}

// inParameter returns where in Parameters the one with a name stands.
func inParameter(name string) string { return "Parameters.parameter.where(name='" + name + "')" }

func noPatient(parameter string) error {
	return fhir.Errorf(fhir.Unprocessable, fhir.NotFound, inParameter(parameter), "There is no such Patient.")
}

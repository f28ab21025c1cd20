package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// identityRoutes are those of operations that say who a patient is.
func (s *Server) identityRoutes() []route {
	return []route{
		{"POST", "/Patient/$match", granted, interaction.Match, s.match, nil, false, false},
		{"POST", "/Patient/$merge", granted, interaction.Merge, s.merge, nil, true, false},
		{"POST", "/Patient/:id/$unmerge", granted, interaction.Unmerge, s.unmerge, nil, true, false},
	}
}

// identities reads the Parameters of an operation that the caller may perform on Patients.
func (s *Server) identities(c *gin.Context, i access.Interaction) (*fhir.Resource, error) {
	if err := s.session(c).Allow(i, fhir.Key{Type: "Patient"}); err != nil {
		return nil, err
	}
	return s.decode(c, "Parameters")
}

// match serves POST [base]/Patient/$match.
// https://hl7.org/fhir/R4/patient-operation-match.html
func (s *Server) match(c *gin.Context) error {
	r, err := s.identities(c, interaction.Match)
	if err != nil {
		return err
	}
	q, err := matchRequest(r.Root())
	if err != nil {
		return err
	}
	found, issues, err := s.session(c).Match(c.Request.Context(), q)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, matchBundle(found, issues, s.baseURL(c.Request)))
	return nil
}

// matchRequest reads who is asked for.
func matchRequest(parameters fhir.Node) (interaction.MatchRequest, error) {
	var q interaction.MatchRequest
	for p := range parameters.Each("parameter") {
		value := p.Child("value")
		switch name := p.Child("name").Text(); name {
		case "resource":
			if !q.Patient.IsZero() {
				return q, wrongParameter(p, fhir.Invalid, "Give resource once.")
			}
			if q.Patient = p.Child("resource"); q.Patient.IsZero() || q.Patient.Type().Name != "Patient" {
				return q, wrongParameter(p, fhir.Value, "The parameter resource is a Patient, with what is known of who is looked for.")
			}
			q.Expression = q.Patient.Path()
		case "onlyCertainMatches":
			if value.Text() != "true" && value.Text() != "false" {
				return q, wrongParameter(p, fhir.Value, "onlyCertainMatches is a valueBoolean.")
			}
			q.OnlyCertain = value.Text() == "true"
		case "count":
			n, err := strconv.Atoi(value.Text())
			if err != nil || n < 1 || n > 100 {
				return q, wrongParameter(p, fhir.Value, "count is a valueInteger from 1 to 100.")
			}
			q.Count = n
		default:
			return q, wrongParameter(p, fhir.NotSupported, "This operation has no such parameter here. It has resource, onlyCertainMatches and count.")
		}
	}
	if q.Patient.IsZero() {
		return q, fhir.Errorf(fhir.BadRequest, fhir.Required, "Parameters.parameter", "Send the parameter resource: a Patient with what is known of who is looked for.")
	}
	return q, nil
}

// wrongParameter says what is wrong with one of Parameters.
func wrongParameter(p fhir.Node, code fhir.Code, text string) error {
	i := fhir.At(p)
	i.Code, i.Text, i.Detail = code, text, "operation-parameter"
	return &fhir.Outcome{Class: fhir.BadRequest, Issues: []fhir.Issue{i}}
}

// matchGrade is the extension that says how likely an entry is who is looked for.
// https://hl7.org/fhir/R4/extension-match-grade.html
const matchGrade = "http://hl7.org/fhir/StructureDefinition/match-grade"

// matchBundle returns the searchset of who was found.
func matchBundle(found []interaction.Matched, issues []fhir.Issue, base string) []byte {
	type extension struct {
		URL  string            `json:"url"`
		Code interaction.Grade `json:"valueCode"`
	}
	type searched struct {
		Extension []extension `json:"extension,omitempty"`
		Mode      string      `json:"mode"`
		Score     json.Number `json:"score,omitempty"`
	}
	type entry struct {
		FullURL  string          `json:"fullUrl,omitempty"`
		Resource json.RawMessage `json:"resource"`
		Search   searched        `json:"search"`
	}
	b := struct {
		Type    string  `json:"resourceType"`
		Bundle  string  `json:"type"`
		Total   int     `json:"total"`
		Entries []entry `json:"entry,omitempty"`
	}{"Bundle", "searchset", len(found), nil}
	for i := range found {
		m := &found[i]
		b.Entries = append(b.Entries, entry{
			FullURL: base + "/" + m.Key.String(), Resource: m.Resource(),
			Search: searched{[]extension{{matchGrade, m.Grade}}, modeMatch, json.Number(strconv.FormatFloat(m.Score, 'f', 3, 64))},
		})
	}
	if len(issues) > 0 {
		b.Entries = append(b.Entries, entry{Resource: (&fhir.Outcome{Issues: issues}).JSON(), Search: searched{Mode: modeOutcome}})
	}
	// Resources and texts always marshal.
	doc, _ := json.Marshal(b)
	return doc
}

package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// validationRoutes are those of operations that look at what is sent.
func (s *Server) validationRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	asked := []string{"mode", "profile"}
	return []route{
		{"POST", "/:type/$validate", granted, interaction.Validate, s.validate, asked, false, false},
		{"GET", "/:type/:id/$validate", granted, interaction.Validate, s.validate, asked, false, false},
		{"POST", "/:type/:id/$validate", granted, interaction.Validate, s.validate, asked, false, false},
		{"POST", "/QuestionnaireResponse/$validate-form", granted, interaction.ValidateForm, s.validateForm, nil, false, false},
	}
}

// validate serves [base]/[type]/$validate and [base]/[type]/[id]/$validate. The answer
// is 200 whatever is wrong with the resource.
// https://hl7.org/fhir/R4/resource-operation-validate.html
func (s *Server) validate(c *gin.Context) error {
	v, issues, err := s.validation(c)
	if err != nil {
		return err
	}
	if issues == nil {
		if issues, err = s.session(c).Validate(c.Request.Context(), v); err != nil {
			return err
		}
	}
	s.tellIssues(c, issues)
	return nil
}

// validateForm serves [base]/QuestionnaireResponse/$validate-form.
func (s *Server) validateForm(c *gin.Context) error {
	sent, err := s.sent(c, "QuestionnaireResponse")
	if err != nil {
		return err
	}
	if len(sent.issues) > 0 {
		s.tellIssues(c, sent.issues)
		return nil
	}
	if sent.resource == nil {
		return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Send the answers, by themselves or as the parameter response of a Parameters.")
	}
	issues, err := s.session(c).ValidateForm(c.Request.Context(), sent.resource, sent.others["questionnaire"])
	if err != nil {
		return err
	}
	s.tellIssues(c, issues)
	return nil
}

// tellIssues answers with what was found.
func (s *Server) tellIssues(c *gin.Context, issues []fhir.Issue) {
	o := &fhir.Outcome{Issues: issues}
	if len(issues) == 0 {
		o = success("Nothing is wrong with it.")
	}
	s.render(c, http.StatusOK, o.JSON())
}

// validation reads what is to be validated, or what is structurally wrong with it.
func (s *Server) validation(c *gin.Context) (v interaction.Validation, issues []fhir.Issue, err error) {
	if v.Key, err = s.validated(c); err != nil {
		return v, nil, err
	}
	query := c.Request.URL.Query()
	v.Mode, v.Profiles = query.Get("mode"), query["profile"]
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		sent, err := s.sent(c, v.Key.Type)
		if err != nil {
			return v, nil, err
		}
		v.Resource, issues = sent.resource, sent.issues
		v.Mode += sent.texts["mode"]
		if p := sent.texts["profile"]; p != "" {
			v.Profiles = append(v.Profiles, p)
		}
	}
	if !slices.Contains([]string{"", "create", "update", "delete", "profile"}, v.Mode) {
		return v, nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The mode is create, update, delete or profile, given once.")
	}
	if v.Resource == nil && issues == nil && v.Key.ID == "" {
		return v, nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Send the resource that is to be validated, by itself or as the parameter resource of a Parameters.")
	}
	return v, issues, nil
}

// validated returns the type, or the resource, that the address names.
func (s *Server) validated(c *gin.Context) (fhir.Key, error) {
	if c.Param("id") != "" {
		return keyParam(c)
	}
	typ, err := typeParam(c)
	return fhir.Key{Type: typ}, err
}

// A sending is what was sent to an operation: a resource by itself, or in Parameters
// with others beside it.
type sending struct {
	resource *fhir.Resource
	issues   []fhir.Issue // what is structurally wrong with the resource, which is nil then
	others   map[string]*fhir.Resource
	texts    map[string]string
}

// A givenParameter is one of Parameters, as far as operations on a resource know it.
type givenParameter struct {
	Name      string          `json:"name"`
	Resource  json.RawMessage `json:"resource"`
	Code      string          `json:"valueCode"`
	URI       string          `json:"valueUri"`
	Canonical string          `json:"valueCanonical"`
	String    string          `json:"valueString"`
}

// sent reads what was sent about a resource of type typ, the one that is named
// resource or by that type where others come with it. What is structurally wrong with
// it is told of it alone.
func (s *Server) sent(c *gin.Context, typ string) (sending, error) {
	f, err := bodyFormat(c.Request)
	if err != nil {
		return sending{}, err
	}
	body, err := s.readBody(c, s.limitOf(typ))
	if err != nil {
		return sending{}, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return sending{}, nil
	}
	decode := fhir.Decode
	if f == xmlFormat {
		decode = fhir.DecodeXML
	}
	var outer struct {
		Type       string           `json:"resourceType"`
		Parameters []givenParameter `json:"parameter"`
	}
	text := body
	if f == xmlFormat {
		text = nil
		if r, err := fhir.DecodeXML("Parameters", body); err == nil {
			text = r.Source()
		}
	}
	if err := json.Unmarshal(text, &outer); err != nil || outer.Type != "Parameters" || typ == "Parameters" && !wraps(outer.Parameters) {
		r, err := decode(typ, body)
		return taken(r, err)
	}
	return unwrapped(outer.Parameters, text, typ, f == jsonFormat)
}

// wraps reports whether Parameters are those of the operation, and not what is to be
// looked at.
func wraps(all []givenParameter) bool {
	return slices.ContainsFunc(all, func(p givenParameter) bool { return p.Name == "resource" && p.Resource != nil })
}

// taken returns what was decoded, or what is wrong with it.
func taken(r *fhir.Resource, err error) (sending, error) {
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.BadRequest {
		return sending{issues: o.Issues}, nil
	}
	return sending{resource: r}, err
}

// unwrapped takes Parameters apart. Placed says that body is what the client sent.
func unwrapped(all []givenParameter, body []byte, typ string, placed bool) (sending, error) {
	w := sending{others: map[string]*fhir.Resource{}, texts: map[string]string{}}
	for _, p := range all {
		switch {
		case p.Resource == nil:
			w.texts[p.Name] = p.Code + p.URI + p.Canonical + p.String
		case isSubject(p.Name) && w.resource == nil && w.issues == nil:
			decode, part := fhir.DecodeDerived, []byte(p.Resource)
			if placed {
				decode, part = fhir.Decode, inPlace(body, p.Resource)
			}
			found, err := taken(decode(typ, part))
			if err != nil {
				return w, err
			}
			w.resource, w.issues = found.resource, found.issues
		default:
			r, err := fhir.DecodeDerived("", p.Resource)
			if err != nil {
				return w, err
			}
			w.others[p.Name] = r
		}
	}
	return w, nil
}

// isSubject reports whether a parameter is the one that an operation is about.
func isSubject(name string) bool {
	switch name {
	case "resource", "response", "questionnaire-response":
		return true
	}
	return false
}

// inPlace returns a part of a body behind as much white space as stands before it there,
// so that what is wrong with it has the place that it has in the whole.
func inPlace(body, part []byte) []byte {
	before := body[:max(bytes.Index(body, part), 0)]
	padded := make([]byte, 0, len(before)+len(part))
	for _, r := range string(before) {
		if r != '\n' {
			r = ' '
		}
		padded = append(padded, byte(r))
	}
	return append(padded, part...)
}

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// Asked is whose access $access-explain is about: who holds a token, or somebody
// who would have one with these properties. All are as the operator has sent them.
type Asked struct {
	Token   string // an access token; the rest is empty with it
	Client  string // id of a client
	User    string // reference: "Practitioner/1"
	Patient string // reference to the patient in context: "Patient/1"
	Scope   string // as in a token
}

// explainAccess serves POST [base]/[type]/[id]/$access-explain, which is the
// operator's. A token comes in the body only.
func (s *Server) explainAccess(c *gin.Context) error {
	k, err := keyParam(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	session := s.session(c)
	if err := session.Allow(interaction.ExplainAccess, k); err != nil {
		return err
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return err
	}
	asked, needs, err := askedOf(r)
	if err != nil {
		return err
	}
	g, err := s.config.GrantOf(c.Request.Context(), asked)
	if err != nil {
		return refusedGrant(err)
	}
	explanation, err := session.ExplainAccess(c.Request.Context(), k, g, needs)
	if err != nil {
		return err
	}
	body, err := json.Marshal(parametersOf(explanation))
	if err != nil {
		return fmt.Errorf("write why somebody sees a resource: %w", err)
	}
	s.render(c, http.StatusOK, body)
	return nil
}

// refusedGrant tells the operator what is wrong with the token that they ask
// about; it is not theirs, so they need not sign in again.
func refusedGrant(err error) error {
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != fhir.Unauthorized {
		return err
	}
	text := "The token grants nothing."
	if len(o.Issues) > 0 {
		text += " Its holder is told: " + o.Issues[0].Text
	}
	return fhir.Errorf(fhir.Unprocessable, fhir.Security, "Parameters.parameter", "%s", text)
}

// askedOf reads whose access the operator asks about, and for what.
func askedOf(r *fhir.Resource) (asked Asked, needs access.Permission, err error) {
	needs = access.MayRead
	fields := map[string]*string{"token": &asked.Token, "client": &asked.Client, "user": &asked.User, "patient": &asked.Patient, "scope": &asked.Scope}
	for p := range r.Root().Each("parameter") {
		name, value := p.Child("name").Text(), p.Child("value").Text()
		field := fields[name]
		switch {
		case name == "permission" && len(value) == 1 && strings.Contains("cruds", value):
			needs = 1 << strings.Index("cruds", value)
		case field == nil || *field != "" || value == "":
			return asked, 0, fhir.Errorf(fhir.BadRequest, fhir.Invalid, p.Path(), "Send token, or of client, user, patient and scope what there is, each once and as a valueString; and with them permission, one of c, r, u, d and s.")
		default:
			*field = value
		}
	}
	whole := asked
	whole.Token = ""
	if (asked.Token == "") == (whole == Asked{}) {
		return asked, 0, fhir.Errorf(fhir.BadRequest, fhir.Required, "Parameters.parameter", "Send either a token, or of client, user, patient and scope what there is.")
	}
	return asked, needs, nil
}

// A said is a parameter of an explanation.
type said struct {
	Name   string     `json:"name"`
	Text   string     `json:"valueString,omitempty"`
	Code   string     `json:"valueCode,omitempty"`
	Truth  *bool      `json:"valueBoolean,omitempty"`
	Refers *reference `json:"valueReference,omitempty"`
	Parts  []said     `json:"part,omitempty"`
}

type reference struct {
	Reference string `json:"reference"`
}

// parametersOf writes an explanation as Parameters: permitted and summary, then for
// each scope what it has to do with it.
func parametersOf(e interaction.AccessExplanation) any {
	all := []said{{Name: "permitted", Truth: &e.Permitted}, {Name: "summary", Text: e.Summary}}
	for _, scope := range e.Scopes {
		parts := []said{{Name: "scope", Text: scope.Scope}, {Name: "shows", Truth: &scope.Shows}}
		for _, k := range scope.Keys {
			key := []said{{Name: "key", Text: k.Key}, {Name: "says", Text: k.Says}}
			if k.Basis.ID != "" {
				key = append(key, said{Name: "basis", Refers: &reference{k.Basis.String()}})
			}
			parts = append(parts, said{Name: "match", Parts: key})
		}
		for _, l := range scope.Labels {
			parts = append(parts, said{Name: "label", Code: l})
		}
		for _, text := range scope.Says {
			parts = append(parts, said{Name: "says", Text: text})
		}
		all = append(all, said{Name: "scope", Parts: parts})
	}
	return struct {
		ResourceType string `json:"resourceType"`
		Parameter    []said `json:"parameter"`
	}{"Parameters", all}
}

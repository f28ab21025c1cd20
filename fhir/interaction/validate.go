package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/validate"
)

// Operations that look at what is sent, and store nothing.
const (
	Validate     access.Interaction = "validate"      // https://hl7.org/fhir/R4/resource-operation-validate.html
	ValidateForm access.Interaction = "validate-form" // are these the answers to their Questionnaire
)

// A Validation is a question if something is, or would be, as it has to be.
type Validation struct {
	Key      fhir.Key       // what it is about; without an ID, any resource of the type
	Resource *fhir.Resource // nil is the one that is stored
	Mode     string         // "create", "update", "delete": could that be done; empty and "profile" ask about the content only
	Profiles []string       // that it has to conform to, beside those it claims
}

// Validate returns all that is to be said of a resource, warnings too. What is wrong
// with it is no error. https://hl7.org/fhir/R4/resource-operation-validate.html
func (s *Session) Validate(ctx context.Context, v Validation) ([]fhir.Issue, error) {
	if err := s.Allow(Validate, v.Key); err != nil {
		return nil, err
	}
	r := v.Resource
	if r == nil {
		var err error
		if r, err = s.stored(ctx, v.Key); err != nil {
			return nil, err
		}
	}
	var issues []fhir.Issue
	if v.Mode != "delete" {
		var err error
		o := validate.Options{Warnings: true, Now: s.clock(), Profiles: v.Profiles}
		if _, issues, err = s.examine(ctx, r, o); err != nil {
			return nil, err
		}
	}
	more, err := s.rehearse(ctx, v, r)
	return append(issues, unsaid(issues, more)...), err
}

// stored returns what is stored as k, if the caller may read it.
func (s *Session) stored(ctx context.Context, k fhir.Key) (*fhir.Resource, error) {
	found, err := s.Read(ctx, k)
	if err != nil {
		return nil, err
	}
	return fhir.DecodeDerived(k.Type, found.Resource())
}

// rehearse says what would refuse the write that v asks about.
func (s *Session) rehearse(ctx context.Context, v Validation, r *fhir.Resource) ([]fhir.Issue, error) {
	e := Entry{Key: v.Key, Resource: r}
	switch {
	case v.Mode == "create":
		e.Method, e.Key.ID = "POST", ""
	case v.Mode == "update" && v.Key.ID != "":
		e.Method = "PUT"
	case v.Mode == "delete" && v.Key.ID != "":
		e.Method, e.Resource = "DELETE", nil
	case v.Mode == "update" || v.Mode == "delete":
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "The mode %s is about one resource: name it in the address, as %s/[id]/$validate.", v.Mode, v.Key.Type)
	default:
		return nil, nil
	}
	_, err := s.Transaction(ctx, Bundle{Entries: []Entry{e}, Single: true, Dry: true})
	if o := fhir.AsOutcome(err); o != nil && o.Class != fhir.Unavailable {
		return o.Issues, nil
	}
	return nil, err
}

// unsaid returns those of more that are not in said.
func unsaid(said, more []fhir.Issue) []fhir.Issue {
	known := map[fhir.Issue]bool{}
	for _, i := range said {
		known[i] = true
	}
	var rest []fhir.Issue
	for _, i := range more {
		if !known[i] {
			rest = append(rest, i)
		}
	}
	return rest
}

// ValidateForm returns what is to be said of the answers to a form, warnings too, and
// nothing else that is wrong with them. The form is the one that the response names,
// unless another is given.
func (s *Session) ValidateForm(ctx context.Context, response, form *fhir.Resource) ([]fhir.Issue, error) {
	if err := s.Allow(ValidateForm, fhir.Key{Type: "QuestionnaireResponse"}); err != nil {
		return nil, err
	}
	f, problem, err := s.formFor(ctx, response, form)
	if err != nil || f == nil {
		return problem, err
	}
	c, err := f.Check(ctx, response, questionnaire.Env{Terms: s.checks.Terms, Now: s.clock()})
	return c.Issues, err
}

// formFor returns form, or else the one that response answers, made ready; nil with
// what is wrong when there is none.
func (s *Session) formFor(ctx context.Context, response, form *fhir.Resource) (*questionnaire.Form, []fhir.Issue, error) {
	if form != nil {
		f, problems := questionnaire.Compile(form.Root())
		return f, problems, nil
	}
	f, problem, err := s.form(ctx, response.Root())
	return f, []fhir.Issue{problem}, err
}

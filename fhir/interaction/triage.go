package interaction

import (
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/validate"
)

// TriageOperation is the operation that explains what the triage rules of a form say of answers.
const TriageOperation access.Interaction = "triage"

// A TriageRequest asks what the triage rules of a form say of a response.
type TriageRequest struct {
	Form     fhir.Key       // that is stored; without an ID, the one that the response names
	Response *fhir.Resource // nil is the one that is stored
	Stored   fhir.Key       // of the response, if Response is nil
}

// Triage says of each triage rule of a form what it makes of a response, as Parameters: see
// [consultation.Triage.Explain]. Nothing is stored. It is for clinical users and trusted systems:
// the error is an Outcome of class Denied with the Detail clinical-only for others, and of class
// Unprocessable for answers that are not those to the form, with everything that is wrong.
func (s *Session) Triage(ctx context.Context, q TriageRequest) ([]byte, error) {
	if err := s.Allow(TriageOperation, fhir.Key{Type: "Questionnaire", ID: q.Form.ID}); err != nil {
		return nil, err
	}
	t := s.trail(TriageOperation, q.Form)
	body, response, err := s.triage(ctx, q)
	if t == nil {
		return body, err
	}
	if patient := s.referred(response, "Patient"); q.Response == nil && patient.ID != "" {
		t.Patients = []string{patient.ID}
	}
	if failed := s.record(ctx, t, err); failed != nil {
		return nil, failed
	}
	return body, err
}

// triage returns the explanation, and whom the response is about.
func (s *Session) triage(ctx context.Context, q TriageRequest) (body []byte, subject fhir.Node, err error) {
	if err := s.mayTriage(ctx); err != nil {
		return nil, subject, err
	}
	r := q.Response
	if r == nil {
		if r, err = s.stored(ctx, q.Stored); err != nil {
			return nil, subject, err
		}
	}
	subject = r.Root().Child("subject")
	form, err := s.triaging(ctx, q.Form, r)
	if err != nil {
		return nil, subject, err
	}
	if r, err = s.answersTo(ctx, form, r); err != nil {
		return nil, subject, err
	}
	rules, _ := consultation.CompileRules(form) // whose faults show in what they say
	said := rules.Evaluate(r.Root(), consultation.TriageEnv{Now: s.clock(), Demo: s.conversation.Demo})
	return said.Explain(), subject, nil
}

// mayTriage returns an Outcome unless the caller is a clinician.
func (s *Session) mayTriage(ctx context.Context) error {
	who, err := s.speaker(ctx, s.store)
	if err != nil {
		return err
	}
	if who.trusted || slices.ContainsFunc(who.Memberships, func(m consultation.Membership) bool { return m.Clinical }) {
		return nil
	}
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Why a rule has fired is for clinicians: sign in as somebody with a clinical role.")
	o.Issues[0].Detail = "clinical-only"
	return o
}

// triaging returns the form that is asked about, which the response has to answer.
func (s *Session) triaging(ctx context.Context, k fhir.Key, response *fhir.Resource) (fhir.Node, error) {
	canonical := response.Root().Child("questionnaire").Text()
	if k.ID == "" {
		d, err := s.formOf(ctx, response.Root(), canonical)
		if err != nil {
			return fhir.Node{}, err
		}
		if d == nil || strings.HasPrefix(canonical, "#") {
			return fhir.Node{}, otherForm("questionnaire-not-found", "This Questionnaire is not known here in this version; store it first, or name one that is.")
		}
		return d.Root()
	}
	form, err := s.stored(ctx, k)
	if err != nil {
		return fhir.Node{}, err
	}
	d := definition.Of(form.Root())
	if url, version, named := strings.Cut(canonical, "|"); url != d.URL || named && version != d.Version {
		return fhir.Node{}, otherForm("questionnaire-mismatch", "The response answers another form than the one in the address; ask that one, or leave the form out of the address.")
	}
	return form.Root(), nil
}

func otherForm(detail, text string) error {
	o := fhir.Errorf(fhir.Unprocessable, fhir.NotFound, "QuestionnaireResponse.questionnaire", "%s", text)
	o.Issues[0].Detail = detail
	return o
}

// answersTo returns a response with what its form calculates. One that does not answer the
// form is an Outcome with everything that is wrong.
func (s *Session) answersTo(ctx context.Context, form fhir.Node, response *fhir.Resource) (*fhir.Resource, error) {
	issues, err := s.checks.Validator.Check(ctx, response.Root(), validate.Options{Now: s.clock()})
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(issues, isError) {
		f, problems := questionnaire.Compile(form)
		if f == nil {
			return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: problems}
		}
		c, err := f.Check(ctx, response, questionnaire.Env{Terms: s.checks.Terms, Now: s.clock()})
		if err != nil {
			return nil, err
		}
		if issues = c.Issues; c.Resource != nil {
			response = c.Resource
		}
	}
	issues = slices.DeleteFunc(issues, func(i fhir.Issue) bool { return !isError(i) })
	if len(issues) > 0 {
		return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
	}
	return response, nil
}

package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/fhir/validate"
)

// Checks is what resources are held against beyond their structure when they are
// stored.
type Checks struct {
	Definitions *definition.Catalog
	Terms       *terminology.Service
	Validator   *validate.Validator

	StructureOnly bool // nothing is held against them on a write, only when $validate is asked
	UnknownForms  bool // answers to a Questionnaire that is not known are stored, with a warning

	Preset string // of hours and times, that every service which says how soon it answers has to keep; empty for none
}

// NewChecks returns Checks that know what comes with the server and what is stored in
// db. Mandatory are the profiles that every resource of a type has to conform to, by
// type.
func NewChecks(db *store.DB, terms terminology.Config, mandatory map[string][]string) *Checks {
	terms.Definitions = definition.NewCatalog(stored{db})
	c := &Checks{Definitions: terms.Definitions, Terms: terminology.New(terms)}
	c.Validator = validate.New(validate.Config{Definitions: c.Definitions, Terms: c.Terms, Mandatory: mandatory})
	return c
}

// stored is what is in a database, as a layer of definitions. What a label hides is
// none: who may not read it would learn what it says by what is refused.
type stored struct{ db *store.DB }

// Current implements definition.Layer.
func (s stored) Current(ctx context.Context, typ, url string) ([]definition.Stamp, error) {
	all, err := s.db.Named(ctx, published(), typ, url)
	stamps := make([]definition.Stamp, len(all))
	for i, v := range all {
		stamps[i] = definition.Stamp{Key: v.Key, Number: v.Number}
	}
	return stamps, err
}

// published returns the grant of who sees all that no label hides.
func published() access.Grant {
	return access.NewGrant(access.Terms{
		Scopes:    []access.Scope{{Context: selfContext, Type: "*", Allows: access.MayRead | access.MaySearch}},
		Standings: map[access.Context]access.Standing{selfContext: {All: true, Denied: access.DeniedLabels(nil, true)}},
	})
}

// Load implements definition.Layer.
func (s stored) Load(ctx context.Context, at definition.Stamp) ([]byte, error) {
	body, err := s.db.Content(ctx, at.Key, at.Number)
	if err == nil && body == nil {
		err = errors.New("it is gone")
	}
	return body, err
}

// isDefinition reports whether resources of a type are looked up by their canonical
// URL when others are checked.
func isDefinition(typ string) bool {
	switch typ {
	case "CodeSystem", "ConceptMap", "Questionnaire", "StructureDefinition", "ValueSet":
		return true
	}
	return false
}

// Advised returns s as who wants to know, with what was done, what is not good about
// it: its results come with Notes.
func (s *Session) Advised() *Session {
	advised := *s
	advised.advised = true
	return &advised
}

// check holds p against all that it has to be, and completes it by what its form
// calculates. The error is an Outcome of class Unprocessable with everything that is
// wrong, or a fault.
func (s *Session) check(ctx context.Context, p *proposal) (notes []fhir.Issue, err error) {
	if s.checks == nil || s.checks.StructureOnly || s.published || p.meta {
		return nil, nil
	}
	r, issues, err := s.examine(ctx, p.resource, validate.Options{Warnings: s.advised, Now: s.clock()})
	if err != nil {
		return nil, fmt.Errorf("check a %s: %w", p.key.Type, err)
	}
	p.resource = r
	if slices.ContainsFunc(issues, isError) {
		return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
	}
	return issues, nil
}

func isError(i fhir.Issue) bool { return i.Severity == fhir.Error || i.Severity == fhir.Fatal }

// examine returns everything that is to be said of r, and r with what its form
// calculates.
func (s *Session) examine(ctx context.Context, r *fhir.Resource, o validate.Options) (*fhir.Resource, []fhir.Issue, error) {
	issues, err := s.checks.Validator.Check(ctx, r.Root(), o)
	if err != nil {
		return r, nil, err
	}
	more, filled, err := s.examineForm(ctx, r, issues, o)
	if err != nil {
		return r, nil, err
	}
	issues = append(issues, more...)
	if !o.Warnings {
		issues = slices.DeleteFunc(issues, func(i fhir.Issue) bool { return !isError(i) })
	}
	if filled != nil {
		r = filled
	}
	return r, issues, nil
}

// examineForm does so for a form or the answers to one, beside what was found in r
// already: answers that are no FHIR are not held against their form.
func (s *Session) examineForm(ctx context.Context, r *fhir.Resource, found []fhir.Issue, o validate.Options) ([]fhir.Issue, *fhir.Resource, error) {
	switch {
	case r.Type() == "Questionnaire":
		_, issues := questionnaire.Compile(r.Root())
		_, rules := consultation.CompileRules(r.Root())
		same, err := s.sameForm(ctx, r)
		return slices.Concat(issues, rules, same), nil, err
	case r.Type() == "HealthcareService" && isAnswering(r):
		_, issues, err := s.clocks(ctx, r)
		return issues, nil, err
	case r.Type() != "QuestionnaireResponse" || slices.ContainsFunc(found, isError):
		return nil, nil, nil
	}
	f, problem, err := s.form(ctx, r.Root())
	if err != nil {
		return nil, nil, err
	}
	if f == nil {
		return []fhir.Issue{problem}, nil, nil
	}
	c, err := f.Check(ctx, r, questionnaire.Env{Terms: s.checks.Terms, Now: o.Now})
	return c.Issues, c.Resource, err
}

// sameForm says if another form has the URL and the version of r: answers to the one
// would be held against the other.
func (s *Session) sameForm(ctx context.Context, r *fhir.Resource) ([]fhir.Issue, error) {
	own := definition.Of(r.Root())
	if own.URL == "" {
		return nil, nil
	}
	known, err := s.checks.Definitions.Find(definition.Alone(ctx), own.Type, own.Canonical())
	if err != nil || known == nil || known.Number == 0 || known.Version != own.Version || known.Key.ID == r.ID() {
		return nil, err
	}
	i := fhir.At(r.Root().Child("url"))
	i.Code, i.Detail, i.Rule = fhir.Duplicate, "canonical-duplicate", "https://fhir.openconsult.example/rule/canonical-duplicate"
	i.Text = fmt.Sprintf("%s has this url and version already; change that one, or give this one another version.", known.Key)
	return []fhir.Issue{i}, nil
}

// form returns the form that a response answers; nil with what is wrong when it is not
// known.
func (s *Session) form(ctx context.Context, response fhir.Node) (*questionnaire.Form, fhir.Issue, error) {
	at := response.Child("questionnaire")
	canonical := at.Text()
	if canonical == "" {
		return nil, s.formless(response, fhir.Required, "questionnaire-required", "Name the Questionnaire that is answered, with its version: url|version."), nil
	}
	d, err := s.formOf(ctx, response, canonical)
	if err != nil {
		return nil, fhir.Issue{}, err
	}
	if canonical[0] == '#' && !s.checks.UnknownForms {
		return nil, s.formless(at, fhir.NotFound, "questionnaire-contained", "A form that comes within its answers is nobody else's; name one that is stored here, by its canonical URL and version."), nil
	}
	if d == nil {
		return nil, s.formless(at, fhir.NotFound, "questionnaire-not-found", "This Questionnaire is not known here in this version; store it first, or name one that is."), nil
	}
	f, err := s.compiled(d)
	if err == nil && f == nil {
		return nil, s.formless(at, fhir.Processing, "questionnaire-broken", "This Questionnaire has errors, so that no answers can be held against it; $validate says which. Mend it first."), nil
	}
	return f, fhir.Issue{}, err
}

// formOf finds a Questionnaire, contained in a response or by its canonical URL.
func (s *Session) formOf(ctx context.Context, response fhir.Node, canonical string) (*definition.Definition, error) {
	if canonical == "" {
		return nil, nil
	}
	if canonical[0] != '#' {
		return s.checks.Definitions.Find(ctx, "Questionnaire", canonical)
	}
	for n := range response.Each("contained") {
		if n.Type().Name == "Questionnaire" && n.Child("id").Text() == canonical[1:] {
			return definition.Of(n), nil
		}
	}
	return nil, nil
}

// compiled returns d made ready to be answered; nil when it is broken.
func (s *Session) compiled(d *definition.Definition) (*questionnaire.Form, error) {
	return s.forms.Get(d, func() (*questionnaire.Form, error) {
		root, err := d.Root()
		if err != nil {
			return nil, err
		}
		f, _ := questionnaire.Compile(root)
		return f, nil
	})
}

// formless says of a response that there is no form for it. What was entered in error
// can be said to be so whatever became of its form; that unknown forms will do does not
// mean broken ones.
func (s *Session) formless(at fhir.Node, code fhir.Code, detail, text string) fhir.Issue {
	i := fhir.At(at)
	i.Code, i.Detail, i.Text = code, detail, text
	i.Rule = "https://fhir.openconsult.example/rule/" + detail
	if i.Expression == "QuestionnaireResponse" {
		i.Expression = "QuestionnaireResponse.questionnaire"
	}
	root := at
	for !root.Parent().IsZero() {
		root = root.Parent()
	}
	if s.checks.UnknownForms && code != fhir.Processing || root.Child("status").Text() == "entered-in-error" {
		i.Severity = fhir.Warning
	}
	return i
}

// beside returns ctx in which the definitions that t writes are found. One that is not
// written, because its criteria have found another, is none that answers are held
// against.
func (t *transaction) beside(ctx context.Context) context.Context {
	if t.checks == nil {
		return ctx
	}
	var all []*definition.Definition
	for i := range t.parts {
		p := &t.parts[i]
		if p.linked != nil && isDefinition(p.Key.Type) && !p.answered && p.err == nil {
			all = append(all, definition.Of(p.linked.Root()))
		}
	}
	return definition.Beside(ctx, all)
}

// largeFrom is from how many bytes on a code system is made ready before it is asked.
const largeFrom = 1 << 20

// largeSystem returns the canonical URL of r if it is a large code system.
func largeSystem(r *fhir.Resource) string {
	if r.Type() != "CodeSystem" || len(r.Source()) < largeFrom {
		return ""
	}
	return definition.Of(r.Root()).Canonical()
}

// redefined makes sure that what was written is found as it is now.
func (s *Session) redefined(d draft) {
	if s.checks == nil || !isDefinition(d.Key.Type) {
		return
	}
	s.checks.Definitions.Forget(d.Key.Type, "")
	if d.large != "" {
		s.checks.Terms.Prepare(d.large)
	}
}

// redefined does so for everything that t has written.
func (t *transaction) redefined() {
	for i := range t.parts {
		if k := t.parts[i].sketch; k != nil {
			t.Session.redefined(k.draft)
		}
	}
}

// Validates reports whether there is something that resources are held against.
func (e *Engine) Validates() bool { return e.checks != nil }

package interaction

import (
	"context"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/search"
)

// Operations on forms, which store nothing.
const (
	Populate access.Interaction = "populate" // https://hl7.org/fhir/uv/sdc/STU3/OperationDefinition-Questionnaire-populate.html
	Extract  access.Interaction = "extract"  // https://hl7.org/fhir/uv/sdc/STU3/OperationDefinition-QuestionnaireResponse-extract.html
)

// A FormRequest asks to fill a form in. The form is Resource, or else the one that is
// stored as Key, or else the one named by Canonical.
type FormRequest struct {
	Resource  *fhir.Resource
	Key       fhir.Key
	Canonical string
	Subject   string               // reference to whom it is about: "Patient/1"; may be empty
	Contexts  map[string]fhir.Node // launch contexts by name; references are looked up
}

// Populate fills a form in from what the caller may read and search.
func (s *Session) Populate(ctx context.Context, f FormRequest) (*questionnaire.Populated, error) {
	form, err := s.formAsked(ctx, f)
	if err != nil {
		return nil, err
	}
	p := questionnaire.Population{Subject: f.Subject, Contexts: map[string]fhir.Node{}, Now: s.clock(), Search: s.searchFor}
	if f.Subject != "" {
		if p.SubjectNode, err = s.referent(ctx, f.Subject); err != nil {
			return nil, err
		}
		p.Contexts[strings.ToLower(p.SubjectNode.Type().Name)] = p.SubjectNode
	}
	for name, n := range f.Contexts {
		if n.Type().Name == "Reference" {
			if n, err = s.referent(ctx, n.Child("reference").Text()); err != nil {
				return nil, err
			}
		}
		p.Contexts[name] = n
	}
	return questionnaire.Populate(ctx, form, p)
}

// formAsked returns the form of a request.
func (s *Session) formAsked(ctx context.Context, f FormRequest) (fhir.Node, error) {
	switch {
	case f.Resource != nil:
		return f.Resource.Root(), s.Allow(Populate, fhir.Key{Type: "Questionnaire"})
	case f.Key.ID != "":
		r, err := s.stored(ctx, f.Key)
		if err != nil {
			return fhir.Node{}, err
		}
		return r.Root(), nil
	}
	d, err := s.named(ctx, "Questionnaire", f.Canonical)
	if err != nil {
		return fhir.Node{}, err
	}
	return d.Root()
}

// named returns the definition that the caller names by its canonical URL.
func (s *Session) named(ctx context.Context, typ, canonical string) (*definition.Definition, error) {
	if err := s.Allow(access.Read, fhir.Key{Type: typ}); err != nil {
		return nil, err
	}
	d, err := s.checks.Definitions.Find(ctx, typ, canonical)
	if err == nil && d == nil {
		err = fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no %s with this canonical URL here; store it first, or name one that is known.", typ)
	}
	return d, err
}

// referent returns the resource that a relative reference names, if the caller may
// read it.
func (s *Session) referent(ctx context.Context, reference string) (fhir.Node, error) {
	r, ok := fhir.ParseReference(reference)
	if !ok || r.Key.ID == "" || r.Base != "" {
		return fhir.Node{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "Name resources of this server as Type/id.")
	}
	found, err := s.stored(ctx, r.Key)
	if err != nil {
		return fhir.Node{}, err
	}
	return found.Root(), nil
}

// searchFor searches with the rights of the caller for what a form asks: "Type?criteria",
// or "Type/id".
func (s *Session) searchFor(ctx context.Context, query string) ([]fhir.Node, error) {
	typ, criteria, asks := strings.Cut(query, "?")
	if !asks {
		n, err := s.referent(ctx, query)
		if err != nil {
			return nil, err
		}
		return []fhir.Node{n}, nil
	}
	params, err := search.Parameters(criteria)
	if err != nil {
		return nil, err
	}
	found, err := s.Search(ctx, Page{Request: search.Request{Types: []string{typ}, Params: params, Now: s.clock()}})
	if err != nil {
		return nil, err
	}
	var all []fhir.Node
	for _, v := range found.Versions {
		r, err := fhir.DecodeDerived(v.Key.Type, v.Resource())
		if err != nil {
			return nil, err
		}
		all = append(all, r.Root())
	}
	return all, nil
}

// Extract makes resources of answers: those that are given, or else the ones that are
// stored as k. The result is a transaction Bundle, which is not carried out. The form is
// the one that they answer, unless another is given.
func (s *Session) Extract(ctx context.Context, k fhir.Key, response, form *fhir.Resource) (bundle []byte, issues []fhir.Issue, err error) {
	if err := s.Allow(Extract, k); err != nil {
		return nil, nil, err
	}
	x := questionnaire.Extraction{Now: s.clock(), Search: s.searchFor}
	if response == nil {
		if response, err = s.stored(ctx, k); err != nil {
			return nil, nil, err
		}
		x.Reference = k.String()
	}
	root := response.Root()
	if form != nil {
		return questionnaire.Extract(ctx, form.Root(), root, x)
	}
	d, err := s.formOf(ctx, root, root.Child("questionnaire").Text())
	if err != nil {
		return nil, nil, err
	}
	if d == nil {
		return nil, nil, fhir.Errorf(fhir.Unprocessable, fhir.NotFound, "QuestionnaireResponse.questionnaire", "The Questionnaire that this answers is not known here; store it first, or send it along as the parameter questionnaire.")
	}
	n, err := d.Root()
	if err != nil {
		return nil, nil, err
	}
	return questionnaire.Extract(ctx, n, root, x)
}

// Take completes f by one parameter of the operation. One that is not known is an
// Outcome.
func (f *FormRequest) Take(p fhir.Node) error {
	value := p.Child("value")
	switch name := p.Child("name").Text(); name {
	case "subject":
		f.Subject = value.Child("reference").Text()
	case "canonical":
		f.Canonical = value.Text()
	case "questionnaire":
		var err error
		f.Resource, err = fhir.DecodeDerived("Questionnaire", p.Child("resource").Raw())
		return err
	case "context":
		return f.takeContext(p)
	case "local": // what the server knows is always looked up
	default:
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, p.Path(), "The parameters are subject, canonical, questionnaire, context and local; leave this one out.")
	}
	return nil
}

// takeContext takes a launch context: its name, and what it is or a reference to it.
func (f *FormRequest) takeContext(p fhir.Node) error {
	var name string
	var content fhir.Node
	for part := range p.Each("part") {
		switch part.Child("name").Text() {
		case "name":
			name = part.Child("value").Text()
		case "content":
			if content = part.Child("value"); content.IsZero() {
				content = part.Child("resource")
			}
		}
	}
	if name == "" || content.IsZero() {
		return fhir.Errorf(fhir.BadRequest, fhir.Required, p.Path(), "A context has the parts name and content, which is a reference or a resource.")
	}
	f.Contexts[name] = content
	return nil
}

package terminology

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// A ValidateRequest is what $validate-code is asked.
// https://hl7.org/fhir/R4/valueset-operation-validate-code.html
// https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
type ValidateRequest struct {
	URL      string                 // canonical URL of the value set or code system, with or without |version
	Given    *definition.Definition // the value set or code system itself; it goes before URL
	Codings  []Coding               // one, or those of a CodeableConcept, of which one is enough; with displays these are checked
	Abstract *bool                  // false refuses codes that are abstract
	Language string                 // of the display that is recommended; may be empty
}

// A Validation is the answer of $validate-code.
type Validation struct {
	Result  bool
	Message string // why it is not valid, or a hint; may be empty
	Display string // a good display of the code; may be empty
	Coding  Coding // that is valid, with the system that was found; zero when none is
}

// ValidateInValueSet says whether one of the codings is in a value set. A coding
// without a system is in it under any.
//
// A display that is neither that of the code nor one of its designations makes the
// coding invalid, as R4 has result say that "the concept details supplied are valid";
// case and spaces do not matter. What cannot be decided because a code system is not
// known is not valid, and the message says why. The error is an Outcome when the value
// set is not known (fhir.Unknown), or there is no coding.
func (s *Service) ValidateInValueSet(ctx context.Context, r ValidateRequest) (*Validation, error) {
	v, err := s.known(ctx, r)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return s.validateStrange(ctx, r)
	}
	return r.each(func(c Coding) (*Validation, error) {
		a := s.asking()
		got, err := a.set(ctx, v, c)
		if err != nil {
			return nil, fmt.Errorf("ask value set: %w", err)
		}
		if err := s.complete(ctx, &got, c); err != nil {
			return nil, err
		}
		return r.judge(got, c), nil
	})
}

// known returns the value set of a request; nil when it is not known here.
func (s *Service) known(ctx context.Context, r ValidateRequest) (*composed, error) {
	if r.Given != nil {
		return s.composed(r.Given)
	}
	v, err := s.valueSet(ctx, r.URL)
	if err != nil {
		return nil, fmt.Errorf("find value set: %w", err)
	}
	return v, nil
}

// validateStrange asks the external server, if there is one.
func (s *Service) validateStrange(ctx context.Context, r ValidateRequest) (*Validation, error) {
	return r.each(func(c Coding) (*Validation, error) {
		got, err := s.strange(ctx, r.URL, []Coding{c})
		if err == nil && got.Result == Undecided {
			err = fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Name a value set that is known here; %q is not.", r.URL)
		}
		if err != nil {
			return nil, err
		}
		return r.judge(answer{got.Result, got.Reason, r.URL, got.Coding.System, &concept{code: c.Code, display: got.Coding.Display}, nil}, c), nil
	})
}

// complete looks up what the code system knows of a code that is in a value set.
func (s *Service) complete(ctx context.Context, got *answer, c Coding) error {
	if got.result != In || got.known != nil {
		return nil
	}
	sys, err := s.system(ctx, cmp.Or(got.system, c.System), c.Version)
	if err == nil && sys != nil {
		got.known, err = sys.concept(ctx, c.Code)
	}
	if err != nil && fhir.AsOutcome(err) == nil {
		return fmt.Errorf("look up a code: %w", err)
	}
	return nil
}

// ValidateInCodeSystem says whether one of the codings is in a code system, which is
// that of the first coding when no other is named. Displays are checked as
// [Service.ValidateInValueSet] does. A code of another code system is not valid; an
// unknown code of one that is not known as a whole is neither. The error is an Outcome
// when the code system is not known (fhir.Unknown), or there is no coding.
func (s *Service) ValidateInCodeSystem(ctx context.Context, r ValidateRequest) (*Validation, error) {
	sys, err := s.requestedSystem(ctx, r)
	if err != nil {
		return nil, err
	}
	h := sys.head()
	return r.each(func(c Coding) (*Validation, error) {
		if c.System != "" && c.System != h.url {
			return &Validation{Message: fmt.Sprintf("Give a code of %s; this one is of another code system.", h.url)}, nil
		}
		known, err := sys.concept(ctx, c.Code)
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unknown {
			return &Validation{Message: o.Issues[0].Text}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look up a code: %w", err)
		}
		if known == nil {
			missing := h.missing()
			return &Validation{Message: missing.sentence()}, nil
		}
		return r.judge(answer{result: In, system: h.url, known: known}, c), nil
	})
}

func (s *Service) requestedSystem(ctx context.Context, r ValidateRequest) (system, error) {
	if r.Given != nil {
		return s.defined(ctx, r.Given)
	}
	url, version, _ := strings.Cut(r.URL, "|")
	if url == "" && len(r.Codings) > 0 {
		url = r.Codings[0].System
	}
	if version == "" && len(r.Codings) > 0 {
		version = r.Codings[0].Version
	}
	return s.needed(ctx, url, version)
}

// needed returns a code system. The error is an Outcome when it is not known.
func (s *Service) needed(ctx context.Context, url, version string) (system, error) {
	if url == "" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Give the code system of the code.")
	}
	sys, err := s.system(ctx, url, version)
	if err != nil {
		return nil, fmt.Errorf("find code system: %w", err)
	}
	if isAbsent(sys) {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Name a code system that is known here; %q is not.", canonicalOf(url, version))
	}
	return sys, nil
}

// each returns the first valid answer of all codings, or the first one.
func (r *ValidateRequest) each(ask func(Coding) (*Validation, error)) (*Validation, error) {
	if len(r.Codings) == 0 {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Give a code with its system, a coding, or a codeableConcept with a coding.")
	}
	var first *Validation
	for _, c := range r.Codings {
		v, err := ask(c)
		if err != nil || v.Result {
			return v, err
		}
		if first == nil {
			first = v
		}
	}
	return first, nil
}

// judge says whether a coding is right in all it says.
func (r *ValidateRequest) judge(got answer, c Coding) *Validation {
	verdict := got.verdict(c)
	if got.result != In {
		return &Validation{Message: verdict.Text}
	}
	v := &Validation{Result: true, Message: verdict.Text, Display: verdict.Coding.Display, Coding: verdict.Coding}
	if got.known != nil && r.Language != "" {
		v.Display = displayIn(got.known, r.Language, "")
	}
	switch {
	case r.Abstract != nil && !*r.Abstract && (got.known != nil && got.known.abstract || got.item != nil && got.item.abstract):
		v.Result, v.Message = false, "Choose a code that is not abstract."
	case c.Display != "" && !got.says(c.Display):
		v.Result, v.Message = false, fmt.Sprintf("The display is none of this code; use %q, or leave it out.", v.Display)
	}
	if !v.Result {
		v.Coding = Coding{}
	}
	return v
}

// says reports whether a display is one of the code, or the code has none.
func (a *answer) says(display string) bool {
	has := false
	for _, c := range []*concept{a.known, a.item} {
		if c == nil {
			continue
		}
		has = has || c.display != "" || len(c.designations) > 0
		if sameWords(c.display, display) {
			return true
		}
		for _, d := range c.designations {
			if sameWords(d.value, display) {
				return true
			}
		}
	}
	return !has
}

// sameWords reports whether two displays differ in case and spaces alone.
func sameWords(a, b string) bool {
	return strings.EqualFold(a, b) || strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

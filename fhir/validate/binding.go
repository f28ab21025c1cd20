package validate

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A binding is what an element's codes are held against, beyond what the decoder does.
type binding struct {
	valueSet string
	required bool
	listed   map[spec.Coding]bool // all that a required one has; nil when terminology has to be asked
	loose    bool                 // text without a code will do
	media    bool                 // the codes are media types
}

// Value sets of grammars.
const (
	allLanguages = "http://hl7.org/fhir/ValueSet/all-languages|4.0.1" // the one beyond which a preferred language never goes
	mediaTypes   = "http://hl7.org/fhir/ValueSet/mimetypes"
)

// newBinding returns the binding of e, nil when nothing of it is left to check.
func newBinding(e *spec.Element) *binding {
	b := e.Binding
	switch {
	case b == nil:
		return nil
	case b.Strength == spec.Preferred && strings.HasSuffix(e.Path, ".language"):
		return &binding{valueSet: allLanguages, required: true, loose: true}
	case b.Strength == spec.Extensible:
		return &binding{valueSet: b.ValueSet}
	case b.Strength != spec.Required || b.Set != nil && e.Types[0].Type.Primitive == spec.Code:
		return nil
	}
	made := &binding{valueSet: b.ValueSet, required: true, media: strings.HasPrefix(b.ValueSet, mediaTypes)}
	if b.Set != nil {
		made.listed = map[spec.Coding]bool{}
		for _, c := range b.Set.Codes {
			made.listed[c] = true
		}
	}
	return made
}

// maxUnits returns the value set that the units of t have to be from. R4 binds the
// types themselves, which a spec.Type does not carry.
func maxUnits(t *spec.Type) string {
	switch t.Name {
	case "Age", "Duration":
		return "http://hl7.org/fhir/ValueSet/all-time-units|4.0.1"
	case "Distance":
		return "http://hl7.org/fhir/ValueSet/all-distance-units|4.0.1"
	}
	return ""
}

// units holds the code of n, a quantity of one dimension, against a value set.
func (c *checker) units(n fhir.Node, valueSet string) {
	if coded := n.Child("code"); coded.HasValue() && n.Child("system").HasValue() {
		c.judge(n, &binding{valueSet: valueSet, required: true}, []terminology.Coding{coding(n)})
	}
}

// bound holds n, something coded, against b.
// https://hl7.org/fhir/R4/terminologies.html#strength
func (c *checker) bound(n fhir.Node, b *binding) {
	if !b.required && !c.Warnings {
		return
	}
	codings := codingsOf(n)
	if len(codings) > 0 {
		c.judge(n, b, codings)
		return
	}
	if b.required && !b.loose && !excused(n) {
		is := fhir.At(n)
		is.Code, is.Detail, is.Rule = fhir.CodeInvalid, "code-required", b.valueSet
		is.Text = "Give a code from " + b.valueSet + ": text alone does not do here."
		c.add(is)
	}
}

// excused reports whether n has no code to be judged by: a primitive without a value,
// or what an extension stands for.
func excused(n fhir.Node) bool {
	return n.Type().Kind == spec.KindPrimitive || has(n, "extension") || n.Type().Name != "CodeableConcept"
}

// codingsOf returns the codes that n has: a code, string, URI, Coding,
// CodeableConcept or Quantity.
func codingsOf(n fhir.Node) []terminology.Coding {
	switch t := n.Type(); {
	case t.Kind == spec.KindPrimitive:
		if !n.HasValue() {
			return nil
		}
		return []terminology.Coding{{Code: n.Text()}}
	case t.Name == "CodeableConcept":
		var all []terminology.Coding
		for child := range n.Each("coding") {
			if child.Child("code").HasValue() {
				all = append(all, coding(child))
			}
		}
		return all
	case n.Child("code").HasValue():
		return []terminology.Coding{coding(n)}
	}
	return nil
}

func coding(n fhir.Node) terminology.Coding {
	return terminology.Coding{
		System: n.Child("system").Text(), Version: n.Child("version").Text(),
		Code: n.Child("code").Text(), Display: n.Child("display").Text(),
	}
}

// judge says whether none of codings, which n has, is in the value set of b.
func (c *checker) judge(n fhir.Node, b *binding, codings []terminology.Coding) {
	switch result := c.member(b, codings); {
	case result == terminology.In:
	case result == terminology.Undecided:
		if c.Warnings && b.required {
			c.undecided(n, b)
		}
	default:
		is := fhir.At(n)
		is.Code, is.Detail, is.Rule = fhir.CodeInvalid, "not-in-value-set", b.valueSet
		is.Text = "Choose a code from " + b.valueSet + ", which is required here."
		if !b.required {
			is.Severity = fhir.Warning
			is.Text = "Choose a code from " + b.valueSet + ", unless none of it says what is meant."
		}
		c.add(is)
	}
}

func (c *checker) undecided(n fhir.Node, b *binding) {
	is := fhir.At(n)
	is.Severity, is.Code, is.Detail, is.Rule = fhir.Warning, fhir.NotSupported, "value-set-undecided", b.valueSet
	is.Text = "Make sure yourself that the code is from " + b.valueSet + ": the value set or the code system is not known here."
	c.add(is)
}

// member asks whether one of codings is in the value set of b.
func (c *checker) member(b *binding, codings []terminology.Coding) terminology.Result {
	if b.listed != nil {
		if slices.ContainsFunc(codings, func(k terminology.Coding) bool { return b.listed[spec.Coding{System: k.System, Code: k.Code}] }) {
			return terminology.In
		}
		return terminology.Out
	}
	if c.config.Terms == nil {
		return terminology.Undecided
	}
	if b.media {
		codings = withoutParameters(codings)
	}
	v, err := c.config.Terms.Member(c.ctx, b.valueSet, codings...)
	if err != nil && c.fault == nil {
		c.fault = err
	}
	return v.Result
}

// withoutParameters returns media types without what follows the semicolon, which even
// the examples of R4 write freely.
func withoutParameters(codings []terminology.Coding) []terminology.Coding {
	for i := range codings {
		name, _, _ := strings.Cut(codings[i].Code, ";")
		codings[i].Code = strings.TrimSpace(name)
	}
	return codings
}

// memberOf answers memberOf() of an expression. What is undecided is a member, so that
// nothing is refused for what is not known here.
func (c *checker) memberOf(valueSet string, coded fhirpath.Item) (bool, error) {
	codings := []terminology.Coding{{Code: coded.Text()}}
	if n, ok := coded.Node(); ok {
		codings = codingsOf(n)
	}
	if len(codings) == 0 || c.config.Terms == nil {
		return len(codings) > 0, nil
	}
	v, err := c.config.Terms.Member(c.ctx, valueSet, codings...)
	return v.Result != terminology.Out, err
}

package validate

import (
	"context"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// extensions returns what is wrong with the extensions anywhere in root: where they
// are, and what they have, when their definition is known; a modifier extension that
// is not.
func (v *Validator) extensions(ctx context.Context, root fhir.Node, o Options) ([]fhir.Issue, error) {
	c := newConformer(ctx, v, root, o)
	c.extended(root)
	return c.issues, c.fault
}

// extended walks n for extensions.
func (c *conformer) extended(n fhir.Node) {
	for child := range n.Children() {
		if child.Type().Name == "Extension" {
			switch child.Name() {
			case "extension":
				c.extension(child, n, false)
			case "modifierExtension":
				c.extension(child, n, true)
			}
		}
		c.extended(child)
	}
}

// extension checks x, an extension of host.
// https://hl7.org/fhir/R4/extensibility.html
func (c *conformer) extension(x, host fhir.Node, modifier bool) {
	at := x.Child("url")
	url := at.Text()
	switch {
	case !at.HasValue():
		return
	case strings.Contains(url, "|"):
		c.wrong(at, "extension-url", "Leave the version out of the url of the extension.")
		return
	case !strings.Contains(url, ":"):
		if host.Type().Name != "Extension" || modifier {
			c.wrong(at, "extension-url", "Give the whole url of the extension: only the parts of an extension have a relative one.")
		}
		return
	}
	s := c.find(url)
	if s == nil || s.extension == nil {
		c.unknownExtension(x, host, modifier)
		return
	}
	c.placed(x, host, modifier, s)
	if hasSubstance(x) {
		c.element(x, []layer{{constraint: s.root}})
	}
}

// hasSubstance reports whether x has a value or parts. One without breaks ext-1, which
// is said already.
func hasSubstance(x fhir.Node) bool {
	for child := range x.Children() {
		if name := child.Name(); name == "value" || name == "extension" {
			return true
		}
	}
	return false
}

func (c *conformer) wrong(n fhir.Node, detail, text string) {
	is := fhir.At(n)
	is.Code, is.Detail, is.Text = fhir.Extension, detail, text
	c.add(is)
}

// placed checks that x is where its definition allows it.
func (c *conformer) placed(x, host fhir.Node, modifier bool, s *shape) {
	rule := s.root.rule
	switch {
	case s.extension.modifier && !modifier:
		c.misplaced(x, rule, "extension-is-modifier", "Put this into modifierExtension: it changes the meaning of what it is in.")
	case modifier && !s.extension.modifier:
		c.misplaced(x, rule, "extension-not-modifier", "Put this into extension: by its definition it is no modifier.")
	}
	if !s.extension.isAllowed(host, c.expressions) {
		c.misplaced(x, rule, "extension-context", "Leave this out: its definition does not allow it here.")
	}
	if len(s.extension.holds) == 0 {
		return
	}
	env := *c.expressions()
	env.Constants = map[string]fhirpath.Collection{"extension": {fhirpath.NodeItem(x)}}
	for _, e := range s.extension.holds {
		if value, known, err := e.Truth(host, &env); err == nil && known && !value {
			c.misplaced(x, rule, "extension-context", "Leave this out: its definition allows it only where "+clip(e.String())+" holds.")
		}
	}
}

func (c *conformer) misplaced(x fhir.Node, rule, detail, text string) {
	is := fhir.At(x)
	is.Code, is.Detail, is.Rule, is.Text = fhir.Extension, detail, rule, text
	c.add(is)
}

// isAllowed reports whether one of the contexts allows host.
func (s *extensionShape) isAllowed(host fhir.Node, env func() *fhirpath.Env) bool {
	for i := range s.contexts {
		if s.contexts[i].allows(host, env) {
			return true
		}
	}
	return len(s.contexts) == 0
}

// unknownExtension says that the definition of x is not known. What it is in cannot be
// understood without a modifier, so that is said always, and refused where the server
// itself acts upon it.
func (c *conformer) unknownExtension(x, host fhir.Node, modifier bool) {
	is := fhir.At(x)
	is.Code = fhir.Extension
	switch {
	case modifier:
		is.Severity, is.Detail = fhir.Warning, "modifier-extension-unknown"
		is.Text = "Store the definition of this modifier extension, or leave it out: it is not known here what it means."
		if actsUpon(host) {
			is.Severity = fhir.Error
		}
	case c.Warnings:
		is.Severity, is.Detail = fhir.Information, "extension-unknown"
		is.Text = "Store the definition of this extension if it is to be checked: it is not known here."
	default:
		return
	}
	c.add(is)
}

// actsUpon reports whether n is in a resource that the server acts upon, or contained in
// one.
func actsUpon(n fhir.Node) bool {
	for ; !n.IsZero(); n = n.Parent() {
		if n.Type().Kind != spec.KindResource {
			continue
		}
		switch n.Type().Name {
		case "Questionnaire", "QuestionnaireResponse", "Task", "Communication", "CommunicationRequest":
			return true
		}
		if n.Element() == nil || n.Name() != "contained" {
			return false
		}
	}
	return false
}

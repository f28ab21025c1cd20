package validate

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// conform returns what keeps n, a resource or an element, from conforming to a
// profile. A profile that is not known or itself broken is one issue: a warning, or an
// error if the server or the caller demands that very profile. What a broken profile
// says understandably is checked nevertheless.
func (v *Validator) conform(ctx context.Context, n fhir.Node, profile string, o Options) ([]fhir.Issue, error) {
	if t := baseType(profile); t != nil {
		if n.Type().Is(t.Name) {
			return nil, nil
		}
		return []fhir.Issue{wrongType(n, profile, t)}, nil
	}
	c := newConformer(ctx, v, n, o)
	c.strict = c.demanded(n, profile)
	s, err := v.shape(ctx, profile)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		c.unknownProfile(n, profile)
	case s.typ != nil && !n.Type().Is(s.typ.Name):
		return []fhir.Issue{wrongType(n, profile, s.typ)}, nil
	default:
		c.brokenProfile(n, profile, s)
		if s.root != nil {
			c.element(n, []layer{{constraint: s.root}})
		}
	}
	return c.issues, c.fault
}

// claim returns where n claims to conform to a profile, n itself if it does not.
func claim(n fhir.Node, profile string) fhir.Node {
	for p := range n.Child("meta").Each("profile") {
		if p.Text() == profile {
			return p
		}
	}
	return n
}

func wrongType(n fhir.Node, profile string, t *spec.Type) fhir.Issue {
	is := fhir.At(claim(n, profile))
	is.Code, is.Detail, is.Rule = fhir.Structure, "profile-type", profile
	is.Text = fmt.Sprintf("Leave this profile out: it is for %s, and this is %s.", t.Name, n.Type().Name)
	return is
}

// demanded reports whether a profile is demanded by the server or the caller.
func (c *conformer) demanded(n fhir.Node, profile string) bool {
	return slices.Contains(c.Profiles, profile) || slices.Contains(c.config.Mandatory[n.Type().Name], profile)
}

func (c *conformer) unknownProfile(n fhir.Node, profile string) {
	is := fhir.At(claim(n, profile))
	is.Severity, is.Code, is.Detail, is.Rule = fhir.Warning, fhir.NotFound, "profile-unknown", profile
	is.Text = "Store this profile, or leave it out: it is not known here, so nothing was held against it."
	if c.strict {
		is.Severity = fhir.Error
	}
	c.add(is)
}

func (c *conformer) brokenProfile(n fhir.Node, profile string, s *shape) {
	i := slices.IndexFunc(s.flaws, func(f flaw) bool { return !f.mild })
	if i < 0 {
		return
	}
	is := fhir.At(claim(n, profile))
	is.Severity, is.Code, is.Detail, is.Rule = fhir.Warning, fhir.Processing, "profile-broken", profile
	is.Text = "Have this profile mended, what is wrong may be missed. " + s.flaws[i].text
	if c.strict {
		is.Severity = fhir.Error
	}
	c.add(is)
}

// flawsIn returns what is wrong with a StructureDefinition: unknown bases, types and
// paths, slices that nothing tells apart, expressions that cannot be read. They are
// warnings about its elements; a profile with them may be stored. The error is that of
// a fault of ours.
func (v *Validator) flawsIn(ctx context.Context, n fhir.Node) ([]fhir.Issue, error) {
	if n.Type().Name != "StructureDefinition" || n.Child("derivation").Text() != "constraint" {
		return nil, nil
	}
	s, err := v.compile(ctx, n)
	if err != nil {
		return nil, err
	}
	if s.root != nil {
		s.flaws = append(s.flaws, s.root.undivided(nil)...)
	}
	var issues []fhir.Issue
	for _, f := range s.flaws {
		at := f.at
		if at.IsZero() || rootOf(at) != rootOf(n) {
			at = n
		}
		is := fhir.At(at)
		is.Severity, is.Code, is.Detail, is.Text = fhir.Warning, fhir.BusinessRule, f.detail, f.text
		issues = append(issues, is)
	}
	return issues, nil
}

func rootOf(n fhir.Node) fhir.Node {
	for up := n.Parent(); !up.IsZero(); up = n.Parent() {
		n = up
	}
	return n
}

package search

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// maxCustom is how many custom parameters a resource type may have.
const maxCustom = 200

// maxCode is the length of the longest code of a custom parameter.
const maxCode = 64

// Definition returns the definition that a SearchParameter resource is.
// https://hl7.org/fhir/R4/searchparameter.html
func Definition(root fhir.Node) *spec.SearchParameter {
	def := &spec.SearchParameter{
		URL:        root.Child("url").Text(),
		Code:       root.Child("code").Text(),
		Type:       root.Child("type").Text(),
		Expression: root.Child("expression").Text(),
	}
	for n := range root.Each("base") {
		def.Base = append(def.Base, n.Text())
	}
	for n := range root.Each("target") {
		def.Targets = append(def.Targets, n.Text())
	}
	for n := range root.Each("component") {
		def.Components = append(def.Components, spec.Component{
			Definition: n.Child("definition").Text(),
			Expression: n.Child("expression").Text(),
		})
	}
	return def
}

// CompileDefinition reports whether a custom search parameter can be used beside
// those of r, or in the place of the one with the same URL: nil, or an
// Unprocessable [*fhir.Outcome] with all problems. Of an expression that only
// FHIRPath can evaluate it is not said whether its elements exist.
func (r *Registry) CompileDefinition(def *spec.SearchParameter) error {
	c := checker{registry: r, def: def}
	c.checkNames()
	c.checkType()
	c.checkBases()
	c.checkTargets()
	c.checkComponents()
	if len(c.issues) == 0 {
		c.tryBases()
	}
	if len(c.issues) > 0 {
		return &fhir.Outcome{Class: fhir.Unprocessable, Issues: c.issues}
	}
	return nil
}

// A checker gathers the problems of a definition.
type checker struct {
	registry *Registry
	def      *spec.SearchParameter
	issues   []fhir.Issue
}

func (c *checker) issue(code fhir.Code, element, format string, args ...any) {
	c.issues = append(c.issues, fhir.Issue{Code: code, Expression: "SearchParameter." + element, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) checkNames() {
	if c.def.URL == "" {
		c.issue(fhir.Required, "url", "Give the parameter a canonical URL.")
	} else if c.registry.isOfficial(c.def.URL) {
		c.issue(fhir.Duplicate, "url", "This URL is that of a search parameter of R4 or of this server; give the parameter one of its own.")
	}
	if !isCode(c.def.Code) {
		c.issue(fhir.Value, "code", "A code begins with a letter and has at most %d letters, digits, hyphens and underscores.", maxCode)
	}
}

func (r *Registry) isOfficial(url string) bool {
	return isOwn(url) || slices.ContainsFunc(r.spec.SearchParameters, func(p *spec.SearchParameter) bool { return p.URL == url })
}

// isCode reports whether s can be a code. What begins with an underscore is
// FHIR's, and modifiers, chains and lists have signs of their own.
func isCode(s string) bool {
	for i := range len(s) {
		if !isWord(s[i], i) && (s[i] != '-' || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxCode && s[0] != '_'
}

func (c *checker) checkType() {
	switch Type(c.def.Type) {
	case NumberType, DateType, StringType, TokenType, ReferenceType, CompositeType, QuantityType, URIType:
	default:
		c.issue(fhir.NotSupported, "type", "Parameters of this type cannot be added; they are number, date, string, token, reference, composite, quantity or uri.")
	}
	if c.def.Expression == "" {
		c.issue(fhir.Required, "expression", "Say in FHIRPath where the values are.")
	} else if len(c.def.Expression) > maxExpression {
		c.issue(fhir.TooLong, "expression", "An expression has at most %d characters.", maxExpression)
	}
}

// maxExpression is the length of the longest expression in bytes.
const maxExpression = 10_000

func (c *checker) checkBases() {
	if len(c.def.Base) == 0 {
		c.issue(fhir.Required, "base", "Name the resource types that the parameter is for.")
	}
	for i, base := range c.def.Base {
		types := c.registry.concrete(base)
		if len(types) == 0 {
			c.issue(fhir.Value, fmt.Sprintf("base[%d]", i), "This is no resource type of R4.")
		}
		for _, typ := range types {
			if c.registry.added(typ, c.def.URL) >= maxCustom {
				c.issue(fhir.TooCostly, "base", "%s has %d search parameters of its own already, which each write has to look at; retire one first.", typ, maxCustom)
				break
			}
			if p := c.registry.Param(typ, c.def.Code); p != nil && p.URL != c.def.URL {
				c.issue(fhir.Duplicate, "code", "%s has a search parameter %s already; choose another code.", typ, c.def.Code)
				break
			}
		}
	}
}

// added returns how many custom parameters a type has beside that with url.
func (r *Registry) added(typ, url string) int {
	n := 0
	for _, c := range r.custom[typ] {
		if c.Definition.URL != url {
			n++
		}
	}
	return n
}

// concrete returns the resource types that a base stands for.
func (r *Registry) concrete(base string) []string {
	if r.spec.Resource(base) != nil {
		return []string{base}
	}
	if base != "Resource" && base != "DomainResource" {
		return nil
	}
	var types []string
	for _, t := range r.spec.Resources() {
		if t.Is(base) {
			types = append(types, t.Name)
		}
	}
	return types
}

func (c *checker) checkTargets() {
	for i, target := range c.def.Targets {
		if len(c.registry.concrete(target)) == 0 {
			c.issue(fhir.Value, fmt.Sprintf("target[%d]", i), "This is no resource type of R4.")
		}
	}
}

func (c *checker) checkComponents() {
	if Type(c.def.Type) != CompositeType {
		return
	}
	if len(c.def.Components) < 2 {
		c.issue(fhir.Required, "component", "A composite has at least two components.")
	}
	for i, part := range c.def.Components {
		c.checkComponent(fmt.Sprintf("component[%d]", i), part)
	}
}

func (c *checker) checkComponent(at string, part spec.Component) {
	def := c.registry.byURL[part.Definition]
	switch {
	case def == nil:
		c.issue(fhir.NotFound, at+".definition", "There is no search parameter with this URL; add it first.")
	case Type(def.Type) == CompositeType || Type(def.Type) == SpecialType:
		c.issue(fhir.NotSupported, at+".definition", "A component is no %s parameter.", def.Type)
	}
	if part.Expression == "" {
		c.issue(fhir.Required, at+".expression", "Say in FHIRPath where the values of the component are.")
	}
}

// tryBases builds the parameter for each type that it is for.
func (c *checker) tryBases() {
	for _, base := range c.def.Base {
		typ := c.registry.spec.Type(base)
		t := &table{typ: typ, byCode: map[string]*Param{}, plan: &place{typ: typ}}
		if err := c.registry.define(t, &Param{Custom: true}, c.def); err != nil {
			c.issue(fhir.Invalid, "expression", "This cannot be searched by in %s: %s.", base, strings.TrimSuffix(err.Error(), "."))
		}
	}
}

package terminology

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// maxChildren is how many children of a code are told.
const maxChildren = 1000

// A LookupRequest is what $lookup is asked.
// https://hl7.org/fhir/R4/codesystem-operation-lookup.html
type LookupRequest struct {
	Coding     Coding   // with its system
	Language   string   // of the display, if there is a designation in it
	Properties []string // that are wanted: of the code system, or "definition", "designation", "parent", "child", "inactive", "abstract", "lang.X"; nil is all
}

// A Concept is the answer of $lookup.
type Concept struct {
	System       string
	Name         string // of the code system; never empty
	Version      string // of the code system; may be empty
	Code         string // as the code system writes it
	Display      string // the code itself when there is none
	Definition   string
	Designations []Designation
	Properties   []Property // with parents, children (1,000 at most), inactive and abstract
}

// A Property is something that is said of a code.
type Property struct {
	Code   string
	Kind   string // type of the value: "code", "Coding", "string", "integer", "boolean", "dateTime", "decimal"
	Value  string // empty for a Coding
	Coding Coding
}

// Lookup tells what is known of a code. The error is an Outcome when the code system
// or the code is not known (fhir.Unknown).
func (s *Service) Lookup(ctx context.Context, r LookupRequest) (*Concept, error) {
	sys, err := s.needed(ctx, r.Coding.System, r.Coding.Version)
	if err != nil {
		return nil, err
	}
	c, err := coded(ctx, sys, r.Coding.Code)
	if err != nil {
		return nil, err
	}
	h := sys.head()
	found := &Concept{System: h.url, Name: cmp.Or(h.name, h.title, h.url), Version: h.version, Code: c.code, Display: cmp.Or(displayIn(c, r.Language, h.language), c.code)}
	if r.wants("definition") {
		found.Definition = c.definition
	}
	for _, d := range c.designations {
		if r.wants("designation") || d.language != "" && r.wants("lang."+d.language) {
			found.Designations = append(found.Designations, Designation{d.language, d.use, d.value})
		}
	}
	found.Properties, err = r.properties(ctx, sys, c)
	return found, err
}

// coded returns a code of a code system. The error is an Outcome when it has none.
func coded(ctx context.Context, sys system, code string) (*concept, error) {
	if code == "" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Give a code.")
	}
	c, err := sys.concept(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("look up a code: %w", err)
	}
	if c == nil {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "Give a code of %s; it has none of that name.", sys.head().url)
	}
	return c, nil
}

func (r *LookupRequest) wants(property string) bool {
	return len(r.Properties) == 0 || slices.ContainsFunc(r.Properties, func(p string) bool { return strings.EqualFold(p, property) })
}

func (r *LookupRequest) properties(ctx context.Context, sys system, c *concept) ([]Property, error) {
	var all []Property
	said := map[string]bool{}
	for _, p := range c.properties {
		if p.code == "parent" || p.code == "child" || !r.wants(p.code) {
			continue
		}
		said[p.code] = true
		all = append(all, p.public())
	}
	state := func(name string, value bool) {
		if value && !said[name] && r.wants(name) {
			all = append(all, Property{Code: name, Kind: "boolean", Value: "true"})
		}
	}
	state("inactive", c.inactive)
	if !said["notSelectable"] {
		state("abstract", c.abstract)
	}
	if r.wants("parent") {
		for _, code := range c.parents {
			all = append(all, Property{Code: "parent", Kind: "code", Value: code})
		}
	}
	if _, flat := sys.(*grammar); flat || !r.wants("child") {
		return all, nil
	}
	children, _, err := sys.pick(ctx, selection{filters: []filter{{"parent", "=", c.code}}, count: maxChildren})
	if err != nil {
		return nil, fmt.Errorf("look up what is below a code: %w", err)
	}
	for _, child := range children {
		all = append(all, Property{Code: "child", Kind: "code", Value: child.code})
	}
	return all, nil
}

func (p property) public() Property {
	if p.kind != "Coding" {
		return Property{Code: p.code, Kind: p.kind, Value: p.value}
	}
	system, code, _ := strings.Cut(p.value, "|")
	return Property{Code: p.code, Kind: p.kind, Coding: Coding{System: system, Code: code}}
}

// Subsumes says how two codes of the same code system relate: "equivalent", "subsumes"
// when b is below a, "subsumed-by" when a is below b, or "not-subsumed". The error is
// an Outcome when the code system or one of the codes is not known (fhir.Unknown), or
// they are of two code systems.
// https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
func (s *Service) Subsumes(ctx context.Context, a, b Coding) (string, error) {
	if a.System != b.System || a.Version != "" && b.Version != "" && a.Version != b.Version {
		return "", fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "Give two codes of the same version of the same code system.")
	}
	sys, err := s.needed(ctx, a.System, cmp.Or(a.Version, b.Version))
	if err != nil {
		return "", err
	}
	first, err := coded(ctx, sys, a.Code)
	if err != nil {
		return "", err
	}
	second, err := coded(ctx, sys, b.Code)
	if err != nil {
		return "", err
	}
	if first.code == second.code {
		return "equivalent", nil
	}
	above, err := sys.subsumes(ctx, first.code, second.code)
	if err == nil && above {
		return "subsumes", nil
	}
	below := false
	if err == nil {
		below, err = sys.subsumes(ctx, second.code, first.code)
	}
	if err != nil {
		return "", fmt.Errorf("compare two codes: %w", err)
	}
	if below {
		return "subsumed-by", nil
	}
	return "not-subsumed", nil
}

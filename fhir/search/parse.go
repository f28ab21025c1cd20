package search

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// The bounds of a search. What goes beyond is refused with 400.
const (
	DefaultCount    = 20   // matches on a page when the client does not say
	MaxCount        = 1000 // _count
	MaxParameters   = 100  // name=value pairs
	MaxAlternatives = 500  // values of one parameter, between commas
	MaxCodes        = 2000 // codes that these come to with :in, :above and :below
	MaxValue        = 2000 // bytes of one such value
	MaxChain        = 8    // links from the resource searched to the last parameter, chained or _has
	MaxBranches     = 200  // resource types that the chains of a search lead to, counted at every link
	MaxIncludes     = 20   // _include and _revinclude together
	MaxSort         = 10   // keys of _sort
	MaxFilter       = 2000 // characters of _filter
	MaxNesting      = 32   // parentheses and brackets of _filter, _text and _content in one another
)

// maxWays bounds the work of finding the types that chains lead to.
const maxWays = 10_000

// A Request is a search as it came in.
type Request struct {
	Types   []string    // from the address; empty for a search of all types, which _type may narrow
	Within  *fhir.Key   // the compartment that is searched; nil for none
	Params  []Parameter // of the query and the form, in order
	Lenient bool        // Prefer: handling=lenient
	Now     time.Time   // what ap measures dates by
}

// Parse reads what a client asks for. It never searches wider than that: the
// error is a *fhir.Outcome with an issue for every parameter, modifier and value
// that is not known, that has no meaning, or that is beyond a bound. For a lenient
// Request the first two are left out of the search instead, each with a warning.
// A parameter whose rows are not built is refused in any case.
//
// The expression of an issue is "http." and the name of the parameter, which is
// how R4 locates what is wrong with a request rather than with a resource:
// https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.location
//
// The modifiers :in, :not-in, :above and :below of tokens know what comes with R4's
// required bindings; [Registry.ParseWith] asks a terminology.
func (r *Registry) Parse(req Request) (*Query, error) { return r.parse(req, nil) }

func (r *Registry) parse(req Request, in *inquiries) (*Query, error) {
	p := newParser(r, req)
	p.terminology = in
	if len(req.Params) > MaxParameters {
		p.bound("A search has %d parameters at most.", MaxParameters)
		return nil, p.outcome()
	}
	for _, in := range req.Params {
		if in.Name == "_type" {
			p.parameter(in)
		}
	}
	if len(p.issues) > 0 {
		return nil, p.outcome()
	}
	for _, in := range req.Params {
		if in.Name != "_type" {
			p.parameter(in)
		}
	}
	p.name = ""
	p.combine()
	if len(p.issues) > 0 {
		return nil, p.outcome()
	}
	return p.query, nil
}

// A parser reads one request.
type parser struct {
	registry *Registry
	request  Request
	query    *Query
	name     string // of the parameter that is being read
	given    map[string]bool
	issues   []fhir.Issue
	fatal    bool // the parameter that is being read cannot be left out
	branches int
	several  int // above zero while a criterion is read for each of several types
	leading  map[link]bool

	terminology *inquiries // nil without one
}

func newParser(r *Registry, req Request) *parser {
	return &parser{
		registry: r,
		request:  req,
		query:    &Query{Types: req.Types, Within: req.Within, Count: DefaultCount},
		given:    make(map[string]bool),
		leading:  make(map[link]bool),
	}
}

// refuse adds an issue about the parameter that is being read.
func (p *parser) refuse(code fhir.Code, format string, args ...any) {
	p.refused(fhir.Issue{Code: code, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) refused(is fhir.Issue) {
	is.Expression = p.expression()
	// A chain that may lead to several types meets the same problem in each.
	if !slices.Contains(p.issues, is) {
		p.issues = append(p.issues, is)
	}
}

// bound refuses what is beyond a bound, and in any case.
func (p *parser) bound(format string, args ...any) {
	p.fatal = true
	p.refuse(fhir.TooCostly, format, args...)
}

func (p *parser) outcome() *fhir.Outcome {
	return &fhir.Outcome{Class: fhir.BadRequest, Issues: p.issues}
}

// parameter reads one parameter into the query. What must not be taken is left
// out with a warning, or stays among the issues.
func (p *parser) parameter(in Parameter) {
	p.name, p.fatal = in.Name, false
	before := len(p.issues)
	applied := p.read(in)
	switch {
	case len(p.issues) == before:
		if applied {
			p.query.Applied = append(p.query.Applied, in)
		}
	case p.request.Lenient && !p.fatal:
		for _, is := range p.issues[before:] {
			p.warn(is.Code, "%s It was left out.", is.Text)
		}
		p.issues = p.issues[:before]
	}
}

// warn adds a warning about the parameter that is being read.
func (p *parser) warn(code fhir.Code, format string, args ...any) {
	is := fhir.Issue{Severity: fhir.Warning, Code: code, Expression: p.expression(), Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(p.query.Warnings, is) {
		p.query.Warnings = append(p.query.Warnings, is)
	}
}

// expression locates the parameter that is being read.
func (p *parser) expression() string {
	if p.name == "" {
		return ""
	}
	return "http." + strings.Trim(quote(p.name), `"`)
}

// read reads one parameter and reports whether it takes part in the search.
func (p *parser) read(in Parameter) (applied bool) {
	if !fhir.Storable(in.Name) || !fhir.Storable(in.Value) {
		p.refuse(fhir.Invalid, "A parameter is text in UTF-8 without the character 0.")
		return false
	}
	if !p.once(in.Name) {
		return false
	}
	name, modifier, modified := strings.Cut(in.Name, ":")
	switch name {
	case "_format", "_pretty":
		return false
	case "_include", "_revinclude":
		return p.include(name, modifier, in.Value)
	case "_filter":
		return p.where(p.filter(in.Name, in.Value))
	}
	if result := p.result(name); result != nil {
		if modified {
			p.refuse(fhir.NotSupported, "%s takes no modifier.", name)
			return false
		}
		return result(in.Value)
	}
	return p.where(p.conditionOfAll(in.Name, in.Value))
}

// once refuses the second of a parameter of which there can be one.
func (p *parser) once(name string) bool {
	switch name {
	case "_sort", "_count", "_total", "_summary", "_type", "_explain":
		if p.given[name] {
			p.refuse(fhir.Value, "%s was given before: give it once.", name)
			return false
		}
		p.given[name] = true
	}
	return true
}

// where adds a criterion; nil is one that was refused.
func (p *parser) where(c Condition) bool {
	if c == nil {
		return false
	}
	p.query.Where = append(p.query.Where, c)
	return true
}

// conditionOfAll reads a criterion of all types that are searched.
func (p *parser) conditionOfAll(name, value string) Condition {
	types := p.query.Types
	if len(types) < 2 {
		return p.condition(p.top(), name, value)
	}
	if p.sharedBy(types, name) {
		return p.condition(scope{typ: types[0]}, name, value)
	}
	return p.conditionOfEach(types, name, value)
}

// conditionOfEach reads a criterion that is defined apart for each of types. A
// negation stands around all of them: what has no value in a parameter of another
// type must not slip through.
func (p *parser) conditionOfEach(types []string, name, value string) Condition {
	var any Or
	negated, before := false, len(p.issues)
	for _, typ := range types {
		var c Condition
		if c, negated = p.positive(scope{typ: typ}, name, value); c != nil {
			any = append(any, c)
		}
	}
	if len(p.issues) > before {
		return nil
	}
	return negate(any, negated)
}

// sharedBy reports whether the parameter that name begins with is the same for
// all of types.
func (p *parser) sharedBy(types []string, name string) bool {
	code := firstCode(name)
	if isCommon(code) {
		return true
	}
	first := p.registry.Param(types[0], code)
	return first != nil && !slices.ContainsFunc(types, func(typ string) bool {
		other := p.registry.Param(typ, code)
		return other == nil || other.Base != first.Base
	})
}

// top is where the criteria of a search stand that has one type or none.
func (p *parser) top() scope {
	if len(p.query.Types) == 0 {
		return scope{}
	}
	return scope{typ: p.query.Types[0]}
}

// firstCode returns the code of the parameter that name begins with.
func firstCode(name string) string {
	if i := strings.IndexAny(name, ".:["); i >= 0 {
		return name[:i]
	}
	return name
}

// isCommon reports whether code means the same for all types, without a
// definition for each.
func isCommon(code string) bool {
	switch code {
	case "_id", "_lastUpdated", "_list", "_text", "_content", "_has":
		return true
	}
	return false
}

// searchTypes reads _type. https://hl7.org/fhir/R4/search.html#type
func (p *parser) searchTypes(value string) bool {
	types := strings.Split(value, ",")
	// Without it the search would be wider, which nobody can want.
	p.fatal = true
	for _, typ := range types {
		switch {
		case spec.R4().Resource(typ) == nil:
			p.refuse(fhir.Value, "There is no resource type %s.%s", quote(typ), hint(typ, resourceTypes()))
			return false
		case len(p.request.Types) > 0 && !slices.Contains(p.request.Types, typ):
			p.refuse(fhir.Value, "The address says which type is searched: leave out _type, or search at the base address.")
			return false
		}
	}
	slices.Sort(types)
	p.query.Types = slices.Compact(types)
	return true
}

func resourceTypes() []string {
	names := make([]string, 0, 150)
	for _, t := range spec.R4().Resources() {
		names = append(names, t.Name)
	}
	return names
}

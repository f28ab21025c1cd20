package questionnaire

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// The extensions of Structured Data Capture begin with sdcURL.
const (
	sdcURL      = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
	coreURL     = "http://hl7.org/fhir/StructureDefinition/"
	variableURL = coreURL + "variable"
	unitURL     = coreURL + "questionnaire-unit"
	hiddenURL   = coreURL + "questionnaire-hidden"

	pathLanguage  = "text/fhirpath"
	queryLanguage = "application/x-fhir-query"
)

// An evaluator evaluates the expressions of one form, and keeps what it has found and
// what went wrong. After an error it does nothing any more.
type evaluator struct {
	root     fhir.Node // the form
	resource fhir.Node // %resource and the focus of expressions
	now      time.Time
	search   Search

	compiled    map[string]*compiled            // by source; nil for what cannot be
	found       map[string][]fhir.Node          // by query
	bundles     map[listing]fhirpath.Collection // of what was found
	searches    int
	taken       int // resources that were found
	bytes       int // that they have
	evaluations int
	issues      []fhir.Issue
	reported    map[fhir.Issue]bool
	err         error
}

// A compiled is an expression and the names of the variables that it mentions.
type compiled struct {
	expression *fhirpath.Expression
	names      []string
}

func newEvaluator(form fhir.Node, now time.Time, search Search) *evaluator {
	return &evaluator{root: form, now: now, search: search,
		compiled: map[string]*compiled{}, found: map[string][]fhir.Node{}, bundles: map[listing]fhirpath.Collection{}, reported: map[fhir.Issue]bool{}}
}

// warn reports something about an element of the form once.
func (e *evaluator) warn(at fhir.Node, code fhir.Code, detail, format string, args ...any) {
	is := fhir.Issue{Severity: fhir.Warning, Code: code, Expression: at.Path(), Detail: detail, Text: placeOf(at) + fmt.Sprintf(format, args...)}
	if e.reported[is] || len(e.issues) >= maxFormIssues {
		return
	}
	e.reported[is] = true
	is.Line, is.Column = at.Position()
	e.issues = append(e.issues, is)
}

const maxFormIssues = 500

// placeOf names the item that n is in, for the beginning of a sentence.
func placeOf(n fhir.Node) string {
	for ; !n.IsZero(); n = n.Parent() {
		if n.Name() == "item" {
			return fmt.Sprintf("Item %q: ", n.Child("linkId").Text())
		}
	}
	return "The form: "
}

// A scope holds the variables that can be used at an element of the form. Those of an
// inner one hide those of an outer one.
type scope struct {
	outer *scope
	names map[string]*variable
}

// A variable is found out when it is used first, since each may cost a search.
type variable struct {
	expression fhir.Node // an Expression; zero when the value is known
	busy, done bool
	value      fhirpath.Collection
}

// inside returns the scope of an element n with variables of its own.
func (s *scope) inside(n fhir.Node) *scope {
	inner := &scope{outer: s, names: map[string]*variable{}}
	for x := range n.Each("extension") {
		v := x.Child("value")
		if x.Child("url").Text() != variableURL || v.IsZero() || v.Type().Name != "Expression" {
			continue
		}
		if name := v.Child("name").Text(); name != "" {
			inner.names[name] = &variable{expression: v}
		}
	}
	return inner
}

// bind gives a variable a value.
func (s *scope) bind(name string, value fhirpath.Collection) {
	if name != "" {
		s.names[name] = &variable{done: true, value: value}
	}
}

// find returns the variable with a name and the scope that it is in.
func (s *scope) find(name string) (*variable, *scope) {
	for ; s != nil; s = s.outer {
		if v := s.names[name]; v != nil {
			return v, s
		}
	}
	return nil, nil
}

// evaluate returns what an Expression gives. It is not ok when that cannot be found out,
// which is reported.
func (e *evaluator) evaluate(ctx context.Context, s *scope, expression fhir.Node) (fhirpath.Collection, bool) {
	source := expression.Child("expression").Text()
	switch language := expression.Child("language").Text(); {
	case source == "":
		e.warn(expression, fhir.NotSupported, "expression-missing", "This expression is kept elsewhere, which is not supported: write it here.")
	case language == pathLanguage:
		return e.path(ctx, s, expression, source)
	case language == queryLanguage:
		return e.query(ctx, s, expression)
	default:
		e.warn(expression, fhir.NotSupported, "language-unsupported", "Expressions are %s or %s here, not %s.", pathLanguage, queryLanguage, language)
	}
	return nil, false
}

// path returns what a FHIRPath expression gives; at is the element of the form that it
// is in.
func (e *evaluator) path(ctx context.Context, s *scope, at fhir.Node, source string) (fhirpath.Collection, bool) {
	x := e.compile(at, source)
	if x == nil || !e.goOn(ctx, at) {
		return nil, false
	}
	env := &fhirpath.Env{Now: e.now, Resource: e.resource, Steps: 100_000, Output: 2_000,
		Constants: e.constants(ctx, s, x.names),
		Resolve:   func(reference string) (fhirpath.Item, bool) { return e.resolve(ctx, at, reference) }}
	value, err := x.expression.EvaluateNode(e.resource, env)
	if e.err != nil {
		return nil, false
	}
	if err != nil {
		e.warn(at, fhir.Processing, "expression-failed", "The expression cannot be evaluated: %v", err)
	}
	return value, err == nil
}

func (e *evaluator) compile(at fhir.Node, source string) *compiled {
	c, known := e.compiled[source]
	if known {
		return c
	}
	x, err := fhirpath.Compile(source)
	if err != nil {
		e.warn(at, fhir.Invalid, "expression-invalid", "The expression is no FHIRPath: %v", err)
		e.compiled[source] = nil
		return nil
	}
	c = &compiled{expression: x}
	for _, m := range mentioned.FindAllStringSubmatch(source, -1) {
		c.names = append(c.names, m[1]+m[2]+m[3])
	}
	e.compiled[source] = c
	return c
}

// goOn reports whether one more evaluation is allowed.
func (e *evaluator) goOn(ctx context.Context, at fhir.Node) bool {
	if e.err == nil {
		e.err = ctx.Err()
	}
	if e.err != nil {
		return false
	}
	if e.evaluations == maxEvaluations {
		e.warn(at, fhir.TooCostly, "too-many-expressions", "The form needs more than %d evaluations; from here on it is left empty.", maxEvaluations)
		e.evaluations++
	}
	if e.evaluations > maxEvaluations {
		return false
	}
	e.evaluations++
	return true
}

// mentioned finds the %names of an expression.
var mentioned = regexp.MustCompile("%(?:([A-Za-z_][A-Za-z0-9_]*)|`([^`]*)`|'([^']*)')")

// constants returns the values of those names that are variables.
func (e *evaluator) constants(ctx context.Context, s *scope, names []string) map[string]fhirpath.Collection {
	all := map[string]fhirpath.Collection{"questionnaire": {fhirpath.NodeItem(e.root)}}
	for _, name := range names {
		if _, known := all[name]; known {
			continue
		}
		if v, where := s.find(name); v != nil {
			all[name] = e.value(ctx, where, v)
		}
	}
	return all
}

// value returns the value of a variable of s; it is empty when it cannot be found out.
func (e *evaluator) value(ctx context.Context, s *scope, v *variable) fhirpath.Collection {
	if v.busy {
		e.warn(v.expression, fhir.Invalid, "variable-cycle", "The variable %q needs itself: it is taken to be empty.", v.expression.Child("name").Text())
		return nil
	}
	if !v.done {
		v.busy = true
		v.value, _ = e.evaluate(ctx, s, v.expression)
		v.busy, v.done = false, true
	}
	return v.value
}

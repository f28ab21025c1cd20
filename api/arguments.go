package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// arguments are what an operation is asked with, in the query or in Parameters.
type arguments struct {
	texts map[string][]string
	nodes map[string][]fhir.Node // values of Parameters, or resources

	dependencies []terminology.Dependency // of $translate
	problems     []fhir.Issue
}

// arguments reads what is sent to an operation that knows the given names. Any other is
// an Outcome. https://hl7.org/fhir/R4/operations.html#request
func (s *Server) arguments(c *gin.Context, names ...string) (*arguments, error) {
	a := &arguments{texts: map[string][]string{}, nodes: map[string][]fhir.Node{}}
	query := c.Request.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch values := query[name]; {
		case !slices.Contains(names, name):
		case hasParts(name):
			a.wrong(name, "Send "+name+" in the Parameters of a POST.")
		default:
			a.texts[name] = values
		}
	}
	if c.Request.Method != http.MethodPost || c.Request.ContentLength == 0 {
		return a, a.err()
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return nil, err
	}
	for p := range r.Root().Each("parameter") {
		a.take(p, names)
	}
	return a, a.err()
}

// take takes one of Parameters. Any that is not among names is a problem.
func (a *arguments) take(p fhir.Node, names []string) {
	name := p.Child("name").Text()
	value := p.Child("value")
	if value.IsZero() {
		value = p.Child("resource")
	}
	switch {
	case !slices.Contains(names, name):
		a.refuse(p, fhir.NotSupported, "This operation has no such parameter here. It has "+strings.Join(names, ", ")+".")
	case name == "dependency":
		a.dependencies = append(a.dependencies, dependencyOf(p))
	case !value.HasValue():
		a.refuse(p, fhir.Required, "Give the parameter a value.")
	case !fitsParameter(name, value.Type()):
		a.refuse(value, fhir.Value, "The parameter "+name+" has a value of another type.")
	case value.Type().Kind == spec.KindPrimitive:
		a.texts[name] = append(a.texts[name], value.Text())
	default:
		a.nodes[name] = append(a.nodes[name], value)
	}
}

// isCoding reports whether a parameter is a Coding, which a query has as system|code.
func isCoding(name string) bool { return name == "coding" || name == "codingA" || name == "codingB" }

// hasParts reports whether a parameter has more to it than a query can say.
func hasParts(name string) bool {
	switch name {
	case "codeableConcept", "valueSet", "codeSystem", "conceptMap", "dependency":
		return true
	}
	return false
}

// fitsParameter reports whether a parameter may have a value of a type.
func fitsParameter(name string, t *spec.Type) bool {
	switch {
	case isCoding(name):
		return t.Name == "Coding"
	case name == "codeableConcept":
		return t.Name == "CodeableConcept"
	case hasParts(name):
		return t.Kind == spec.KindResource
	}
	return t.Kind == spec.KindPrimitive
}

func (a *arguments) refuse(at fhir.Node, code fhir.Code, text string) {
	i := fhir.At(at)
	i.Code, i.Text, i.Detail = code, text, "operation-parameter"
	a.problems = append(a.problems, i)
}

func (a *arguments) wrong(name, text string) {
	if i := (fhir.Issue{Code: fhir.Value, Expression: "http." + name, Text: text, Detail: "operation-parameter"}); !slices.Contains(a.problems, i) {
		a.problems = append(a.problems, i)
	}
}

// err returns an Outcome with everything that was wrong so far.
func (a *arguments) err() error {
	if len(a.problems) == 0 {
		return nil
	}
	return &fhir.Outcome{Class: fhir.BadRequest, Issues: a.problems}
}

// text returns the value of a parameter that may be given once.
func (a *arguments) text(name string) string {
	if len(a.texts[name]) > 1 {
		a.wrong(name, "Give "+name+" once.")
	}
	return strings.Join(a.texts[name], "")
}

// has reports whether a parameter is given.
func (a *arguments) has(name string) bool { return len(a.texts[name])+len(a.nodes[name]) > 0 }

// flag returns the value of a boolean parameter, nil when it is not given.
func (a *arguments) flag(name string) *bool {
	text := a.text(name)
	if text == "" {
		return nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil || text != "true" && text != "false" {
		a.wrong(name, name+" is true or false.")
	}
	return &b
}

// isSet reports whether a boolean parameter is true.
func (a *arguments) isSet(name string) bool {
	b := a.flag(name)
	return b != nil && *b
}

// number returns the value of a parameter that is no negative number, nil when it is
// not given.
func (a *arguments) number(name string) *int {
	text := a.text(name)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		a.wrong(name, name+" is a number, 0 or more.")
	}
	return &n
}

// resource returns a resource that is given as a definition, nil when none is.
func (a *arguments) resource(name, typ string) *definition.Definition {
	for _, n := range a.nodes[name] {
		if n.Type().Name == typ {
			return definition.Of(n)
		}
		a.refuse(n, fhir.Value, "This is to be a "+typ+".")
	}
	return nil
}

// codings returns what is asked about: a code with its system, a Coding, or a
// CodeableConcept. The names are those of the three.
func (a *arguments) codings(code, coding, concept string) []terminology.Coding {
	var all []terminology.Coding
	if a.has(code) {
		version := a.text("version")
		if v := a.text("systemVersion"); v != "" {
			version = v
		}
		all = append(all, terminology.Coding{System: a.text("system"), Version: version, Code: a.text(code), Display: a.text("display")})
	}
	for _, n := range a.nodes[coding] {
		all = append(all, codingOf(n))
	}
	for _, t := range a.texts[coding] {
		system, code, whole := strings.Cut(t, "|")
		if !whole {
			system, code = "", t
		}
		all = append(all, terminology.Coding{System: system, Code: code})
	}
	for _, n := range a.nodes[concept] {
		for child := range n.Each("coding") {
			all = append(all, codingOf(child))
		}
	}
	all = slices.DeleteFunc(all, func(c terminology.Coding) bool { return c.Code == "" })
	if len(all) == 0 {
		a.wrong(code, "Say which code: "+code+" with its system, or "+coding+".")
	}
	return all
}

func codingOf(n fhir.Node) terminology.Coding {
	return terminology.Coding{System: n.Child("system").Text(), Version: n.Child("version").Text(), Code: n.Child("code").Text(), Display: n.Child("display").Text()}
}

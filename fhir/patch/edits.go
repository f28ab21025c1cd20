package patch

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

const maxFaults = 100 // that are listed

// An edit is one operation of a FHIRPath Patch, and in order: its verb is known,
// and what the verb needs is there.
type edit struct {
	at      fhir.Node // the parameter
	verb    string
	path    *fhirpath.Expression
	name    string
	parts   map[string]fhir.Node
	numbers map[string]int // index, source and destination
}

// partsOf returns the parts that an operation needs beside its type and path,
// and whether it is known.
func partsOf(verb string) (needs []string, known bool) {
	switch verb {
	case "add":
		return []string{"name", "value"}, true
	case "insert":
		return []string{"index", "value"}, true
	case "delete":
		return nil, true
	case "replace":
		return []string{"value"}, true
	case "move":
		return []string{"source", "destination"}, true
	}
	return nil, false
}

// refuse returns the error that x cannot be applied to the resource, because of
// the named part.
func (x *edit) refuse(part, format string, args ...any) error {
	return fhir.Errorf(fhir.Unprocessable, fhir.Processing, x.expression(part), format, args...)
}

// expression returns the FHIRPath of a part.
func (x *edit) expression(part string) string {
	if n, ok := x.parts[part]; ok {
		return n.Path()
	}
	return x.at.Path()
}

// readEdits reads a FHIRPath Patch. Its error is an Outcome with everything that
// is wrong in any operation.
func readEdits(parameters *fhir.Resource) ([]edit, error) {
	if parameters.Type() != "Parameters" {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Invalid, parameters.Type(), "A FHIRPath Patch is a Parameters resource; this is none")
	}
	var edits []edit
	var r editReader
	for p := range parameters.Root().Each("parameter") {
		if len(edits) == maxOperations {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "Parameters.parameter",
				"The patch has more than %d operations; split it, or update the whole resource", maxOperations)
		}
		edits = append(edits, r.edit(p))
	}
	if r.issues != nil {
		return nil, &fhir.Outcome{Class: fhir.BadRequest, Issues: r.issues}
	}
	return edits, nil
}

// An editReader collects what is wrong with operations.
type editReader struct {
	issues []fhir.Issue
}

func (r *editReader) fault(n fhir.Node, code fhir.Code, format string, args ...any) {
	r.report(fhir.Issue{Code: code, Expression: n.Path(), Text: fmt.Sprintf(format, args...)})
}

func (r *editReader) report(is fhir.Issue) {
	if len(r.issues) < maxFaults {
		r.issues = append(r.issues, is)
	}
}

// edit returns the operation that a parameter is. It is worth nothing when a
// fault was found.
func (r *editReader) edit(p fhir.Node) edit {
	x := edit{at: p, parts: make(map[string]fhir.Node), numbers: make(map[string]int)}
	if name := p.Child("name"); name.Text() != "operation" {
		r.fault(name, fhir.Value, "Every parameter of a FHIRPath Patch is named operation")
		return x
	}
	for part := range p.Each("part") {
		r.part(&x, part)
	}
	x.verb = r.text(&x, "type")
	needs, known := partsOf(x.verb)
	if !known && x.verb != "" {
		r.fault(x.parts["type"], fhir.Value, "There is no such operation; use add, insert, delete, replace or move")
	}
	r.path(&x)
	for _, name := range needs {
		r.need(&x, name)
	}
	return x
}

// part keeps one part of an operation by its name.
func (r *editReader) part(x *edit, part fhir.Node) {
	name := part.Child("name").Text()
	switch name {
	case "type", "path", "name", "value", "index", "source", "destination":
	default:
		r.fault(part, fhir.Value, "An operation has no such part; it has type, path, name, value, index, source and destination")
		return
	}
	if _, twice := x.parts[name]; twice {
		r.fault(part, fhir.Structure, "The part %s is given twice; keep one", name)
	}
	x.parts[name] = part
}

// need reads a part that the operation cannot do without.
func (r *editReader) need(x *edit, name string) {
	switch name {
	case "name":
		x.name = r.text(x, name)
	case "value":
		r.there(x, name)
	default:
		x.numbers[name] = r.number(x, name)
	}
}

func (r *editReader) path(x *edit) {
	src := r.text(x, "path")
	if src == "" {
		return
	}
	var err error
	if x.path, err = fhirpath.Compile(src); err != nil {
		r.report(x.pathIssue(fhir.Invalid, err))
	}
}

// pathIssue returns what is wrong with the path of x, of that code unless it is
// too much work.
func (x *edit) pathIssue(code fhir.Code, err error) fhir.Issue {
	if e, ok := errors.AsType[*fhirpath.Error](err); ok && e.Kind == fhirpath.Limit {
		code = fhir.TooCostly
	}
	return fhir.Issue{Code: code, Expression: x.expression("path"), Text: "This path does not work: " + err.Error()}
}

// there returns the part of that name, which must be there.
func (r *editReader) there(x *edit, name string) (fhir.Node, bool) {
	part, ok := x.parts[name]
	if !ok {
		r.fault(x.at, fhir.Required, "The part %s is missing", name)
	}
	return part, ok
}

// text returns the string that a part must have, "" after a fault.
func (r *editReader) text(x *edit, name string) string {
	part, ok := r.there(x, name)
	if !ok {
		return ""
	}
	v := part.Child("value")
	if raw := v.Raw(); len(raw) < 3 || raw[0] != '"' {
		r.fault(part, fhir.Structure, "Give %s as a valueString, or type as a valueCode", name)
		return ""
	}
	return v.Text()
}

// number returns the integer that a part must have.
func (r *editReader) number(x *edit, name string) int {
	part, ok := r.there(x, name)
	if !ok {
		return 0
	}
	v := part.Child("value")
	if v.IsZero() || !isInteger(v.Type()) {
		r.fault(part, fhir.Structure, "Give %s as a valueInteger", name)
		return 0
	}
	i, err := strconv.Atoi(v.Text())
	if err != nil || i < 0 {
		r.fault(part, fhir.Value, "%s is a place in a list; it counts from 0", name)
		return 0
	}
	return i
}

func isInteger(t *spec.Type) bool {
	return t.Primitive == spec.Integer || t.Primitive == spec.UnsignedInt || t.Primitive == spec.PositiveInt
}

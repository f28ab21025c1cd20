package patch

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// An operation is one element of a JSON Patch, https://www.rfc-editor.org/rfc/rfc6902#section-4,
// and in order: verb is known, and what the verb needs is there.
type operation struct {
	verb       string
	path, from pointer
	value      []byte // compact JSON
}

// verbs says what each operation needs besides its path.
var verbs = map[string]struct{ from, value bool }{
	"add":     {value: true},
	"remove":  {},
	"replace": {value: true},
	"move":    {from: true},
	"copy":    {from: true},
	"test":    {value: true},
}

// parse reads a JSON Patch. Its error is an Outcome with everything that is
// wrong in any operation.
func parse(patch []byte) ([]operation, error) {
	text, err := jsontext.AppendFormat(nil, patch, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, notJSON(err)
	}
	root := node{raw: text}
	if root.kind() != '[' {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Structure, "",
			`A JSON Patch is an array of operations; send [{"op": "replace", "path": "/status", "value": "completed"}], for example`)
	}
	elements := root.members()
	if len(elements) > maxOperations {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.TooCostly, "",
			"The patch has more than %d operations; split it, or update the whole resource", maxOperations)
	}
	ops := make([]operation, len(elements))
	var r reader
	for i := range elements {
		r.index = i
		ops[i] = r.operation(&elements[i].value)
	}
	if r.issues != nil {
		return nil, &fhir.Outcome{Class: fhir.BadRequest, Issues: r.issues}
	}
	return ops, nil
}

func notJSON(err error) error {
	var at int64
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = syntax.ByteOffset
	}
	return fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "The patch is not valid JSON in UTF-8; look at byte %d", at)
}

// A reader collects what is wrong with operations.
type reader struct {
	index  int // of the operation at hand
	issues []fhir.Issue
}

func (r *reader) fault(code fhir.Code, format string, args ...any) {
	text := fmt.Sprintf("operation %d: ", r.index) + fmt.Sprintf(format, args...)
	r.issues = append(r.issues, fhir.Issue{Code: code, Text: text})
}

// operation returns n as an operation. The operation is worth nothing when a
// fault was found.
func (r *reader) operation(n *node) operation {
	if n.kind() != '{' {
		r.fault(fhir.Structure, "an operation is a JSON object")
		return operation{}
	}
	if name := duplicate(n.raw); name != "" {
		r.fault(fhir.Structure, "%s is there twice; keep one", shown(name))
		return operation{}
	}
	before := len(r.issues)
	verb, there := r.text(n, "op")
	needs, known := verbs[verb]
	if there && !known {
		r.fault(fhir.Invalid, "%s is not an operation; use add, remove, replace, move, copy or test", shown(verb))
	}
	o := operation{verb: verb, path: r.pointer(n, "path")}
	if needs.from {
		o.from = r.pointer(n, "from")
	}
	if needs.value {
		o.value = r.value(n)
	}
	if verb == "move" && len(r.issues) == before && len(o.from) < len(o.path) && o.path.within(o.from) {
		r.fault(fhir.Invalid, "%s cannot move into itself, to %s", o.from.shown(), o.path.shown())
	}
	return o
}

// duplicate returns the pointer of an object member that has a namesake in the
// same object, however deep, or "".
func duplicate(text []byte) string {
	if jsontext.Value(text).IsValid() {
		return ""
	}
	_, err := jsontext.AppendFormat(nil, text)
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return string(syntax.JSONPointer)
	}
	return "a member"
}

// text returns the string at a member that must be there.
func (r *reader) text(n *node, name string) (string, bool) {
	v := n.member(name)
	switch {
	case v == nil:
		r.fault(fhir.Required, "%q is missing", name)
		return "", false
	case v.kind() != '"':
		r.fault(fhir.Structure, "%q is not a string", name)
		return "", false
	}
	return unquote(v.raw), true
}

func (r *reader) pointer(n *node, name string) pointer {
	s, ok := r.text(n, name)
	if !ok {
		return nil
	}
	p, err := parsePointer(s)
	if err != nil {
		r.fault(fhir.Invalid, "%q is %s: %s", name, shown(s), err)
	}
	return p
}

func (r *reader) value(n *node) []byte {
	v := n.member("value")
	if v == nil {
		r.fault(fhir.Required, `"value" is missing; for no value write null`)
		return nil
	}
	if depth(v.raw) > maxDepth {
		r.fault(fhir.TooCostly, `"value" is nested deeper than %d levels`, maxDepth)
	}
	return v.raw
}

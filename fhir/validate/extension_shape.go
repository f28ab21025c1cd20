package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// An extensionShape is what a definition says of where its extension may be.
// https://hl7.org/fhir/R4/defining-extensions.html#context
type extensionShape struct {
	modifier bool
	contexts []extensionContext // any of them; none is anywhere
	holds    []*fhirpath.Expression
}

type extensionContext struct {
	kind       string // "element", "extension", "fhirpath"
	expression string // a path, without slices and the URL of a profile, or the URL of an extension
	path       *fhirpath.Expression
}

func (c *compiler) asExtension(root fhir.Node) *extensionShape {
	x := &extensionShape{modifier: c.root.modifier}
	for n := range root.Each("context") {
		if isMisdefined(c.url) {
			break
		}
		e := n.Child("expression")
		made := extensionContext{kind: n.Child("type").Text(), expression: e.Text()}
		switch made.kind {
		case "fhirpath":
			path, err := fhirpath.Compile(made.expression)
			if err != nil {
				c.flaw(e, "profile-expression-invalid", "Mend the context: "+err.Error())
				continue
			}
			made.path = path
		case "element":
			made.expression = plainPath(made.expression)
		}
		x.contexts = append(x.contexts, made)
	}
	for n := range root.Each("contextInvariant") {
		e, err := fhirpath.Compile(n.Text())
		if err != nil {
			c.flaw(n, "profile-expression-invalid", "Mend the invariant of the context: "+err.Error())
			continue
		}
		x.holds = append(x.holds, e)
	}
	return x
}

// isMisdefined reports whether R4 itself has an extension elsewhere than its definition
// allows.
func isMisdefined(url string) bool {
	switch strings.TrimPrefix(url, definitions) {
	case "structuredefinition-fhir-type", "structuredefinition-normative-version", "regex", "valueset-concept-comments":
		return true
	}
	return false
}

// plainPath returns the path in an element id: "Patient.contact" for
// "http://example.org/p#Patient.contact:next".
func plainPath(id string) string {
	if i := strings.LastIndexByte(id, '#'); i >= 0 {
		id = id[i+1:]
	}
	if !strings.Contains(id, ":") {
		return id
	}
	steps := strings.Split(id, ".")
	for i, step := range steps {
		steps[i], _, _ = strings.Cut(step, ":")
	}
	return strings.Join(steps, ".")
}

// allows reports whether an extension with this context may be in host.
func (x *extensionContext) allows(host fhir.Node, env func() *fhirpath.Env) bool {
	switch x.kind {
	case "element":
		return stands(host, x.expression)
	case "extension":
		return host.Type().Name == "Extension" && host.Child("url").Text() == x.expression
	case "fhirpath":
		return x.selects(host, env())
	}
	return true
}

// stands reports whether host is what a path names: an element of a type, or something
// of a type wherever it is.
func stands(host fhir.Node, path string) bool {
	if path == "Element" || path == "Any" {
		return true
	}
	for at := host; !at.IsZero(); at = at.Parent() {
		t := at.Type()
		if t.Is(path) || (path == "CanonicalResource" || path == "MetadataResource") && t.Kind == spec.KindResource && t.Element("url") != nil {
			return true
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 || at.Element() == nil || strings.TrimSuffix(path[i+1:], "[x]") != at.Name() && path[i+1:] != at.Property() {
			return false
		}
		path = path[:i]
	}
	return false
}

// selects reports whether host, or what it is in, is among what the path gives on
// the resource. What cannot be found out is allowed.
func (x *extensionContext) selects(host fhir.Node, env *fhirpath.Env) bool {
	at := host
	for !at.Parent().IsZero() && at.Type().Kind != spec.KindResource {
		at = at.Parent()
	}
	found, err := x.path.EvaluateNode(at, env)
	if err != nil {
		return true
	}
	for _, i := range found {
		if n, ok := i.Node(); ok && n == host {
			return true
		}
		if is, ok := i.Bool(); ok && is {
			return true
		}
	}
	return false
}

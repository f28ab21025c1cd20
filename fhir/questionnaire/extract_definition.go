package questionnaire

import (
	"context"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A target is a resource that is made of answers by their definitions.
type target struct {
	at         fhir.Node // the element of the form with the context
	outer      *target
	root       *branch
	identifier string // of a new one; may be empty
	update     bool
	id         string // of the one to update
	version    string // of the one to update; may be empty
	answered   bool   // whether anything in it is somebody's answer
}

// of returns the nearest target of a type.
func (t *target) of(typ string) *target {
	for ; t != nil; t = t.outer {
		if t.root.typ.Name == typ {
			return t
		}
	}
	return nil
}

// open returns the target that an element of the form begins, or nil.
func (e *extractor) open(ctx context.Context, n fhir.Node, p passage) *target {
	if c := n.Extension(sdcURL + "definitionExtract").Extension("definition").Child("value"); !c.IsZero() {
		profile, _, _ := strings.Cut(c.Text(), "|")
		return e.create(n, profile[strings.LastIndexByte(profile, '/')+1:], p)
	}
	v := n.Extension(sdcURL + "itemExtractionContext").Child("value")
	if v.IsZero() {
		v = n.Extension(sdcURL + "itemContext").Child("value")
	}
	switch {
	case v.IsZero():
		return nil
	case v.Type().Name != "Expression":
		return e.create(n, v.Text(), p)
	case v.Child("language").Text() == queryLanguage:
		return e.sought(ctx, n, v, p)
	}
	values, ok := e.evaluate(ctx, p.scope, v)
	if !ok {
		return nil
	}
	var nodes []fhir.Node
	for _, value := range values {
		if r, ok := value.Node(); ok {
			nodes = append(nodes, r)
		}
	}
	if len(nodes) == 0 || len(nodes) < len(values) {
		e.warn(v, fhir.Value, "context-unusable", "The extraction context is no resource: nothing is extracted here.")
		return nil
	}
	return e.known(n, nodes, p)
}

// sought returns the target of a query: what it finds, or a new resource of its type.
func (e *extractor) sought(ctx context.Context, n, query fhir.Node, p passage) *target {
	source := strings.TrimSpace(query.Child("expression").Text())
	typ, _, criteria := strings.Cut(source, "?")
	typ, _, read := strings.Cut(typ, "/")
	if !criteria && !read && !strings.Contains(source, "{") {
		return e.create(n, typ, p)
	}
	nodes, _, ok := e.ask(ctx, p.scope, query)
	if !ok {
		return nil // to create another one for want of the right one would double it
	}
	if len(nodes) == 0 {
		return e.create(n, typ, p)
	}
	return e.known(n, nodes, p)
}

// create returns a target that is a new resource.
func (e *extractor) create(n fhir.Node, typ string, p passage) *target {
	t := spec.R4().Resource(typ)
	if t == nil {
		e.warn(n, fhir.NotSupported, "context-unknown", "The extraction context names no resource type of R4: nothing is extracted here.")
		return nil
	}
	label := n.Child("linkId").Text() + ":" + typ
	made := &target{at: n, outer: p.target, root: &branch{typ: t}, identifier: e.identifier(label)}
	e.targets = append(e.targets, made)
	return made
}

// known returns a target that updates a resource.
func (e *extractor) known(n fhir.Node, nodes []fhir.Node, p passage) *target {
	r := nodes[0]
	key := fhir.Key{Type: r.Type().Name, ID: r.Child("id").Text()}
	if len(nodes) > 1 || r.Type().Kind != spec.KindResource || key.ID == "" {
		e.warn(n, fhir.MultipleMatches, "context-unusable", "The extraction context is not exactly one stored resource: nothing is extracted here.")
		return nil
	}
	if t := e.updates[key]; t != nil {
		return t
	}
	if isSubset(r) {
		e.warn(n, fhir.Forbidden, "context-incomplete", "Only a part of the resource may be seen, so that updating it would lose the rest: nothing is extracted here.")
		return nil
	}
	root, err := readBranch(r.Type(), r.Raw())
	if err != nil {
		e.err = err
		return nil
	}
	if r.Child("text").Child("status").Text() == "generated" {
		root.drop("text") // it would tell what was before
	}
	t := &target{at: n, outer: p.target, root: root, update: true, id: key.ID, version: r.Child("meta").Child("versionId").Text()}
	e.updates[key], e.targets = t, append(e.targets, t)
	return t
}

// isSubset reports whether a resource says that it is not whole.
func isSubset(r fhir.Node) bool {
	for tag := range r.Child("meta").Each("tag") {
		if tag.Child("code").Text() == "SUBSETTED" {
			return true
		}
	}
	return false
}

// finish puts a target into the Bundle if somebody answered something in it.
func (e *extractor) finish(t *target) {
	typ := t.root.typ
	if !t.answered || e.err != nil {
		return
	}
	if t.update {
		src := t.root.json()
		if e.decodes(t.at, typ.Name, src) {
			e.entries = append(e.entries, extracted{resource: src, method: "PUT", url: typ.Name + "/" + t.id, version: t.version,
				fullURL: uuidOf(typ.Name, t.id, 0)})
		}
		return
	}
	for _, name := range []string{"subject", "patient"} {
		if mayPointTo(typ, name, typeOfReference(e.subject)) && !typ.Element(name).Repeats() && t.root.member(name) == nil {
			t.root.putRaw(name, appendPlain(nil, e.subject))
		}
	}
	e.add(t.at, typ.Name, t.identify(), t.root.json())
}

// identify gives t its identifier and returns it, "" if there is no room for it.
func (t *target) identify() string {
	p := t.root.typ.Property([]byte("identifier"))
	if p == nil || p.Type.Name != "Identifier" || t.identifier == "" {
		return ""
	}
	m, err := t.root.open(p)
	if err != nil || !m.repeats && len(m.values) > 0 {
		return ""
	}
	m.values = append(m.values, &piece{raw: identifierJSON(t.identifier, nil)})
	return t.identifier
}

// fixed sets the values that an element of the form gives a target itself.
func (e *extractor) fixed(ctx context.Context, n fhir.Node, p passage) {
	for x := range n.Each("extension") {
		if x.Child("url").Text() != sdcURL+"definitionExtractValue" || p.target == nil {
			continue
		}
		var values []given
		if v := x.Extension("fixed-value").Child("value"); !v.IsZero() {
			values = append(values, givenNode(v))
		}
		if v := x.Extension("expression").Child("value"); !v.IsZero() {
			found, _ := e.evaluate(ctx, p.scope, v)
			for _, i := range found {
				values = append(values, givenItem(i))
			}
		}
		e.define(n, x.Extension("definition").Child("value").Text(), values, p)
	}
}

// define sets values at the path that a definition names, and returns the target that
// they are in; nil when they are in none.
func (e *extractor) define(n fhir.Node, definition string, values []given, p passage) *target {
	if definition == "" || len(values) == 0 || p.target == nil {
		return nil
	}
	typ, steps := parseDefinition(definition)
	t := p.target.of(typ)
	if t == nil || len(steps) == 0 {
		e.warn(n, fhir.Invalid, "definition-unmatched", "The definition is no path in the resource that is made here: this answer is not extracted.")
		return nil
	}
	b, rest := t.start(steps, p.anchors)
	for b != nil && len(rest) > 1 {
		b, rest = e.descend(n, b, rest[0]), rest[1:]
	}
	if b == nil || !e.leaf(n, b, rest[0], values) {
		return nil
	}
	return t
}

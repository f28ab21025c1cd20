package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	"github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/openconsult/openconsult/fhir/spec"
)

// comparison walks the descriptors of google/fhir/go beside the model and
// collects what they disagree about.
type comparison struct {
	m     *model
	found []string
	seen  map[protoreflect.FullName]string // the type that each message stands for
}

// compare returns the disagreements between the model and the descriptors, one
// sentence each, in order.
func compare(m *model) []string {
	c := &comparison{m: m, seen: make(map[protoreflect.FullName]string)}
	container := (&bundle_and_contained_resource_go_proto.ContainedResource{}).ProtoReflect().Descriptor()
	fields := container.Oneofs().ByName("oneof_resource").Fields()
	resources := make(map[string]bool)
	for i := range fields.Len() {
		message := fields.Get(i).Message()
		resources[string(message.Name())] = true
		c.message(message, string(message.Name()))
	}
	for _, t := range m.sortedTypes() {
		if t.kind == spec.KindResource && !t.abstract && !resources[t.name] {
			c.report("%s: no descriptor", t.name)
		}
	}
	c.unvisited()
	slices.Sort(c.found)
	return slices.Compact(c.found)
}

func (c *comparison) report(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// unvisited reports the types that no descriptor reached.
func (c *comparison) unvisited() {
	reached := make(map[string]bool)
	for name := range maps.Values(c.seen) {
		reached[name] = true
	}
	for _, t := range c.m.sortedTypes() {
		if !reached[t.name] && !t.abstract && t.kind != spec.KindPrimitive {
			c.report("%s: not reached by any descriptor", t.name)
		}
	}
}

// message compares the fields of a message with the elements of the type that it
// should stand for.
func (c *comparison) message(d protoreflect.MessageDescriptor, name string) {
	if before, ok := c.seen[d.FullName()]; ok {
		if before != name {
			c.report("%s: descriptor %s stands for %s too", name, d.FullName(), before)
		}
		return
	}
	c.seen[d.FullName()] = name
	t := c.m.types[name]
	if t == nil {
		c.report("%s: no such type", name)
		return
	}
	fields := elementFields(d)
	var theirs, ours []string
	for _, f := range fields {
		theirs = append(theirs, elementName(f))
	}
	for _, e := range t.elements {
		ours = append(ours, e.name)
	}
	if !slices.Equal(theirs, ours) {
		c.report("%s: elements %v, descriptor %v", name, ours, theirs)
	}
	for _, f := range fields {
		if i := slices.Index(ours, elementName(f)); i >= 0 {
			c.field(f, t.elements[i])
		}
	}
}

// elementFields returns the fields of a message that are elements. The variants
// of Reference.reference count once.
func elementFields(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	var list []protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if isReference(d) && f.ContainingOneof() != nil && f.Name() != "uri" {
			continue
		}
		list = append(list, f)
	}
	return list
}

func elementName(f protoreflect.FieldDescriptor) string {
	if isReference(f.ContainingMessage()) && f.Name() == "uri" {
		return "reference"
	}
	return f.JSONName()
}

func isReference(d protoreflect.MessageDescriptor) bool {
	return proto.HasExtension(d.Options(), annotations_go_proto.E_FhirReferenceType)
}

func (c *comparison) field(f protoreflect.FieldDescriptor, e *element) {
	requirement := proto.GetExtension(f.Options(), annotations_go_proto.E_ValidationRequirement)
	required := requirement == annotations_go_proto.Requirement_REQUIRED_BY_FHIR
	if required != (e.min > 0) {
		c.report("%s: min %d, descriptor required %t", e.path, e.min, required)
	}
	if repeats := e.max != 1; repeats != f.IsList() {
		c.report("%s: repeats %t, descriptor %t", e.path, repeats, f.IsList())
	}
	message := f.Message()
	choice := proto.HasExtension(message.Options(), annotations_go_proto.E_IsChoiceType)
	if choice != e.choice {
		c.report("%s: choice %t, descriptor %t", e.path, e.choice, choice)
		return
	}
	if !choice {
		c.value(message, e, e.types[0])
		c.targets(f, e)
		return
	}
	c.variants(message, e)
}

// variants compares the types of a choice.
func (c *comparison) variants(d protoreflect.MessageDescriptor, e *element) {
	var theirs, ours []string
	for i := range d.Fields().Len() {
		theirs = append(theirs, upperFirst(d.Fields().Get(i).JSONName()))
	}
	for _, ref := range e.types {
		ours = append(ours, upperFirst(ref.name))
	}
	for i := range d.Fields().Len() {
		if j := slices.Index(ours, theirs[i]); j >= 0 {
			c.value(d.Fields().Get(i).Message(), e, e.types[j])
			if ours[j] == "Reference" {
				c.targets(d.Fields().Get(i), e)
			}
		}
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if !slices.Equal(theirs, ours) {
		c.report("%s: types %s", e.path, difference(ours, theirs))
	}
}

// targets compares what references may point to.
func (c *comparison) targets(f protoreflect.FieldDescriptor, e *element) {
	i := slices.IndexFunc(e.types, func(ref typeRef) bool { return ref.name == "Reference" })
	if i < 0 {
		return
	}
	theirs := slices.Clone(proto.GetExtension(f.Options(), annotations_go_proto.E_ValidReferenceType).([]string))
	ours := slices.Clone(e.types[i].targets)
	if ours == nil && slices.Contains(theirs, "Resource") {
		return
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if !slices.Equal(theirs, ours) {
		c.report("%s: targets %v, descriptor %v", e.path, ours, theirs)
	}
}

// value compares the message of one value with its type.
func (c *comparison) value(d protoreflect.MessageDescriptor, e *element, ref typeRef) {
	t := c.m.types[ref.name]
	name := string(d.Name())
	kind := proto.GetExtension(d.Options(), annotations_go_proto.E_StructureDefinitionKind)
	primitive := kind == annotations_go_proto.StructureDefinitionKindValue_KIND_PRIMITIVE_TYPE
	switch {
	case primitive && proto.HasExtension(d.Options(), annotations_go_proto.E_FhirValuesetUrl):
		c.code(d, e, ref)
	case primitive:
		c.plain(name, e, ref)
	case t.kind == spec.KindResource:
		if name != "Any" && name != "ContainedResource" {
			c.report("%s: type %s, descriptor %s", e.path, ref.name, name)
		}
	case t.kind == spec.KindBackbone:
		c.message(d, ref.name)
	default:
		if name != cmp.Or(ref.profile, ref.name) {
			c.report("%s: type %s, descriptor %s", e.path, cmp.Or(ref.profile, ref.name), name)
			return
		}
		c.message(d, ref.name)
	}
}

// plain compares a primitive that the descriptors do not bind to a value set.
func (c *comparison) plain(name string, e *element, ref typeRef) {
	if !strings.EqualFold(name, ref.name) {
		c.report("%s: type %s, descriptor %s", e.path, ref.name, name)
	}
	if ref.name == "code" && c.set(e) != nil {
		c.report("%s: codes listed, descriptor without", e.path)
	}
}

// set returns the enumerated value set that e is held to, nil without one.
func (c *comparison) set(e *element) *spec.ValueSet {
	if e.strength != spec.Required {
		return nil
	}
	return c.m.bindings[e.valueSet]
}

// code compares the codes of a required binding with the descriptor's enum.
func (c *comparison) code(d protoreflect.MessageDescriptor, e *element, ref typeRef) {
	if ref.name != "code" {
		c.report("%s: type %s, descriptor code", e.path, ref.name)
	}
	var ours []string
	if v := c.set(e); v != nil {
		for _, x := range v.Codes {
			ours = append(ours, x.Code)
		}
	}
	theirs := enumCodes(d)
	slices.Sort(ours)
	slices.Sort(theirs)
	ours = slices.Compact(ours)
	if !slices.Equal(theirs, ours) {
		c.report("%s: codes %s", e.path, difference(ours, theirs))
	}
}

// enumCodes returns the codes of a code's enum, nil when it has a string.
func enumCodes(d protoreflect.MessageDescriptor) []string {
	enum := d.Fields().ByName("value").Enum()
	if enum == nil {
		return nil
	}
	var codes []string
	for i := range enum.Values().Len() {
		v := enum.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		code := proto.GetExtension(v.Options(), annotations_go_proto.E_FhirOriginalCode).(string)
		if code == "" {
			code = strings.ReplaceAll(strings.ToLower(string(v.Name())), "_", "-")
		}
		codes = append(codes, code)
	}
	return codes
}

// difference names what only one of two sorted lists has.
func difference(ours, theirs []string) string {
	missing := func(from, in []string) []string {
		return slices.DeleteFunc(slices.Clone(from), func(s string) bool {
			_, ok := slices.BinarySearch(in, s)
			return ok
		})
	}
	return fmt.Sprintf("only ours %v, only descriptor %v", missing(ours, theirs), missing(theirs, ours))
}

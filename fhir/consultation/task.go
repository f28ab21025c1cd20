package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// A Task is what the rules look at of a Task resource.
type Task struct {
	Key            fhir.Key // its type and id; the id is empty before it has one
	Kind           Kind     // empty for plain FHIR
	Status         Status
	Requester      fhir.Key // who asked; empty when it is no literal reference to this server
	Owner          fhir.Key // who must act; empty as above
	For            fhir.Key // the patient; empty as above
	Focus          fhir.Key // what is asked; empty as above
	Thread         string   // the value of groupIdentifier
	BusinessStatus string   // the code of businessStatus in the system that the kind uses: that of e-RS, or else [BusinessSystem]
	Priority       string   // empty when the Task has none, which means routine
	Reason         bool     // there is a statusReason with a text or coding
	Outputs        []Output

	root fhir.Node
}

// An Output is one Task.output.
type Output struct {
	Type   string // its code in [TaskIOSystem], "filed-to-record"; empty when it has none
	Codes  []Code // the codings of valueCodeableConcept or valueCoding
	Target fhir.Key
}

// A Code is a coding without its display.
type Code struct{ System, Code string }

// ReadTask reads a Task. References that begin with base, the address of this server
// without a last slash, are taken as relative ones. The error is that of [KindOf], or that
// a Task of ours has a modifierExtension: nobody may act on what is not understood.
func ReadTask(r *fhir.Resource, base string) (Task, error) {
	n := r.Root()
	kind, err := KindOf(n)
	if err != nil {
		return Task{}, err
	}
	if m := n.Child("modifierExtension"); kind != "" && !m.IsZero() {
		return Task{}, refuse(fhir.Extension, "unknown-modifier-extension", m.Path(), "The server acts on this Task and does not know this modifier extension; leave it out.")
	}
	t := Task{
		Key:       fhir.Key{Type: "Task", ID: r.ID()},
		Kind:      kind,
		Status:    Status(n.Child("status").Text()),
		Requester: target(n.Child("requester"), base),
		Owner:     target(n.Child("owner"), base),
		For:       target(n.Child("for"), base),
		Focus:     target(n.Child("focus"), base),
		Thread:    n.Child("groupIdentifier").Child("value").Text(),
		Priority:  n.Child("priority").Text(),
		Reason:    says(n.Child("statusReason")),
		root:      n,
	}
	t.BusinessStatus = codeIn(n.Child("businessStatus"), businessSystem(kind))
	for o := range n.Each("output") {
		t.Outputs = append(t.Outputs, output(o, base))
	}
	return t, nil
}

func output(n fhir.Node, base string) Output {
	o := Output{Type: codeIn(n.Child("type"), TaskIOSystem)}
	value := n.Child("value")
	switch value.Property() {
	case "valueReference":
		o.Target = target(value, base)
	case "valueCoding":
		o.Codes = append(o.Codes, code(value))
	case "valueCodeableConcept":
		for c := range value.Each("coding") {
			o.Codes = append(o.Codes, code(c))
		}
	}
	return o
}

func code(coding fhir.Node) Code {
	return Code{coding.Child("system").Text(), coding.Child("code").Text()}
}

// codeIn returns the first code of a CodeableConcept in system, or "".
func codeIn(concept fhir.Node, system string) string {
	for c := range concept.Each("coding") {
		if got := code(c); got.System == system {
			return got.Code
		}
	}
	return ""
}

// says reports whether a CodeableConcept has a text, or a coding with a code.
func says(concept fhir.Node) bool {
	if concept.Child("text").HasValue() {
		return true
	}
	for c := range concept.Each("coding") {
		if c.Child("code").HasValue() {
			return true
		}
	}
	return false
}

// target returns what a Reference points to on this server, or the empty Key.
func target(reference fhir.Node, base string) fhir.Key {
	r, ok := fhir.ParseReference(reference.Child("reference").Text())
	if !ok || r.Query != "" || r.Key.ID == "" || r.Base != "" && r.Base != base {
		return fhir.Key{}
	}
	return r.Key
}

// has reports whether there is an output of the type with a code of system that is one
// of codes, or any when there are none.
func (t Task) has(typ, system string, codes ...string) bool {
	return slices.ContainsFunc(t.Outputs, func(o Output) bool {
		return o.Type == typ && slices.ContainsFunc(o.Codes, func(c Code) bool {
			return c.System == system && c.Code != "" && (len(codes) == 0 || slices.Contains(codes, c.Code))
		})
	})
}

// hasType reports whether there is an output of the type.
func (t Task) hasType(typ string) bool {
	return slices.ContainsFunc(t.Outputs, func(o Output) bool { return o.Type == typ })
}

// pointsTo reports whether an output points to a resource of the given type.
func (t Task) pointsTo(typ string) bool {
	return slices.ContainsFunc(t.Outputs, func(o Output) bool { return o.Target.Type == typ })
}

package fhir

import (
	"bytes"

	"github.com/openconsult/openconsult/fhir/spec"
)

// DecodeXML reads one resource from XML, as [Decode] does from JSON, and reports
// the problems of both forms together. The resource keeps JSON that says the
// same, not src. Malformed XML, a DOCTYPE, processing instructions, and anything
// but UTF-8 end the reading at once. https://hl7.org/fhir/R4/xml.html
func DecodeXML(typ string, src []byte) (*Resource, error) {
	w, err := walkXML(typ, src)
	if err != nil {
		return nil, err
	}
	d := newDecoder(typ, w.json)
	d.document()
	if w.merge(d); len(w.problems) > 0 {
		return nil, &Outcome{Issues: w.issues()}
	}
	d.tree.from.Store(w.origin())
	return d.decoded(), nil
}

// walkXML writes the JSON of a document, a resource of the type named typ.
func walkXML(typ string, src []byte) (*xmlWalk, error) {
	src, err := utf8Text(src, "XML")
	if err != nil {
		return nil, err
	}
	p := &xmlParser{xmlScanner: xmlScanner{scanner{src: src}}}
	if !p.legal() || !p.document() {
		return nil, &Outcome{Issues: placed(src, []problem{p.broken})}
	}
	w := &xmlWalk{doc: p, json: make([]byte, 0, len(src))}
	w.root(typ)
	if w.deep {
		return nil, &Outcome{Issues: w.issues()}
	}
	return w, nil
}

// A xmlWalk writes the JSON of a document, led by the definitions. Where the XML
// is wrong in a way that JSON cannot express, it reports that and writes
// something acceptable instead, so that nothing is reported twice.
type xmlWalk struct {
	doc      *xmlParser
	json     []byte
	marks    []twin
	depth    int // of the JSON
	path     []byte
	problems []problem
	more     bool // there were more problems than are listed
	deep     bool // the limit of nesting was met
}

// origin returns what a tree of the JSON comes from.
func (w *xmlWalk) origin() *origin { return &origin{text: w.doc.src, marks: w.marks} }

// start returns where the start tag of element i stands.
func (w *xmlWalk) start(i int32) int {
	return bytes.LastIndexByte(w.doc.src[:w.at(i).name.lo], '<')
}

// mark says that what is written next comes from pos.
func (w *xmlWalk) mark(pos int) {
	w.marks = append(w.marks, twin{uint32(len(w.json)), uint32(pos)})
}

func (w *xmlWalk) at(i int32) *xmlElement { return &w.doc.elements[i] }

func (w *xmlWalk) name(i int32) []byte { return w.at(i).name.of(w.doc.src) }

// issue reports a problem of the element that stands at pos.
func (w *xmlWalk) issue(pos int, f fault, text string) {
	if len(w.problems) >= maxIssues {
		w.more = true
		return
	}
	is := f.issue()
	is.Expression, is.Text = string(w.path), text
	w.problems = append(w.problems, problem{is, pos})
}

// issueBelow reports a problem of a child, the element i.
func (w *xmlWalk) issueBelow(i int32, child string, f fault, text string) {
	around := len(w.path)
	w.path = append(append(w.path, '.'), child...)
	w.issue(w.start(i), f, text)
	w.path = w.path[:around]
}

// merge adds the problems of the JSON to those of w, without repetitions.
func (w *xmlWalk) merge(json *decoder) {
	from := w.origin()
	all := w.problems
	for _, p := range json.problems {
		p.at = from.sent(p.at)
		all = append(all, p)
	}
	seen := make(map[Issue]bool, len(all))
	w.problems = nil
	for _, p := range all {
		if !seen[p.Issue] {
			w.problems = append(w.problems, p)
		}
		seen[p.Issue] = true
	}
	w.more = w.more || json.dropped > 0 || len(w.problems) > maxIssues
	w.problems = w.problems[:min(len(w.problems), maxIssues)]
}

// issues returns those of all problems, and one that says whether there are more.
func (w *xmlWalk) issues() []Issue {
	issues := placed(w.doc.src, w.problems)
	if w.more {
		issues = append(issues, furtherProblems("There are further problems; they are not listed. Mend these first."))
	}
	return issues
}

// begin opens a JSON object or array, which end closes.
func (w *xmlWalk) begin(bracket byte) {
	w.json = append(w.json, bracket)
	w.depth++
	if w.depth > maxDepth && !w.deep {
		w.deep = true
		w.issue(int(w.marks[len(w.marks)-1].xml), tooDeep, "The elements are nested too deeply here; the limit is 64 levels, where an element that may repeat counts as two.")
	}
}

func (w *xmlWalk) end(bracket byte) {
	w.json = append(w.json, bracket)
	w.depth--
}

// member begins a property of a JSON object, which comes from pos.
func (w *xmlWalk) member(pos int, underscore, name string) {
	if w.json[len(w.json)-1] != '{' {
		w.json = append(w.json, ',')
	}
	w.mark(pos)
	w.json = append(append(append(append(w.json, '"'), underscore...), name...), `":`...)
}

// root writes the document as a resource of the type named typ, or of any.
func (w *xmlWalk) root(typ string) {
	name := string(w.name(0))
	t := spec.R4().Resource(name)
	if plainName(name) {
		w.path = append(w.path, name...)
	}
	if w.at(0).space != xmlFHIR {
		w.issue(w.start(0), wrongNamespace, `The resource is not in the namespace of FHIR; begin it with <`+w.echo(0)+` xmlns="`+xmlNamespace+`">.`)
	}
	switch {
	case t == nil && typ != "":
		t = spec.R4().Resource(typ)
	case t != nil && typ != "" && name != typ:
		t = nil
	}
	w.resource(0, t)
}

// echo returns the name of an element for a message.
func (w *xmlWalk) echo(i int32) string {
	if name := string(w.name(i)); plainName(name) {
		return name
	}
	return "..."
}

// resource writes the resource whose element is i. A nil t is for one that will
// be refused for its type.
func (w *xmlWalk) resource(i int32, t *spec.Type) {
	w.mark(w.start(i))
	w.begin('{')
	w.member(w.start(i), "", "resourceType")
	w.text(w.name(i))
	if t != nil {
		w.strays(i, t)
		w.content(i, t)
	}
	w.end('}')
}

// contained writes the resource that is inside the element i.
func (w *xmlWalk) contained(i int32) {
	w.strays(i, nil)
	child := w.at(i).first
	switch {
	case child == 0:
		w.issue(w.start(i), noResource, "There is no resource in this element; put one into it.")
	case w.at(child).next != 0:
		w.issue(w.start(i), twoResources, "There is more than one resource in this element; repeat the element for each.")
	case !w.belongs(child, i):
		child = 0
	}
	if child != 0 {
		w.resource(child, spec.R4().Resource(string(w.name(child))))
		return
	}
	w.json = append(w.json, `{"resourceType":"Parameters"}`...)
}

// strays reports attributes and text that have no place in element i. A nil t
// is for the element around a resource, which has no attributes.
func (w *xmlWalk) strays(i int32, t *spec.Type) {
	if w.at(i).text {
		w.issue(w.start(i), strayText, "There is text between the elements; the value of an element goes into its attribute value.")
	}
	for _, a := range w.attributes(i) {
		name := string(a.local.of(w.doc.src))
		switch {
		case a.prefixed():
			if i == 0 && a.space == xmlSchema && name == "schemaLocation" {
				continue
			}
		case t == nil:
		case name == "value" && t.Kind == spec.KindPrimitive, xmlAttribute(t, name):
			continue
		}
		if !plainName(name) {
			name = "..."
		}
		w.issue(a.start(), unknownAttribute, "There is no attribute "+name+" here; remove it, or write it as an element.")
	}
}

func (w *xmlWalk) attributes(i int32) []xmlAttr {
	e := w.at(i)
	return w.doc.attrs[e.attr:e.end]
}

// xmlAttribute reports whether the element of t named name is an attribute.
func xmlAttribute(t *spec.Type, name string) bool {
	p := t.Property([]byte(name))
	return p != nil && p.Element.Attribute
}

// belongs reports whether i is in the namespace of FHIR, as it has to be. An
// element in the same wrong namespace as its parent has been reported with it.
func (w *xmlWalk) belongs(i, parent int32) bool {
	space := w.at(i).space
	if space == xmlFHIR || space == w.at(parent).space && space != xmlXHTML {
		return true
	}
	w.issue(w.start(i), wrongNamespace, "The element "+w.echo(i)+" is not in the namespace "+xmlNamespace+"; only a narrative is in another.")
	return false
}

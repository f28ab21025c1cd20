package fhir

import (
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A Submission is a Bundle whose entries are requests: what a client sends to be
// carried out. https://hl7.org/fhir/R4/http.html#transaction
type Submission struct {
	Type     string // Bundle.type; empty when it is missing
	Entries  []Submitted
	Problems []Issue // of the Bundle apart from its entries
}

// A Submitted is one entry of a Submission. Texts that were not sent are empty.
type Submitted struct {
	FullURL         string
	Method          string
	URL             string
	IfMatch         string
	IfNoneMatch     string
	IfNoneExist     string
	IfModifiedSince string
	Resource        *Resource // nil without one, and when it has Problems
	Problems        []Issue   // what is structurally wrong with the entry, "Bundle.entry[3].resource.birthDate"
}

// DecodeSubmission reads a Bundle in JSON in one pass, and reports what is
// structurally wrong beside the entry that it is wrong in. The resources share the
// memory of src, which must not change. The error is an [*Outcome] when what was sent
// cannot be taken apart: no JSON, no Bundle, or more problems than are listed.
func DecodeSubmission(src []byte) (*Submission, error) {
	src, err := utf8Text(src, "JSON")
	if err != nil {
		return nil, err
	}
	return decodeSubmission(src, nil)
}

// DecodeSubmissionXML reads a Bundle in XML, as [DecodeSubmission] does in JSON.
func DecodeSubmissionXML(src []byte) (*Submission, error) {
	w, err := walkXML("Bundle", src)
	if err != nil {
		return nil, err
	}
	return decodeSubmission(w.json, w)
}

// maxSubmitted is how many elements all resources of a Submission have together.
const maxSubmitted = 4 * maxNodes

func decodeSubmission(src []byte, xml *xmlWalk) (*Submission, error) {
	d := newDecoder("Bundle", src)
	d.limit, d.parts = maxSubmitted, []inner{}
	ok := d.document()
	if xml != nil {
		xml.merge(d)
	}
	switch empty := len(d.tree.nodes) == 0; {
	case xml == nil && (!ok || empty || d.dropped > 0):
		return nil, &Outcome{Issues: d.list()}
	case xml != nil && (!ok || empty || xml.more):
		return nil, &Outcome{Issues: xml.issues()}
	}
	problems, from := d.problems, &origin{text: src}
	if xml != nil {
		problems, from = xml.problems, xml.origin()
	}
	d.tree.from.Store(from)
	s := &Submission{Type: Node{d.tree, 0}.Child("type").Text()}
	problems = append(s.entries(d), problems...)
	s.sort(placed(from.text, problems))
	return s, nil
}

// entries takes the entries off the tree, whose resources become trees of their own,
// and returns what is wrong with the entries themselves.
func (s *Submission) entries(d *decoder) []problem {
	var problems []problem
	nodes := make([]int32, 0, len(d.parts))
	s.Entries = make([]Submitted, 0, len(d.parts))
	for e := range (Node{d.tree, 0}).Each("entry") {
		n := Submitted{FullURL: e.Child("fullUrl").Text()}
		request := e.Child("request")
		if request.IsZero() {
			problems = append(problems, entryProblem(noRequest, e, "request", "Say what is to be done: request, with its method and url, is required in a batch and a transaction."))
		}
		for c := range request.Children() {
			n.set(c.Name(), c.Text())
		}
		if strings.Contains(n.FullURL, "/_history/") {
			problems = append(problems, entryProblem(versionedURL, e, "fullUrl", "A fullUrl names no version; leave /_history/ and what follows it out."))
		}
		nodes = append(nodes, e.i)
		s.Entries = append(s.Entries, n)
	}
	// Cutting a part off ends the walk over what is around it, so it comes last.
	part := 0
	for i, entry := range nodes {
		for part < len(d.parts) && d.parts[part].entry < entry {
			part++
		}
		if part < len(d.parts) && d.parts[part].entry == entry {
			s.Entries[i].Resource = d.parts[part].cut(d.tree)
		}
	}
	return problems
}

// entryProblem is what is wrong with an element of an entry.
func entryProblem(f fault, entry Node, element, text string) problem {
	at := entry.Child(element)
	if at.IsZero() {
		at = entry
	}
	is := f.issue()
	is.Expression, is.Text = entry.Path()+"."+element, text
	return problem{is, entry.tree.origin().sent(int(at.at().lo))}
}

func (n *Submitted) set(name, value string) {
	switch name {
	case "method":
		n.Method = value
	case "url":
		n.URL = value
	case "ifMatch":
		n.IfMatch = value
	case "ifNoneMatch":
		n.IfNoneMatch = value
	case "ifNoneExist":
		n.IfNoneExist = value
	case "ifModifiedSince":
		n.IfModifiedSince = value
	}
}

// sort puts each issue to the entry that it is about. What has problems is no
// resource that can be used.
func (s *Submission) sort(issues []Issue) {
	for _, is := range issues {
		i := entryOf(is.Expression)
		if i < 0 || i >= len(s.Entries) {
			s.Problems = append(s.Problems, is)
			continue
		}
		s.Entries[i].Problems = append(s.Entries[i].Problems, is)
	}
	for i := range s.Entries {
		if len(s.Entries[i].Problems) > 0 {
			s.Entries[i].Resource = nil
		}
	}
}

// entryOf returns the number of the entry that an expression points into, or -1.
func entryOf(expression string) int {
	rest, ok := strings.CutPrefix(expression, "Bundle.entry[")
	number, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(number)
	if !ok || !closed || err != nil {
		return -1
	}
	return i
}

// An inner is a resource that is decoded as an entry of a Submission.
type inner struct {
	entry  int32 // the node of the entry that it is in
	lo, hi int   // its nodes; empty when it is none
	top    []member
	meta   []member
	spaced bool
}

// part reads a resource in an entry of a Submission as d does the root of others.
func (d *decoder) part(entry int32, prop *spec.Property) bool {
	around := d.spaced
	d.spaced = false
	d.parts = append(d.parts, inner{entry: entry, lo: len(d.tree.nodes)})
	ok := d.named(entry, prop, -1)
	p := &d.parts[len(d.parts)-1]
	p.hi, p.spaced = len(d.tree.nodes), d.spaced
	d.spaced = d.spaced || around
	return ok
}

// isEntry reports whether the node at i is an entry of the Submission that d reads.
func (d *decoder) isEntry(i int32) bool {
	if d.parts == nil || i <= 0 {
		return false
	}
	n := &d.tree.nodes[i]
	return n.parent == 0 && n.prop.Element.Path == "Bundle.entry"
}

// cut makes p a resource of its own, in the same memory. What is left of t must not
// be walked over any more.
func (p *inner) cut(t *tree) *Resource {
	if p.lo == p.hi {
		return nil
	}
	nodes := t.nodes[p.lo:p.hi:p.hi]
	from, first := nodes[0].lo, int32(p.lo)
	src := t.src[from:nodes[0].hi:nodes[0].hi]
	for i := range nodes {
		n := &nodes[i]
		if !n.isGap() {
			n.lo, n.hi = n.lo-from, n.hi-from
		}
		for _, index := range []*int32{&n.parent, &n.first, &n.last, &n.next} {
			if *index != 0 {
				*index -= first
			}
		}
	}
	nodes[0].prop, nodes[0].parent, nodes[0].next, nodes[0].index = nil, 0, 0, -1
	for _, list := range [][]member{p.top, p.meta} {
		for i := range list {
			list[i].lo, list[i].hi = list[i].lo-int(from), list[i].hi-int(from)
		}
	}
	own := &tree{src: src, nodes: nodes, offset: int(from)}
	own.from.Store(t.origin())
	return &Resource{tree: own, top: p.top, meta: p.meta, spaced: p.spaced}
}

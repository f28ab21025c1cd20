package fhir

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	maxIssues = 100       // of one resource; further ones are counted, not listed
	maxNodes  = 1_000_000 // elements of one resource
)

// Decode reads one resource from JSON, which must be of the type named typ; an
// empty typ takes any. It reports everything that is structurally wrong in one
// [*Outcome]: syntax (only the first error, since nothing after it can be
// trusted), unknown, missing, repeated and empty elements, wrong JSON types,
// malformed primitives, codes outside required bindings, references to the
// wrong type. The resource keeps src, which must not change afterwards.
// https://hl7.org/fhir/R4/json.html
func Decode(typ string, src []byte) (*Resource, error) {
	src = bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	if !utf8.Valid(src) {
		return nil, Errorf(BadRequest, Structure, "", "The body is not valid UTF-8; send JSON encoded as UTF-8.")
	}
	d := newDecoder(typ, src)
	if !d.document() {
		d.issues = append(d.issues, d.problem)
	}
	if err := d.outcome(); err != nil {
		return nil, err
	}
	return &Resource{tree: d.tree, top: d.top, meta: d.meta, spaced: d.spaced}, nil
}

func newDecoder(typ string, src []byte) *decoder {
	t := &tree{src: src, nodes: make([]node, 0, len(src)/24+8)}
	return &decoder{scanner: scanner{src: src}, typ: typ, tree: t, limit: maxNodes}
}

// outcome returns an Outcome with all problems, or nil when there are none.
func (d *decoder) outcome() error {
	if d.dropped > 0 {
		d.issues = append(d.issues, Issue{Code: Processing, Text: fmt.Sprintf("There are %d further problems; they are not listed.", d.dropped)})
	}
	if len(d.issues) > 0 {
		return &Outcome{Issues: d.issues}
	}
	return nil
}

// A member is one property of the resource or of its meta, as it stands in the
// source.
type member struct {
	name   string // with its underscore, if it has one
	lo, hi int    // from the opening quote of the name to the end of the value
}

type decoder struct {
	scanner
	typ     string // demanded of the root; empty is any
	tree    *tree
	top     []member // of the root
	meta    []member // of the root's meta
	parts   []inner  // resources in entries of a Submission; nil for what is none
	limit   int      // of elements
	issues  []Issue
	dropped int
}

// An object is the bookkeeping for the JSON object being read.
type object struct {
	self   int32
	typ    *spec.Type
	seen   [8]uint64 // property slots, for duplicates
	filled [2]uint64 // orders of the elements that have a value or companion
	typed  bool      // resourceType was seen
	gaps   bool      // some primitive has a companion, or a null in its array
	mate   int32     // the node of the value that this companion, or of the companion that this value, belongs to
	odd    bool      // there were more values than companions, or the reverse
}

func (d *decoder) document() bool {
	if d.peek() != '{' {
		if d.pos >= len(d.src) {
			return d.fail(Structure, "The body is empty; send a resource as JSON")
		}
		return d.fail(Structure, "The body must be one JSON object, a resource")
	}
	if !d.resource(-1, nil, -1) {
		return false
	}
	if d.peek() != 0 || d.pos < len(d.src) {
		return d.fail(Structure, "There is more after the end of the resource; send one resource only")
	}
	return true
}

// add appends a node as the last child of parent.
func (d *decoder) add(parent int32, n node) (int32, bool) {
	i := int32(len(d.tree.nodes))
	if int(i) >= d.limit {
		return 0, d.fail(TooCostly, "The resource has more than %d elements", d.limit)
	}
	n.parent = max(parent, 0)
	d.tree.nodes = append(d.tree.nodes, n)
	if parent < 0 {
		return i, true
	}
	p := &d.tree.nodes[parent]
	if p.first == 0 {
		p.first = i
	} else {
		d.tree.nodes[p.last].next = i
	}
	p.last = i
	return i, true
}

// issue records a problem of the node at.
func (d *decoder) issue(at int32, code Code, format string, args ...any) {
	d.issueBelow(at, "", code, format, args...)
}

// issueBelow records a problem of a child of at that has no node.
func (d *decoder) issueBelow(at int32, child string, code Code, format string, args ...any) {
	if len(d.issues) >= maxIssues {
		d.dropped++
		return
	}
	var path []byte
	if int(at) < len(d.tree.nodes) {
		path = d.tree.appendPath(nil, at)
	}
	if child != "" {
		path = append(append(path, '.'), child...)
	}
	d.issues = append(d.issues, Issue{Code: code, Expression: string(path), Text: fmt.Sprintf(format, args...)})
}

// resource reads a resource, the root when parent is -1.
func (d *decoder) resource(parent int32, prop *spec.Property, index int32) bool {
	if d.isEntry(parent) {
		return d.part(parent, prop)
	}
	return d.named(parent, prop, index)
}

// named reads a resource of the type that it names itself.
func (d *decoder) named(parent int32, prop *spec.Property, index int32) bool {
	name, found, ok := d.resourceType()
	if !ok {
		return false
	}
	typ := spec.R4().Resource(name)
	root := parent < 0
	if root && d.typ != "" {
		if found && typ != nil && name != d.typ {
			d.issues = append(d.issues, Issue{Code: Invalid, Expression: name, Text: fmt.Sprintf("This address takes a %s; the body is a %s.", d.typ, name)})
			return d.skip()
		}
		typ = spec.R4().Resource(d.typ)
	}
	if !found || spec.R4().Resource(name) == nil {
		d.noType(parent, prop, index, name)
		if typ == nil {
			return d.skip()
		}
	}
	return d.complex(parent, node{prop: prop, typ: typ, index: index})
}

// complex reads a JSON object as a new child n of parent.
func (d *decoder) complex(parent int32, n node) bool {
	n.lo = uint32(d.pos)
	self, ok := d.add(parent, n)
	if !ok || !d.object(self) {
		return false
	}
	d.tree.nodes[self].hi = uint32(d.pos)
	if n.typ.Name == "Reference" {
		d.reference(self, n.prop.Targets)
	}
	return true
}

func (d *decoder) noType(parent int32, prop *spec.Property, index int32, name string) {
	text := "Say what this is: resourceType is missing."
	code := Required
	if name != "" {
		text, code = "This resourceType is not an R4 resource type; names are case-sensitive.", Value
	}
	if parent < 0 {
		d.issues = append(d.issues, Issue{Code: code, Expression: "resourceType", Text: text})
		return
	}
	child := prop.Element.Name
	if index >= 0 {
		child = fmt.Sprintf("%s[%d]", child, index)
	}
	d.issueBelow(parent, child, code, "%s", text)
}

// resourceType looks ahead for the resourceType of the object that begins at
// pos. It is the first property nearly always.
func (d *decoder) resourceType() (name string, found, ok bool) {
	pos, depth := d.pos, d.depth
	defer func() {
		if ok {
			d.pos, d.depth = pos, depth
		}
	}()
	if !d.enter() {
		return "", false, false
	}
	for first := true; d.peek() != '}'; first = false {
		if !first && !d.expect(',') {
			return "", false, false
		}
		key, ok := d.string()
		if !ok || !d.expect(':') {
			return "", false, false
		}
		if string(key.raw) != "resourceType" {
			if !d.skip() {
				return "", false, false
			}
			continue
		}
		if d.peek() != '"' {
			return "", true, true
		}
		s, ok := d.string()
		return string(s.text()), true, ok
	}
	return "", false, true
}

// object reads a JSON object as the children of node self.
func (d *decoder) object(self int32) bool {
	o := object{self: self, typ: d.tree.nodes[self].typ}
	if !d.enter() {
		return false
	}
	if d.peek() == '}' {
		d.issue(self, Structure, "This element is empty; give it content or leave it out.")
	}
	for first := true; d.peek() != '}'; first = false {
		if !first && !d.expect(',') {
			return false
		}
		if !d.property(&o) {
			return false
		}
	}
	d.leave()
	d.complete(&o)
	return true
}

// property reads one name and its value.
func (d *decoder) property(o *object) bool {
	d.peek()
	lo := d.pos
	key, ok := d.string()
	if !ok || !d.expect(':') {
		return false
	}
	name := "resourceType"
	p := o.typ.Property(key.raw)
	switch {
	case p != nil:
		name, ok = p.Name, d.known(o, p)
	case string(key.raw) == name && o.typ.Kind == spec.KindResource:
		ok = d.typeProperty(o)
	default:
		d.unknown(o, key)
		return d.skip()
	}
	d.remember(o.self, name, lo)
	return ok
}

// remember keeps where a property stands that has just been read, if it is one
// of the root or of its meta, or of those of a part.
func (d *decoder) remember(self int32, name string, lo int) {
	n := &d.tree.nodes[self]
	switch {
	case len(d.parts) > 0:
		p := &d.parts[len(d.parts)-1]
		switch {
		case int(self) == p.lo:
			p.top = append(p.top, member{name, lo, d.pos})
		case int(n.parent) == p.lo && n.prop.Name == "meta":
			p.meta = append(p.meta, member{name, lo, d.pos})
		}
	case self == 0:
		d.top = append(d.top, member{name, lo, d.pos})
	case n.parent == 0 && n.prop.Name == "meta":
		d.meta = append(d.meta, member{name, lo, d.pos})
	}
}

func (d *decoder) typeProperty(o *object) bool {
	if o.typed {
		d.issueBelow(o.self, "resourceType", Structure, "resourceType is given twice; keep one.")
	}
	o.typed = true
	return d.skip()
}

// known reads the value of a property that o's type has.
func (d *decoder) known(o *object, p *spec.Property) bool {
	e := p.Element
	if !mark(o.seen[:], p.Slot) {
		d.issueBelow(o.self, e.Name, Structure, "%s is given twice; keep one.", p.Name)
		return d.skip()
	}
	if !mark(o.filled[:], e.Order) && e.Choice {
		d.sameVariant(o, p)
	}
	isArray := d.peek() == '['
	switch {
	case isArray && !e.Repeats():
		d.issueBelow(o.self, e.Name, Structure, "%s does not repeat; send it without an array.", p.Name)
		return d.skip()
	case !isArray && e.Repeats():
		d.issueBelow(o.self, e.Name, Structure, "%s may repeat; send it as an array, even for one value.", p.Name)
		return d.skip()
	}
	o.mate = d.mate(o, p)
	if isArray {
		return d.array(o, p)
	}
	return d.value(o, p, -1)
}

// mark sets bit i of set and reports whether it was clear.
func mark(set []uint64, i int) bool {
	bit := uint64(1) << (i % 64)
	fresh := set[i/64]&bit == 0
	set[i/64] |= bit
	return fresh
}

// sameVariant makes sure that a choice has one type only. A value and its
// companion are the same variant.
func (d *decoder) sameVariant(o *object, p *spec.Property) {
	for i := d.tree.nodes[o.self].first; i != 0; i = d.tree.nodes[i].next {
		if q := d.tree.nodes[i].prop; q.Element == p.Element && q.Type != p.Type {
			d.issueBelow(o.self, p.Element.Name, Structure, "%s[x] may have one type only; it is given as %s and as %s.", p.Element.Name, q.Name, p.Name)
			return
		}
	}
}

// mate returns the first node that the counterpart of p made: the value's for a
// companion, the companion's for a value. It is 0 when there is none.
func (d *decoder) mate(o *object, p *spec.Property) int32 {
	if p.Type.Kind != spec.KindPrimitive || !p.Companion && !o.gaps {
		return 0
	}
	for i := d.tree.nodes[o.self].first; i != 0; i = d.tree.nodes[i].next {
		if q := d.tree.nodes[i].prop; q.Element == p.Element && q.Type == p.Type {
			return i
		}
	}
	return 0
}

func (d *decoder) array(o *object, p *spec.Property) bool {
	if !d.enter() {
		return false
	}
	if d.peek() == ']' {
		d.issueBelow(o.self, p.Element.Name, Structure, "The array is empty; give it content or leave it out.")
	}
	paired := o.mate != 0
	o.odd = false
	for i := int32(0); d.peek() != ']'; i++ {
		if i > 0 && !d.expect(',') {
			return false
		}
		d.peek()
		if !d.value(o, p, i) {
			return false
		}
	}
	if paired && (o.odd || o.mate != 0) {
		d.issueBelow(o.self, p.Element.Name, Structure, "The arrays of values and of their extensions differ in length; fill both up with null.")
	}
	return d.leave()
}

// value reads one value of p, the one at index in its array.
func (d *decoder) value(o *object, p *spec.Property, index int32) bool {
	switch {
	case p.Companion:
		return d.companion(o, p, index)
	case p.Type.Kind == spec.KindPrimitive:
		return d.primitiveValue(o, p, index)
	case d.peek() != '{':
		d.wrongType(o.self, p, index, "a JSON object")
		return d.skip()
	case p.Type.Kind == spec.KindResource:
		return d.resource(o.self, p, index)
	}
	return d.complex(o.self, node{prop: p, typ: p.Type, index: index})
}

func (d *decoder) wrongType(parent int32, p *spec.Property, index int32, want string) {
	child := p.Element.Name
	if index >= 0 {
		child = fmt.Sprintf("%s[%d]", child, index)
	}
	d.issueBelow(parent, child, Structure, "%s must be %s.", p.Name, want)
}

// primitiveValue reads the value of a primitive. A null in an array holds the
// place of a value that has only extensions.
func (d *decoder) primitiveValue(o *object, p *spec.Property, index int32) bool {
	self, ok := d.primitiveNode(o, p, index)
	if !ok {
		return false
	}
	if index >= 0 && d.peek() == 'n' {
		o.gaps = true
		return d.literal("null")
	}
	d.peek()
	lo := d.pos
	if !d.primitive(self, p) {
		return false
	}
	n := &d.tree.nodes[self]
	n.prop, n.lo, n.hi = p, uint32(lo), uint32(d.pos)
	return true
}

// companion reads the id and extensions of a primitive.
func (d *decoder) companion(o *object, p *spec.Property, index int32) bool {
	o.gaps = true
	self, ok := d.primitiveNode(o, p, index)
	if !ok {
		return false
	}
	c := d.peek()
	if index >= 0 && c == 'n' {
		return d.literal("null")
	}
	if n := &d.tree.nodes[self]; n.isGap() {
		n.lo, n.hi = uint32(d.pos), uint32(d.pos)
	}
	if c != '{' {
		d.wrongType(o.self, p, index, "a JSON object with the id and extensions of the value")
		return d.skip()
	}
	return d.object(self)
}

// primitiveNode returns the node of the primitive at index, which its
// counterpart may have made already.
func (d *decoder) primitiveNode(o *object, p *spec.Property, index int32) (int32, bool) {
	if o.mate == 0 {
		o.odd = true
		return d.add(o.self, node{prop: p, typ: p.Type, index: index})
	}
	self := o.mate
	o.mate = d.tree.nodes[self].next
	if o.mate != 0 && d.tree.nodes[o.mate].prop.Element != p.Element {
		o.mate = 0
	}
	return self, true
}

// complete checks what can only be known at the end of an object: that nothing
// required is missing, and that every null had an extension beside it.
func (d *decoder) complete(o *object) {
	for _, e := range o.typ.Elements {
		if e.Min > 0 && o.filled[e.Order/64]&(1<<(e.Order%64)) == 0 {
			d.issueBelow(o.self, e.Name, Required, "%s is required here and missing.", e.Name)
		}
	}
	if !o.gaps {
		return
	}
	for i := d.tree.nodes[o.self].first; i != 0; i = d.tree.nodes[i].next {
		if n := &d.tree.nodes[i]; n.typ.Kind == spec.KindPrimitive && n.isGap() {
			d.issue(i, Structure, "A null stands only where the same place of the _ array has an extension.")
		}
	}
}

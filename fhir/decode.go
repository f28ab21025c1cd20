package fhir

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	maxIssues = 100       // of one resource; further ones are counted, not listed
	maxNodes  = 1_000_000 // elements of one resource, or as many as have leastText
)

// Decode reads one resource from JSON, which must be of the type named typ; an
// empty typ takes any. It reports everything that is structurally wrong in one
// [*Outcome]: syntax (only the first error, since nothing after it can be
// trusted), unknown, missing, repeated and empty elements, wrong JSON types,
// malformed primitives, codes outside required bindings, references to the
// wrong type. The issues come in the order of src and say where in it they are.
// The resource keeps src, which must not change afterwards.
// https://hl7.org/fhir/R4/json.html
func Decode(typ string, src []byte) (*Resource, error) {
	src, err := utf8Text(src, "JSON")
	if err != nil {
		return nil, err
	}
	d := newDecoder(typ, src)
	d.document()
	if len(d.problems) > 0 {
		return nil, &Outcome{Issues: d.list()}
	}
	return d.decoded(), nil
}

// utf8Text returns src without a byte order mark. What is not UTF-8 is an [*Outcome],
// which says where.
func utf8Text(src []byte, form string) ([]byte, error) {
	src = bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	if utf8.Valid(src) {
		return src, nil
	}
	at := 0
	for at < len(src) {
		r, size := utf8.DecodeRune(src[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	is := badEncoding.issue()
	is.Text = "The body is not valid UTF-8; send " + form + " encoded as UTF-8."
	return nil, &Outcome{Issues: placed(src, []problem{{is, at}})}
}

// decoded returns what d has read.
func (d *decoder) decoded() *Resource {
	return &Resource{tree: d.tree, top: d.top, meta: d.meta, spaced: d.spaced}
}

func newDecoder(typ string, src []byte) *decoder {
	t := &tree{src: src, nodes: make([]node, 0, len(src)/24+8)}
	return &decoder{scanner: scanner{src: src}, typ: typ, tree: t, limit: maxNodes}
}

// A member is one property of the resource or of its meta, as it stands in the
// source.
type member struct {
	name   string // with its underscore, if it has one
	lo, hi int    // from the opening quote of the name to the end of the value
}

type decoder struct {
	scanner
	typ      string // demanded of the root; empty is any
	tree     *tree
	top      []member // of the root
	meta     []member // of the root's meta
	parts    []inner  // resources in entries of a Submission; nil for what is none
	limit    int      // of elements
	problems []problem
	dropped  int
}

// An object is the bookkeeping for the JSON object being read.
type object struct {
	self   int32
	typ    *spec.Type
	seen   [8]uint64 // property slots, for duplicates
	filled [2]uint64 // orders of the elements that have a value or companion
	typed  bool      // resourceType was seen
	gaps   bool      // some primitive has a companion, or a null in its array
	key    int       // where the property stands that is being read
	mate   int32     // the node of the value that this companion, or of the companion that this value, belongs to
	odd    bool      // there were more values than companions, or the reverse
}

// document reads all of src. A syntax error joins the problems.
func (d *decoder) document() bool {
	ok := d.whole()
	if !ok {
		d.problems = append(d.problems, d.broken)
	}
	return ok
}

func (d *decoder) whole() bool {
	if d.peek() != '{' {
		if d.pos >= len(d.src) {
			return d.fail(emptyBody, "The body is empty; send a resource as JSON")
		}
		return d.fail(noObject, "The body must be one JSON object, a resource")
	}
	if !d.resource(-1, nil, -1) {
		return false
	}
	if d.peek() != 0 || d.pos < len(d.src) {
		return d.fail(moreAfterEnd, "There is more after the end of the resource; send one resource only")
	}
	return true
}

// add appends a node as the last child of parent.
func (d *decoder) add(parent int32, n node) (int32, bool) {
	i := int32(len(d.tree.nodes))
	if int(i) >= d.limit && (d.parts != nil || d.pos-d.blanks < leastText*int(i)) {
		return 0, d.fail(tooManyElements, "The resource has more than %d elements; divide it", d.limit)
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
			d.issueAt(name, d.pos, wrongType, fmt.Sprintf("This address takes a %s; the body is a %s. Send it to the address of its type.", d.typ, name))
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
	text, f := "Say what this is: resourceType is missing.", noType
	if name != "" {
		text, f = "This resourceType is not an R4 resource type; use one that is. Names are case-sensitive.", unknownType
	}
	if parent < 0 {
		d.issueAt("resourceType", d.pos, f, text)
		return
	}
	d.issue(d.below(parent, indexed(prop.Element.Name, index), d.pos), f, "%s", text)
}

// indexed returns name with its index, if it has one.
func indexed(name string, index int32) string {
	if index < 0 {
		return name
	}
	return fmt.Sprintf("%s[%d]", name, index)
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
		d.issue(d.node(self), emptyElement, "This element is empty; give it content or leave it out.")
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
	o.key = lo
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
		d.issue(d.below(o.self, "resourceType", o.key), givenTwice, "resourceType is given twice; keep one.")
	}
	o.typed = true
	return d.skip()
}

// known reads the value of a property that o's type has.
func (d *decoder) known(o *object, p *spec.Property) bool {
	e := p.Element
	if !mark(o.seen[:], p.Slot) {
		d.issue(d.below(o.self, e.Name, o.key), givenTwice, "%s is given twice; keep one.", p.Name)
		return d.skip()
	}
	if !mark(o.filled[:], e.Order) && e.Choice {
		d.sameVariant(o, p)
	}
	isArray := d.peek() == '['
	switch {
	case isArray && !e.Repeats():
		d.issue(d.below(o.self, e.Name, d.pos), arrayRefused, "%s does not repeat; send it without an array.", p.Name)
		return d.skip()
	case !isArray && e.Repeats():
		d.issue(d.below(o.self, e.Name, d.pos), arrayRequired, "%s may repeat; send it as an array, even for one value.", p.Name)
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
			d.issue(d.below(o.self, p.Element.Name, o.key), twoVariants, "%s[x] may have one type only; it is given as %s and as %s. Keep one.", p.Element.Name, q.Name, p.Name)
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
	whole := d.below(o.self, p.Element.Name, d.pos)
	if !d.enter() {
		return false
	}
	if d.peek() == ']' {
		d.issue(whole, emptyArray, "The array is empty; give it content or leave it out.")
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
		d.issue(whole, unevenArrays, "The arrays of values and of their extensions differ in length; fill both up with null.")
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
	d.issue(d.below(parent, indexed(p.Element.Name, index), d.pos), wrongJSON, "%s must be %s.", p.Name, want)
}

// primitiveValue reads the value of a primitive. A null in an array holds the
// place of a value that has only extensions.
func (d *decoder) primitiveValue(o *object, p *spec.Property, index int32) bool {
	self, ok := d.primitiveNode(o, p, index)
	if !ok {
		return false
	}
	null := d.peek() == 'n'
	n := &d.tree.nodes[self]
	if index >= 0 && null {
		o.gaps = true
		if n.isGap() {
			n.lo = uint32(d.pos)
		}
		return d.literal("null")
	}
	n.prop, n.lo = p, uint32(d.pos)
	if !d.primitive(self, p) {
		return false
	}
	n.hi = uint32(d.pos)
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
			d.issue(d.below(o.self, e.Name, int(d.tree.nodes[o.self].lo)), missingElement, "%s is required here and missing; add it.", e.Name)
		}
	}
	if !o.gaps {
		return
	}
	for i := d.tree.nodes[o.self].first; i != 0; i = d.tree.nodes[i].next {
		if n := &d.tree.nodes[i]; n.typ.Kind == spec.KindPrimitive && n.isGap() {
			d.issue(d.node(i), strayNull, "A null stands only where the same place of the _ array has an extension; give a value or leave the place out.")
		}
	}
}

package fhir

import "bytes"

// A xmlElement is one element of a document. Its neighbours are given by index;
// 0 is none, since the root is nobody's child or sibling.
type xmlElement struct {
	name    xmlSpan // without its prefix
	markup  xmlSpan // of a narrative, in xmlParser.markup; it has no children here
	attr    int32   // its attributes: attrs[attr:end], declarations of namespaces left out
	end     int32
	first   int32
	next    int32
	space   xmlSpace
	text    bool // there is character data that is not blank
	foreign bool // a narrative with elements of other namespaces
}

// A xmlOpen is an element whose end tag is still to come.
type xmlOpen struct {
	name     xmlName
	bindings int   // of the elements around it
	element  int32 // -1 inside a narrative
	last     int32 // child
}

// A xmlParser makes elements of a document. It knows the rules of XML and
// namespaces, not those of FHIR.
type xmlParser struct {
	xmlScanner
	elements  []xmlElement
	attrs     []xmlAttr
	markup    []byte // of all narratives
	open      []xmlOpen
	bindings  []xmlBinding
	narrative int // depth at which one began, 0 outside
}

// document reads all of src. When it returns false, broken says why.
func (p *xmlParser) document() bool {
	if !p.declaration() {
		return false
	}
	for p.pos < len(p.src) {
		if !p.token() {
			return false
		}
	}
	switch {
	case len(p.open) > 0:
		return p.malformed("it ends before all elements are closed")
	case len(p.elements) == 0:
		return p.fail(emptyBody, "The body is empty; send a resource as XML")
	}
	return true
}

func (p *xmlParser) token() bool {
	start := p.pos
	ok := false
	switch {
	case p.src[p.pos] != '<':
		ok = p.characters()
	case p.has("</"):
		return p.endTag()
	case p.has("<!--"):
		ok = p.comment()
	case p.has("<![CDATA["):
		return p.cdata()
	case p.has("<!"), p.has("<?"):
		return p.refuse()
	default:
		return p.startTag()
	}
	if ok && p.narrative > 0 {
		p.markup = append(p.markup, p.src[start:p.pos]...)
	}
	return ok
}

func (p *xmlParser) characters() bool {
	start := p.pos
	n := bytes.IndexByte(p.src[start:], '<')
	if n < 0 {
		n = len(p.src) - start
	}
	p.pos += n
	at := xmlSpan{uint32(start), uint32(p.pos)}
	return p.text(start, at, false) && p.content(at)
}

// cdata takes a section for the text that it is: a narrative has none in JSON.
func (p *xmlParser) cdata() bool {
	p.pos += len("<![CDATA[")
	at, ok := p.span("]]>", "a CDATA section")
	switch {
	case !ok:
		return false
	case len(p.open) == 0:
		return p.malformed("a CDATA section stands outside of the resource")
	case p.narrative == 0:
		return p.content(at)
	}
	for _, c := range at.of(p.src) {
		switch c {
		case '&':
			p.markup = append(p.markup, "&amp;"...)
		case '<':
			p.markup = append(p.markup, "&lt;"...)
		case '>':
			p.markup = append(p.markup, "&gt;"...)
		default:
			p.markup = append(p.markup, c)
		}
	}
	return true
}

// content takes character data, which has no place outside narratives.
func (p *xmlParser) content(at xmlSpan) bool {
	blank := !bytes.ContainsFunc(at.of(p.src), func(r rune) bool { return r > ' ' })
	switch {
	case blank || p.narrative > 0:
	case len(p.open) == 0:
		p.pos = int(at.lo)
		return p.fail(strayText, "There is text outside of the resource; send one resource as XML")
	default:
		p.elements[p.open[len(p.open)-1].element].text = true
	}
	return true
}

func (p *xmlParser) startTag() bool {
	start := p.pos
	p.pos++
	name, ok := p.name()
	if !ok {
		return false
	}
	first := len(p.attrs)
	attrs, mark, ok := p.attributes(p.attrs, [2]string{">", "/>"})
	if !ok {
		return false
	}
	p.attrs = attrs
	end := p.pos
	p.pos = start
	around := len(p.bindings)
	if !p.bind(first) || !p.element(name, first, xmlSpan{uint32(start), uint32(end)}) {
		return false
	}
	p.pos = end
	p.open[len(p.open)-1].bindings = around
	if mark == 1 {
		p.closed()
	}
	return true
}

// element opens the element whose start tag is at tag.
func (p *xmlParser) element(name xmlName, first int, tag xmlSpan) bool {
	space := p.resolve(name.prefix)
	limit := xmlMaxDepth
	if p.narrative > 0 {
		limit = p.narrative + xhtmlMaxDepth
	}
	switch {
	case space == xmlUndeclared:
		return p.malformed("the prefix of an element is not declared")
	case len(p.open) == 0 && len(p.elements) > 0:
		return p.fail(moreAfterEnd, "There is more after the end of the resource; send one resource only")
	case len(p.open) >= limit:
		return p.fail(tooDeep, "The XML is nested deeper than %d levels; nest it less", limit)
	case p.narrative > 0:
		p.open = append(p.open, xmlOpen{name: name, element: -1})
		p.within(name, space, first, tag)
		return true
	}
	return p.add(name, space, first, tag)
}

// add makes a new element, the last child of the innermost open one.
func (p *xmlParser) add(name xmlName, space xmlSpace, first int, tag xmlSpan) bool {
	if len(p.elements) >= maxNodes {
		return p.fail(tooManyElements, "The resource has more than %d elements; divide it", maxNodes)
	}
	i := int32(len(p.elements))
	e := xmlElement{name: name.local, space: space, attr: int32(first)}
	if len(p.open) > 0 {
		parent := &p.open[len(p.open)-1]
		if parent.last == 0 {
			p.elements[parent.element].first = i
		} else {
			p.elements[parent.last].next = i
		}
		parent.last = i
	}
	p.open = append(p.open, xmlOpen{name: name, element: i})
	if space == xmlXHTML {
		p.narrative = len(p.open)
		e.markup.lo = uint32(len(p.markup))
		p.tag(name, first, tag)
		p.attrs = p.attrs[:first]
	}
	if !p.settle(first) {
		return false
	}
	e.end = int32(len(p.attrs))
	p.elements = append(p.elements, e)
	return true
}

// within takes the start tag of an element inside a narrative.
func (p *xmlParser) within(name xmlName, space xmlSpace, first int, tag xmlSpan) {
	if space != xmlXHTML {
		p.elements[p.open[p.narrative-1].element].foreign = true
	}
	p.tag(name, first, tag)
	p.attrs = p.attrs[:first]
}

func (p *xmlParser) endTag() bool {
	start := p.pos
	p.pos += len("</")
	name, ok := p.name()
	if !ok {
		return false
	}
	p.space()
	if !p.take(">") {
		return p.malformed(`expected ">" after the name of an end tag`)
	}
	if len(p.open) == 0 || !p.same(name, p.open[len(p.open)-1].name) {
		p.pos = start
		return p.malformed("this end tag does not match the start tag before it")
	}
	if p.narrative > 0 {
		p.markup = append(append(append(p.markup, "</"...), name.local.of(p.src)...), '>')
	}
	p.closed()
	return true
}

func (p *xmlParser) same(a, b xmlName) bool {
	return bytes.Equal(a.local.of(p.src), b.local.of(p.src)) && bytes.Equal(a.prefix.of(p.src), b.prefix.of(p.src))
}

// closed ends the innermost open element.
func (p *xmlParser) closed() {
	last := p.open[len(p.open)-1]
	if p.narrative == len(p.open) {
		p.elements[last.element].markup.hi = uint32(len(p.markup))
		p.narrative = 0
	}
	p.bindings = p.bindings[:last.bindings]
	p.open = p.open[:len(p.open)-1]
}

// tag appends a start tag to the markup: as it is, or without prefixes when it
// has one, since a narrative in JSON has none.
func (p *xmlParser) tag(name xmlName, first int, at xmlSpan) {
	root := p.narrative == len(p.open)
	raw := at.of(p.src)
	if !name.prefixed() && (!root || p.declaresDefault(first)) {
		p.markup = append(p.markup, raw...)
		return
	}
	p.markup = append(append(p.markup, '<'), name.local.of(p.src)...)
	if root {
		p.markup = append(p.markup, ` xmlns="`+xhtmlNamespace+`"`...)
	}
	for _, a := range p.attrs[first:] {
		if _, ok := p.declares(a); ok {
			continue
		}
		lo := a.local.lo
		if a.prefixed() {
			lo = a.prefix.lo
		}
		// One more byte, for the quote after the value.
		p.markup = append(append(p.markup, ' '), p.src[lo:a.value.hi+1]...)
	}
	if bytes.HasSuffix(raw, []byte("/>")) {
		p.markup = append(p.markup, '/')
	}
	p.markup = append(p.markup, '>')
}

func (p *xmlParser) declaresDefault(first int) bool {
	for _, a := range p.attrs[first:] {
		if prefix, ok := p.declares(a); ok && prefix.hi == 0 {
			return true
		}
	}
	return false
}

package fhir

import "bytes"

// An xhtmlScanner walks over a narrative once. Its methods move i past what they
// accept, and return the sentence for the author when they accept nothing.
type xhtmlScanner struct {
	s       []byte
	i       int
	depth   int
	open    [xhtmlMaxDepth][]byte      // names of the elements around i
	attrs   [xhtmlMaxAttributes][]byte // names in the start tag being read
	rooted  bool                       // the root element has begun
	content bool                       // there is text or an image, as txt-2 asks
}

func (x *xhtmlScanner) next() string {
	rest := x.s[x.i:]
	switch {
	case rest[0] != '<':
		return x.text()
	case bytes.HasPrefix(rest, []byte("</")):
		return x.endTag()
	case bytes.HasPrefix(rest, []byte("<!--")):
		return x.comment()
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		// A browser reads it as a comment that ends at the first ">", so it hides
		// text or brings markup in it to life.
		return `Write the text of the narrative without a CDATA section, "<" as "&lt;".`
	case bytes.HasPrefix(rest, []byte("<!")):
		return "Remove the document type declaration from the narrative."
	case bytes.HasPrefix(rest, []byte("<?")):
		return "Remove the XML declaration or processing instruction from the narrative."
	}
	return x.startTag()
}

func (x *xhtmlScanner) end() string {
	switch {
	case x.depth > 0:
		return xhtmlSay("Close the element", x.open[x.depth-1], " of the narrative with an end tag.")
	case !x.rooted:
		return `Write the narrative as one element "div" with xmlns="` + xhtmlNamespace + `".`
	case !x.content:
		return "Give the narrative some text or an image, or leave it out."
	}
	return ""
}

func (x *xhtmlScanner) text() string {
	for start := x.i; x.i < len(x.s) && x.s[x.i] != '<'; {
		c, next := x.s[x.i], x.i+1
		switch {
		case xhtmlSpace(c):
			x.i = next
			continue
		case x.depth == 0:
			return `Move the text of the narrative into its element "div".`
		case c == '>' && bytes.HasSuffix(x.s[start:x.i], []byte("]]")):
			return `Write "]]>" in the text of the narrative as "]]&gt;".`
		case c == '&':
			r, n := xhtmlRune(x.s, x.i)
			if n == 0 {
				return xhtmlBadReference
			}
			next = n
			x.content = x.content || r > ' '
		default:
			x.content = true
		}
		x.i = next
	}
	return ""
}

// comment refuses what an HTML parser takes for the end of a comment where an
// XML parser does not: https://html.spec.whatwg.org/#comment-start-state.
func (x *xhtmlScanner) comment() string {
	body := x.s[x.i+len("<!--"):]
	n := bytes.Index(body, []byte("--"))
	switch {
	case bytes.HasPrefix(body, []byte(">")), bytes.HasPrefix(body, []byte("->")):
		return `Remove the ">" from the start of the comment in the narrative.`
	case n < 0 || !bytes.HasPrefix(body[n:], []byte("-->")):
		return `End every comment in the narrative with "-->", and write no other "--" in it.`
	}
	x.i += len("<!--") + n + len("-->")
	return ""
}

func (x *xhtmlScanner) endTag() string {
	x.i += len("</")
	name := x.name()
	x.space()
	switch {
	case x.i == len(x.s) || x.s[x.i] != '>':
		return xhtmlSay("Complete the end tag", name, ` of the narrative with ">".`)
	case x.depth == 0 || !bytes.Equal(name, x.open[x.depth-1]):
		return xhtmlSay("Put the end tag", name, " of the narrative after a start tag of the same name, with everything between them closed.")
	}
	x.i++
	x.depth--
	return ""
}

func (x *xhtmlScanner) startTag() string {
	x.i++
	name := x.name()
	if msg := x.place(name); msg != "" {
		return msg
	}
	namespaced := x.rooted
	for n := 0; ; n++ {
		spaced := x.space()
		switch {
		case x.closes("/>"):
			x.rooted = true
			return xhtmlUnlessNamespaced(namespaced)
		case x.closes(">"):
			x.open[x.depth] = name
			x.depth++
			x.rooted = true
			return xhtmlUnlessNamespaced(namespaced)
		case !spaced:
			return xhtmlSay("Put a space between the attributes of the element", name, ` of the narrative, and end its tag with ">".`)
		case n == xhtmlMaxAttributes:
			return xhtmlSay("Give the element", name, " of the narrative fewer attributes: at most 32 are accepted.")
		}
		if msg := x.attribute(n); msg != "" {
			return msg
		}
		namespaced = namespaced || string(x.attrs[n]) == "xmlns"
		x.content = x.content || string(name) == "img" && string(x.attrs[n]) == "src"
	}
}

// place says whether an element of this name may begin here.
func (x *xhtmlScanner) place(name []byte) string {
	switch {
	case len(name) == 0:
		return `Write "<" in the text of the narrative as "&lt;".`
	case !xhtmlElement(name):
		return xhtmlRefusedElement(name)
	case x.depth == 0 && (x.rooted || string(name) != "div"):
		return `Put everything in the narrative into one element "div".`
	case x.depth == xhtmlMaxDepth:
		return "Nest the elements of the narrative less deeply: at most 64 levels are accepted."
	}
	return ""
}

// attribute reads the n-th attribute of a start tag, name="value".
func (x *xhtmlScanner) attribute(n int) string {
	name := x.name()
	x.space()
	if !x.closes("=") {
		return xhtmlSay("Write the attribute", name, ` of the narrative as name="value".`)
	}
	x.space()
	value, ok := x.quoted()
	if !ok {
		return xhtmlSay("Put the value of the attribute", name, " of the narrative in quotes.")
	}
	for _, other := range x.attrs[:n] {
		if bytes.Equal(other, name) {
			return xhtmlSay("Write the attribute", name, " of the narrative only once in a tag.")
		}
	}
	x.attrs[n] = name
	return xhtmlAttribute(name, value)
}

func (x *xhtmlScanner) quoted() ([]byte, bool) {
	if x.i == len(x.s) || x.s[x.i] != '"' && x.s[x.i] != '\'' {
		return nil, false
	}
	rest := x.s[x.i+1:]
	n := bytes.IndexByte(rest, x.s[x.i])
	if n < 0 {
		return nil, false
	}
	x.i += n + 2
	return rest[:n], true
}

func (x *xhtmlScanner) name() []byte {
	start := x.i
	for x.i < len(x.s) && xhtmlNameByte(x.s[x.i]) {
		x.i++
	}
	return x.s[start:x.i]
}

func xhtmlNameByte(c byte) bool {
	switch {
	case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9':
		return true
	}
	return c == ':' || c == '_' || c == '-' || c == '.'
}

func (x *xhtmlScanner) space() bool {
	start := x.i
	for x.i < len(x.s) && xhtmlSpace(x.s[x.i]) {
		x.i++
	}
	return x.i > start
}

func (x *xhtmlScanner) closes(mark string) bool {
	if len(x.s)-x.i < len(mark) || string(x.s[x.i:x.i+len(mark)]) != mark {
		return false
	}
	x.i += len(mark)
	return true
}

package web

import (
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The longest narrative that is shown, in bytes, and the deepest. An HTML parser
// opens elements again when blocks cut them off, so that it makes up to length
// times depth of them: the limits keep that small here and in the browser.
const (
	narrativeLimit = 64 << 10
	narrativeDepth = 32
)

// allowed is what of a narrative reaches a page: the elements of FHIR's list
// without those that load or style anything. The URLs in it are checked again.
// https://hl7.org/fhir/R4/narrative.html#xhtml
var allowed = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("abbr", "acronym", "address", "b", "big", "blockquote", "br", "caption", "cite", "code",
		"col", "colgroup", "dd", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
		"kbd", "li", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody",
		"td", "tfoot", "th", "thead", "tr", "tt", "ul", "var")
	p.AllowNoAttrs().OnElements("big")
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`^(ltr|rtl)$`)).Globally()
	p.AllowAttrs("lang").Matching(regexp.MustCompile(`^[A-Za-z0-9-]{1,35}$`)).Globally()
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[0-9]{1,2}$`)).OnElements("td", "th")
	p.AllowAttrs("scope").Matching(regexp.MustCompile(`^(row|col|rowgroup|colgroup)$`)).OnElements("th")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("href").OnElements("a")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(true)
	p.AllowURLSchemes("http", "https")
	return p
})

// selfClosed finds the empty elements of XML, which HTML takes for start tags.
var selfClosed = regexp.MustCompile(`<([A-Za-z][A-Za-z0-9]*)([^<>]*)/>`)

// narrative returns the XHTML of a narrative as HTML that can stand in a page:
// cleaned of everything that runs, loads, styles or leads elsewhere, and closed
// in itself, so that it cannot end the element around it. It returns an error
// for a narrative that is too long, too deep or not well-formed.
func narrative(div string, b base) (template.HTML, error) {
	if len(div) > narrativeLimit {
		return "", fmt.Errorf("narrative has %d bytes", len(div))
	}
	clean := allowed().Sanitize(selfClosed.ReplaceAllStringFunc(div, closed))
	if !nested(clean) {
		return "", errors.New("narrative is too deep or not well-formed")
	}
	around := &html.Node{Type: html.ElementNode, Data: "section", DataAtom: atom.Section}
	nodes, err := html.ParseFragment(strings.NewReader(clean), around)
	if err != nil {
		return "", fmt.Errorf("parse narrative: %w", err)
	}
	for _, n := range nodes {
		around.AppendChild(n)
	}
	rewrite(around, b)
	var out strings.Builder
	for n := range around.ChildNodes() {
		if err := html.Render(&out, n); err != nil {
			return "", fmt.Errorf("render narrative: %w", err)
		}
	}
	return template.HTML(out.String()), nil
}

// closed writes an empty element of XML as HTML.
func closed(tag string) string {
	m := selfClosed.FindStringSubmatch(tag)
	if isVoid(strings.ToLower(m[1])) {
		return tag
	}
	return "<" + m[1] + m[2] + "></" + m[1] + ">"
}

// isVoid reports whether an element of a narrative has no end tag in HTML.
func isVoid(name string) bool {
	return name == "br" || name == "hr" || name == "img" || name == "col"
}

// nested reports whether every element of clean ends where it should and none
// is too deep.
func nested(clean string) bool {
	var open []string
	for z := html.NewTokenizer(strings.NewReader(clean)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return len(open) == 0
		}
		tag, _ := z.TagName()
		name := string(tag)
		switch {
		case name == "" || isVoid(name):
		case kind == html.EndTagToken && (len(open) == 0 || open[len(open)-1] != name):
			return false
		case kind == html.EndTagToken:
			open = open[:len(open)-1]
		case len(open) == narrativeDepth:
			return false
		default:
			open = append(open, name)
		}
	}
}

// rewrite fits what is below parent into the page: its headings stand below the
// page's own, pictures become what their text says, and links lead to this
// server or are none.
func rewrite(parent *html.Node, b base) {
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		rewrite(n, b)
		switch n.DataAtom {
		case atom.H1, atom.H2, atom.H3:
			rename(n, atom.Lookup([]byte{'h', n.Data[1] + 2}))
		case atom.H4, atom.H5:
			rename(n, atom.H6)
		case atom.Img:
			picture(n)
		case atom.A:
			relink(n, b)
		}
		n = next
	}
}

func rename(n *html.Node, a atom.Atom) { n.DataAtom, n.Data = a, a.String() }

func picture(n *html.Node) {
	text := &html.Node{Type: html.TextNode, Data: "[picture: " + attribute(n, "alt") + "]"}
	n.Parent.InsertBefore(text, n)
	n.Parent.RemoveChild(n)
}

// relink lets n lead to the address of this server that it names. An anchor that
// names none gives way to its content.
func relink(n *html.Node, b base) {
	if url := b.reference(attribute(n, "href")); url != "" {
		n.Attr = []html.Attribute{{Key: "href", Val: url}}
		return
	}
	for c := n.FirstChild; c != nil; c = n.FirstChild {
		n.RemoveChild(c)
		n.Parent.InsertBefore(c, n)
	}
	n.Parent.RemoveChild(n)
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

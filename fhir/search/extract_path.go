package search

import (
	"slices"
	"strconv"
	"strings"
)

// A path is one alternative of an expression, in the simple form that those of
// R4 have: elements one below the other, some of them narrowed. What is not
// simple is left to FHIRPath.
type path struct {
	from  string // a resource type, "%resource", or "" for below the focus
	hops  []hop
	is    string // with where(resolve() is T): T
	truth bool   // P.exists() and P != false
}

// A hop goes from an element to its children of one name.
type hop struct {
	name string
	as   string // only those of this type; empty for all
	only []guard
}

// A guard lets some of the children pass.
type guard struct {
	child     string // has a child of this name with this value
	value     string
	extension string // has an extension with this URL
	index     int    // is at this place, counted from 1; 0 for any
}

// parsePaths takes an expression apart. It is not ok for one that is not simple.
func parsePaths(source string) (paths []path, ok bool) {
	if subject, rest, is := strings.Cut(source, ".exists() and "); is && rest == subject+" != false" {
		paths, ok = parsePaths(subject)
		ok = ok && len(paths) == 1 && len(paths[0].hops) == 1
		if ok {
			paths[0].truth = true
		}
		return paths, ok
	}
	p := pathParser{text: source, ok: true}
	paths = p.union()
	return paths, p.ok && p.text == ""
}

// A pathParser reads a path off the front of text. A fault clears ok, and then
// nothing more is read.
type pathParser struct {
	text string
	ok   bool
}

func (p *pathParser) fail() { p.ok, p.text = false, "" }

func (p *pathParser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n") }

// take reads token if it is next.
func (p *pathParser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
		p.space()
	}
	return ok
}

func (p *pathParser) want(token string) {
	if !p.take(token) {
		p.fail()
	}
}

// word reads an identifier.
func (p *pathParser) word() string {
	p.space()
	n := 0
	for n < len(p.text) && isWord(p.text[n], n) {
		n++
	}
	word := p.text[:n]
	if n == 0 {
		p.fail()
		return ""
	}
	p.text = p.text[n:]
	return word
}

func isWord(c byte, at int) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || at > 0 && c >= '0' && c <= '9'
}

// literal reads a string without escapes.
func (p *pathParser) literal() string {
	p.want("'")
	text, rest, ok := strings.Cut(p.text, "'")
	if !ok || strings.Contains(text, `\`) {
		p.fail()
		return ""
	}
	p.text = rest
	p.space()
	return text
}

func (p *pathParser) typeName() string {
	name := p.word()
	if name == "FHIR" && p.take(".") {
		return p.word()
	}
	return name
}

func (p *pathParser) union() []path {
	paths := p.term()
	for p.take("|") {
		paths = append(paths, p.term()...)
	}
	p.space()
	return paths
}

func (p *pathParser) term() []path {
	var paths []path
	if p.take("(") {
		paths = p.union()
		if p.take("as ") {
			p.narrow(paths, p.typeName())
		}
		p.want(")")
	} else {
		paths = []path{p.start()}
	}
	for p.ok {
		switch {
		case p.take("."):
			p.step(paths)
		case p.take("["):
			p.index(paths)
		default:
			return paths
		}
	}
	return nil
}

func (p *pathParser) start() path {
	if p.take("%resource") {
		return path{from: "%resource"}
	}
	name := p.word()
	if name != "" && name[0] >= 'A' && name[0] <= 'Z' {
		return path{from: name}
	}
	return path{hops: []hop{{name: name}}}
}

// step reads what follows a dot and puts it at the end of each path.
func (p *pathParser) step(paths []path) {
	name := p.word()
	if !p.take("(") {
		p.each(paths, func(at *path) { at.hops = append(slices.Clip(at.hops), hop{name: name}) })
		return
	}
	switch name {
	case "as", "ofType":
		p.narrow(paths, p.typeName())
	case "where":
		p.where(paths)
	case "extension":
		url := p.literal()
		p.each(paths, func(at *path) { at.hops = append(slices.Clip(at.hops), hop{name: "extension"}) })
		p.guard(paths, guard{child: "url", value: url})
	default:
		p.fail()
	}
	p.want(")")
}

func (p *pathParser) where(paths []path) {
	switch name := p.word(); {
	case name == "resolve":
		p.want("()")
		p.want("is ")
		is := p.typeName()
		p.each(paths, func(at *path) { at.is = is })
	case name == "hasExtension":
		p.want("(")
		p.guard(paths, guard{extension: p.literal()})
		p.want(")")
	default:
		p.want("=")
		p.guard(paths, guard{child: name, value: p.literal()})
	}
}

func (p *pathParser) index(paths []path) {
	digits, rest, closed := strings.Cut(p.text, "]")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || !closed {
		p.fail()
		return
	}
	p.text = rest
	p.eachHop(paths, func(last *hop) {
		if len(last.only) > 0 {
			p.fail() // counts those that passed, not all
		}
		last.only = append(last.only, guard{index: int(n) + 1})
	})
}

// each changes every path, unless it has come to its end.
func (p *pathParser) each(paths []path, change func(*path)) {
	for i := range paths {
		if paths[i].is != "" {
			p.fail()
			return
		}
		change(&paths[i])
	}
}

// narrow lets only elements of a type pass.
func (p *pathParser) narrow(paths []path, typ string) {
	p.eachHop(paths, func(last *hop) {
		if last.as != "" || len(last.only) > 0 {
			p.fail()
		}
		last.as = typ
	})
}

func (p *pathParser) guard(paths []path, g guard) {
	p.eachHop(paths, func(last *hop) { last.only = append(last.only, g) })
}

// eachHop changes the last hop of every path.
func (p *pathParser) eachHop(paths []path, change func(*hop)) {
	p.each(paths, func(at *path) {
		if len(at.hops) == 0 {
			p.fail()
			return
		}
		change(&at.hops[len(at.hops)-1])
	})
}

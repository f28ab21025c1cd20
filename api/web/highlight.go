package web

import (
	"encoding/json"
	"html/template"
	"strings"
)

// A painter writes JSON as HTML: keys, strings, numbers and words in spans, and
// the addresses of this server as links. It takes any text; what it does not
// know as JSON comes out escaped.
type painter struct {
	base base
	out  strings.Builder
	key  string // the key that the next value belongs to, as it is written
}

// highlight returns text, which should be JSON, as the content of a pre.
func highlight(text string, b base) template.HTML {
	p := painter{base: b}
	p.out.Grow(4 * len(text))
	for text != "" {
		n := tokenLength(text)
		p.paint(text[:n], text[n:])
		text = text[n:]
	}
	return template.HTML(p.out.String())
}

// tokenLength returns how many bytes the first token of text has: a string with
// its quotes, a number or a word, or a run of anything else. A string without an
// end is all of text.
func tokenLength(text string) int {
	switch {
	case text[0] == '"':
		return stringLength(text)
	case isWord(text[0]):
		return runLength(text, isWord)
	}
	return runLength(text, func(c byte) bool { return c != '"' && !isWord(c) })
}

func stringLength(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func runLength(text string, in func(byte) bool) int {
	for i := range len(text) {
		if !in(text[i]) {
			return i
		}
	}
	return len(text)
}

func isWord(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.'
}

// paint writes one token. What comes after a string says whether it is a key.
func (p *painter) paint(token, rest string) {
	switch c := token[0]; {
	case c == '"' && strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ":"):
		p.key = token
		p.span("k", token)
	case c == '"':
		p.value(token)
	case c == '-' || c >= '0' && c <= '9':
		p.span("n", token)
	case isWord(c):
		p.span("w", token)
	default:
		p.text(token)
	}
}

// value writes a string that is a value, with a link inside its quotes if it
// leads somewhere on this server.
func (p *painter) value(token string) {
	url := p.target(token)
	if url == "" {
		p.span("s", token)
		return
	}
	p.out.WriteString(`<span class="s">"<a href="`)
	p.text(url)
	p.out.WriteString(`">`)
	p.text(token[1 : len(token)-1])
	p.out.WriteString(`</a>"</span>`)
}

// target returns the address that a value leads to, or an empty string.
func (p *painter) target(token string) string {
	var value string
	if len(token) > 2048 || json.Unmarshal([]byte(token), &value) != nil {
		return ""
	}
	if p.key == `"reference"` || p.key == `"url"` {
		return p.base.reference(value)
	}
	return p.base.absolute(value)
}

func (p *painter) span(class, token string) {
	p.out.WriteString(`<span class="` + class + `">`)
	p.text(token)
	p.out.WriteString(`</span>`)
}

func (p *painter) text(s string) { template.HTMLEscape(&p.out, []byte(s)) }

package search

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
)

// filter reads _filter. https://hl7.org/fhir/R4/search_filter.html
func (p *parser) filter(name, value string) Condition {
	if name != "_filter" {
		p.refuse(fhir.NotSupported, "_filter takes no modifier.")
		return nil
	}
	if utf8.RuneCountInString(value) > MaxFilter {
		p.fatal = true
		p.refuse(fhir.TooLong, "_filter has %d characters at most.", MaxFilter)
		return nil
	}
	r := filterReader{text: value}
	e := r.expression(0)
	r.space()
	if r.problem == "" && r.text != "" {
		r.fail("Write and, or, or nothing more here.")
	}
	if r.problem != "" {
		p.fatal = p.fatal || r.tooDeep
		p.refuse(fhir.Value, "_filter cannot be read from character %d on. %s", 1+utf8.RuneCountInString(value[:len(value)-len(r.failedAt)]), r.problem)
		return nil
	}
	types := p.query.Types
	if len(types) == 0 {
		types = []string{everyType}
	}
	return p.compare(filterScope{types: types}, e)
}

// A filterNode is an expression of a _filter: a comparison, a conjunction, a
// disjunction, or a negation.
type filterNode interface{ filterNode() }

type (
	comparison struct {
		path     []filterStep
		operator string
		value    string
	}
	junction struct {
		or    bool
		nodes []filterNode
	}
	negation struct{ node filterNode }
)

func (*comparison) filterNode() {}
func (*junction) filterNode()   {}
func (*negation) filterNode()   {}

// A filterStep is a parameter of a path, with what else must hold of what it
// leads to.
type filterStep struct {
	name  string
	where filterNode // nil for nothing
}

// A filterReader reads the text of a _filter from front to back.
type filterReader struct {
	text     string
	problem  string // the first, as a sentence
	failedAt string // what was left then
	tooDeep  bool
}

func (r *filterReader) fail(problem string) {
	if r.problem == "" {
		r.problem, r.failedAt = problem, r.text
	}
	r.text = ""
}

func (r *filterReader) space() { r.text = strings.TrimLeftFunc(r.text, unicode.IsSpace) }

// next takes a character after white space.
func (r *filterReader) next(c byte) bool {
	r.space()
	if r.text == "" || r.text[0] != c {
		return false
	}
	r.text = r.text[1:]
	return true
}

// word takes letters, whatever their case, if they are the word wanted.
func (r *filterReader) word(want string) bool {
	r.space()
	n := 0
	for n < len(r.text) && isNameByte(r.text[n]) {
		n++
	}
	if !strings.EqualFold(r.text[:n], want) {
		return false
	}
	r.text = r.text[n:]
	return true
}

// expression reads filters joined by and and or, from left to right with no
// precedence between them.
func (r *filterReader) expression(depth int) filterNode {
	if depth > MaxNesting {
		r.tooDeep = true
		r.fail("Parentheses and brackets are too deep.")
		return nil
	}
	left := r.term(depth)
	for r.problem == "" {
		or := r.word("or")
		if !or && !r.word("and") {
			break
		}
		right := r.term(depth)
		if j, ok := left.(*junction); ok && j.or == or {
			j.nodes = append(j.nodes, right)
			continue
		}
		left = &junction{or, []filterNode{left, right}}
	}
	return left
}

func (r *filterReader) term(depth int) filterNode {
	before := r.text
	negated := r.word("not")
	if r.next('(') {
		e := r.expression(depth + 1)
		if r.problem == "" && !r.next(')') {
			r.fail("A closing parenthesis is missing.")
		}
		if negated {
			return &negation{e}
		}
		// What is in parentheses is one: nothing joins it from outside.
		return &junction{nodes: []filterNode{e}}
	}
	r.text = before
	return r.comparison(depth)
}

func (r *filterReader) comparison(depth int) filterNode {
	c := &comparison{path: r.path(depth)}
	r.space()
	n := 0
	for n < len(r.text) && isLetter(r.text[n]) {
		n++
	}
	c.operator = strings.ToLower(r.text[:n])
	if !isOperator(c.operator) {
		r.fail("An operator is missing; valid are: eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni, re.")
		return nil
	}
	r.text = r.text[n:]
	c.value = r.value()
	return c
}

func isOperator(s string) bool {
	switch s {
	case "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re":
		return true
	}
	return false
}

// path reads name, name.path or name[filter].path.
func (r *filterReader) path(depth int) []filterStep {
	var path []filterStep
	for r.problem == "" {
		s := filterStep{name: r.name()}
		bracket := r.problem == "" && strings.HasPrefix(r.text, "[")
		if bracket {
			r.text = r.text[1:]
			s.where = r.expression(depth + 1)
			if r.problem == "" && !r.next(']') {
				r.fail("A closing bracket is missing.")
			}
		}
		path = append(path, s)
		if !strings.HasPrefix(r.text, ".") {
			if bracket {
				r.fail("A bracket is followed by a point and the parameter that is compared.")
			}
			break
		}
		r.text = r.text[1:]
	}
	return path
}

// name reads the code of a parameter; a colon and a type may follow that of a
// reference.
func (r *filterReader) name() string {
	r.space()
	n := 0
	for n < len(r.text) && (isNameByte(r.text[n]) || n > 0 && r.text[n] == ':') {
		n++
	}
	if n == 0 || !isLetter(r.text[0]) && r.text[0] != '_' {
		r.fail("The name of a search parameter is missing.")
		return ""
	}
	name := r.text[:n]
	r.text = r.text[n:]
	return name
}

func isNameByte(c byte) bool {
	return isLetter(c) || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// value reads a JSON string, or what has no white space, parenthesis or bracket.
func (r *filterReader) value() string {
	before := r.text
	if r.space(); r.text == before || r.text == "" {
		r.fail("A space and a value are missing.")
		return ""
	}
	if r.text[0] == '"' {
		return r.quoted()
	}
	n := strings.IndexFunc(r.text, func(c rune) bool { return unicode.IsSpace(c) || c == ')' || c == ']' })
	if n < 0 {
		n = len(r.text)
	}
	value := r.text[:n]
	if value == "" {
		r.fail("A value is missing.")
	}
	r.text = strings.TrimPrefix(r.text, value)
	return value
}

func (r *filterReader) quoted() string {
	end := 1
	for end < len(r.text) && r.text[end] != '"' {
		if r.text[end] == '\\' {
			end++
		}
		end++
	}
	var value string
	if end >= len(r.text) || json.Unmarshal([]byte(r.text[:end+1]), &value) != nil {
		r.fail("A text is written in quotation marks as in JSON.")
		return ""
	}
	if value == "" {
		r.fail("A text that is asked for is not empty; pr asks whether there is one.")
		return ""
	}
	r.text = r.text[end+1:]
	return value
}

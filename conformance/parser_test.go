package conformance_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A parser turns the lines of a script into steps.
type parser struct {
	name  string
	lines []string
	next  int
	files map[string]string
	steps []step

	actors []actor // who sends requests, if the server has sign-in
	open   int     // line of the request whose status nobody has expected yet; 0 is none
}

var (
	requestLine = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ((?:\S|\{fill [0-9]+\})+)$`)
	headerLine  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*):(?: (.*))?$`)
	onceLine    = regexp.MustCompile(`^at once ([2-9]|[1-9][0-9])$`)
	letLine     = regexp.MustCompile(`^let ([a-z][A-Za-z0-9]*) = (.+)$`)
)

func (p *parser) step() error {
	text := p.lines[p.next]
	switch {
	case strings.TrimSpace(text) == "", strings.HasPrefix(text, "#"):
		p.next++
		return nil
	case strings.HasPrefix(text, "= "):
		return p.one(text, text[len("= "):], p.expectation)
	case letLine.MatchString(text):
		return p.one(text, text, parseLet)
	case awaitLine.MatchString(text):
		return p.one(text, text, parseAwait)
	case strings.HasPrefix(text, "as "), strings.HasPrefix(text, "or "):
		return p.actor(text)
	case text == "restart":
		return p.one(text, text, func(string) (func(*session) error, error) { return (*session).restart, nil })
	case onceLine.MatchString(text):
		n, err := strconv.Atoi(onceLine.FindStringSubmatch(text)[1])
		if err != nil {
			return p.errorf("%w", err)
		}
		p.next++
		return p.request(n)
	}
	return p.request(1)
}

// actor adds a step after which requests are sent by somebody, or one that
// says that somebody else may send them as well.
func (p *parser) actor(text string) error {
	who, err := parseActor(text[len("as "):])
	if err != nil {
		return p.errorf("%q: %w", text, err)
	}
	if text[:2] == "or" {
		return p.one(text, text, func(string) (func(*session) error, error) {
			return func(c *session) error { c.others = append(c.others, who); return nil }, nil
		})
	}
	if len(p.actors) == 0 && len(p.steps) > 0 {
		return p.errorf("say who sends the first request before it")
	}
	p.actors = append(p.actors, who)
	return p.one(text, text, func(string) (func(*session) error, error) {
		return func(c *session) error { return c.become(who) }, nil
	})
}

// one adds a step of a single line.
func (p *parser) one(text, rest string, parse func(string) (func(*session) error, error)) error {
	do, err := parse(rest)
	if err != nil {
		return p.errorf("%q: %w", text, err)
	}
	p.next++
	p.steps = append(p.steps, step{line: p.next, text: text, do: do})
	return nil
}

// expectation parses an expectation and notes that the status is settled.
func (p *parser) expectation(text string) (func(*session) error, error) {
	if statusText.MatchString(text) || strings.HasPrefix(text, "statuses ") {
		p.open = 0
	}
	return parseExpectation(text)
}

// settled makes sure that no answer goes by without a look at its status.
func (p *parser) settled() error {
	if p.open != 0 {
		return fmt.Errorf("%s:%d: no status is expected of this request; add a line like = 200", p.name, p.open)
	}
	return nil
}

// request adds a step that sends a request n times at once. It takes the
// request line, headers and body.
func (p *parser) request(n int) error {
	if err := p.settled(); err != nil {
		return err
	}
	if p.next == len(p.lines) || !requestLine.MatchString(p.lines[p.next]) {
		return p.errorf("this is no command: %q", p.lines[min(p.next, len(p.lines)-1)])
	}
	text := p.lines[p.next]
	m := requestLine.FindStringSubmatch(text)
	r := request{method: m[1], path: m[2]}
	p.next++
	p.open = p.next
	for ; p.next < len(p.lines) && headerLine.MatchString(p.lines[p.next]); p.next++ {
		h := headerLine.FindStringSubmatch(p.lines[p.next])
		r.headers = append(r.headers, [2]string{h[1], h[2]})
	}
	body, err := p.body()
	if err != nil {
		return err
	}
	r.body = body
	do := func(c *session) error { return c.send(r, n) }
	p.steps = append(p.steps, step{line: p.open, text: text, do: do, request: &r})
	return nil
}

// body takes the lines up to an empty line or an expectation, or the file that
// they refer to.
func (p *parser) body() (string, error) {
	var lines []string
	for ; p.next < len(p.lines) && p.lines[p.next] != "" && !strings.HasPrefix(p.lines[p.next], "= "); p.next++ {
		if requestLine.MatchString(p.lines[p.next]) {
			return "", p.errorf("this is no body; put an empty line before a command")
		}
		lines = append(lines, p.lines[p.next])
	}
	name, isFile := strings.CutPrefix(strings.Join(lines, "\n"), "< ")
	if !isFile {
		return name, nil
	}
	text, ok := p.files[name]
	if !ok {
		p.next--
		return "", p.errorf("the script has no file %q", name)
	}
	return text, nil
}

// errorf makes an error about the next line.
func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: "+format, append([]any{p.name, p.next + 1}, args...)...)
}

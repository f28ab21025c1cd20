package conformance_test

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	letJSON   = regexp.MustCompile(`^json (\S+)(?: ~ (.+))?$`)
	letHeader = regexp.MustCompile(`^header ([A-Za-z0-9-]+)(?: ~ (.+))?$`)
	newID     = regexp.MustCompile(`/[A-Z][A-Za-z]+/([A-Za-z0-9.-]+)/_history/`)
)

// parseLet reads a line that names a part of the last answer.
func parseLet(text string) (func(*session) error, error) {
	m := letLine.FindStringSubmatch(text)
	name, what := m[1], m[2]
	var part func(c *session) (string, error)
	switch {
	case what == "id":
		part = theID
	case what == "body":
		part = func(c *session) (string, error) { return c.last[0].answer, nil }
	case letJSON.MatchString(what):
		v := letJSON.FindStringSubmatch(what)
		part = func(c *session) (string, error) { return theValue(c, v[1], v[2]) }
	case letHeader.MatchString(what):
		h := letHeader.FindStringSubmatch(what)
		part = func(c *session) (string, error) { return theHeader(c, h[1], h[2]) }
	default:
		return nil, fmt.Errorf("name one of json PATH, header NAME, id, body")
	}
	return func(c *session) error {
		if len(c.last) != 1 {
			return fmt.Errorf("there is not one answer to take it from")
		}
		v, err := part(c)
		if err != nil {
			return c.failed("%w", err)
		}
		c.names[name] = v
		return nil
	}, nil
}

// theID is the id of the resource in the answer or, when there is none, of the
// one that Location names.
func theID(c *session) (string, error) {
	if values, err := find(c.last[0].tree, "id"); err == nil && len(values) == 1 {
		return plain(values[0]), nil
	}
	m := newID.FindStringSubmatch(c.last[0].header.Get("Location"))
	if m == nil {
		return "", fmt.Errorf("neither the body nor Location says the id")
	}
	return m[1], nil
}

// theValue is the value at a path, or what the first group of the pattern matches
// in it.
func theValue(c *session, path, pattern string) (string, error) {
	values, err := find(c.last[0].tree, path)
	if err == nil && len(values) != 1 {
		err = fmt.Errorf("there are %d values at %s, not one", len(values), path)
	}
	if err != nil {
		return "", err
	}
	return c.matched(plain(values[0]), pattern)
}

// theHeader is the value of a header, or what the first group of the pattern
// matches in it.
func theHeader(c *session, name, pattern string) (string, error) {
	value := strings.Join(c.last[0].header.Values(name), ", ")
	if value == "" {
		return "", fmt.Errorf("there is no header %s", name)
	}
	return c.matched(value, pattern)
}

// matched returns what the first group of the pattern matches in value, and all
// of value if there is no pattern.
func (c *session) matched(value, pattern string) (string, error) {
	if pattern == "" {
		return value, nil
	}
	p, err := c.fillPattern(pattern)
	if err != nil {
		return "", err
	}
	m := p.FindStringSubmatch(value)
	if len(m) != 2 {
		return "", fmt.Errorf("%q does not match, or the pattern has not one group", value)
	}
	return m[1], nil
}

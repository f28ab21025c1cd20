package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A session is one run of a script: what it has named and the last answers.
type session struct {
	target *subject
	client *http.Client
	names  map[string]string
	last   []exchange // one; more after "at once"
	shown  bool       // the last exchange has been printed
	by     actor      // who sends requests; the zero actor on a server without sign-in
	token  string     // of by
	others []actor    // who else may send what by sends
}

func newSession(target *subject) *session {
	c := &session{target: target, names: map[string]string{"base": target.base}}
	c.client = &http.Client{
		Transport: &http.Transport{DisableCompression: true},
		Timeout:   time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return c
}

// restart stops the server and starts it again on the same database.
func (c *session) restart() error {
	if c.target.restart == nil {
		return errors.New("this server cannot be restarted")
	}
	c.client.CloseIdleConnections()
	c.target.restart()
	c.names["base"] = c.target.base
	return nil
}

// become has who send the requests that follow, with a new token if the server
// has sign-in.
func (c *session) become(who actor) error {
	c.by, c.token, c.others = who, "", nil
	if c.target.door == nil {
		return nil
	}
	token, err := c.target.door.token(context.Background(), who)
	if err != nil {
		return fmt.Errorf("get a token for %s: %w", who.text, err)
	}
	c.token, c.names["token"] = token, token
	return nil
}

// send sends r n times at once and keeps the answers.
func (c *session) send(r request, n int) error {
	c.last, c.shown = make([]exchange, n), false
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		filled, err := c.fillRequest(r, i+1)
		if err != nil {
			return err
		}
		wg.Go(func() { c.last[i], errs[i] = filled.send(c.client, c.target.base) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, x := range c.last {
		if err := x.always(); err != nil {
			return c.failed("%w", err)
		}
	}
	return nil
}

// fillRequest puts values into the names of r. Within copy n of requests sent
// at once, {n} is n.
func (c *session) fillRequest(r request, n int) (request, error) {
	c.names["n"] = strconv.Itoa(n)
	defer delete(c.names, "n")
	var errs []error
	fill := func(s string) string {
		s, err := c.fill(s)
		errs = append(errs, err)
		return s
	}
	filled := request{method: r.method, path: fill(r.path), body: fill(r.body)}
	for _, h := range r.headers {
		filled.headers = append(filled.headers, [2]string{h[0], fill(h[1])})
	}
	if c.token != "" && !slices.ContainsFunc(r.headers, func(h [2]string) bool { return h[0] == "Authorization" }) {
		filled.headers = append(filled.headers, [2]string{"Authorization", "Bearer " + c.token})
	}
	return filled, errors.Join(errs...)
}

var placeholder = regexp.MustCompile(`\{(?:[a-z][A-Za-z0-9]*|fill [0-9]+)\}`)

// fill puts values into the placeholders {name} and {fill N} of s.
func (c *session) fill(s string) (string, error) {
	return c.fillWith(s, func(v string) string { return v })
}

// fillPattern is fill for a regular expression, in which values stand for
// themselves.
func (c *session) fillPattern(s string) (*regexp.Regexp, error) {
	s, err := c.fillWith(s, regexp.QuoteMeta)
	if err != nil {
		return nil, err
	}
	return regexp.Compile("(?s)" + s)
}

func (c *session) fillWith(s string, quote func(string) string) (string, error) {
	var unknown error
	s = placeholder.ReplaceAllStringFunc(s, func(m string) string {
		name := m[1 : len(m)-1]
		if size, ok := strings.CutPrefix(name, "fill "); ok {
			n, err := strconv.Atoi(size)
			unknown = errors.Join(unknown, err)
			return strings.Repeat("x", min(n, 1<<28))
		}
		v, ok := c.names[name]
		if !ok {
			unknown = fmt.Errorf("nothing is named %s yet", name)
		}
		return quote(v)
	})
	return s, unknown
}

// failed makes an error that shows the last exchange, once.
func (c *session) failed(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if c.shown {
		return err
	}
	c.shown = true
	var shown strings.Builder
	for _, x := range c.last {
		shown.WriteString(x.String())
	}
	return fmt.Errorf("%w\n%s", err, shown.String())
}

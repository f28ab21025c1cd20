package conformance_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	statusText   = regexp.MustCompile(`^[1-5][0-9][0-9](\|[1-5][0-9][0-9])*$`)
	statusesText = regexp.MustCompile(`^statuses [1-5][0-9][0-9]( [1-5][0-9][0-9])+$`)
	headerText   = regexp.MustCompile(`^header ([A-Za-z0-9-]+) (.+)$`)
	noHeaderText = regexp.MustCompile(`^no header ([A-Za-z0-9-]+)$`)
	jsonText     = regexp.MustCompile(`^json (\S+)(?: (.+))?$`)
	noJSONText   = regexp.MustCompile(`^no json (\S+)$`)
	countText    = regexp.MustCompile(`^count (\S+) ([0-9]+)$`)
	issueText    = regexp.MustCompile(`^issue ([a-z|-]+)(?: (\S+))?$`)
	bodyText     = regexp.MustCompile(`^body (.+)$`)
	noBodyText   = regexp.MustCompile(`^no body(?: ~ (.+))?$`)
)

// parseExpectation reads what follows "= " in a script.
func parseExpectation(text string) (func(*session) error, error) {
	for _, form := range []struct {
		text  *regexp.Regexp
		check func(c *session, args []string) error
	}{
		{statusText, checkStatus},
		{statusesText, checkStatuses},
		{headerText, checkHeader},
		{noHeaderText, checkNoHeader},
		{jsonText, checkJSON},
		{noJSONText, checkNoJSON},
		{countText, checkCount},
		{issueText, checkIssue},
		{bodyText, checkBody},
		{noBodyText, checkNoBody},
		{foundText, checkFound},
	} {
		if m := form.text.FindStringSubmatch(text); m != nil {
			return func(c *session) error { return c.check(form.check, m) }, nil
		}
	}
	return nil, fmt.Errorf("this is no expectation")
}

func (c *session) check(check func(*session, []string) error, args []string) error {
	many := strings.HasPrefix(args[0], "statuses ")
	switch {
	case len(c.last) == 0:
		return fmt.Errorf("no request was sent yet")
	case many != (len(c.last) > 1):
		return fmt.Errorf("statuses belongs to requests sent at once, and is all that can be expected of them")
	}
	if err := check(c, args); err != nil {
		return c.failed("%w", err)
	}
	return nil
}

func checkStatus(c *session, args []string) error {
	if got := strconv.Itoa(c.last[0].status); !slices.Contains(strings.Split(args[0], "|"), got) {
		return fmt.Errorf("the status is %s", got)
	}
	return nil
}

func checkStatuses(c *session, args []string) error {
	want := strings.Fields(args[0])[1:]
	var got []string
	for _, x := range c.last {
		got = append(got, strconv.Itoa(x.status))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the statuses are %v", got)
	}
	return nil
}

func checkHeader(c *session, args []string) error {
	values := c.last[0].header.Values(args[1])
	if len(values) == 0 {
		return fmt.Errorf("there is no header %s", args[1])
	}
	return c.compare(strings.Join(values, ", "), args[2])
}

func checkNoHeader(c *session, args []string) error {
	if v := c.last[0].header.Values(args[1]); len(v) > 0 {
		return fmt.Errorf("the header is there: %v", v)
	}
	return nil
}

func checkJSON(c *session, args []string) error {
	values, err := find(c.last[0].tree, args[1])
	if err != nil {
		return err
	}
	differs := fmt.Errorf("there is nothing at %s", args[1])
	for _, v := range values {
		differs = c.compare(plain(v), args[2])
		if differs == nil {
			return nil
		}
	}
	return differs
}

func checkNoJSON(c *session, args []string) error {
	values, err := find(c.last[0].tree, args[1])
	switch {
	case err != nil:
		return err
	case c.last[0].tree == nil:
		return fmt.Errorf("the answer is not JSON")
	case len(values) > 0:
		return fmt.Errorf("it is there: %s", plain(values[0]))
	}
	return nil
}

func checkCount(c *session, args []string) error {
	values, err := find(c.last[0].tree, args[1])
	if err != nil {
		return err
	}
	n := len(values)
	if n == 1 {
		if array, ok := values[0].([]any); ok {
			n = len(array)
		}
	}
	if strconv.Itoa(n) != args[2] {
		return fmt.Errorf("there are %d", n)
	}
	return nil
}

// checkIssue looks for one issue with one of the codes and, if given, exactly
// the expression.
func checkIssue(c *session, args []string) error {
	want, err := c.fill(args[2])
	if err != nil {
		return err
	}
	issues, err := find(c.last[0].tree, "issue[*]")
	if err != nil {
		return err
	}
	for _, issue := range issues {
		code := members([]any{issue}, "code")
		at := items(members([]any{issue}, "expression"), "*")
		isCode := len(code) > 0 && slices.Contains(strings.Split(args[1], "|"), plain(code[0]))
		if isCode && (want == "" || slices.Contains(at, any(want))) {
			return nil
		}
	}
	return fmt.Errorf("there is no such issue")
}

func checkBody(c *session, args []string) error {
	return c.compare(c.last[0].answer, args[1])
}

func checkNoBody(c *session, args []string) error {
	x := c.last[0]
	if args[1] == "" {
		if x.answer != "" {
			return fmt.Errorf("there is a body of %d bytes", len(x.answer))
		}
		return nil
	}
	pattern, err := c.fillPattern(args[1])
	if err != nil {
		return err
	}
	if found := pattern.FindString(x.answer); found != "" {
		return fmt.Errorf("it is there: %.200q", found)
	}
	return nil
}

// compare holds got against what a script wants: "~ REGEXP", "> VALUE", or the
// text itself; an empty want is content with anything.
func (c *session) compare(got, want string) error {
	if rest, ok := strings.CutPrefix(want, "~ "); ok {
		pattern, err := c.fillPattern(rest)
		if err == nil && !pattern.MatchString(got) {
			err = fmt.Errorf("it is %.500q", got)
		}
		return err
	}
	if rest, ok := strings.CutPrefix(want, "> "); ok {
		rest, err := c.fill(rest)
		if err == nil && !after(got, rest) {
			err = fmt.Errorf("it is %.500q, not after %q", got, rest)
		}
		return err
	}
	want, err := c.fill(want)
	if err == nil && want != "" && got != want {
		err = fmt.Errorf("it is %.500q", got)
	}
	return err
}

// after compares two instants or HTTP dates.
func after(got, than string) bool {
	for _, layout := range []string{time.RFC3339Nano, http.TimeFormat} {
		a, errA := time.Parse(layout, got)
		b, errB := time.Parse(layout, than)
		if errA == nil && errB == nil {
			return a.After(b)
		}
	}
	return false
}

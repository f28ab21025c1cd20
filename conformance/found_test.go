package conformance_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	foundText = regexp.MustCompile(`^(match|include)e?s( in order)?((?: [A-Za-z0-9./{}-]+)*)$`)
	awaitLine = regexp.MustCompile(`^await (.+)$`)
)

// checkFound compares the entries of a searchset that have a mode with what is
// wanted: ids, or types with ids.
func checkFound(c *session, args []string) error {
	if text(c.last[0].tree, "type") != "searchset" {
		return errors.New("this is no searchset")
	}
	entries, err := find(c.last[0].tree, "entry[*]")
	if err != nil {
		return err
	}
	var got []string
	names, err := c.fill(args[3])
	if err != nil {
		return err
	}
	want := strings.Fields(names)
	for _, e := range entries {
		if text(e, "search.mode") != args[1] {
			continue
		}
		name := text(e, "resource.id")
		if len(want) > 0 && strings.Contains(want[0], "/") {
			name = text(e, "resource.resourceType") + "/" + name
		}
		got = append(got, name)
	}
	if args[2] == "" {
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("they are %v", got)
	}
	return nil
}

// text returns the value at a path, or an empty string.
func text(tree any, path string) string {
	values, err := find(tree, path)
	if err != nil || len(values) != 1 {
		return ""
	}
	return plain(values[0])
}

// awaited is how long a script waits for what the server does by itself.
const awaited = 30 * time.Second

// parseAwait reads a line that sends the last request again until an expectation
// holds.
func parseAwait(line string) (func(*session) error, error) {
	expect, err := parseExpectation(awaitLine.FindStringSubmatch(line)[1])
	if err != nil {
		return nil, err
	}
	return func(c *session) error {
		if len(c.last) != 1 {
			return errors.New("there is no request to send again")
		}
		deadline := time.After(awaited)
		for {
			unmet := expect(c)
			if unmet == nil {
				return nil
			}
			select {
			case <-deadline:
				return unmet
			case <-time.After(20 * time.Millisecond):
			}
			if err := c.send(c.last[0].request, 1); err != nil {
				return err
			}
		}
	}, nil
}

package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// What is heard, an answer, is what the server has said to a step.
type heard struct {
	status int
	header http.Header
	body   string
	tree   *fhir.Resource // nil when the body is none
}

func newHeard(resp *http.Response, body []byte) heard {
	a := heard{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if len(body) > 0 {
		// What is no resource has no elements, which is then found to be wrong.
		a.tree, _ = fhir.Decode("", body)
	}
	return a
}

// values returns what a FHIRPath expression finds in the answer, as text.
func (a heard) values(path string) ([]string, error) {
	e, err := fhirpath.Compile(path)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", path, err)
	}
	if a.tree == nil {
		return nil, nil
	}
	found, err := e.EvaluateNode(a.tree.Root(), nil)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", path, err)
	}
	var all []string
	for _, item := range found {
		all = append(all, item.Text())
	}
	return all, nil
}

// text returns the first thing that a FHIRPath expression finds, or "".
func (a heard) text(path string) string {
	if all, err := a.values(path); err == nil && len(all) > 0 {
		return all[0]
	}
	return ""
}

// key returns what the answer is about: "Task/1".
func (a heard) key() string {
	if a.tree != nil && a.tree.ID() != "" {
		return a.tree.Type() + "/" + a.tree.ID()
	}
	return ""
}

// A check looks at an answer, and returns what of it is worth showing, and what is wrong
// with it, if anything is.
type check func(a heard) (shown, wrong string)

// status expects a status.
func status(code int) check {
	return func(a heard) (string, string) {
		if a.status == code {
			return "", ""
		}
		return "", fmt.Sprintf("the status should be %d", code)
	}
}

// gives expects that a FHIRPath expression finds exactly this, with commas in between. Of
// nothing it is never right: what should have been known is not.
func gives(path, want string) check {
	return func(a heard) (string, string) {
		all, err := a.values(path)
		if err != nil {
			return "", err.Error()
		}
		if got := strings.Join(all, ", "); got != want || want == "" {
			return "", fmt.Sprintf("%s should be %q and is %q", path, want, got)
		}
		return path + " = " + want, ""
	}
}

// holds expects that a FHIRPath expression is true, which is said in words.
func holds(words, path string) check {
	return func(a heard) (string, string) {
		all, err := a.values(path)
		if err != nil {
			return "", err.Error()
		}
		if len(all) != 1 || all[0] != "true" {
			return "", fmt.Sprintf("it is not so that %s (%s)", words, path)
		}
		return words, ""
	}
}

// has expects a header that a regular expression matches.
func has(name, pattern string) check {
	return func(a heard) (string, string) {
		if got := a.header.Get(name); !regexp.MustCompile(pattern).MatchString(got) {
			return "", fmt.Sprintf("the header %s is %q and should match %s", name, got, pattern)
		}
		return name + ": " + a.header.Get(name), ""
	}
}

// lacks expects that nowhere in the body is a text.
func lacks(words, text string) check {
	return func(a heard) (string, string) {
		if strings.Contains(a.body, text) {
			return "", "the answer has " + text
		}
		return words, ""
	}
}

// refused expects a refusal with a code of ours.
func refused(code int, detail string) []check {
	return []check{status(code), gives("issue.details.coding.code.first()", detail)}
}

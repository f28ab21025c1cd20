package fhir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A problem is an Issue before its place is told in lines and columns.
type problem struct {
	Issue
	at int // where in the text that was read
}

// A spot is what a problem is about: a node, or a child of one that has no node.
type spot struct {
	node  int32
	child string // "given[1]"; empty for the node itself
	at    int    // where in the text
}

// node is the spot of the node at i.
func (d *decoder) node(i int32) spot { return spot{node: i, at: int(d.tree.nodes[i].lo)} }

// below is the spot of a child of the node at i, which stands at the given place.
func (d *decoder) below(i int32, child string, at int) spot { return spot{i, child, at} }

// issue records a problem.
func (d *decoder) issue(s spot, f fault, format string, args ...any) {
	if len(d.problems) >= maxIssues {
		d.dropped++
		return
	}
	var path []byte
	if int(s.node) < len(d.tree.nodes) {
		path = d.tree.appendPath(nil, s.node)
	}
	if s.child != "" {
		path = append(append(path, '.'), s.child...)
	}
	d.issueAt(string(path), s.at, f, fmt.Sprintf(format, args...))
}

// issueAt records a problem with an expression of its own.
func (d *decoder) issueAt(expression string, at int, f fault, text string) {
	is := f.issue()
	is.Expression, is.Text = expression, text
	d.problems = append(d.problems, problem{is, at})
}

// list returns the issues of all problems, and one that says how many more there are.
func (d *decoder) list() []Issue {
	issues := placed(d.src, d.problems)
	if d.dropped > 0 {
		issues = append(issues, furtherProblems(fmt.Sprintf("There are %d further problems; they are not listed. Mend these first.", d.dropped)))
	}
	return issues
}

func furtherProblems(text string) Issue {
	is := moreProblems.issue()
	is.Text = text
	return is
}

// placed returns the issues of problems in the order of the text that the client
// sent, and says where in it they are.
func placed(text []byte, problems []problem) []Issue {
	slices.SortStableFunc(problems, func(a, b problem) int { return cmp.Compare(a.at, b.at) })
	c := cursor{line: 1, column: 1}
	var issues []Issue
	for _, p := range problems {
		c.move(text, p.at)
		p.Line, p.Column = c.line, c.column
		if p.Severity == Fatal {
			p.Text = fmt.Sprintf("%s (line %d, column %d).", strings.TrimSuffix(p.Text, "."), p.Line, p.Column)
		}
		issues = append(issues, p.Issue)
	}
	return issues
}

package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// maxIssues of one resource are listed; further ones are counted.
const maxIssues = 100

// arrange brings issues into the order of the resource, and of the rules where there
// are several of one element, and leaves out what is said twice.
func arrange(root fhir.Node, issues []fhir.Issue) []fhir.Issue {
	if len(issues) < 2 {
		return issues
	}
	issues = unique(issues)
	places := locate(root, issues)
	slices.SortStableFunc(issues, func(a, b fhir.Issue) int {
		return cmp.Or(cmp.Compare(places[a.Expression], places[b.Expression]), cmp.Compare(a.Expression, b.Expression), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Severity, b.Severity))
	})
	return issues
}

// shorten lists 100 issues, those that refuse before others, and counts the rest
// together with those that were not kept.
func shorten(issues []fhir.Issue, dropped int) []fhir.Issue {
	dropped += max(0, len(issues)-maxIssues)
	if dropped == 0 {
		return issues
	}
	refusing := 0
	for _, is := range issues {
		if refuses(is) {
			refusing++
		}
	}
	room := map[bool]int{true: min(refusing, maxIssues), false: max(0, maxIssues-refusing)}
	listed := slices.DeleteFunc(issues, func(is fhir.Issue) bool {
		room[refuses(is)]--
		return room[refuses(is)] < 0
	})
	rest := fhir.Issue{Code: fhir.Processing, Severity: fhir.Warning, Detail: "more-problems"}
	if refusing > 0 {
		rest.Severity = fhir.Error
	}
	rest.Text = fmt.Sprintf("Mend these first: there are %d further problems, which are not listed.", dropped)
	return append(listed, rest)
}

// unique leaves out what is said twice: an invariant that a profile repeats, and one
// that several profiles have.
func unique(issues []fhir.Issue) []fhir.Issue {
	type said struct{ expression, detail, rule, text string }
	seen := map[said]bool{}
	return slices.DeleteFunc(issues, func(is fhir.Issue) bool {
		k := said{is.Expression, is.Detail, is.Rule, ""}
		switch {
		case is.Code == fhir.Invariant && is.Detail != "":
			k.rule = ""
		case is.Rule == "":
			k.text = is.Text
		}
		again := seen[k]
		seen[k] = true
		return again
	})
}

// A step leads from an element to one of its children. The index is -1 without one.
type step struct {
	name  string
	index int
}

// A place is an element that an expression leads to or through.
type place struct {
	rank  int // among all places, in the order of the resource; -1 until it is known
	below map[step]*place
}

func newPlace() *place { return &place{rank: -1, below: map[step]*place{}} }

// locate numbers the expressions of issues in the order of the resource, in one walk.
// What is missing has the number of the element that it is missing in.
func locate(root fhir.Node, issues []fhir.Issue) map[string]int {
	top, ends := newPlace(), map[string]*place{}
	for _, is := range issues {
		if ends[is.Expression] == nil {
			ends[is.Expression] = top.end(is.Expression)
		}
	}
	next := 0
	top.number(root, &next)
	ranks := map[string]int{}
	for expression, p := range ends {
		ranks[expression] = p.rank
	}
	return ranks
}

// end returns the place below p that an expression leads to.
func (p *place) end(expression string) *place {
	_, path, _ := strings.Cut(expression, ".")
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		s := stepOf(name)
		if p.below[s] == nil {
			p.below[s] = newPlace()
		}
		p = p.below[s]
	}
	return p
}

func stepOf(s string) step {
	if name, rest, ok := strings.Cut(s, "["); ok {
		if i, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); err == nil {
			return step{name, i}
		}
	}
	return step{s, -1}
}

// number numbers p, which is n, and all below it.
func (p *place) number(n fhir.Node, next *int) {
	p.rank = *next
	*next++
	if len(p.below) == 0 {
		return
	}
	for c := range n.Children() {
		for _, s := range [...]step{{c.Name(), -1}, {c.Name(), c.Index()}} {
			if q := p.below[s]; q != nil && q.rank < 0 {
				q.number(c, next)
			}
		}
	}
	p.missing()
}

// missing gives what is not there the number of p.
func (p *place) missing() {
	for _, q := range p.below {
		if q.rank < 0 {
			q.rank = p.rank
			q.missing()
		}
	}
}

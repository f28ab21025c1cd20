package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// The modes of an entry. https://hl7.org/fhir/R4/valueset-search-entry-mode.html
const (
	modeMatch   = "match"
	modeInclude = "include"
	modeOutcome = "outcome"
)

// An answered is a page of a search about to be written.
type answered struct {
	interaction.Found
	page    interaction.Page
	address string // that the search can be sent to by GET, without a query
	cursor  string // of the page link that was followed; empty for a search
	own     string // what the request asks of the form of its answer, as a query
}

// bundle returns the searchset: first the matches in their order, then what they
// include, then what there is to say about the search.
// https://hl7.org/fhir/R4/bundle.html#searchset
func (a *answered) bundle(s *interaction.Session, base string) (*fhir.Bundle, error) {
	b := &fhir.Bundle{Type: "searchset", Total: a.Total, Estimated: a.Estimated, Base: base}
	// A total that costs nothing is told unless it is not wanted; one that is all
	// there is to tell is told in any case.
	if a.Query.Count > 0 && slices.Contains(a.Query.Applied, search.Parameter{Name: "_total", Value: "none"}) {
		b.Total = -1
	}
	var err error
	if b.Links, err = a.links(s); err != nil {
		return nil, err
	}
	return b, a.fill(b)
}

// fill adds the entries.
func (a *answered) fill(b *fhir.Bundle) error {
	b.Entries = make([]fhir.Entry, 0, len(a.Versions)+len(a.Included)+1)
	selection := a.Query.Select
	for i := range a.Versions {
		if err := add(b, &a.Versions[i], modeMatch, selection); err != nil {
			return err
		}
	}
	// _elements names elements of what is searched for.
	selection.Elements = nil
	for i := range a.Included {
		if err := add(b, &a.Included[i], modeInclude, selection); err != nil {
			return err
		}
	}
	if o := a.outcome(); len(o.Issues) > 0 {
		b.Entries = append(b.Entries, fhir.Entry{Resource: o.JSON(), Mode: modeOutcome})
	}
	return nil
}

func add(b *fhir.Bundle, v *store.Version, mode string, selection fhir.Selection) error {
	b.Entries = append(b.Entries, fhir.Entry{Mode: mode})
	return carry(&b.Entries[len(b.Entries)-1], v, selection)
}

// carry makes e one with v as it is stored, which is stamped when the Bundle is
// written, or with the part of it that is selected.
func carry(e *fhir.Entry, v *store.Version, selection fhir.Selection) (err error) {
	e.Key = v.Key
	switch {
	case v.Deleted():
	case selection.All():
		e.Stored, e.Meta = v.Stored, fhir.Meta{Version: v.Number, Updated: v.Updated}
	default:
		e.Resource, err = fhir.Subset(v.Key.Type, v.Resource(), selection)
	}
	return err
}

// outcome says what was left out, and how the search was carried out if that is
// asked.
func (a *answered) outcome() *fhir.Outcome {
	o := &fhir.Outcome{Issues: append(append([]fhir.Issue{}, a.Query.Warnings...), a.Warnings...)}
	for i := range o.Issues {
		if o.Issues[i].Severity == fhir.Error {
			o.Issues[i].Severity = fhir.Warning
		}
	}
	o.Issues = append(o.Issues, explained(a.Explanation)...)
	return o
}

// explained says how a search was carried out, step by step; nil says nothing.
func explained(e *store.Explanation) []fhir.Issue {
	if e == nil {
		return nil
	}
	issues := make([]fhir.Issue, len(e.Steps))
	for i, step := range e.Steps {
		var b strings.Builder
		fmt.Fprintf(&b, "%s: %d rows in %v", step.What, step.Rows, step.Took.Round(time.Microsecond))
		if step.Expected >= 0 {
			fmt.Fprintf(&b, ", %.0f expected", step.Expected)
		}
		if step.Path != "" {
			fmt.Fprintf(&b, ", by way of %s: %s", step.Path, step.Why)
		}
		for _, part := range []string{step.SQL, step.Plan} {
			if part != "" {
				b.WriteString("\n" + part)
			}
		}
		issues[i] = fhir.Issue{Severity: fhir.Information, Code: fhir.Informational, Detail: "explanation", Text: b.String()}
	}
	return issues
}

// links returns the links of the page: itself, as it was understood, the first
// page, and those beside it.
func (a *answered) links(s *interaction.Session) ([]fhir.Link, error) {
	self := a.address + "?" + query(withCount(a.Query)) + a.own
	if a.cursor != "" {
		self = a.pageAddress(a.cursor)
	}
	list := []fhir.Link{{Relation: "self", URL: self}}
	alone := a.Prev == "" && a.Next == ""
	for _, l := range []fhir.Link{{Relation: "first"}, {Relation: "previous", URL: a.Prev}, {Relation: "next", URL: a.Next}} {
		if l.URL == "" && l.Relation != "first" {
			continue
		}
		word, err := s.SealPage(a.at(l.URL))
		if err != nil {
			return nil, err
		}
		l.URL = a.pageAddress(word)
		switch {
		case len(l.URL) <= maxLink:
			list = append(list, l)
		case !alone:
			return nil, &refusal{http.StatusBadRequest, fhir.TooLong, "The search has more than one page and too many parameters for links between them; ask for fewer values at once, or for more on a page with _count."}
		}
	}
	return list, nil
}

// at returns the page of this search that begins at a position.
func (a *answered) at(after string) interaction.Page {
	p := a.page
	p.Params, p.After = withCount(a.Query), after
	return p
}

// pageAddress returns the address of a page link.
func (a *answered) pageAddress(word string) string {
	return a.address + "?" + cursorParam + "=" + url.QueryEscape(word) + a.own
}

package web

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A resource is what every resource has that a page shows apart.
type resource struct {
	ResourceType string
	Text         struct{ Status, Div string }
}

// An outcome is what a page shows of an OperationOutcome.
// https://hl7.org/fhir/R4/operationoutcome.html
type outcome struct{ Issue []issue }

type issue struct {
	Severity    string
	Code        string
	Details     struct{ Text string }
	Diagnostics string
	Expression  []string
}

// A bundle is what a page shows of a Bundle. https://hl7.org/fhir/R4/bundle.html
type bundle struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []entry
}

type entry struct {
	FullURL  string
	Resource struct {
		ResourceType, ID string
		Meta             struct{ VersionID, LastUpdated string }
	}
	Request  struct{ Method string }
	Response struct{ ETag, LastModified string }
}

// A listing is a Bundle as a page shows it.
type listing struct {
	Summary string
	Pages   []link // to the other pages
	Methods bool   // its rows have methods
	Rows    []row
}

type row struct {
	Method  string
	Name    link // to the resource as it is now
	Version link
	Updated string
}

// readOutcome returns the issues of an OperationOutcome, none of anything else.
func readOutcome(content []byte) []issue {
	var o outcome
	if json.Unmarshal(content, &o) != nil {
		return nil
	}
	return o.Issue
}

// readBundle returns the listing of a Bundle, nil of anything else.
func readBundle(content []byte, b base) *listing {
	var read bundle
	if json.Unmarshal(content, &read) != nil {
		return nil
	}
	l := &listing{Summary: summary(&read)}
	for _, to := range read.Link {
		if url := b.absolute(to.URL); url != "" && to.Relation != "self" {
			l.Pages = append(l.Pages, link{Text: to.Relation, Href: url})
		}
	}
	for i := range read.Entry {
		r := newRow(&read.Entry[i], b)
		l.Methods = l.Methods || r.Method != ""
		l.Rows = append(l.Rows, r)
	}
	return l
}

// summary says in words what a page of a Bundle holds.
func summary(b *bundle) string {
	entries := fmt.Sprintf("%d entries", len(b.Entry))
	switch {
	case len(b.Entry) == 1:
		entries = "1 entry"
	case len(b.Entry) == 0:
		entries = "No entries"
	}
	if b.Total == nil || *b.Total == len(b.Entry) {
		return entries + "."
	}
	return fmt.Sprintf("%s of %d.", entries, *b.Total)
}

func newRow(e *entry, b base) row {
	name := rowName(e, b)
	r := row{Method: e.Request.Method, Name: link{Text: name, Href: b.reference(name)}, Updated: e.Response.LastModified}
	if r.Updated == "" {
		r.Updated = e.Resource.Meta.LastUpdated
	}
	version := e.Resource.Meta.VersionID
	if version == "" {
		version = strings.Trim(strings.TrimPrefix(e.Response.ETag, "W/"), `"`)
	}
	r.Version = link{Text: version, Label: name + " version " + version}
	if fhir.ValidID(version) {
		r.Version.Href = b.reference(name + "/_history/" + version)
	}
	return r
}

// rowName returns the relative name of an entry's resource, and the entry's
// fullUrl if the resource is none of this server.
func rowName(e *entry, b base) string {
	if b.absolute(e.FullURL) != "" {
		return strings.TrimPrefix(e.FullURL, string(b)+"/")
	}
	if e.FullURL == "" && e.Resource.ID != "" {
		return e.Resource.ResourceType + "/" + e.Resource.ID
	}
	return e.FullURL
}

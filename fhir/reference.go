package fhir

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A Key names a resource on this server.
type Key struct {
	Type string // "Patient"
	ID   string // its logical id
}

// String returns k as a relative reference: "Patient/123".
func (k Key) String() string { return k.Type + "/" + k.ID }

// A Reference is a literal reference taken apart.
// https://hl7.org/fhir/R4/references.html#literal
type Reference struct {
	Key      Key    // empty unless it names a resource by type and id
	Base     string // what stands before the type in an absolute URL, without the last slash
	Version  string // of a version-specific reference
	Fragment string // the id of a contained resource, without its #
	Query    string // the criteria of a conditional reference, after the question mark; Key.Type is set
}

// ParseReference takes s apart. What is no RESTful URL, such as urn:uuid:… or a
// logical URL, leaves the Reference empty but for Base. A relative reference
// whose type or id cannot be one is not ok.
func ParseReference(s string) (r Reference, ok bool) {
	if fragment, is := strings.CutPrefix(s, "#"); is {
		return Reference{Fragment: fragment}, true
	}
	if i := strings.Index(s, ":"); i > 0 && !strings.ContainsAny(s[:i], "/?#") {
		return parseAbsolute(s), true
	}
	return parseRelative(s)
}

func parseRelative(s string) (Reference, bool) {
	if typ, query, is := strings.Cut(s, "?"); is {
		return Reference{Key: Key{Type: typ}, Query: query}, spec.R4().Resource(typ) != nil
	}
	s, _, _ = strings.Cut(s, "#")
	s, version, versioned := strings.Cut(s, "/_history/")
	typ, id, _ := strings.Cut(s, "/")
	if spec.R4().Resource(typ) == nil || !ValidID(id) || versioned && !ValidID(version) {
		return Reference{}, false
	}
	return Reference{Key: Key{typ, id}, Version: version}, true
}

// parseAbsolute finds the RESTful end of an absolute URL, if it has one.
func parseAbsolute(s string) Reference {
	url, version, versioned := strings.Cut(s, "/_history/")
	rest, id := cutLast(url)
	base, typ := cutLast(rest)
	if !strings.HasPrefix(s, "http") || versioned && !ValidID(version) || !ValidID(id) || spec.R4().Resource(typ) == nil {
		return Reference{Base: s}
	}
	return Reference{Key: Key{typ, id}, Base: base, Version: version}
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

// reference checks the literal reference of the Reference at self.
func (d *decoder) reference(self int32, targets []string) {
	n := Node{d.tree, self}.Child("reference")
	if n.IsZero() || !n.HasValue() || n.Raw()[0] != '"' {
		return
	}
	text := n.Text()
	r, ok := ParseReference(text)
	switch {
	case text == "":
	case !ok:
		d.issue(d.node(n.i), invalidReference, "This is no reference: write Type/id with an R4 resource type, an absolute URL, or # and the id of a contained resource.")
	case r.Key.Type != "" && targets != nil && !slices.Contains(targets, r.Key.Type):
		d.issue(d.node(n.i), wrongTarget, "A reference to %s is not allowed here; it may point to %s.", r.Key.Type, strings.Join(targets, ", "))
	}
}

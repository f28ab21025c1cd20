package web

import (
	"regexp"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A base is the address of the FHIR API without a last slash. Pages link to
// addresses below it and nowhere else, because what a resource says may come
// from anybody.
type base string

// A link is an anchor of a page. One without Href is plain text.
type link struct {
	Text    string
	Href    string
	Label   string // for who hears the page; empty if Text says it
	Current bool   // it leads to the page that it is on
}

// The characters of the addresses that the API serves. Escapes are not among
// those of the path: the API needs none, and they hide what they stand for.
var (
	pathCharacters  = regexp.MustCompile(`^[A-Za-z0-9._~$:|-]+(/[A-Za-z0-9._~$:|-]+)*$`)
	queryCharacters = regexp.MustCompile(`^[A-Za-z0-9._~$:|/?#@!&()*+,;=%-]*$`)
)

// below returns the address of path, which may have a query, below b, and an
// empty string if it is not a clean one or b is no address.
func (b base) below(path string) string {
	if !strings.HasPrefix(string(b), "http://") && !strings.HasPrefix(string(b), "https://") {
		return ""
	}
	name, query := path, ""
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		name, query = path[:i], path[i:]
	}
	if !pathCharacters.MatchString(name) || !queryCharacters.MatchString(query) {
		return ""
	}
	// A browser resolves these, and they would lead out of the API.
	if slices.ContainsFunc(strings.Split(name, "/"), isDots) {
		return ""
	}
	return string(b) + "/" + path
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

// absolute returns url if it is an absolute one below b, and an empty string
// otherwise.
func (b base) absolute(url string) string {
	path, ok := strings.CutPrefix(url, string(b)+"/")
	if !ok {
		return ""
	}
	return b.below(path)
}

// reference returns where a reference leads: to a resource of this server, named
// relatively or absolutely, or a version of one. Any other leads nowhere and
// gives an empty string. https://hl7.org/fhir/R4/references.html#literal
func (b base) reference(s string) string {
	if url := b.absolute(s); url != "" {
		return url
	}
	r, ok := fhir.ParseReference(s)
	if !ok || r.Base != "" || r.Key.ID == "" {
		return ""
	}
	if r.Version != "" {
		return b.below(r.Key.String() + "/_history/" + r.Version)
	}
	return b.below(r.Key.String())
}

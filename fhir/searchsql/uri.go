package searchsql

import (
	"strings"

	"github.com/openconsult/openconsult/fhir/search"
)

// A uri has its hash as a key, as a reference to it has, so that canonical
// references lead to it; a canonical with a version has two. It also has a key
// for each path that it lies below.

func (t tuple) below(path string) tuple { return append(t, belowKind).text(path) }

func (p *packer) uri(v search.URI) {
	salt := p.secret.hash(append(p.tuple, saltKind))
	p.keyOf(p.secret.URL(v.Text, "") ^ salt)
	if v.Version != "" {
		p.keyOf(p.secret.URL(v.Text, v.Version) ^ salt)
	}
	for path := range paths(v.Text) {
		p.key(p.tuple.below(path))
	}
}

// paths yields what a uri lies below: its beginnings that end before a slash,
// but for those of a scheme.
func paths(uri string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 1
		// Told by the first slash, so that it is the same for all beginnings of a uri.
		if i := strings.IndexByte(uri, '/'); i > 0 && uri[i-1] == ':' {
			start = i + len("//")
		}
		for end := start; end < len(uri); end++ {
			if uri[end] == '/' && !yield(uri[:end]) {
				return
			}
		}
	}
}

// askURI returns the condition that p is the uri a.
func (c *compiler) askURI(p *search.Param, m search.Modifier, a search.AskedURI) (expr, bool) {
	switch m {
	case search.Contains:
		return present(p), false
	case search.Below:
		return c.askBelow(p, a)
	case search.Above:
		return c.askAbove(p, a), true
	}
	return anyKey{c.secret.URL(a.Text, a.Version) ^ c.secret.Salt(p)}, true
}

// askBelow asks for the longest path in a, and is exact when that is all of it.
func (c *compiler) askBelow(p *search.Param, a search.AskedURI) (expr, bool) {
	longest := ""
	for longest = range paths(a.Text) {
	}
	if longest == "" {
		return present(p), false
	}
	return anyKey{c.secret.hash(newTuple(p).below(longest))}, longest+"/" == a.Text && a.Version == ""
}

// askAbove asks for everything that a begins with.
func (c *compiler) askAbove(p *search.Param, a search.AskedURI) expr {
	keys, salt := make(anyKey, len(a.Text)), c.secret.Salt(p)
	for i := range keys {
		keys[i] = c.secret.URL(a.Text[:i+1], a.Version) ^ salt
	}
	return oneOf([]expr{keys})
}

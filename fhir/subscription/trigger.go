package subscription

import (
	"bytes"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A rule is one way in which a subscription fires.
type rule struct {
	of       *watch
	typ      string     // of the versions that it is held against
	current  search.And // what the version must meet, filters among it
	previous search.And // what the version before must meet
	create   bool
	any      bool // it does not matter what was before: R4 criteria
	changed  []string
	added    []string
	focus    *search.Param // by which a version names what the event is about; nil: it is about itself
	filters  search.And    // what that must meet
	keys     []int64       // of which a version that it fires for has one
	driven   bool          // there are such keys
	kept     bool          // it is from before a search parameter was to be built anew
	at       uint64        // the version that it was last looked up for
}

// A document is a version that rules are held against.
type document struct {
	root  fhir.Node
	index *search.Index
}

// fires reports whether r does for a version. before returns the one before, nil
// for none; it is asked only when it matters.
func (r *rule) fires(now *document, before func() (*document, error)) (bool, error) {
	if !search.Match(r.current, now.index, nil) {
		return false, nil
	}
	if r.any {
		return true, nil
	}
	old, err := before()
	if err != nil {
		return false, err
	}
	if old == nil {
		return r.create, nil
	}
	return search.Match(r.previous, old.index, nil) && hasChanged(old.root, now.root, r.changed) && hasMore(old.root, now.root, r.added), nil
}

// about returns the first resource of a type of this server that now refers to by
// the parameter that names what an event of r is about; zero for none.
func (r *rule) about(now *document, typ string) fhir.Key {
	for _, e := range now.index.Entries {
		if v, ok := e.Value.(search.Reference); ok && e.Param.Code == r.focus.Code && v.Key.Type == typ {
			return v.Key
		}
	}
	return fhir.Key{}
}

// hasChanged reports whether one of some elements is not what it was. With none
// there is nothing that need have changed.
func hasChanged(old, now fhir.Node, paths []string) bool {
	for _, p := range paths {
		if !bytes.Equal(at(old, p), at(now, p)) {
			return true
		}
	}
	return len(paths) == 0
}

// hasMore reports whether there is something at one of some paths that was not there
// before. With none there is nothing that need be.
func hasMore(old, now fhir.Node, paths []string) bool {
	for _, p := range paths {
		before := values(old, p)
		for _, v := range values(now, p) {
			if !slices.ContainsFunc(before, func(b []byte) bool { return bytes.Equal(b, v) }) {
				return true
			}
		}
	}
	return len(paths) == 0
}

// values returns the JSON of the elements of a name, or with "name(code)" of those
// whose type has that code of ours.
func values(n fhir.Node, path string) [][]byte {
	name, code, coded := strings.Cut(strings.TrimSuffix(path, ")"), "(")
	var all [][]byte
	for c := range n.Each(name) {
		if !coded || hasType(c, code) {
			all = append(all, c.Raw())
		}
	}
	return all
}

// hasType reports whether the type of an input or output has a code of ours.
func hasType(n fhir.Node, code string) bool {
	for c := range n.Child("type").Each("coding") {
		if c.Child("system").Text() == ioSystem && c.Child("code").Text() == code {
			return true
		}
	}
	return false
}

// at returns the JSON of what is at a path, one value after the other.
func at(n fhir.Node, path string) []byte {
	if url, ok := strings.CutPrefix(path, "extension("); ok {
		return n.Extension(strings.TrimSuffix(url, ")")).Raw()
	}
	name, rest, deeper := strings.Cut(path, ".")
	var all []byte
	for c := range n.Each(name) {
		if deeper {
			all = append(all, at(c, rest)...)
		} else {
			all = append(append(all, c.Raw()...), ',')
		}
	}
	return all
}

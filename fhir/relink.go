package fhir

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// Relink returns r with other links: where to knows a link, what it returns stands in
// its place. Links are Reference.reference, elements of the types uri and url that
// hold the address of a resource, and href and src in a narrative, those in extensions
// and contained resources too. A canonical is none, and an element of the types oid
// and uuid stays, since another address would be no oid there. To is asked for the link
// as it is, and then without its version or fragment, which are kept. All other bytes
// stay; r itself is returned when to knows no link. The error is an [*Outcome] with
// every reference that would then point to a type which its element does not allow.
// https://hl7.org/fhir/R4/http.html#trules
func Relink(r *Resource, to func(url string) (string, bool)) (*Resource, error) {
	var edits []edit
	var wrong Outcome
	for i := range r.tree.nodes {
		n := &r.tree.nodes[i]
		if n.typ.Kind != spec.KindPrimitive || n.hi-n.lo < 3 {
			continue // what is shorter holds no link
		}
		switch linkKind(n) {
		case referenceLink:
			if link, ok := relinked(Node{r.tree, int32(i)}.Text(), to); ok {
				wrong.Issues = append(wrong.Issues, misdirected(r.tree, int32(i), link)...)
				edits = append(edits, edit{n.lo, n.hi, AppendString(nil, link)})
			}
		case addressLink:
			if !addressLike(r.tree.src[n.lo+1 : n.hi-1]) {
				continue
			}
			if link, ok := relinked(Node{r.tree, int32(i)}.Text(), to); ok {
				edits = append(edits, edit{n.lo, n.hi, AppendString(nil, link)})
			}
		case narrativeLinks:
			edits = relinkNarrative(edits, r.tree.src, n, to)
		}
	}
	switch {
	case len(wrong.Issues) > 0:
		return nil, &wrong
	case len(edits) == 0:
		return r, nil
	}
	return r.edited(edits), nil
}

// misdirected says that the reference at i may not be the given one, if so.
func misdirected(t *tree, i int32, link string) []Issue {
	targets := Node{t, i}.Parent().Targets()
	to, ok := ParseReference(link)
	if !ok || to.Key.Type == "" || targets == nil || slices.Contains(targets, to.Key.Type) {
		return nil
	}
	text := "This points to a " + to.Key.Type + ", which is not allowed here; it may point to " + strings.Join(targets, ", ") + "."
	is := At(Node{t, i})
	is.Code, is.Detail, is.Text = Value, wrongTarget.issue().Detail, text
	return []Issue{is}
}

// What the value of an element may link to.
type link uint8

const (
	noLink link = iota
	referenceLink
	addressLink
	narrativeLinks
)

func linkKind(n *node) link {
	switch n.typ.Primitive {
	case spec.URI, spec.URL:
		return addressLink
	case spec.XHTML:
		return narrativeLinks
	case spec.String:
		if n.prop != nil && n.prop.Element.Path == "Reference.reference" {
			return referenceLink
		}
	}
	return noLink
}

// addressLike reports whether the address in raw may be that of a resource: a URN of
// a uuid or an oid, or one that ends in a type and an id. The identifier of a code
// system that some resource is published under is not.
func addressLike(raw []byte) bool {
	if bytes.HasPrefix(raw, []byte("urn:")) {
		return true
	}
	return bytes.HasPrefix(raw, []byte("http")) && bytes.Count(raw, []byte("/")) > 3
}

// relinked asks to for a link, and if need be for what it is without its version
// and fragment.
func relinked(link string, to func(string) (string, bool)) (string, bool) {
	if other, ok := to(link); ok {
		return other, true
	}
	end := len(link)
	if i := strings.Index(link, "/_history/"); i > 0 {
		end = i
	} else if i := strings.IndexByte(link, '#'); i > 0 {
		end = i
	}
	if end == len(link) {
		return "", false
	}
	other, ok := to(link[:end])
	return other + link[end:], ok
}

// An edit puts text in place of src[lo:hi].
type edit struct {
	lo, hi uint32
	text   []byte
}

// edited returns r with the edits made, which neither overlap nor change what its
// elements are.
func (r *Resource) edited(edits []edit) *Resource {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.lo, b.lo) })
	moved := make([]uint32, len(edits)) // by how much what comes after each is, modulo 1<<32
	size, by := len(r.tree.src), uint32(0)
	for i, e := range edits {
		size += len(e.text)
		by += uint32(len(e.text)) - (e.hi - e.lo)
		moved[i] = by
	}
	at := func(pos uint32) uint32 {
		n, _ := slices.BinarySearchFunc(edits, pos, func(e edit, pos uint32) int {
			if e.hi <= pos {
				return -1
			}
			return 1
		})
		if n == 0 {
			return pos
		}
		return pos + moved[n-1]
	}
	nodes := slices.Clone(r.tree.nodes)
	for i := range nodes {
		nodes[i].lo, nodes[i].hi = at(nodes[i].lo), at(nodes[i].hi)
	}
	members := func(list []member) []member {
		list = slices.Clone(list)
		for i := range list {
			list[i].lo, list[i].hi = int(at(uint32(list[i].lo))), int(at(uint32(list[i].hi)))
		}
		return list
	}
	src := splice(make([]byte, 0, size), r.tree.src, edits)
	t := &tree{src: src, nodes: nodes, before: cmp.Or(r.tree.before, r.tree)}
	return &Resource{tree: t, top: members(r.top), meta: members(r.meta), spaced: r.spaced}
}

// splice appends src to dst with the edits made, which are in order.
func splice(dst, src []byte, edits []edit) []byte {
	done := uint32(0)
	for _, e := range edits {
		dst = append(append(dst, src[done:e.lo]...), e.text...)
		done = e.hi
	}
	return append(dst, src[done:]...)
}

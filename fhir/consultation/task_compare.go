package consultation

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// differs says whether anything in the Task changes that a client can change.
func (p proposal) differs() bool {
	for _, name := range p.changed() {
		// A business status that is found out may be left out.
		if name != "businessStatus" || machine().kinds[p.old.Kind].system == "" || p.next.BusinessStatus != "" && p.next.BusinessStatus != p.old.BusinessStatus {
			return true
		}
	}
	return false
}

// changed returns the names of the elements at the top of the Task that differ, but those
// of its status, identity and version, in the order of next, then of old.
func (p proposal) changed() []string {
	var names []string
	for _, root := range []fhir.Node{p.next.root, p.old.root} {
		for c := range root.Children() {
			switch name := c.Name(); name {
			case "id", "meta", "status", "lastModified":
			default:
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.EqualFunc(slices.Collect(p.old.root.Each(name)), slices.Collect(p.next.root.Each(name)), sameNode)
	})
}

// extends says whether next has the elements of old named name, and perhaps more after
// them.
func extends(old, next fhir.Node, name string) bool {
	before, after := slices.Collect(old.Each(name)), slices.Collect(next.Each(name))
	return len(after) >= len(before) && slices.EqualFunc(before, after[:len(before)], sameNode)
}

// sameNode says whether two elements are equal, whatever the order of their children.
func sameNode(a, b fhir.Node) bool {
	if a.Property() != b.Property() || a.Type() != b.Type() || isPrimitive(a) != isPrimitive(b) || isPrimitive(a) && a.Text() != b.Text() {
		return false
	}
	// The text of a primitive is without its extensions.
	return !isPrimitive(a) && a.HasValue() && bytes.Equal(a.Raw(), b.Raw()) || slices.EqualFunc(ordered(a), ordered(b), sameNode)
}

func isPrimitive(n fhir.Node) bool { return n.HasValue() && n.Raw()[0] != '{' }

// ordered returns the children of n by property; those of one stay in their order.
func ordered(n fhir.Node) []fhir.Node {
	children := slices.Collect(n.Children())
	slices.SortStableFunc(children, func(a, b fhir.Node) int { return cmp.Compare(a.Property(), b.Property()) })
	return children
}

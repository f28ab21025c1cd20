package definition

import (
	"slices"
	"strings"
)

// BuiltIn returns the definitions of a type that come with the server, in the order of
// their URLs; nil when there is none of that type.
func (c *Catalog) BuiltIn(typ string) []*Definition {
	var all []*Definition
	for _, a := range slices.Concat(core().entries, own().entries) {
		if a.typ == typ {
			all = append(all, c.builtIn(name{typ, a.url})...)
		}
	}
	slices.SortStableFunc(all, func(a, b *Definition) int { return strings.Compare(a.URL, b.URL) })
	return all
}

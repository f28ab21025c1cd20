package store

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/search"
)

// names returns the names of the parameters of conditions as the client wrote
// them, for a message.
func names(where []search.Condition) string {
	all := appendNames(nil, where)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

func appendNames(to []string, where []search.Condition) []string {
	for _, cond := range where {
		switch cond := cond.(type) {
		case search.And:
			to = appendNames(to, cond)
		case search.Or:
			to = appendNames(to, cond)
		case search.Not:
			to = appendNames(to, []search.Condition{cond.Condition})
		case *search.Test:
			to = append(to, cond.Name)
		case *search.Chain:
			to = append(to, cond.Name)
		case *search.Has:
			to = append(to, cond.Name)
		case search.Listed:
			to = append(to, "_list")
		case search.IDs:
			to = append(to, "_id")
		case search.Updated:
			to = append(to, "_lastUpdated")
		case *search.Words:
			to = append(to, cond.Name)
		}
	}
	return to
}

// expression locates a parameter, as parsing does it.
func expression(name string) string {
	name, _, _ = strings.Cut(name, ", ")
	if name == "" {
		return ""
	}
	return "http." + name
}

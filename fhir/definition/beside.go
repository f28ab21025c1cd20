package definition

import (
	"context"
	"strings"
)

// neighbours are the definitions of a context.
type neighbours struct {
	all   map[name][]*Definition
	outer *neighbours // of the context around it; nil for none
}

type neighboursKey struct{}

// Beside returns a context in which every Catalog finds these resources, too, before
// any other: those of the transaction that is being checked.
func Beside(ctx context.Context, all []*Definition) context.Context {
	if len(all) == 0 {
		return ctx
	}
	n := &neighbours{all: make(map[name][]*Definition, len(all))}
	n.outer, _ = ctx.Value(neighboursKey{}).(*neighbours)
	for _, d := range all {
		key := name{d.Type, d.URL}
		n.all[key] = append(n.all[key], d)
	}
	return context.WithValue(ctx, neighboursKey{}, n)
}

// Alone returns a context in which nothing is found that [Beside] has added.
func Alone(ctx context.Context) context.Context {
	return context.WithValue(ctx, neighboursKey{}, (*neighbours)(nil))
}

// beside returns the definition of ctx that a name and version mean, or nil.
func beside(ctx context.Context, key name, version string) *Definition {
	n, _ := ctx.Value(neighboursKey{}).(*neighbours)
	for ; n != nil; n = n.outer {
		if d := choose(n.all[key], version); d != nil {
			return d
		}
	}
	return nil
}

// split takes a canonical URL and its version apart.
func split(canonical string) (url, version string) {
	url, version, _ = strings.Cut(canonical, "|")
	return url, version
}

package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// A place is where the router finds routes.
type place struct{ method, path string }

// places returns the routes at each place. Those of one type stand beside those of
// all types: the router does not find the way back from a name to a variable where
// more follows.
func places(routes []route) map[place][]route {
	all := map[place][]route{}
	for _, r := range routes {
		for _, method := range r.methods() {
			for _, path := range r.paths() {
				_, general := ofType(path)
				at := place{method, general}
				all[at] = append(all[at], r)
			}
		}
	}
	return all
}

// untaken returns the places of operations with the methods that nothing is served for,
// where the name of the operation would be taken for an id.
func untaken(served map[place][]route) []place {
	var all []place
	for at := range served {
		if !strings.Contains(at.path, "$") || reservedBy(at.path) != nil {
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			other := place{method, at.path}
			if served[other] == nil && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// ofType returns the type that a path below base is of, such as Group, and the path
// with a variable in its place. It is of none if it names one resource.
func ofType(path string) (typ, general string) {
	first, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if first == "" || first[0] < 'A' || first[0] > 'Z' || more && rest != "" && rest[0] != ':' && rest[0] != '$' {
		return "", path
	}
	return first, "/:type" + strings.TrimPrefix(path, "/"+first)
}

// chosen serves that of several routes at one place which the type in the address
// has, or else the one of all types.
func (s *Server) chosen(routes []route) gin.HandlerFunc {
	handlers := map[string]gin.HandlerFunc{"": s.handle(route{path: "", rule: public, serve: s.unserved})}
	for _, r := range routes {
		typ, _ := ofType(r.path)
		handlers[typ] = s.handle(r)
	}
	return func(c *gin.Context) {
		h, own := handlers[c.Param("type")]
		if !own {
			h = handlers[""]
		}
		h(c)
	}
}

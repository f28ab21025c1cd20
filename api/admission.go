package api

import (
	"net/http"
	"strings"
)

// A class says what a request costs, as far as its address tells before anything is
// done for it. Each of the ways that requests are let in by has its own room, so that a flood
// of one keeps none of the others out.
type class uint8

const (
	light     class = iota // what takes no database: the metadata
	reading                // one resource by its id
	searching              // a page of resources, or an operation that changes nothing
	writing                // one resource
	several                // a Bundle, or an operation that may change several resources
	lasting                // exports, imports, and the files and jobs of both
)

// String returns the name of the class for metrics.
func (c class) String() string {
	return [...]string{"light", "read", "search", "write", "transaction", "bulk"}[c]
}

// weight is how much room a request of a class takes: about the work that it is.
func (c class) weight() int64 {
	return [...]int64{light: 1, reading: 1, searching: 2, writing: 2, several: 4, lasting: 1}[c]
}

// classOf returns the class of a request for an address of the server.
func classOf(method, path string) class {
	rest := strings.TrimPrefix(path, base)
	read := method == http.MethodGet || method == http.MethodHead
	last := rest[strings.LastIndexByte(rest, '/')+1:]
	switch {
	case method == http.MethodOptions, read && rest == "/metadata":
		return light
	case strings.HasPrefix(rest, jobPath), last == "$export", last == "$import":
		return lasting
	case read && isOne(rest):
		return reading
	case read, last == "_search":
		return searching
	case rest == "", rest == "/", strings.HasPrefix(last, "$"):
		return several
	}
	return writing
}

// isOne reports whether an address below base is that of a resource, or of a version of one.
func isOne(rest string) bool {
	names := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	switch len(names) {
	case 4:
		return names[2] == "_history"
	case 2:
		return names[1] != "" && names[1][0] != '_' && names[1][0] != '$'
	}
	return false
}

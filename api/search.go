package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
)

// cursorParam is the parameter of page links. It holds all of a search, so that
// nothing of one that was posted stands in an address.
const cursorParam = "_cursor"

// maxLink bounds the address of a page link, in bytes.
const maxLink = 24 << 10

// search serves searches of a type, a compartment and the system, by GET and by
// POST. https://hl7.org/fhir/R4/http.html#search
func (s *Server) search(c *gin.Context) error {
	p, cursor, err := s.pageOf(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	found, err := s.session(c).Search(c.Request.Context(), p)
	if err != nil {
		return err
	}
	a := &answered{Found: found, page: p, address: s.searchAddress(c), cursor: cursor, own: formOf(c)}
	b, err := a.bundle(s.session(c), s.baseURL(c.Request))
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// pageOf reads what a search asks, or which page of one.
func (s *Server) pageOf(c *gin.Context) (p interaction.Page, cursor string, err error) {
	p.Request, err = searched(c)
	if err != nil {
		return p, "", err
	}
	p.Now = time.Now()
	if p.Params, cursor, err = s.searchParams(c); err != nil {
		return p, "", err
	}
	p, err = s.opened(c, p, cursor)
	return p, cursor, err
}

// opened returns p as what a page link says that has a cursor, or, without one, as the first page
// of what its parameters ask.
func (s *Server) opened(c *gin.Context, p interaction.Page, cursor string) (interaction.Page, error) {
	switch {
	case cursor == "":
		p.Lenient = parsePrefer(c.Request.Header.Values("Prefer")).Lenient
		return p, nil
	case len(p.Params) > 0:
		return p, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "A page link says all that it asks; use it as it is, without %s.", shown(p.Params[0].Name))
	}
	return s.session(c).OpenPage(p, cursor)
}

// searchAddress returns the address that a search can be sent to by GET.
func (s *Server) searchAddress(c *gin.Context) string {
	path := strings.TrimSuffix(strings.TrimPrefix(c.Request.URL.Path, base), "/")
	return s.baseURL(c.Request) + strings.TrimSuffix(path, "/_search")
}

// formOf returns what a request asks of the form of its answer, to be appended to
// the query of a link.
func formOf(c *gin.Context) string {
	var own string
	for _, name := range []string{"_format", "_pretty"} {
		if value, given := c.GetQuery(name); given {
			own += "&" + name + "=" + url.QueryEscape(value)
		}
	}
	return own
}

// query writes parameters as a query. What need not be escaped is left readable.
func query(list []search.Parameter) string {
	readable := strings.NewReplacer("%3A", ":", "%2C", ",", "%2F", "/", "%24", "$")
	pairs := make([]string, len(list))
	for i, p := range list {
		pairs[i] = readable.Replace(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return strings.Join(pairs, "&")
}

// withCount returns what was applied, with the number of matches on a page.
func withCount(q *search.Query) []search.Parameter {
	if slices.ContainsFunc(q.Applied, func(p search.Parameter) bool { return p.Name == "_count" || p.Name == "_summary" && p.Value == "count" }) {
		return q.Applied
	}
	return append(slices.Clip(q.Applied), search.Parameter{Name: "_count", Value: strconv.Itoa(q.Count)})
}

package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	defaultCount = 50
	maxCount     = 1000
)

// history serves GET [base]/_history, [type]/_history and [type]/[id]/_history.
// https://hl7.org/fhir/R4/http.html#history
func (s *Server) history(c *gin.Context) error {
	h, err := historyOf(c)
	if err != nil {
		return err
	}
	selection, err := selectionOf(c, h.Type)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	page, err := s.session(c).History(c.Request.Context(), h)
	if err != nil {
		return err
	}
	b, err := s.historyBundle(c.Request, page, selection)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// historyOf reads what a request for a history asks.
func historyOf(c *gin.Context) (store.History, error) {
	h := store.History{Count: defaultCount, After: c.Query("_page")}
	var err error
	if c.Param("type") != "" {
		if h.Type, err = typeParam(c); err != nil {
			return h, err
		}
	}
	if c.Param("id") != "" {
		k, err := keyParam(c)
		if err != nil {
			return h, err
		}
		h.ID = k.ID
	}
	if count, given := c.GetQuery("_count"); given {
		h.Count, err = strconv.Atoi(count)
		if err != nil || h.Count < 1 || h.Count > maxCount {
			return h, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_count is a number from 1 to %d.", maxCount)
		}
	}
	return h, readTimes(c, &h)
}

func readTimes(c *gin.Context, h *store.History) error {
	if since, given := c.GetQuery("_since"); given {
		p, err := parsePeriod("_since", since)
		if err != nil {
			return err
		}
		h.Since = p.from
	}
	if at, given := c.GetQuery("_at"); given {
		p, err := parsePeriod("_at", at)
		if err != nil {
			return err
		}
		h.From, h.To = p.from, p.to
	}
	return nil
}

func (s *Server) historyBundle(r *http.Request, p store.Page, selection fhir.Selection) (*fhir.Bundle, error) {
	url := s.baseURL(r)
	b := &fhir.Bundle{Type: "history", LastUpdated: p.Safe, Total: p.Total, Links: links(url, r, p.Next), Base: url}
	b.Entries = make([]fhir.Entry, 0, len(p.Versions))
	for i := range p.Versions {
		v := &p.Versions[i]
		e := historyEntry(v)
		if err := carry(&e, v, selection); err != nil {
			return nil, err
		}
		b.Entries = append(b.Entries, e)
	}
	return b, nil
}

// historyEntry says by which request v came about.
func historyEntry(v *store.Version) fhir.Entry {
	e := fhir.Entry{Method: "PUT", URL: v.Key.String(), Status: "200 OK", ETag: etag(v.Number), LastModified: v.Updated}
	switch v.Op {
	case store.Create:
		e.Method, e.URL = "POST", v.Key.Type
	case store.Patch:
		e.Method = "PATCH"
	case store.Delete:
		e.Method, e.Status = "DELETE", "204 No Content"
	}
	if v.Fresh {
		e.Status = "201 Created"
	}
	return e
}

// links returns the links of a page: itself, the first page and the next one.
func links(base string, r *http.Request, next string) []fhir.Link {
	address := func(page string) string {
		q := url.Values{}
		for name, values := range r.URL.Query() {
			if name != "_page" {
				q[name] = values
			}
		}
		if page != "" {
			q.Set("_page", page)
		}
		path := base + r.URL.Path[len("/fhir"):]
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
	list := []fhir.Link{{Relation: "self", URL: address(r.URL.Query().Get("_page"))}, {Relation: "first", URL: address("")}}
	if next != "" {
		list = append(list, fhir.Link{Relation: "next", URL: address(next)})
	}
	return list
}

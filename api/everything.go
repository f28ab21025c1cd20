package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
)

// recordRoutes are those of operations that give a patient's record away.
func (s *Server) recordRoutes() []route {
	if s.config.Engine == nil || !s.config.Engine.Validates() {
		return nil
	}
	var routes []route
	for _, r := range []route{
		{path: "/Patient/:id/$everything", interaction: interaction.Everything, serve: s.everything},
		{path: "/Patient/$everything", interaction: interaction.Everything, serve: s.everything},
		{path: "/Patient/:id/$summary", interaction: interaction.Summary, serve: s.summary},
		{path: "/Patient/$summary", interaction: interaction.Summary, serve: s.summary},
	} {
		r.rule, r.criteria = granted, true
		get, post := r, r
		get.method, post.method = http.MethodGet, http.MethodPost
		routes = append(routes, get, post)
	}
	return routes
}

// copyLasts is how long a copy of a record may be kept on a device without being
// asked for again.
const copyLasts = 24 * time.Hour

// keepable says until when a client may keep what it is given.
func keepable(c *gin.Context) {
	c.Header("Expires", time.Now().Add(copyLasts).UTC().Format(http.TimeFormat))
}

// everything serves [base]/Patient/[id]/$everything, and [base]/Patient/$everything for
// the patient in context. https://hl7.org/fhir/R4/patient-operation-everything.html
func (s *Server) everything(c *gin.Context) error {
	p, cursor, err := s.recordPage(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	session := s.session(c)
	r, err := session.Everything(c.Request.Context(), p)
	if err != nil {
		return err
	}
	a := &answered{page: p, address: s.searchAddress(c), cursor: cursor, own: formOf(c)}
	a.Found = interaction.Found{Matches: r.Matches, Query: &search.Query{Applied: r.Applied, Warnings: r.Notes}}
	b, err := a.recorded(session, s.baseURL(c.Request))
	if err != nil {
		return err
	}
	keepable(c)
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// recorded returns the searchset of a page of a record.
func (a *answered) recorded(s *interaction.Session, base string) (*fhir.Bundle, error) {
	b := &fhir.Bundle{Type: "searchset", Total: a.Total, Base: base}
	var err error
	if b.Links, err = a.links(s); err != nil {
		return nil, err
	}
	return b, a.fill(b)
}

// recordPage reads what of a record is asked for, or which page of it.
func (s *Server) recordPage(c *gin.Context) (p interaction.Page, cursor string, err error) {
	if p.Within, err = recordOf(c); err != nil {
		return p, "", err
	}
	p.Types = []string{"$everything"}
	if p.Params, cursor, err = s.operationParams(c); err != nil {
		return p, "", err
	}
	p, err = s.opened(c, p, cursor)
	return p, cursor, err
}

// recordOf returns the patient that the address names, or nil.
func recordOf(c *gin.Context) (*fhir.Key, error) {
	if c.Param("id") == "" {
		return nil, nil
	}
	k, err := keyParam(c)
	return &k, err
}

// operationParams returns the parameters of an operation, of the query and of the
// Parameters that are sent, in this order, and the cursor of a page link.
// https://hl7.org/fhir/R4/operations.html#request
func (s *Server) operationParams(c *gin.Context) (list []search.Parameter, cursor string, err error) {
	if list, err = parameters(c.Request.URL.RawQuery); err != nil {
		return nil, "", err
	}
	list, own := apart(list)
	if err := checkParams(route{params: ownParams()}, query(own)); err != nil {
		return nil, "", err
	}
	for _, p := range own {
		if p.Name == cursorParam {
			cursor = p.Value
		}
	}
	if c.Request.Method != http.MethodPost || c.Request.ContentLength == 0 {
		return list, cursor, nil
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return nil, "", err
	}
	for p := range r.Root().Each("parameter") {
		list = append(list, search.Parameter{Name: p.Child("name").Text(), Value: textOf(p.Child("value"))})
	}
	return list, cursor, nil
}

// textOf returns the value of a parameter as a query writes it.
func textOf(n fhir.Node) string {
	if system := n.Child("system"); !system.IsZero() {
		return search.Escape(system.Text()) + "|" + search.Escape(n.Child("value").Text())
	}
	return n.Text()
}

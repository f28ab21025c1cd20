package api

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// maxForm bounds the body of a search by POST, in bytes.
const maxForm = 64 << 10

// ownParams are the parameters of a search that are about the answer and not
// about what is searched for.
func ownParams() []string { return []string{"_format", "_pretty", cursorParam} }

// parameters reads a query or a form in the order in which it was written.
func parameters(raw string) ([]search.Parameter, error) {
	list, err := search.Parameters(raw)
	for i := range list {
		list[i].Value = zoned.ReplaceAllString(list[i].Value, "$1+$2")
	}
	return list, err
}

// zoned finds a time whose zone has lost its plus sign, of which an address makes
// a space.
var zoned = regexp.MustCompile(`(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:\d\d)`)

// searchParams returns what a search asks, of its address and of its form, and
// the cursor of a page link. What a form says of the answer goes to the address of
// the request, where it is looked for.
func (s *Server) searchParams(c *gin.Context) (list []search.Parameter, cursor string, err error) {
	list, err = parameters(c.Request.URL.RawQuery)
	if err != nil {
		return nil, "", err
	}
	list, own := apart(list)
	if c.Request.Method == http.MethodPost {
		form, err := s.form(c)
		if err != nil {
			return nil, "", err
		}
		asked, answer := apart(form)
		list = append(list, asked...)
		own = append(own, answer...)
		c.Request.URL.RawQuery = query(own)
	}
	if err := checkParams(route{params: ownParams()}, query(own)); err != nil {
		return nil, "", err
	}
	for _, p := range own {
		switch {
		case p.Name != cursorParam:
		case p.Value == "":
			return nil, "", fhir.Errorf(fhir.BadRequest, fhir.Value, "", "%s is empty; use a page link as it is.", cursorParam)
		default:
			cursor = p.Value
		}
	}
	return list, cursor, nil
}

// apart takes what is about the answer off what is searched for.
func apart(all []search.Parameter) (asked, own []search.Parameter) {
	for _, p := range all {
		if slices.Contains(ownParams(), p.Name) {
			own = append(own, p)
		} else {
			asked = append(asked, p)
		}
	}
	return asked, own
}

// form reads the body of a search by POST.
// https://hl7.org/fhir/R4/http.html#search
func (s *Server) form(c *gin.Context) ([]search.Parameter, error) {
	if c.Request.ContentLength == 0 {
		return nil, nil
	}
	const want = "application/x-www-form-urlencoded"
	header := c.GetHeader("Content-Type")
	if name, ok := splitType(header); !ok || !isUTF8(header) || name != want {
		return nil, unsupportedType(want)
	}
	body, err := s.readBody(c, maxForm)
	if err != nil {
		return nil, err
	}
	if err := refuseToken(string(body)); err != nil {
		return nil, err
	}
	return parameters(string(body))
}

// criteria returns the query of a conditional interaction without what is about
// the answer.
func criteria(c *gin.Context) (string, error) {
	list, err := parameters(c.Request.URL.RawQuery)
	if err != nil {
		return "", err
	}
	list, own := apart(list)
	if err := checkParams(route{}, query(own)); err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Say which resource: add its id to the address, or criteria that find it, such as ?identifier=system|value.")
	}
	return query(list), nil
}

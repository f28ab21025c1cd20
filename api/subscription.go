package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/subscription"
)

// topicsPath is the address of the topics that are published, below base.
const topicsPath = "/SubscriptionTopic"

// subscriptionRoutes are those of operations on Subscriptions, and of topics.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
func (s *Server) subscriptionRoutes() []route {
	if s.config.Subscriptions == nil {
		return nil
	}
	const status, events, bind = "$status", "$events", "$get-ws-binding-token"
	one, all := "/Subscription/:id/", "/Subscription/"
	return []route{
		{"GET", one + status, granted, access.Read, s.subscriptionStatus, nil, false, false},
		{"GET", all + status, granted, access.Read, s.subscriptionStatus, []string{"id"}, false, true},
		{"GET", one + events, granted, access.Read, s.subscriptionEvents, []string{"eventsSinceNumber", "eventsUntilNumber", "content"}, false, false},
		{"GET", one + bind, granted, access.Read, s.bindSocket, nil, true, false},
		{"GET", all + bind, granted, access.Read, s.bindSocket, []string{"ids"}, true, true},
		{"GET", topicsPath, public, "", s.topics, nil, false, false},
		{"GET", topicsPath + "/:id", public, "", s.topic, nil, false, false},
	}
}

// caller returns who asks, for a package that does not know requests.
func (s *Server) caller(c *gin.Context) subscription.Caller {
	return subscription.Caller{Grant: noteOf(c.Request).grant, Origin: s.originOf(c.Request)}
}

// subscriptionStatus serves GET Subscription/[id]/$status, and GET
// Subscription/$status?id=[id].
func (s *Server) subscriptionStatus(c *gin.Context) error {
	ids, err := subscriptionsNamed(c, "id")
	if err != nil {
		return err
	}
	body, err := s.config.Subscriptions.Status(c.Request.Context(), s.session(c), ids)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, body)
	return nil
}

// maxNamed is how many subscriptions one request may name.
const maxNamed = 100

// subscriptionsNamed returns the ids in the address: the one of its path, or those
// that a parameter names, which may be given several times or hold several.
func subscriptionsNamed(c *gin.Context, param string) ([]string, error) {
	if id := c.Param("id"); id != "" {
		return validIDs([]string{id})
	}
	list, err := parameters(c.Request.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range list {
		switch p.Name {
		case "_format", "_pretty":
		case param:
			ids = append(ids, strings.Split(p.Value, ",")...)
		default:
			return nil, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "There is no parameter %s here; the ones there are: %s, _format, _pretty.", shown(p.Name), param)
		}
	}
	if len(ids) == 0 || len(ids) > maxNamed {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Name 1 to %d subscriptions: %s=[id].", maxNamed, param)
	}
	return validIDs(ids)
}

func validIDs(ids []string) ([]string, error) {
	if slices.ContainsFunc(ids, func(id string) bool { return !fhir.ValidID(id) }) {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "An id has 1 to 64 letters, digits, hyphens and full stops.")
	}
	return ids, nil
}

// subscriptionEvents serves GET Subscription/[id]/$events.
func (s *Server) subscriptionEvents(c *gin.Context) error {
	ids, err := subscriptionsNamed(c, "")
	if err != nil {
		return err
	}
	replay := subscription.Replay{ID: ids[0], Content: c.Query("content")}
	if !slices.Contains([]string{"", "empty", "id-only", "full-resource"}, replay.Content) {
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "content is empty, id-only or full-resource.")
	}
	for name, to := range map[string]*int64{"eventsSinceNumber": &replay.From, "eventsUntilNumber": &replay.To} {
		if text := c.Query(name); text != "" {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 0 {
				return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "%s is the number of an event.", name)
			}
		}
	}
	body, err := s.config.Subscriptions.Events(c.Request.Context(), s.caller(c), replay)
	if err != nil {
		return err
	}
	s.render(c, http.StatusOK, body)
	return nil
}

// bindSocket serves GET Subscription/[id]/$get-ws-binding-token, and GET
// Subscription/$get-ws-binding-token?ids=[id],[id].
func (s *Server) bindSocket(c *gin.Context) error {
	ids, err := subscriptionsNamed(c, "ids")
	if err != nil {
		return err
	}
	b, err := s.config.Subscriptions.Bind(c.Request.Context(), s.caller(c), ids)
	if err != nil {
		return err
	}
	body, err := json.Marshal(bindingParameters(b, ids, socketURL(s.baseURL(c.Request))))
	if err != nil {
		return fmt.Errorf("write a binding token: %w", err)
	}
	c.Header("Cache-Control", "no-store")
	s.render(c, http.StatusOK, body)
	return nil
}

// A bindingParameter is one of the Parameters that say how to open a websocket.
type bindingParameter struct {
	Name  string `json:"name"`
	Text  string `json:"valueString,omitempty"`
	When  string `json:"valueDateTime,omitempty"`
	Where string `json:"valueUrl,omitempty"`
}

func bindingParameters(b subscription.Binding, ids []string, url string) any {
	list := []bindingParameter{{Name: "token", Text: b.Token}, {Name: "expiration", When: b.Expires.UTC().Format(time.RFC3339)}}
	for _, id := range ids {
		list = append(list, bindingParameter{Name: "subscription", Text: id})
	}
	return struct {
		ResourceType string             `json:"resourceType"`
		Parameter    []bindingParameter `json:"parameter"`
	}{"Parameters", append(list, bindingParameter{Name: "websocket-url", Where: url})}
}

// topics serves GET [base]/SubscriptionTopic, and topic one of them. R4 has no such
// type: they are R5 resources, and search parameters do not apply.
func (s *Server) topics(c *gin.Context) error {
	var b struct {
		ResourceType string       `json:"resourceType"`
		Type         string       `json:"type"`
		Total        int          `json:"total"`
		Entry        []topicEntry `json:"entry"`
	}
	b.ResourceType, b.Type = "Bundle", "searchset"
	for _, t := range subscription.Topics() {
		b.Entry = append(b.Entry, topicEntry{s.baseURL(c.Request) + topicsPath + "/" + t.Name, t.JSON()})
	}
	b.Total = len(b.Entry)
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("write the topics: %w", err)
	}
	c.Data(http.StatusOK, topicType, body)
	return nil
}

type topicEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
}

// topicType says that a resource is one of R5.
// https://hl7.org/fhir/R4/http.html#version-parameter
const topicType = "application/fhir+json; fhirVersion=5.0; charset=utf-8"

func (s *Server) topic(c *gin.Context) error {
	for _, t := range subscription.Topics() {
		if t.Name == c.Param("id") {
			c.Data(http.StatusOK, topicType, t.JSON())
			return nil
		}
	}
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no topic of this name; GET %s%s lists them.", base, topicsPath)
}

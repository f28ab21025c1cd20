package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	changesCount = 100
	maxWait      = 60 * time.Second
)

// The names of what the entries of the feed say besides.
const (
	feedOrigin    = "https://fhir.openconsult.example/StructureDefinition/feed-origin"
	feedSettled   = "https://fhir.openconsult.example/StructureDefinition/feed-settled"
	removalReason = "https://fhir.openconsult.example/CodeSystem/removal-reason"
)

// changesParams are the query parameters that $changes takes.
func changesParams() []string { return []string{"cursor", "_type", "_count", "_origin:not", "_replay"} }

// changes serves GET [base]/$changes: the current state, and then every change of it.
func (s *Server) changes(c *gin.Context) error {
	f, err := feedOf(c)
	if err != nil {
		return err
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	f.Idle = noteOf(c.Request).idle
	page, err := s.session(c).Changes(c.Request.Context(), f)
	if err != nil {
		return s.restartable(c, err)
	}
	if f.Wait > 0 {
		c.Header("Preference-Applied", "wait="+strconv.Itoa(int(f.Wait/time.Second)))
	}
	b := s.feedBundle(c, f, page)
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// restartable adds to an Outcome about a cursor that has expired where to start again.
func (s *Server) restartable(c *gin.Context, err error) error {
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != fhir.Gone || len(o.Issues) != 1 {
		return err
	}
	restart := *o
	restart.Issues = slices.Clone(o.Issues)
	restart.Issues[0].Text += " Start at " + s.changesAddress(c, "") + "."
	return &restart
}

// feedOf reads what a request asks of the feed.
func feedOf(c *gin.Context) (interaction.Feed, error) {
	f := interaction.Feed{Feed: store.Feed{Count: changesCount, After: c.Query("cursor")}}
	var err error
	if f.Types, err = feedTypes(c); err != nil {
		return f, err
	}
	if count, given := c.GetQuery("_count"); given {
		f.Count, err = strconv.Atoi(count)
		if err != nil || f.Count < 1 || f.Count > maxCount {
			return f, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_count is a number from 1 to %d.", maxCount)
		}
	}
	if origin, given := c.GetQuery("_origin:not"); given {
		if origin == "" || len(origin) > maxOrigin {
			return f, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_origin:not is the id of a client whose writes are to be left out, or self.")
		}
		if f.NotSelf = origin == "self"; !f.NotSelf {
			f.NotOrigin = origin
		}
	}
	switch replay, given := c.GetQuery("_replay"); {
	case given && replay != "true" && replay != "false":
		return f, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_replay is true or false.")
	default:
		f.Replay = replay == "true"
	}
	f.Wait = waitOf(c.Request.Header.Values("Prefer"))
	return f, nil
}

// maxOrigin is how long the id of a client may be.
const maxOrigin = 200

// feedTypes returns the types that _type names, each once and in order.
func feedTypes(c *gin.Context) ([]string, error) {
	list, given := c.GetQuery("_type")
	if !given {
		return nil, nil
	}
	var types []string
	for name := range strings.SplitSeq(list, ",") {
		typ, err := resourceType(name)
		if err != nil {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_type names %s, which is no R4 resource type; write names like Task,Communication.", shown(name))
		}
		types = append(types, typ)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// waitOf returns how long Prefer headers are content to wait, which is no time if they
// do not say so. https://www.rfc-editor.org/rfc/rfc7240#section-4.3
func waitOf(headers []string) time.Duration {
	for _, header := range headers {
		for entry := range strings.SplitSeq(header, ",") {
			entry, _, _ = strings.Cut(entry, ";")
			name, value, _ := strings.Cut(entry, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
			if err != nil {
				return 0
			}
			return min(time.Duration(seconds)*time.Second, maxWait)
		}
	}
	return 0
}

// feedBundle returns a page of the feed as a history.
func (s *Server) feedBundle(c *gin.Context, f interaction.Feed, p store.FeedPage) *fhir.Bundle {
	b := &fhir.Bundle{Type: "history", LastUpdated: p.At, Total: -1, Base: s.baseURL(c.Request)}
	b.Links = []fhir.Link{
		{Relation: "self", URL: s.changesAddress(c, f.After)},
		{Relation: "first", URL: s.changesAddress(c, "")},
		{Relation: "next", URL: s.changesAddress(c, p.Next)},
	}
	b.Entries = make([]fhir.Entry, len(p.Entries))
	for i := range p.Entries {
		b.Entries[i] = feedEntry(&p.Entries[i])
	}
	return b
}

// feedEntry returns an entry as a history has it, with why it is there and where it
// comes from.
func feedEntry(v *store.FeedEntry) fhir.Entry {
	e := historyEntry(&v.Version)
	e.Key = v.Key
	if !v.Deleted() {
		e.Stored, e.Meta = v.Stored, fhir.Meta{Version: v.Number, Updated: v.Updated}
	}
	if v.Reason != "" {
		e.Outcome = reasonOutcome(v.Reason)
	}
	e.Extensions = feedExtensions(v)
	return e
}

// reasonOutcome returns an OperationOutcome that says why something is told.
func reasonOutcome(reason string) []byte {
	b := append([]byte(nil), `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"coding":[{"system":"`...)
	b = append(append(b, removalReason...), `","code":"`...)
	return append(append(b, reason...), `"}]}}]}`...)
}

// feedExtensions returns the extensions of an entry, nil for none.
func feedExtensions(v *store.FeedEntry) []byte {
	if v.Origin == "" && !v.Settled {
		return nil
	}
	b := []byte{'['}
	if v.Origin != "" {
		// A string can always be written.
		origin, _ := json.Marshal(v.Origin)
		b = append(append(append(append(append(b, `{"url":"`...), feedOrigin...), `","valueString":`...), origin...), '}')
	}
	if v.Settled {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, `{"url":"`...), feedSettled...), `","valueBoolean":true}`...)
	}
	return append(b, ']')
}

// changesAddress returns the address of a page: that of the request with another
// cursor. Where it goes on from does not depend on _replay any more.
func (s *Server) changesAddress(c *gin.Context, cursor string) string {
	q := url.Values{}
	for name, values := range c.Request.URL.Query() {
		if name != "cursor" && (name != "_replay" || cursor == "") {
			q[name] = values
		}
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	address := s.baseURL(c.Request) + "/$changes"
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

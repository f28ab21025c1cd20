package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// threadAfter is the query parameter of the page links of a conversation.
const threadAfter = "_after"

// threadUnread is the extension of the entry of a Task that counts the messages which the caller
// has not read.
const threadUnread = "https://fhir.openconsult.example/StructureDefinition/thread-unread"

// thread serves GET [base]/Task/[id]/$thread.
func (s *Server) thread(c *gin.Context) error {
	q := interaction.ThreadRequest{After: c.Query(threadAfter)}
	var err error
	if q.Task, err = keyParam(c); err != nil {
		return err
	}
	if count, given := c.GetQuery("_count"); given {
		if q.Count, err = strconv.Atoi(count); err != nil || q.Count < 1 || q.Count > maxCount {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "_count is a number from 1 to %d.", maxCount)
		}
	}
	if _, err := negotiate(c.Request); err != nil {
		return err
	}
	t, err := s.session(c).Thread(c.Request.Context(), q)
	if err != nil {
		return err
	}
	b := threadBundle(t, s.baseURL(c.Request))
	b.Links = threadLinks(b.Base, q, t.Next)
	s.render(c, http.StatusOK, b.Append(make([]byte, 0, b.Size())))
	return nil
}

// threadBundle returns a conversation as a searchset: its messages are what was searched for.
func threadBundle(t *interaction.Thread, base string) *fhir.Bundle {
	b := &fhir.Bundle{Type: "searchset", Total: t.Total, Base: base}
	task := threadEntry(&t.Task, modeInclude)
	task.Extensions = append(strconv.AppendInt([]byte(`[{"url":"`+threadUnread+`","valueUnsignedInt":`), int64(t.Unread), 10), "}]"...)
	b.Entries = append(b.Entries, task)
	// What the Task is about comes before what was said about it, and the other Tasks behind.
	about := 0
	if len(t.Around) > 0 && t.Around[0].Key.Type != "Task" {
		about = 1
		b.Entries = append(b.Entries, threadEntry(&t.Around[0], modeInclude))
	}
	for i := range t.Messages {
		b.Entries = append(b.Entries, threadEntry(&t.Messages[i], modeMatch))
	}
	for i := range t.Around[about:] {
		b.Entries = append(b.Entries, threadEntry(&t.Around[about+i], modeInclude))
	}
	return b
}

func threadEntry(v *store.Version, mode string) fhir.Entry {
	return fhir.Entry{Mode: mode, Key: v.Key, Stored: v.Stored, Meta: fhir.Meta{Version: v.Number, Updated: v.Updated}}
}

// threadLinks returns the links of a page.
func threadLinks(base string, q interaction.ThreadRequest, next string) []fhir.Link {
	at := func(after string) string {
		v := url.Values{}
		if q.Count > 0 {
			v.Set("_count", strconv.Itoa(q.Count))
		}
		if after != "" {
			v.Set(threadAfter, after)
		}
		address := base + "/" + q.Task.String() + "/$thread"
		if len(v) > 0 {
			address += "?" + v.Encode()
		}
		return address
	}
	links := []fhir.Link{{Relation: "self", URL: at(q.After)}}
	if q.Count > 0 {
		links = append(links, fhir.Link{Relation: "first", URL: at("")})
	}
	if next != "" {
		links = append(links, fhir.Link{Relation: "next", URL: at(next)})
	}
	return links
}

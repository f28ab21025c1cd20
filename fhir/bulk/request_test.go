package bulk_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/interaction"
)

func TestLater(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	w := newWorld(t, bulk.Config{Perform: func(_ context.Context, p bulk.Performance) bulk.Response {
		if p.Method == "POST" && tries.Add(1) == 1 {
			return bulk.Response{Status: http.StatusServiceUnavailable}
		}
		if p.Path == "/missing" {
			return bulk.Response{Status: 404, Body: []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}`)}
		}
		if !p.Grant.IsTrusted() || !strings.HasPrefix(p.Key, "async-") || string(p.Body) != `{"resourceType":"Patient"}` || p.Header["If-Match"] != `W/"1"` {
			return bulk.Response{Status: 400}
		}
		return bulk.Response{Status: 201, Header: http.Header{"Location": {"http://here/Patient/1"}, "Etag": {`W/"1"`}, "Last-Modified": {"Sun, 22 Nov 2026 11:00:00 GMT"}}, Body: []byte(`{"resourceType":"Patient","id":"1"}`)}
	}})
	answer := func(r bulk.Request) string {
		id, err := w.bulk.Later(t.Context(), w.trusted(), interaction.Origin{Request: "test"}, r)
		if err != nil {
			t.Fatal(err)
		}
		j := w.await(w.trusted(), id)
		if _, err := fhir.Decode("Bundle", j.Answer); err != nil {
			t.Error(err)
		}
		_, err = w.bulk.Open(t.Context(), w.trusted(), interaction.Origin{}, id, "answer")
		refused(t, err, fhir.Unknown, "")
		return string(j.Answer)
	}
	got := answer(bulk.Request{Method: "POST", Path: "/Patient", Header: map[string]string{"If-Match": `W/"1"`}, Body: []byte(`{"resourceType":"Patient"}`)})
	const want = `{"resourceType":"Bundle","type":"batch-response","entry":[{"resource":{"resourceType":"Patient","id":"1"},"response":{"status":"201 Created","location":"http://here/Patient/1","etag":"W/\"1\"","lastModified":"2026-11-22T11:00:00.000Z"}}]}`
	if got != want || tries.Load() != 2 {
		t.Errorf("%s\nwant %s, tried %d times", got, want, tries.Load())
	}
	if got := answer(bulk.Request{Method: "GET", Path: "/missing"}); !strings.Contains(got, `"status":"404 Not Found","outcome":{"resourceType":"OperationOutcome"`) {
		t.Error(got)
	}
	_, err := w.bulk.Later(t.Context(), access.Grant{}, interaction.Origin{}, bulk.Request{})
	refused(t, err, fhir.Denied, "answered at once only")
}

// TestCancel ends a job that is being worked on.
func TestCancel(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	c := killed()
	c.Perform = func(ctx context.Context, _ bulk.Performance) bulk.Response {
		close(begun)
		<-ctx.Done()
		close(ended)
		return bulk.Response{}
	}
	w := newWorld(t, c)
	id, err := w.bulk.Later(t.Context(), w.trusted(), interaction.Origin{}, bulk.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := w.bulk.Cancel(t.Context(), w.trusted(), id); err != nil {
		t.Fatal(err)
	}
	<-ended
	_, err = w.bulk.Find(t.Context(), w.trusted(), id)
	refused(t, err, fhir.Unknown, "no such job")
}

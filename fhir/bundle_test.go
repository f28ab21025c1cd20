package fhir_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestBundleAppend(t *testing.T) {
	t.Parallel()
	const patient = `{"resourceType":"Patient","id":"1"}`
	for _, c := range []struct {
		name string
		b    fhir.Bundle
		want string
	}{
		{"nothing", fhir.Bundle{Type: "searchset", Total: 0}, `{"resourceType":"Bundle","type":"searchset","total":0}`},
		{"no total", fhir.Bundle{Type: "collection", Total: -1}, `{"resourceType":"Bundle","type":"collection"}`},
		{"history", fhir.Bundle{
			Type: "history", Total: 2, LastUpdated: stamped,
			Links: []fhir.Link{{Relation: "self", URL: `https://a.example/Patient/1/_history?_count=1&x="<é`}, {Relation: "next", URL: "https://a.example/2"}},
			Entries: []fhir.Entry{
				{FullURL: "https://a.example/Patient/1", Resource: []byte(patient), Method: "PUT", URL: "Patient/1", Status: "200 OK", ETag: `W/"2"`, LastModified: stamped},
				{FullURL: "https://a.example/Patient/1", Method: "DELETE", URL: "Patient/1", Status: "204 No Content", ETag: `W/"3"`, LastModified: stamped},
			},
		}, `{"resourceType":"Bundle","meta":{"lastUpdated":"2024-02-29T12:30:15.678Z"},"type":"history","total":2,` +
			`"link":[{"relation":"self","url":"https://a.example/Patient/1/_history?_count=1&x=\"<é"},{"relation":"next","url":"https://a.example/2"}],` +
			`"entry":[{"fullUrl":"https://a.example/Patient/1","resource":` + patient + `,"request":{"method":"PUT","url":"Patient/1"},` +
			`"response":{"status":"200 OK","etag":"W/\"2\"","lastModified":"2024-02-29T12:30:15.678Z"}},` +
			`{"fullUrl":"https://a.example/Patient/1","request":{"method":"DELETE","url":"Patient/1"},` +
			`"response":{"status":"204 No Content","etag":"W/\"3\"","lastModified":"2024-02-29T12:30:15.678Z"}}]}`},
		{"searchset", fhir.Bundle{
			Type: "searchset", Total: 1000, Estimated: true, Base: "https://a.example/fhir",
			Entries: []fhir.Entry{
				{Key: fhir.Key{Type: "Patient", ID: "1"}, Stored: []byte(`{"resourceType":"Patient","id":"1","active":true}`), Meta: fhir.Meta{Version: 3, Updated: stamped}, Mode: "match"},
				{Key: fhir.Key{Type: "Patient", ID: "2"}, Resource: []byte(`{"resourceType":"Patient","id":"2"}`), Mode: "include", Links: []fhir.Link{{Relation: "task", URL: "https://a.example/Task/1"}}},
				{Resource: []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"value"}]}`), Mode: "outcome"},
			},
		}, `{"resourceType":"Bundle","type":"searchset","total":1000,"_total":{"extension":[{"url":"` + fhir.EstimateURL + `","valueBoolean":true}]},` +
			`"entry":[{"fullUrl":"https://a.example/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1",` +
			`"meta":{"versionId":"3","lastUpdated":"2024-02-29T12:30:15.678Z"},"active":true},"search":{"mode":"match"}},` +
			`{"fullUrl":"https://a.example/fhir/Patient/2","resource":{"resourceType":"Patient","id":"2"},"link":[{"relation":"task","url":"https://a.example/Task/1"}],"search":{"mode":"include"}},` +
			`{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"value"}]},"search":{"mode":"outcome"}}]}`},
	} {
		if n := len(c.want); n > c.b.Size() {
			t.Errorf("%s: has %d bytes, more than the %d of Size", c.name, n, c.b.Size())
		}
		got := c.b.Append([]byte("> "))
		if string(got) != "> "+c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
		if _, err := fhir.Decode("Bundle", got[2:]); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

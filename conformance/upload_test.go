package conformance_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// An upload is a request that the server has begun to read and that is not
// whole yet.
type upload struct {
	rest io.WriteCloser
	done chan error
	resp *http.Response
}

const uploaded = `{"resourceType":"Organization","id":"slow","name":"in two pieces"}`

// beginUpload sends the first half of a resource.
func beginUpload(t *testing.T, base string) *upload {
	t.Helper()
	r, w := io.Pipe()
	req, err := http.NewRequest(http.MethodPut, base+"/Organization/slow", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	u := &upload{rest: w, done: make(chan error, 1)}
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		u.resp = resp
		u.done <- err
	}()
	if _, err := io.WriteString(w, uploaded[:20]); err != nil {
		t.Fatal(err)
	}
	return u
}

// finish sends the other half, which must be answered with 201.
func (u *upload) finish(t *testing.T) {
	t.Helper()
	_, err := io.Copy(u.rest, strings.NewReader(uploaded[20:]))
	if err == nil {
		err = u.rest.Close()
	}
	if err == nil {
		err = <-u.done
	}
	if err != nil {
		t.Errorf("a request that was under way: %v", err)
		return
	}
	u.resp.Body.Close()
	if u.resp.StatusCode != http.StatusCreated {
		t.Errorf("a request that was under way was answered with %s", u.resp.Status)
	}
}

// testDSN returns a database for one test as --dsn takes it.
func testDSN(t *testing.T) string {
	t.Helper()
	return pgtest.New(t).DSN
}

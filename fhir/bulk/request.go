package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// A Request is one that is performed later.
type Request struct {
	Method     string
	Base       string            // of the address that it was sent to
	Path       string            // below the base, with the query: "/Patient?name=x"
	Header     map[string]string // what of it shapes the answer
	Body       []byte
	Repeatable bool // it is carried out once, however often it is performed under one key
}

// A Performance is a Request when its time has come. The Body is not kept with the
// rest.
type Performance struct {
	Request
	From  interaction.Origin
	Key   string       // the same each time that the request is performed: what it writes is written once
	Grant access.Grant `json:"-"`
}

// A Response answers a Request.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // a resource as JSON, or nothing
}

// answerFile is the name of the pieces of an answer.
const answerFile = "answer"

// Later begins to perform r for g, from where it came, and returns the id of its job.
func (e *Engine) Later(ctx context.Context, g access.Grant, from interaction.Origin, r Request) (string, error) {
	if e.Perform == nil {
		return "", fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "This server performs no requests later; leave respond-async out of Prefer.")
	}
	body := r.Body
	r.Body = nil
	id, err := e.begin(ctx, g, requestKind, "receiving", Performance{Request: r, From: from, Key: "async-" + newName()[:32]})
	if err != nil {
		return "", err
	}
	const arrive = `WITH j AS (UPDATE bulk_job SET state = 'waiting', lease = '-infinity' WHERE id = $1 AND state = 'receiving' RETURNING id)
		INSERT INTO bulk_piece (job, name, start, content) SELECT id, '', 0, $2 FROM j`
	if body == nil {
		body = []byte{}
	}
	if err := e.own(ctx, arrive, id, body); err != nil {
		return "", lostToSender(err)
	}
	e.wake()
	return id, nil
}

// mostTries is how often a request is performed that the server is too busy for, over
// some seven minutes. Then that is the answer.
const mostTries = 12

// workRequest performs a request and keeps its answer. One that is performed again,
// since a server was lost, has the same key.
func (e *Engine) workRequest(ctx context.Context, j *job) error {
	var p Performance
	if err := json.Unmarshal(j.asked, &p); err != nil {
		return fmt.Errorf("read a request: %w", err)
	}
	body, err := sent{e, j.id}.from(ctx, 0)
	if err != nil {
		return err
	}
	p.Body = body
	if p.Grant, err = e.Grants(ctx, j.holder); err != nil {
		return err
	}
	r := e.Perform(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if busy := r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests; busy && j.turn < mostTries {
		return fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The server is busy.")
	}
	return e.store(ctx, j, step{
		place: struct{}{}, done: true,
		files:  []file{{name: answerFile, kind: answerFile, typ: "Bundle", count: 1}},
		pieces: []piece{{name: answerFile, content: answer(r)}},
	})
}

// answer returns the Bundle that holds r. https://hl7.org/fhir/async-bundle.html
func answer(r Response) []byte {
	dst := []byte(`{"resourceType":"Bundle","type":"batch-response","entry":[{`)
	failed := r.Status >= http.StatusBadRequest
	if len(r.Body) > 0 && !failed {
		dst = append(append(append(dst, `"resource":`...), r.Body...), ',')
	}
	dst = fhir.AppendString(append(dst, `"response":{"status":`...), strings.TrimSpace(strconv.Itoa(r.Status)+" "+http.StatusText(r.Status)))
	for _, h := range []struct{ header, name string }{{"Location", "location"}, {"ETag", "etag"}} {
		if v := r.Header.Get(h.header); v != "" {
			dst = fhir.AppendString(append(dst, `,"`+h.name+`":`...), v)
		}
	}
	if at, err := http.ParseTime(r.Header.Get("Last-Modified")); err == nil {
		dst = fhir.AppendString(append(dst, `,"lastModified":`...), at.UTC().Format(fhir.InstantFormat))
	}
	if len(r.Body) > 0 && failed {
		dst = append(append(dst, `,"outcome":`...), r.Body...)
	}
	return append(dst, `}}]}`...)
}

package bulk

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A source gives bytes from a place on. At the end there are none.
type source interface {
	from(ctx context.Context, at int64) ([]byte, error)
}

// sent is what was sent with the request.
type sent struct {
	engine *Engine
	job    string
}

func (s sent) from(ctx context.Context, at int64) ([]byte, error) {
	var start int64
	var content []byte
	const query = `SELECT start, content FROM bulk_piece WHERE job = $1 AND name = '' AND start <= $2 ORDER BY start DESC LIMIT 1`
	err := s.engine.db.QueryRowContext(ctx, query, s.job, at).Scan(&start, &content)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fault("read what is imported", err)
	case at-start >= int64(len(content)):
		return nil, nil
	}
	return content[at-start:], nil
}

// rangeBytes is how much is asked for at once: what a guarded client reads of one
// answer.
const rangeBytes = 1 << 20

// remote is what is at an address. It is read in ranges, so that a job goes on where
// it was, and all of it must be of one version.
type remote struct {
	client  *http.Client
	url     string
	version string // ETag or Last-Modified that the first answer had
}

func (r *remote) from(ctx context.Context, at int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, r.refuse("is none that can be fetched")
	}
	request.Header.Set("Accept", "application/fhir+ndjson, application/ndjson, */*;q=0.1")
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+rangeBytes-1))
	answer, err := r.client.Do(request)
	if err != nil {
		// Why is not told: it would tell what there is in the network of the server.
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, r.refuse("cannot be reached from here")
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case answer.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil, nil
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return nil, fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The server at the address of an input cannot answer at the moment.")
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusPartialContent:
		return nil, r.refuse("answers with status " + strconv.Itoa(answer.StatusCode))
	case err != nil && answer.StatusCode == http.StatusOK:
		return nil, r.refuse("gives more than 1 MiB and takes no Range")
	case err != nil:
		return nil, fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The answer from the address of an input has broken off.")
	}
	return r.content(answer, body, at)
}

// content returns what of an answer is behind at.
func (r *remote) content(answer *http.Response, body []byte, at int64) ([]byte, error) {
	version := answer.Header.Get("ETag")
	if version == "" {
		version = answer.Header.Get("Last-Modified")
	}
	if r.version == "" {
		r.version = version
	}
	if version != r.version {
		return nil, r.refuse("has changed while it was read")
	}
	if answer.StatusCode == http.StatusOK {
		return body[min(at, int64(len(body))):], nil
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", at)) {
		return nil, r.refuse("gives another Range than is asked for")
	}
	return body, nil
}

func (r *remote) refuse(because string) error {
	return fhir.Errorf(fhir.Unprocessable, fhir.Processing, "Parameters", "The address of an input %s.", because)
}

// maxLine is how long a line may be.
const maxLine = 5 << 20

// lines reads a source line by line.
type lines struct {
	source source
	at     int64 // place in the source behind the line that was read last
	buffer []byte
	over   bool
}

// next returns the next line, without its end. It is nil at the end of the source,
// and long says that there is more of it than is returned.
func (l *lines) next(ctx context.Context) (line []byte, long bool, err error) {
	skipped := int64(0)
	for {
		end := bytes.IndexByte(l.buffer, '\n')
		switch {
		case end >= 0:
			line, l.buffer = l.buffer[:end:end], l.buffer[end+1:]
			l.at += skipped + int64(end) + 1
			return line, skipped > 0 || end > maxLine, nil
		case l.over && len(l.buffer) == 0 && skipped == 0:
			return nil, false, nil
		case l.over:
			line, l.buffer = append([]byte{}, l.buffer...), nil
			l.at += skipped + int64(len(line))
			return line, skipped > 0 || len(line) > maxLine, nil
		case len(l.buffer) > maxLine:
			skipped += int64(len(l.buffer))
			l.buffer = nil
		}
		more, err := l.source.from(ctx, l.at+skipped+int64(len(l.buffer)))
		if err != nil {
			return nil, false, err
		}
		l.over = len(more) == 0
		l.buffer = append(l.buffer, more...)
	}
}

package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// An Import is what a client asks for: the lines of some sources, in their order.
type Import struct {
	Request string   // address that it was sent to
	Sources []Source // none: the body of the request
}

// A Source is where lines of NDJSON are.
type Source struct {
	URL  string
	Type string // that all resources are of; empty: of any
}

// importAsked is an Import as a job keeps it.
type importAsked struct {
	Import
	From interaction.Origin
}

// arrival is how long what is sent may pause.
const arrival = time.Minute

// The bounds of what is sent.
const (
	pieceBytes = 256 << 10
	maxSent    = 16 << 30
	maxSources = 1000
)

// Import begins an import for g, from where a request came, and returns the id of its
// job. Without Sources it takes body, which it stores as it arrives; a body that
// breaks off is forgotten.
func (e *Engine) Import(ctx context.Context, g access.Grant, from interaction.Origin, i Import, body io.Reader) (string, error) {
	if err := mayImport(g); err != nil {
		return "", e.turnedAway(ctx, caller{g, from}, "import", err)
	}
	if err := e.checkSources(i.Sources); err != nil {
		return "", err
	}
	if err := e.note(ctx, g, from, store.Trail{Interaction: "import"}); err != nil {
		return "", err
	}
	asked := importAsked{i, from}
	if len(i.Sources) > 0 {
		return e.begin(ctx, g, importKind, "waiting", asked)
	}
	id, err := e.begin(ctx, g, importKind, "receiving", asked)
	if err != nil {
		return "", err
	}
	if err := e.receive(ctx, id, body); err != nil {
		// What cannot be removed now goes when it has been silent for a while.
		_, _ = e.change(context.WithoutCancel(ctx), `DELETE FROM bulk_job WHERE id = $1 AND state = 'receiving'`, id)
		return "", err
	}
	e.wake()
	return id, nil
}

func (e *Engine) checkSources(all []Source) error {
	if len(all) > 0 && e.HTTP == nil {
		return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "Parameters", "This server imports from no addresses; send the lines themselves, as application/fhir+ndjson.")
	}
	if len(all) > maxSources {
		return fhir.Errorf(fhir.BadRequest, fhir.TooLong, "Parameters", "An import has %d sources at most.", maxSources)
	}
	for n, s := range all {
		if u, err := url.Parse(s.URL); err != nil || u.Host == "" {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, fmt.Sprintf("Parameters.parameter.where(name='input')[%d]", n), "The url of an input is an absolute address.")
		}
	}
	return nil
}

// receive stores a body piece by piece, and has the job begin when it is there.
func (e *Engine) receive(ctx context.Context, id string, body io.Reader) error {
	buffer := make([]byte, pieceBytes)
	for start := int64(0); ; {
		n, err := io.ReadFull(body, buffer)
		over := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !over {
			return err
		}
		if start += int64(n); start > maxSent {
			return fhir.Errorf(fhir.TooLarge, fhir.TooLong, "", "An import takes %d bytes at most; send it in parts.", int64(maxSent))
		}
		if n > 0 {
			const insert = `WITH j AS (UPDATE bulk_job SET lease = clock_timestamp() + $4 * interval '1 second' WHERE id = $1 AND state = 'receiving' RETURNING id)
				INSERT INTO bulk_piece (job, name, start, content) SELECT id, '', $2, $3 FROM j`
			if err := e.own(ctx, insert, id, start-int64(n), buffer[:n], arrival.Seconds()); err != nil {
				return lostToSender(err)
			}
		}
		if over {
			return lostToSender(e.own(ctx, `UPDATE bulk_job SET state = 'waiting', lease = '-infinity' WHERE id = $1 AND state = 'receiving'`, id))
		}
	}
}

func lostToSender(err error) error {
	if errors.Is(err, errLost) {
		return fhir.Errorf(fhir.Unavailable, fhir.Timeout, "", "The lines have come too slowly; send them again.")
	}
	return err
}

package bulk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// The kinds of files.
const (
	outputKind   = "output"
	deletedKind  = "deleted"
	errorKind    = "error"
	rejectedKind = "rejected"
)

// An Open is a file that g may have now.
type Open struct {
	File
	Expires time.Time

	engine *Engine
	grant  access.Grant
	job    string
	asked  *exportAsked // nil for what is no export's
}

// Open returns a file of a job that is done. One that is not g's, or is not there any
// more, is an Outcome of class Unknown. What g may not export or import any more is
// refused.
func (e *Engine) Open(ctx context.Context, g access.Grant, from interaction.Origin, id, name string) (*Open, error) {
	o := &Open{engine: e, job: id, grant: g}
	var kind string
	var asked []byte
	const query = `SELECT j.kind, j.asked, j.expires, f.name, f.kind, f.type, f.count FROM bulk_job j JOIN bulk_file f ON f.job = j.id AND f.name = $4
		WHERE j.id = $1 AND j.owner = $2 AND j.expires > $3 AND j.state = 'done' AND j.kind <> 'request'`
	owner := ownerOf(g)
	err := e.db.QueryRowContext(ctx, query, id, owner, e.now(), name).Scan(&kind, &asked, &o.Expires, &o.Name, &o.Kind, &o.Type, &o.Count)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && owner == "":
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such file: its job is over, was cancelled, is not done, or is somebody else's.")
	case err != nil:
		return nil, fault("read a file of a job", err)
	}
	if err := o.permit(kind, asked); err != nil {
		return nil, e.turnedAway(ctx, caller{g, from}, kind+"-file", err)
	}
	trail := store.Trail{Interaction: "export-file", Key: fhir.Key{Type: o.Type}, Detail: map[string]string{"file": o.Name}}
	if kind == importKind {
		trail.Interaction, trail.Key = "import-file", fhir.Key{}
	}
	return o, e.note(ctx, g, from, trail)
}

// permit returns an Outcome unless the file may be had by its grant.
func (o *Open) permit(kind string, asked []byte) error {
	if kind != exportKind {
		return mayImport(o.grant)
	}
	o.grant = exporting(o.grant)
	o.asked = &exportAsked{}
	if err := json.Unmarshal(asked, o.asked); err != nil {
		return fmt.Errorf("read an export: %w", err)
	}
	return mayExport(o.grant, []string{o.Type})
}

// mostReaders is how many files are read at a time: each takes some megabytes while
// its reader is slow.
const mostReaders = 32

// Each has the content of the file written, in pieces. While it waits for write it
// holds memory, and no connection. When too many files are being read, that is an
// Outcome of class Unavailable.
func (o *Open) Each(ctx context.Context, write func([]byte) error) error {
	if !o.engine.readers.TryAcquire(1) {
		return fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "Too many files are being read; send the request again later.")
	}
	defer o.engine.readers.Release(1)
	if o.asked == nil {
		return o.engine.pieces(ctx, o.job, o.Name, write)
	}
	var packed []byte
	err := o.engine.pieces(ctx, o.job, o.Name, func(b []byte) error {
		packed = append(packed, b...)
		return nil
	})
	if err != nil {
		return err
	}
	list, err := store.ParseList(packed)
	if err != nil {
		return err
	}
	return o.engine.Store.ReadExport(ctx, o.grant, o.Type, list, store.Exporter{Render: o.asked.render(o.Type), Write: write})
}

// pieces has the pieces of a file read, one after the other. No connection is held
// while one is taken.
func (e *Engine) pieces(ctx context.Context, id, name string, take func([]byte) error) error {
	for start := int64(-1); ; {
		var content []byte
		err := e.db.QueryRowContext(ctx, `SELECT start, content FROM bulk_piece WHERE job = $1 AND name = $2 AND start > $3 ORDER BY start LIMIT 1`, id, name, start).Scan(&start, &content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fault("read a piece of a job", err)
		}
		if err := take(content); err != nil {
			return err
		}
	}
}

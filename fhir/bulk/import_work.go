package bulk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// importPlace is how far an import is.
type importPlace struct {
	Source  int
	Version string  // of what is at the address of the source
	At      int64   // byte
	Line    int64   // of the source, that was read last
	Stored  []int64 // lines, of each source that was begun

	// What of the reports is stored.
	Rejected                  int64
	OutcomesBytes, LinesBytes int64
	Lines                     int64 // that can be sent again
}

func (p importPlace) progress(a importAsked) string {
	var stored int64
	for _, n := range p.Stored {
		stored += n
	}
	return fmt.Sprintf("source %d of %d: %d lines are stored, %d rejected", p.Source+1, max(len(a.Sources), 1), stored, p.Rejected)
}

func (p importPlace) inputs(a importAsked) []Input {
	var all []Input
	for i, n := range p.Stored {
		in := Input{Stored: n}
		if i < len(a.Sources) {
			in.URL, in.Type = a.Sources[i].URL, a.Sources[i].Type
		}
		all = append(all, in)
	}
	return all
}

// The files of an import.
const (
	outcomesFile = "outcomes.ndjson"
	rejectedFile = "rejected.ndjson"
)

// The bounds of what is written at once.
const (
	chunkLines = 200
	chunkBytes = 4 << 20
)

// workImport imports source after source.
func (e *Engine) workImport(ctx context.Context, j *job) error {
	w := importWork{Engine: e, job: j}
	if err := json.Unmarshal(j.asked, &w.asked); err != nil {
		return fmt.Errorf("read an import: %w", err)
	}
	if err := json.Unmarshal(j.place, &w.place); err != nil {
		return fmt.Errorf("read the place of an import: %w", err)
	}
	for n := max(len(w.asked.Sources), 1); w.place.Source < n; {
		if err := w.source(ctx); err != nil {
			return err
		}
		w.place.Source++
		w.place.Version, w.place.At, w.place.Line = "", 0, 0
		if err := e.store(ctx, j, step{place: w.place, done: w.place.Source == n}); err != nil {
			return err
		}
	}
	return nil
}

// An importWork imports.
type importWork struct {
	*Engine
	job     *job
	asked   importAsked
	place   importPlace
	session *interaction.Session
	granted time.Time // when its grant was asked for
}

// source imports what is left of a source.
func (w *importWork) source(ctx context.Context) error {
	if len(w.place.Stored) == w.place.Source {
		w.place.Stored = append(w.place.Stored, 0)
	}
	var of Source
	l := lines{source: sent{w.Engine, w.job.id}, at: w.place.At}
	var far *remote
	if len(w.asked.Sources) > 0 {
		of = w.asked.Sources[w.place.Source]
		far = &remote{client: w.HTTP, url: of.URL, version: w.place.Version}
		l.source = far
	}
	var held *parsed // a line that begins the next chunk
	for {
		c, next, err := w.chunk(ctx, &l, of, held)
		if err != nil {
			return err
		}
		if len(c.lines) == 0 {
			return nil
		}
		if held = next; far != nil {
			w.place.Version = far.version
		}
		if err := w.write(ctx, of, c); err != nil {
			return err
		}
	}
}

// A parsed is a line that was read.
type parsed struct {
	number int64
	at     int64 // place behind it
	text   []byte
	entry  interaction.Entry
	wrong  *fhir.Outcome // why it cannot be stored
	blank  bool
}

// A chunk is lines that are written at once. No two are about one resource.
type chunk struct{ lines []*parsed }

// chunk reads the next lines, after one that was held back, and returns the one that
// does not belong to them.
func (w *importWork) chunk(ctx context.Context, l *lines, of Source, held *parsed) (c chunk, next *parsed, err error) {
	number, size := w.place.Line, 0
	keys := map[fhir.Key]bool{}
	for p := held; ; p = nil {
		if p == nil {
			text, long, err := l.next(ctx)
			if err != nil || text == nil {
				return c, nil, err
			}
			p = w.parse(of, number+1, text, long)
			p.at = l.at
		}
		if keys[p.entry.Key] && p.entry.Key.ID != "" {
			return c, p, nil
		}
		number, keys[p.entry.Key] = p.number, true
		c.lines = append(c.lines, p)
		if size += len(p.text); len(c.lines) == chunkLines || size > chunkBytes {
			return c, nil, nil
		}
	}
}

// parse reads one line. A resource without an id gets one that it has again when the
// line is read again.
func (w *importWork) parse(of Source, number int64, text []byte, long bool) *parsed {
	p := &parsed{number: number, text: text}
	if p.blank = len(bytes.TrimSpace(text)) == 0 && !long; p.blank {
		return p
	}
	if long {
		p.text = nil
		p.wrong = fhir.Errorf(fhir.TooLarge, fhir.TooLong, "", "The line is longer than %d bytes.", maxLine)
		return p
	}
	r, err := fhir.Decode(of.Type, text)
	if err == nil && r.ID() == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", w.job.id, w.place.Source, number))
		r, err = fhir.Decode(r.Type(), r.Stored(hex.EncodeToString(sum[:16])))
	}
	if err != nil {
		p.wrong = cmp.Or(fhir.AsOutcome(err), fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The line is no resource."))
		return p
	}
	p.entry = interaction.Entry{Method: "PUT", Key: fhir.Key{Type: r.Type(), ID: r.ID()}, Resource: r}
	return p
}

// write stores the resources of a chunk, then the place behind it. What of it was
// stored before stays as it is.
func (w *importWork) write(ctx context.Context, of Source, c chunk) error {
	if err := w.grant(ctx); err != nil {
		return err
	}
	var b interaction.Bundle
	var sent []*parsed
	for _, p := range c.lines {
		if p.wrong == nil && !p.blank {
			b.Entries, sent = append(b.Entries, p.entry), append(sent, p)
		}
	}
	if len(b.Entries) > 0 {
		replies, err := w.session.Batch(ctx, b)
		if err != nil {
			return err
		}
		for i, r := range replies {
			if r.Err == nil {
				w.place.Stored[w.place.Source]++
				continue
			}
			if sent[i].wrong = fhir.AsOutcome(r.Err); sent[i].wrong == nil || passes(r.Err) {
				return fmt.Errorf("import a line: %w", r.Err)
			}
		}
	}
	s := w.report(of, c)
	last := c.lines[len(c.lines)-1]
	w.place.At, w.place.Line = last.at, last.number
	s.place = w.place
	return w.store(ctx, w.job, s)
}

// asking is how long an import goes on without asking what its holder may do.
const asking = 5 * time.Second

// grant sees to it that the session is that of who may still import.
func (w *importWork) grant(ctx context.Context) error {
	if w.session != nil && time.Since(w.granted) < asking {
		return nil
	}
	g, err := w.Grants(ctx, w.job.holder)
	if err != nil {
		return err
	}
	if err := mayImport(g); err != nil {
		return err
	}
	w.session, w.granted = w.Engine.Engine.For(g, w.asked.From), time.Now()
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// A bundleReader reads a source that holds a resource or a Bundle, or several. Of a Bundle
// that is to be unpacked no more than one entry is held.
type bundleReader struct {
	cutter *cutter
	source source
	stored int64 // offset up to which an earlier run has stored it
	at     place
	newest map[uint64]bool // of a history: resources whose newest version was seen

	gathering bool // the entries name each other by fullUrl, and go together
	gathered  []byte
}

// document cuts a source that is no NDJSON.
func (c *cutter) document(ctx context.Context, s source, o *opened, at place) error {
	b := &bundleReader{cutter: c, source: s, stored: at.Offset, at: place{Source: at.Source}, newest: map[uint64]bool{}}
	head, _ := o.Peek(reading)
	from := &bounded{Reader: o, left: maxLine}
	d := jsontext.NewDecoder(from, jsontext.AllowDuplicateNames(true))
	if found := probe(head); found.typ == "Bundle" && found.bundle != "" && !carriedOut(found.bundle) {
		if err := b.entries(ctx, found.bundle, d, func() int64 { from.left = maxLine; return d.InputOffset() }); err != nil {
			return fmt.Errorf("read a Bundle: %w", err)
		}
	}
	for d.PeekKind() != 0 {
		raw, err := d.ReadValue()
		if err != nil {
			return fmt.Errorf("read JSON: %w", err)
		}
		from.left = maxLine
		if err := b.value(ctx, bytes.Clone(raw), d.InputOffset()); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return fmt.Errorf("read JSON: %w", err)
	}
	return nil
}

// carriedOut reports whether Bundles of a type are requests.
func carriedOut(typ string) bool { return typ == "batch" || typ == "transaction" }

// A bounded reader fails when more is read at once than may be held.
type bounded struct {
	io.Reader
	left int64
}

// Read reads, and fails when nothing is left.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a resource or Bundle is longer than %d bytes", maxLine)
	}
	n, err := b.Reader.Read(p)
	b.left -= int64(n)
	return n, err
}

// probe reads as much of the beginning of an object as it takes to know what it is.
func probe(head []byte) seen {
	var found seen
	d := jsontext.NewDecoder(bytes.NewReader(head), jsontext.AllowDuplicateNames(true))
	known := errors.New("known")
	// A beginning has no end, so there is an error always.
	_ = eachMember(d, func(name string) error {
		if err := found.member(d, name); err != nil {
			return err
		}
		if found.typ != "" && (found.typ != "Bundle" || found.bundle != "") {
			return known
		}
		return nil
	})
	return found
}

// value reads a resource or Bundle that is held whole and ends at an offset.
func (b *bundleReader) value(ctx context.Context, raw []byte, end int64) error {
	found, err := b.cutter.sight.see(raw)
	switch {
	case err == nil && found.typ == "Bundle" && carriedOut(found.bundle):
		b.at.Line++
		return b.put(ctx, line{raw: raw, body: raw, source: b.source.name, number: b.at.Line, typ: found.typ, whole: found.bundle}, end)
	case err == nil && found.typ == "Bundle" && found.bundle != "":
		d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
		return b.entries(ctx, found.bundle, d, func() int64 { return end - int64(len(raw)) + d.InputOffset() })
	}
	return b.put(ctx, b.line(raw, ""), end)
}

// line makes a line of a resource. The fullUrl of its entry names it where it has no id.
func (b *bundleReader) line(raw []byte, fullURL string) line {
	b.at.Line++
	c := b.cutter
	if id, ok := strings.CutPrefix(fullURL, "urn:uuid:"); ok && !c.options.history {
		if found, err := c.sight.see(raw); err == nil && found.id == "" {
			l := c.line(b.source, b.at.Line, withID(raw, found.typeEnd, strings.ToLower(id)))
			l.raw = raw
			return l
		}
	}
	return c.line(b.source, b.at.Line, raw)
}

// put adds a line that ends at an offset, unless an earlier run has stored it.
func (b *bundleReader) put(ctx context.Context, l line, offset int64) error {
	if offset <= b.stored {
		return nil
	}
	b.at.Offset = offset
	return b.cutter.add(ctx, l, b.at)
}

// entries reads a Bundle that is not to be carried out but holds resources. offset
// tells how far d is.
func (b *bundleReader) entries(ctx context.Context, typ string, d *jsontext.Decoder, offset func() int64) error {
	b.gathering, b.gathered = false, nil
	err := eachMember(d, func(name string) error {
		if name != "entry" || d.PeekKind() != '[' {
			return d.SkipValue()
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for d.PeekKind() == '{' {
			raw, err := d.ReadValue()
			if err != nil {
				return err
			}
			if err := b.entry(ctx, typ, raw, offset()); err != nil {
				return err
			}
		}
		_, err := d.ReadToken()
		return err
	})
	if err != nil || b.gathered == nil {
		return err
	}
	raw := append(b.gathered, `]}`...)
	return b.put(ctx, line{raw: raw, body: raw, source: b.source.name, number: b.at.Line, typ: "Bundle", whole: "transaction"}, offset())
}

// An entryPart is what is read of an entry of a Bundle.
type entryPart struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
	Search   struct {
		Mode string `json:"mode"`
	} `json:"search"`
}

func (b *bundleReader) entry(ctx context.Context, typ string, raw []byte, offset int64) error {
	var e entryPart
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("read an entry: %w", err)
	}
	// What was deleted has no resource, and what a search has to say is no result of it.
	if len(e.Resource) == 0 || e.Search.Mode == "outcome" {
		b.at.Line++
		return nil
	}
	b.gathering = b.gathering || b.gathered == nil && strings.HasPrefix(e.FullURL, "urn:")
	l := b.line(e.Resource, e.FullURL)
	if b.gathering && l.why == nil {
		return b.gather(e.FullURL, &l)
	}
	if typ == "history" && l.why == nil {
		// The newest version comes first. https://hl7.org/fhir/R4/http.html#history
		key := b.cutter.queue.key(&l)
		if b.newest[key] {
			return nil
		}
		b.newest[key] = true
	}
	return b.put(ctx, l, offset)
}

// gather adds an entry to the transaction that the Bundle becomes: its entries name each
// other by addresses that mean something within it alone.
func (b *bundleReader) gather(fullURL string, l *line) error {
	if b.gathered == nil {
		b.gathered = []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	} else {
		b.gathered = append(b.gathered, ',')
	}
	b.gathered = append(fhir.AppendString(append(b.gathered, `{"fullUrl":`...), fullURL), ',')
	entry := l.entry(nil)
	b.gathered = append(b.gathered, entry[1:]...)
	if len(b.gathered) > maxLine {
		return fmt.Errorf("its entries name each other by urn:uuid and must be stored together, but they are longer than %d bytes", maxLine)
	}
	return nil
}

// oneLine returns a JSON text without the spaces between its parts, so that it fits on
// a line.
func oneLine(raw []byte) []byte {
	if !bytes.ContainsAny(raw, "\r\n") {
		return raw
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return bytes.Join(bytes.Fields(raw), []byte(" "))
	}
	return b.Bytes()
}

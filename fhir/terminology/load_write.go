package terminology

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// The bounds of one transaction of a writer.
const (
	batchRows  = 20_000
	batchBytes = 8 << 20
)

// A writer writes a code system into the tables, in one session.
type writer struct {
	conn   *sql.Conn
	system int
	head   *header
	index  *index
}

// write writes all concepts and what follows from them, and says that it is ready.
func (w *writer) write(ctx context.Context, all iter.Seq2[*concept, error]) error {
	if err := w.concepts(ctx, all); err != nil {
		return err
	}
	up := w.index.parents()
	above, err := w.index.hierarchy(up)
	if err != nil {
		return err
	}
	if err := w.above(ctx, up, above); err != nil {
		return err
	}
	if err := w.sets(ctx); err != nil {
		return err
	}
	if _, err := w.conn.ExecContext(ctx, `ANALYZE terminology_concept, terminology_above, terminology_set`); err != nil {
		return fmt.Errorf("gather statistics: %w", err)
	}
	const ready = `UPDATE terminology_system SET state = 'ready', concepts = $2, properties = coalesce($3::text[], '{}'), made = clock_timestamp(), used = clock_timestamp() WHERE system = $1`
	_, err = w.conn.ExecContext(ctx, ready, w.system, len(w.index.codes), pq.Array(slices.Sorted(maps.Keys(w.index.properties))))
	return err
}

// concepts writes the concepts as they come.
func (w *writer) concepts(ctx context.Context, all iter.Seq2[*concept, error]) error {
	b := w.batch("terminology_concept", "system", "ordinal", "code", "folded", "display", "definition", "inactive", "abstract", "detail")
	for c, err := range all {
		if err == nil {
			err = w.concept(ctx, b, c)
		}
		if err != nil {
			b.abandon()
			return err
		}
	}
	return b.end()
}

// longestCode is how many bytes a code may have.
const longestCode = 1000

func (w *writer) concept(ctx context.Context, b *batch, c *concept) error {
	if len(c.code) > longestCode || strings.ContainsRune(c.code, 0) {
		return fhir.Errorf(fhir.Unprocessable, fhir.TooLong, "", "Give every concept of a large code system a code of at most %d bytes.", longestCode)
	}
	ordinal, ok := w.index.add(c)
	if !ok {
		return nil
	}
	var folded *string
	if !w.head.caseSensitive {
		low := strings.ToLower(c.code)
		folded = &low
	}
	detail, err := detailOf(c)
	if err != nil {
		return err
	}
	return b.add(ctx, w.system, ordinal, c.code, folded, storable(c.display), storable(c.definition), c.inactive, c.abstract, detail)
}

// above writes what is above each concept.
func (w *writer) above(ctx context.Context, up, above [][]int32) error {
	b := w.batch("terminology_above", "system", "ordinal", "parents", "above")
	for i, all := range above {
		if len(all) == 0 {
			continue
		}
		parents := make([]string, len(up[i]))
		for k, p := range up[i] {
			parents[k] = w.index.codes[p]
		}
		if err := b.add(ctx, w.system, i, pq.Array(parents), pq.Array(all)); err != nil {
			b.abandon()
			return err
		}
	}
	return b.end()
}

// sets writes the sets.
func (w *writer) sets(ctx context.Context) error {
	b := w.batch("terminology_set", "system", "kind", "key", "value", "size", "members")
	for _, name := range w.index.names() {
		p := w.index.sets[name]
		if err := b.add(ctx, w.system, name.kind, name.key, p.value, p.size, p.members); err != nil {
			b.abandon()
			return err
		}
	}
	return b.end()
}

// A detail is the JSON of what is not asked for in SQL.
type detail struct {
	Designations []detailWord     `json:"d,omitempty"`
	Properties   []detailProperty `json:"p,omitempty"`
}

type detailWord struct {
	Language string  `json:"l,omitempty"`
	Use      *Coding `json:"u,omitempty"`
	Value    string  `json:"v"`
}

type detailProperty struct {
	Code  string `json:"c"`
	Kind  string `json:"k"`
	Value string `json:"v"`
}

// detailOf returns the detail of c; nothing if there is none.
func detailOf(c *concept) (string, error) {
	if len(c.designations) == 0 && len(c.properties) == 0 {
		return "", nil
	}
	var d detail
	for _, word := range c.designations {
		w := detailWord{Language: word.language, Value: word.value}
		if word.use != (Coding{}) {
			w.Use = &word.use
		}
		d.Designations = append(d.Designations, w)
	}
	for _, p := range c.properties {
		d.Properties = append(d.Properties, detailProperty{p.code, p.kind, p.value})
	}
	text, err := json.Marshal(d)
	return string(text), err
}

// read fills c in.
func (d *detail) read(text string, c *concept) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), d); err != nil {
		return fmt.Errorf("read what is said of a concept: %w", err)
	}
	for _, w := range d.Designations {
		word := designation{language: w.Language, value: w.Value}
		if w.Use != nil {
			word.use = *w.Use
		}
		c.designations = append(c.designations, word)
	}
	for _, p := range d.Properties {
		c.properties = append(c.properties, property{p.Code, p.Kind, p.Value})
	}
	return nil
}

// A batch copies rows into a table, so many in a transaction.
type batch struct {
	conn  *sql.Conn
	copy  string
	tx    *sql.Tx
	stmt  *sql.Stmt
	rows  int
	bytes int
}

func (w *writer) batch(table string, columns ...string) *batch {
	return &batch{conn: w.conn, copy: "COPY " + table + " (" + strings.Join(columns, ", ") + ") FROM STDIN"}
}

// add copies a row. The driver cannot be interrupted while it copies: it would read
// what belongs to the next statement. So it does not know ctx, which is looked at
// between two rows.
func (b *batch) add(ctx context.Context, row ...any) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.tx == nil {
		if b.tx, err = b.conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
			return err
		}
		if b.stmt, err = b.tx.Prepare(b.copy); err != nil {
			return err
		}
	}
	if _, err := b.stmt.Exec(row...); err != nil {
		return err
	}
	b.rows++
	for _, v := range row {
		switch v := v.(type) {
		case string:
			b.bytes += len(v)
		case []byte:
			b.bytes += len(v)
		}
	}
	if b.rows < batchRows && b.bytes < batchBytes {
		return nil
	}
	return b.end()
}

// end commits what was added.
func (b *batch) end() error {
	if b.tx == nil {
		return nil
	}
	_, err := b.stmt.Exec()
	if closing := b.stmt.Close(); err == nil {
		err = closing
	}
	if err != nil {
		b.abandon()
		return err
	}
	err = b.tx.Commit()
	b.tx, b.stmt, b.rows, b.bytes = nil, nil, 0, 0
	return err
}

// abandon leaves what is not committed.
func (b *batch) abandon() {
	if b.tx == nil {
		return
	}
	// Why it is left is told already.
	if b.stmt != nil {
		_ = b.stmt.Close() // or the driver goes on copying
	}
	_ = b.tx.Rollback()
	b.tx, b.stmt = nil, nil
}

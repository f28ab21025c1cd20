package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// A part is one file of an export.
type part struct {
	name string // on disk
	file *manifestFile
}

// weight is how much of the whole a part is.
func (p *part) weight() int64 {
	if p.file.Count != nil {
		return *p.file.Count
	}
	return 1
}

// partsOf gives the files of a manifest their names. What could not be exported, and
// why, has no name of NDJSON, so that nobody loads it.
func partsOf(m *manifest, packed bool) []part {
	var parts []part
	number := map[string]int{}
	add := func(files []manifestFile, name, ending string) {
		for i := range files {
			f := &files[i]
			of := name
			if of == "" {
				of = safeName(f.Type)
			}
			parts = append(parts, part{fmt.Sprintf("%s.%03d%s", of, number[of], ending), f})
			number[of]++
		}
	}
	ending := ".ndjson"
	if packed {
		ending += ".gz"
	}
	add(m.Output, "", ending)
	add(m.Deleted, "deleted", ending)
	add(m.Error, "errors", ".txt")
	return parts
}

// safeName keeps the letters of a type, so that a server chooses no path.
func safeName(typ string) string {
	letters := []byte(typ)
	letters = slices.DeleteFunc(letters, func(b byte) bool { return (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') })
	return string(letters)
}

// maxFetches is how often a part is fetched that does not arrive whole.
const maxFetches = 5

// download fetches a part: beside its place first, so that what is in its place is whole.
func (t *target) download(ctx context.Context, p part, path string, lines *atomic.Int64) (fetched, error) {
	var waits pauses
	for {
		f, err := t.downloadOnce(ctx, p, path)
		if err == nil {
			lines.Add(f.Lines)
			return f, nil
		}
		waits.tries++
		if ctx.Err() != nil || waits.tries >= maxFetches || isAnswer(err) {
			return f, errors.Join(err, removeIfThere(path+".part"))
		}
		if err := waits.wait(ctx, 0); err != nil {
			return f, err
		}
	}
}

func (t *target) downloadOnce(ctx context.Context, p part, path string) (f fetched, err error) {
	address, _ := t.ours(p.file.URL)
	r, err := t.send(ctx, request{method: http.MethodGet, address: address, header: http.Header{"Accept": {"application/fhir+ndjson"}}})
	if err != nil {
		return f, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(r.Body, maxManifest))
		err := (&answer{r.StatusCode, r.Header, text}).complaint()
		if passing(r.StatusCode, text) {
			return f, err
		}
		return f, &unexpected{err}
	}
	f.Lines, err = writePart(path+".part", r.Body, len(path) > 3 && path[len(path)-3:] == ".gz")
	switch {
	case err != nil:
		return f, err
	case p.file.Count != nil && *p.file.Count != f.Lines:
		return f, fmt.Errorf("it has %d lines, and the manifest says %d", f.Lines, *p.file.Count)
	}
	info, err := os.Stat(path + ".part")
	if err != nil {
		return f, fmt.Errorf("look at what was fetched: %w", err)
	}
	f.Bytes = info.Size()
	if err := os.Rename(path+".part", path); err != nil {
		return f, fmt.Errorf("put it in its place: %w", err)
	}
	return f, nil
}

// writePart writes what is fetched, and returns how many lines it has.
func writePart(path string, from io.Reader, packed bool) (int64, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write what is fetched: %w", err)
	}
	count := &lineCount{last: '\n'}
	to, pack := io.Writer(file), (*gzip.Writer)(nil)
	if packed {
		pack = gzip.NewWriter(file)
		to = pack
	}
	_, err = io.CopyBuffer(io.MultiWriter(to, count), from, make([]byte, reading))
	if pack != nil {
		err = errors.Join(err, pack.Close())
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return 0, fmt.Errorf("write what is fetched: %w", err)
	}
	return count.total(), nil
}

// A lineCount counts lines; the last one needs no end.
type lineCount struct {
	lines int64
	last  byte
}

// Write counts.
func (c *lineCount) Write(b []byte) (int, error) {
	c.lines += int64(bytes.Count(b, []byte{'\n'}))
	if len(b) > 0 {
		c.last = b[len(b)-1]
	}
	return len(b), nil
}

func (c *lineCount) total() int64 {
	if c.last != '\n' {
		return c.lines + 1
	}
	return c.lines
}

// syncDirectory sees to it that names survive a loss of power.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync the directory of the export: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// report says what was fetched.
func (b *exportBook) report(out io.Writer, m *manifest, parts []part) error {
	byType, all := map[string]int64{}, int64(0)
	for _, p := range parts[:len(m.Output)] {
		byType[p.file.Type] += b.Files[p.name].Lines
		all += b.Files[p.name].Lines
	}
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		fmt.Fprintf(out, "%s\t%d\n", typ, byType[typ])
	}
	fmt.Fprintf(out, "exported\t%d\nas of\t%s\n", all, m.TransactionTime)
	if len(m.Error) > 0 {
		return fmt.Errorf("something could not be exported; errors.*.txt in %s says what", b.dir)
	}
	return nil
}

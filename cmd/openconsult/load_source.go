package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The stages of a load. Everything of one is stored before the next begins: the
// patients of Synthea name hospitals and practitioners by identifier.
const (
	stageHospitals = iota
	stagePractitioners
	stageRest
)

// A layout says how resources stand in a source.
type layout uint8

const (
	byLook   layout = iota // see what it begins with
	perLine                // NDJSON: one resource a line
	document               // one resource or Bundle
)

// A source is one file, address or stream that is loaded.
type source struct {
	name   string // as it is shown; "-" is standard input
	web    bool
	token  bool  // send the token for sources
	size   int64 // bytes as they are stored; 0 is unknown
	stamp  string
	stage  int
	layout layout
}

// A listing is everything that is to be loaded, in order.
type listing struct {
	sources []source
	passed  int   // files that hold no JSON
	bytes   int64 // 0 is unknown
}

// list finds what the arguments of load name.
func (f *fetcher) list(ctx context.Context, args []string) (*listing, error) {
	l := &listing{}
	for _, arg := range args {
		var err error
		switch {
		case arg == "-":
			l.sources = append(l.sources, source{name: arg, stage: stageRest})
		case strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://"):
			err = f.listWeb(ctx, l, arg)
		default:
			err = l.walk(arg)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(l.sources, func(a, b source) int { return cmp.Compare(a.stage, b.stage) })
	for _, s := range l.sources {
		if s.size == 0 && (s.web || s.name == "-") {
			l.bytes = 0
			break
		}
		l.bytes += s.size
	}
	return l, nil
}

// walk adds a file, or those of a directory by name.
func (l *listing) walk(root string) error {
	if info, err := os.Stat(root); err == nil && info.IsDir() {
		root += string(filepath.Separator) // so that a link to a directory is one
	}
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("find what to load: %w", err)
		case name != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		layout, ok := layoutOf(d.Name())
		if name != root && (!ok || d.Name() == manifestName) {
			l.passed++
			return nil
		}
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("find what to load: %w", err)
		}
		l.sources = append(l.sources, source{name: name, size: info.Size(), stamp: info.ModTime().UTC().String(), stage: stageOf(d.Name()), layout: layout})
		return nil
	})
}

// layoutOf says by its name how resources stand in a file, and whether it holds any.
func layoutOf(name string) (layout, bool) {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	switch path.Ext(name) {
	case ".ndjson", ".jsonl":
		return perLine, true
	case ".json":
		return document, true
	}
	return byLook, false
}

func stageOf(name string) int {
	switch {
	case strings.HasPrefix(name, "hospitalInformation"):
		return stageHospitals
	case strings.HasPrefix(name, "practitionerInformation"):
		return stagePractitioners
	}
	return stageRest
}

// A fetcher reads sources.
type fetcher struct {
	client *http.Client
	tokens *tokens // for sources with an address
}

// A manifest is the answer of an export that has ended.
// https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status
type manifest struct {
	TransactionTime     string         `json:"transactionTime"`
	Request             string         `json:"request"`
	RequiresAccessToken bool           `json:"requiresAccessToken"`
	Output              []manifestFile `json:"output"`
	Deleted             []manifestFile `json:"deleted,omitempty"`
	Error               []manifestFile `json:"error"`
}

// A manifestFile is one file of an export.
type manifestFile struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count *int64 `json:"count,omitempty"`
}

// maxManifest is how large a manifest may be, in bytes.
const maxManifest = 8 << 20

// listWeb adds what is at an address: a file, or those that a manifest there names.
func (f *fetcher) listWeb(ctx context.Context, l *listing, address string) error {
	s := source{name: address, web: true, token: true, stage: stageRest}
	known := false
	if s.layout, known = layoutOf(path.Base(address)); known && s.layout == perLine {
		l.sources = append(l.sources, s)
		return nil
	}
	r, err := f.get(ctx, s, 0)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if strings.Contains(r.Header.Get("Content-Type"), "ndjson") {
		s.layout = perLine
	}
	s.size, s.stamp = max(r.ContentLength, 0), r.Header.Get("ETag")
	var m manifest
	if s.layout != perLine {
		head, err := io.ReadAll(io.LimitReader(r.Body, maxManifest))
		if err != nil {
			return fmt.Errorf("read %s: %w", address, err)
		}
		if err := json.Unmarshal(head, &m); err != nil {
			m = manifest{}
		}
	}
	if m.TransactionTime == "" {
		l.sources = append(l.sources, s)
		return nil
	}
	for _, o := range m.Output {
		l.sources = append(l.sources, source{name: o.URL, web: true, token: m.RequiresAccessToken, stage: stageRest, layout: perLine})
	}
	return nil
}

// fingerprint says which sources these are, as they are now.
func (l *listing) fingerprint() string {
	h := sha256.New()
	for _, s := range l.sources {
		fmt.Fprintf(h, "%q %d %q\n", s.name, s.size, s.stamp)
	}
	return hex.EncodeToString(h.Sum(nil))
}

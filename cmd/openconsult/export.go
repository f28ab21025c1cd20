package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

const (
	manifestName = "manifest.json"
	exportState  = ".export.json" // beside the files while an export is not whole
)

// exportOptions are the flags of export.
type exportOptions struct {
	reach
	of          string
	since       string
	types       []string
	typeFilters []string
	elements    []string
	jobs        int
	packed      bool
	keep        bool
	out, log    io.Writer
}

func (o *exportOptions) declare(f *pflag.FlagSet) {
	o.reach.declare(f)
	f.StringVar(&o.of, "of", "", "what to export: empty is everything, Patient the records of all patients, Group/ID those of a group")
	f.StringVar(&o.since, "since", "", "only what was stored since that instant, such as 2026-01-31T00:00:00Z")
	f.StringSliceVar(&o.types, "type", nil, "only these types")
	f.StringArrayVar(&o.typeFilters, "type-filter", nil, "only what a search finds of a type, such as 'Task?status=completed'; may be given more than once")
	f.StringSliceVar(&o.elements, "elements", nil, "only these elements, and those that a resource cannot be without")
	f.IntVar(&o.jobs, "jobs", 4, "files that are fetched together")
	f.BoolVar(&o.packed, "gzip", false, "pack the files")
	f.BoolVar(&o.keep, "keep", false, "do not have the server forget the export when it was fetched")
}

func exportCommand() *cobra.Command {
	o := &exportOptions{out: os.Stdout, log: os.Stderr, reach: reach{jobs: true}}
	var c *cobra.Command
	c = command("export DIRECTORY", "Fetch everything, as of one moment, as files of NDJSON; what was broken off goes on when it is started again",
		func(ctx context.Context, s *settings, args []string) error {
			if o.jobs < 1 || o.jobs > 64 {
				return errors.New("--jobs is 1 to 64")
			}
			t, err := o.open(ctx, s, c.Flags())
			if err != nil {
				return err
			}
			return errors.Join(export(ctx, o, t, args[0]), t.stop())
		})
	c.Args = cobra.ExactArgs(1)
	o.declare(c.Flags())
	return c
}

// kickOff returns the address that begins the export.
// https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-kick-off-request
func (o *exportOptions) kickOff(t *target) string {
	path := "/$export"
	if o.of != "" {
		path = "/" + o.of + path
	}
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("_since", o.since)
	set("_type", strings.Join(o.types, ","))
	set("_typeFilter", strings.Join(o.typeFilters, ","))
	set("_elements", strings.Join(o.elements, ","))
	q.Set("_outputFormat", "application/fhir+ndjson")
	return t.at(path) + "?" + q.Encode()
}

// A fetched file is on disk, whole.
type fetched struct {
	Lines int64 `json:"lines"`
	Bytes int64 `json:"bytes"`
}

// An exportBook tells of an export that is not whole yet, so that it can go on.
type exportBook struct {
	dir string
	log io.Writer
	mu  sync.Mutex

	Asked  string             `json:"asked"`  // address that began it
	Status string             `json:"status"` // address that tells of it
	Files  map[string]fetched `json:"files"`  // by name
}

// openExport takes up the export of a directory, or begins one there.
func openExport(dir, asked string) (*exportBook, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the export: %w", err)
	}
	b := &exportBook{dir: dir, Asked: asked, Files: map[string]fetched{}}
	text, err := os.ReadFile(b.path())
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
			return nil, fmt.Errorf("%s holds an export already: name another directory", dir)
		}
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", b.path(), err)
	}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", b.path(), err)
	}
	if b.Asked != asked {
		return nil, fmt.Errorf("%s holds an unfinished export of something else (%s): go on with that, or name another directory", dir, b.Asked)
	}
	return b, nil
}

func (b *exportBook) path() string { return filepath.Join(b.dir, exportState) }

func (b *exportBook) save() error {
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("write %s: %w", b.path(), err)
	}
	return replaceFile(b.path(), text)
}

// has reports whether a file is there, whole.
func (b *exportBook) has(name string) (fetched, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, ok := b.Files[name]
	if !ok {
		return f, false
	}
	info, err := os.Stat(filepath.Join(b.dir, name))
	return f, err == nil && info.Size() == f.Bytes
}

func (b *exportBook) add(name string, f fetched) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Files[name] = f
	return b.save()
}

// export fetches an export into a directory.
func export(ctx context.Context, o *exportOptions, t *target, dir string) error {
	b, err := openExport(dir, o.kickOff(t))
	if err != nil {
		return err
	}
	b.log = o.log
	m, err := b.await(ctx, t)
	if err != nil {
		return err
	}
	parts := partsOf(m, o.packed)
	if err := b.fetch(ctx, o, t, parts); err != nil {
		return err
	}
	if err := b.finish(m, parts); err != nil {
		return err
	}
	if !o.keep {
		// It was fetched; that the server keeps it a little longer does no harm.
		_, _ = t.ask(ctx, request{method: http.MethodDelete, address: b.Status})
	}
	return b.report(o.out, m, parts)
}

// begin has the server begin an export.
func (b *exportBook) begin(ctx context.Context, t *target) error {
	a, err := t.insist(ctx, request{method: http.MethodGet, address: b.Asked, header: http.Header{"Prefer": {"respond-async"}}})
	if err != nil {
		return err
	}
	at := a.header.Get("Content-Location")
	if a.status != http.StatusAccepted || at == "" {
		return fmt.Errorf("begin the export: %w", a.complaint())
	}
	b.Status, _ = t.ours(at)
	b.Files = map[string]fetched{}
	return b.save()
}

// maxPoll is how long at most is waited between two looks at an export.
const maxPoll = 30 * time.Second

// await waits until the export is ready. One that the server has forgotten is begun
// anew.
func (b *exportBook) await(ctx context.Context, t *target) (*manifest, error) {
	if b.Status == "" {
		if err := b.begin(ctx, t); err != nil {
			return nil, err
		}
	}
	said, looks := "", pauses{}
	for {
		a, err := t.insist(ctx, request{method: http.MethodGet, address: b.Status, header: http.Header{"Accept": {"application/json"}}})
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusOK:
			return readManifest(a.body)
		case a.status == http.StatusNotFound || a.status == http.StatusGone:
			fmt.Fprintln(b.log, "the server has forgotten the export; it begins anew")
			if err := b.begin(ctx, t); err != nil {
				return nil, err
			}
		case a.status != http.StatusAccepted:
			return nil, fmt.Errorf("export: %w", a.complaint())
		}
		if now := a.header.Get("X-Progress"); now != said && now != "" {
			said = now
			fmt.Fprintln(b.log, "preparing:", now)
		}
		looks.tries++
		if err := looks.wait(ctx, min(retryAfter(a.header, time.Now()), maxPoll)); err != nil {
			return nil, err
		}
	}
}

func readManifest(body []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.TransactionTime == "" {
		return nil, errors.New("the manifest of the export says no transactionTime")
	}
	return m, nil
}

// fetch downloads the parts that are not there yet.
func (b *exportBook) fetch(ctx context.Context, o *exportOptions, t *target, parts []part) error {
	var lines, done, all atomic.Int64
	for _, p := range parts {
		all.Add(p.weight())
	}
	end := startMeter(os.Stderr, "fetching", func() measure {
		return measure{resources: lines.Load(), at: done.Load(), of: all.Load()}
	})
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.jobs)
	for _, p := range parts {
		group.Go(func() error {
			if f, ok := b.has(p.name); ok {
				lines.Add(f.Lines)
				done.Add(p.weight())
				return nil
			}
			f, err := t.download(ctx, p, filepath.Join(b.dir, p.name), &lines)
			if err != nil {
				return fmt.Errorf("fetch %s: %w", p.name, err)
			}
			done.Add(p.weight())
			return b.add(p.name, f)
		})
	}
	return group.Wait()
}

// finish writes the manifest, with the names of the files for addresses, and forgets how
// far the export was.
func (b *exportBook) finish(m *manifest, parts []part) error {
	for _, p := range parts {
		p.file.URL = p.name
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := replaceFile(filepath.Join(b.dir, manifestName), append(text, '\n')); err != nil {
		return err
	}
	return errors.Join(os.Remove(b.path()), syncDirectory(b.dir))
}

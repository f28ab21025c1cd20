package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const wayLoad = "load"

// loadBench compares loading a file with what the database does with its rows.
type loadBench struct {
	config
	*httpTarget
	raw *rawBatches // nil without a database
	dir string      // of the files
	// seed is that of the next file: ids come from it, and must be new.
	seed uint64
}

// compareLoads is the load workload.
func compareLoads(ctx context.Context, c config, t *httpTarget, progress io.Writer) (r *comparison, err error) {
	dir, err := os.MkdirTemp("", "fhirbench-load-")
	if err != nil {
		return nil, fmt.Errorf("make a place for files: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &loadBench{config: c, httpTarget: t, dir: dir, seed: uint64(time.Now().UnixMilli())}
	if err := publishCorpusForms(ctx, t, c.clients); err != nil {
		return nil, err
	}
	n := max(c.perRound()/10, 100)
	if _, err := b.load(ctx, n); err != nil {
		return nil, err
	}
	ways := []contender{{wayLoad, b.load}}
	if c.dsn != "" {
		if b.raw, err = openRawBatches(ctx, c); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.raw.close(ctx)) }()
		if err := b.raw.copyNewest(ctx, n); err != nil {
			return nil, err
		}
		ways = append(ways, contender{wayRaw, func(ctx context.Context, n int) (stretch, error) { return b.raw.run(ctx, n, c.bundle) }})
	}
	r = newComparison(c)
	if err := r.rounds(ctx, c, ways, progress); err != nil {
		return nil, err
	}
	r.divide(wayLoad, wayRaw, 0.5)
	how := fmt.Sprintf("batch Bundles of %d over HTTP, made before the time is taken", c.bundle)
	if c.loadCommand != "" {
		how = c.loadCommand + ", its start and end included"
	}
	r.Notes = append(r.Notes, "load: "+how)
	return r, nil
}

// load makes a file of n resources with new ids and loads it.
func (b *loadBench) load(ctx context.Context, n int) (stretch, error) {
	b.seed++
	set := newCorpus(b.seed, uint64(n))
	run := b.sendBundles
	if b.loadCommand != "" {
		run = b.runCommand
	}
	s, err := run(ctx, set)
	if err != nil {
		return s, err
	}
	return s, b.check(ctx, set)
}

// check reads some of what must be there now.
func (b *loadBench) check(ctx context.Context, set *corpus) error {
	for _, n := range []uint64{0, set.size / 2, set.size - 1} {
		o := set.at(n)
		a, err := b.do(ctx, op{kind: read, typeName: o.typeName, id: o.id})
		if err != nil {
			return err
		}
		if !a.ok() {
			return fmt.Errorf("%s/%s was loaded, but to read it answers %d", o.typeName, o.id, a.status)
		}
	}
	return nil
}

// runCommand has the command load a file.
func (b *loadBench) runCommand(ctx context.Context, set *corpus) (stretch, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("%d.ndjson", b.seed))
	size, err := writeLines(path, set, 0, set.size)
	if err != nil {
		return stretch{}, fmt.Errorf("make a file to load: %w", err)
	}
	defer os.Remove(path)
	began := time.Now()
	if err := runLoad(ctx, b.loadCommand, path); err != nil {
		return stretch{}, err
	}
	return stretch{Resources: int64(set.size), Bytes: size, Seconds: time.Since(began).Seconds()}, nil
}

// runLoad has a shell command load a file.
func runLoad(ctx context.Context, load, path string) error {
	command := exec.CommandContext(ctx, "sh", "-c", load)
	command.Env = append(os.Environ(), "FILE="+path)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("-load-command: %w: %s", err, excerpt(said.String()))
	}
	return nil
}

// writeLines writes the resources of a set from first up to, and without, end to a file, one a line.
func writeLines(path string, set *corpus, first, end uint64) (size int64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(file)
	for n := first; n < end; n++ {
		written, err := w.Write(append(set.at(n).body, '\n'))
		if err != nil {
			return 0, errors.Join(err, file.Close())
		}
		size += int64(written)
	}
	return size, errors.Join(w.Flush(), file.Close())
}

// sendBundles loads as a program would: many in a Bundle, several Bundles at a time.
func (b *loadBench) sendBundles(ctx context.Context, set *corpus) (stretch, error) {
	var texts [][]byte
	for first := uint64(0); first < set.size; first += uint64(b.bundle) {
		one := bundle{ResourceType: "Bundle", Type: "batch"}
		for n := first; n < min(first+uint64(b.bundle), set.size); n++ {
			o := set.at(n)
			one.Entry = append(one.Entry, bundleEntry{Resource: o.body, Request: entryRequest{Method: http.MethodPut, URL: o.typeName + "/" + o.id}})
		}
		texts = append(texts, encode(one))
	}
	took, err := spread(ctx, b.clients, len(texts), func(ctx context.Context, i int) error {
		created := 0
		a, err := b.ask(ctx, asking{method: http.MethodPost, body: texts[i], use: countCreated(&created)})
		if err == nil {
			err = a.must("batch")
		}
		if want := strings.Count(string(texts[i]), `"method":"PUT"`); err == nil && created != want {
			err = fmt.Errorf("batch: %d of %d entries were created", created, want)
		}
		return err
	})
	return stretch{Resources: int64(set.size), Bytes: sizeOf(texts), Seconds: took.Seconds()}, err
}

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	wayExport = "$export"
	wayFetch  = "its files alone"
	waySQL    = "bodies by SQL"
)

// manifest is what an export comes to. https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
type manifest struct {
	Output []exportFile      `json:"output"`
	Error  []json.RawMessage `json:"error"`
}

type exportFile struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count *int64 `json:"count"`
}

// compareExports is the export workload: everything that the server has, against reading the same bodies.
func compareExports(ctx context.Context, c config, t *httpTarget, progress io.Writer) (*comparison, error) {
	r := newComparison(c)
	r.Clients = 1
	var db *sql.DB
	if c.dsn != "" {
		var err error
		if db, err = sql.Open("postgres", c.dsn+" binary_parameters=yes jit=off max_parallel_workers_per_gather=0"); err != nil {
			return nil, fmt.Errorf("open the database: %w", err)
		}
		defer db.Close()
	}
	for round := range c.rounds {
		if err := exportRound(ctx, t, db, r); err != nil {
			return nil, err
		}
		fmt.Fprintf(progress, "fhirbench: round %d done\n", round+1)
	}
	r.divide(wayExport, waySQL, 0.5)
	r.divide(wayFetch, waySQL, 0)
	r.Notes = append(r.Notes,
		"$export: from the request to the last byte of the last file, files fetched one after the other without compression",
		"bodies by SQL: of the same types, in the order of rid over one connection, as they are stored: packed, without version and time, and its MB are those")
	return r, nil
}

// exportRound exports once, and reads the bodies of the same types once.
func exportRound(ctx context.Context, t *httpTarget, db *sql.DB, r *comparison) error {
	began := time.Now()
	m, err := export(ctx, t)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	planned := time.Since(began)
	got := stretch{}
	types := map[string]int64{}
	for _, f := range m.Output {
		n, size, err := fetch(ctx, t, f)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		got.Resources, got.Bytes, types[f.Type] = got.Resources+n, got.Bytes+size, types[f.Type]+n
	}
	got.Seconds = time.Since(began).Seconds()
	r.add(wayExport, got)
	got.Seconds -= planned.Seconds()
	r.add(wayFetch, got)
	if db == nil {
		return nil
	}
	s, err := readBodies(ctx, db, slices.Sorted(maps.Keys(types)))
	if err != nil {
		return err
	}
	r.add(waySQL, s)
	if s.Resources != got.Resources {
		r.Problems = append(r.Problems, fmt.Sprintf("$export has %d resources, the database %d of its types", got.Resources, s.Resources))
	}
	return nil
}

// export asks for everything and waits until it is there.
func export(ctx context.Context, t *httpTarget) (manifest, error) {
	a, err := t.ask(ctx, asking{method: http.MethodGet, address: "$export", header: http.Header{"Prefer": {"respond-async"}}})
	if err == nil {
		err = a.must("kick-off")
	}
	if err != nil {
		return manifest{}, err
	}
	status := a.header.Get("Content-Location")
	if a.status != http.StatusAccepted || status == "" {
		return manifest{}, fmt.Errorf("kick-off: status %d and Content-Location %q, want 202 and an address", a.status, status)
	}
	for {
		var text bytes.Buffer
		a, err := t.ask(ctx, asking{method: http.MethodGet, address: status, header: http.Header{"Accept": {"application/json"}}, use: text.ReadFrom})
		if err == nil {
			err = a.must("status")
		}
		if err != nil {
			return manifest{}, err
		}
		if a.status == http.StatusOK {
			return complete(text.Bytes())
		}
		if err := rest(ctx, a.header.Get("Retry-After")); err != nil {
			return manifest{}, err
		}
	}
}

func complete(text []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read the manifest: %w", err)
	}
	if len(m.Error) > 0 {
		return m, fmt.Errorf("the manifest names files of errors: %s", excerpt(string(m.Error[0])))
	}
	return m, nil
}

// rest waits as long as the server asks, in seconds, but not so long that it would be all that is measured.
func rest(ctx context.Context, retryAfter string) error {
	const most = 200 * time.Millisecond
	wait := most
	if n, err := strconv.Atoi(retryAfter); err == nil {
		wait = min(wait, time.Duration(n)*time.Second)
	}
	return pause(ctx, wait)
}

// pause waits, or returns why ctx is done.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fetch reads a file and returns its lines and size.
func fetch(ctx context.Context, t *httpTarget, f exportFile) (lines, size int64, err error) {
	a, err := t.ask(ctx, asking{
		method: http.MethodGet, address: f.URL, header: http.Header{"Accept": {"application/fhir+ndjson"}}, use: countLines(&lines),
	})
	if err == nil {
		err = a.must("file of " + f.Type)
	}
	if err == nil && f.Count != nil && *f.Count != lines {
		err = fmt.Errorf("file of %s: %d lines, the manifest says %d", f.Type, lines, *f.Count)
	}
	return lines, a.bytes, err
}

// countLines counts lines, the last of which may lack its end.
func countLines(n *int64) func(io.Reader) (int64, error) {
	return func(body io.Reader) (size int64, err error) {
		buffer := make([]byte, 256<<10)
		ended := true
		for {
			read, err := body.Read(buffer)
			if read > 0 {
				size += int64(read)
				*n += int64(bytes.Count(buffer[:read], []byte("\n")))
				ended = buffer[read-1] == '\n'
			}
			if errors.Is(err, io.EOF) {
				if !ended {
					*n++
				}
				return size, nil
			}
			if err != nil {
				return size, err
			}
		}
	}
}

// bodiesQuery reads current bodies of a type in the order of rid.
const bodiesQuery = `SELECT v.body FROM res r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver
WHERE r.type = (SELECT type FROM res_type WHERE name = $1) AND NOT r.deleted ORDER BY r.rid`

// readBodies reads the bodies of all resources of some types.
func readBodies(ctx context.Context, db *sql.DB, types []string) (stretch, error) {
	var s stretch
	began := time.Now()
	for _, name := range types {
		rows, err := db.QueryContext(ctx, bodiesQuery, name)
		if err != nil {
			return s, fmt.Errorf("read the bodies of %s: %w", name, err)
		}
		var body sql.RawBytes
		for rows.Next() {
			if err := rows.Scan(&body); err != nil {
				rows.Close()
				return s, fmt.Errorf("read the bodies of %s: %w", name, err)
			}
			s.Resources++
			s.Bytes += int64(len(body))
		}
		if err := rows.Err(); err != nil {
			return s, fmt.Errorf("read the bodies of %s: %w", name, err)
		}
	}
	s.Seconds = time.Since(began).Seconds()
	return s, nil
}

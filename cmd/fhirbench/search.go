package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// deepPage is the number of the page that is compared with the first.
const deepPage = 1000

// runSearch is the command for the search workload.
func runSearch(ctx context.Context, c config, t target, stdout, stderr io.Writer) int {
	server, ok := t.(*httpTarget)
	if !ok {
		return failed(ctx, stderr, errors.New("the search workload goes to a server; give -base"))
	}
	r, err := searchBench(ctx, c, server, stderr)
	if err == nil {
		err = r.print(stdout, c.json)
	}
	if err != nil {
		return failed(ctx, stderr, err)
	}
	return exitOK
}

// searchBench fills the server with a corpus, unless it is there, and measures every search with one client and with
// all of them.
func searchBench(ctx context.Context, c config, t *httpTarget, progress io.Writer) (searchReport, error) {
	set := newCorpus(c.seed, uint64(c.resources))
	r := searchReport{Resources: set.size, Seed: c.seed, Clients: c.clients}
	if err := fill(ctx, c, t, set, progress); err != nil {
		return r, fmt.Errorf("make the corpus: %w", err)
	}
	raw, err := rawIfAsked(ctx, c)
	if err != nil {
		return r, err
	}
	if raw != nil {
		defer raw.close()
	}
	queries, err := withDeepPage(ctx, t)
	if err != nil {
		return r, err
	}
	for _, q := range queries {
		if c.only != "" && !strings.Contains(q.name, c.only) {
			continue
		}
		row := searchRow{Name: q.name, Example: q.made(set, rand.New(rand.NewPCG(set.seed, 0)))}
		for _, clients := range []int{1, c.clients} {
			m, err := measureSearch(ctx, c, t, searching{set, q, clients})
			if err != nil {
				return r, fmt.Errorf("search %s: %w", q.name, err)
			}
			row.Measured = append(row.Measured, m)
		}
		if raw != nil {
			if row.OwnSQL, err = raw.measure(ctx, c, searching{set, q, c.clients}); err != nil {
				return r, fmt.Errorf("search %s: %w", q.name, err)
			}
		}
		fmt.Fprintf(progress, "fhirbench: %s done\n", q.name)
		r.Rows = append(r.Rows, row)
	}
	return r, ctx.Err()
}

// withDeepPage returns all searches, and that for a page far behind if there is one.
func withDeepPage(ctx context.Context, t *httpTarget) ([]searchQuery, error) {
	deep, err := follow(ctx, t, deepSearch, deepPage)
	switch {
	case err != nil:
		return nil, fmt.Errorf("go to page %d: %w", deepPage, err)
	case deep == "":
		return searchQueries, nil
	}
	page := searchQuery{fmt.Sprintf("page %d", deepPage), func(*corpus, *rand.Rand) string { return deep }}
	return append(slices.Clone(searchQueries), page), nil
}

// rawIfAsked returns what runs the statements of searches by themselves, or nil when no database is given.
func rawIfAsked(ctx context.Context, c config) (*rawSearcher, error) {
	if c.dsn == "" {
		return nil, nil
	}
	return openRawSearcher(ctx, c)
}

// fill stores the corpus if its last resource is not there.
func fill(ctx context.Context, c config, t *httpTarget, set *corpus, progress io.Writer) error {
	last := set.at(set.size - 1)
	a, err := t.do(ctx, op{kind: read, typeName: last.typeName, id: last.id})
	if err != nil || a.ok() {
		return err
	}
	if err := publishCorpusForms(ctx, t, c.clients); err != nil {
		return err
	}
	began := time.Now()
	_, err = spread(ctx, c.clients, int(set.size), func(ctx context.Context, n int) error {
		if n > 0 && n%int(set.size/10) == 0 {
			fmt.Fprintf(progress, "fhirbench: %d of %d resources, %.0f a second\n", n, set.size, float64(n)/time.Since(began).Seconds())
		}
		_, err := createOne(ctx, t, set.at(uint64(n)))
		return err
	})
	return err
}

// follow goes to a page by its number and returns its address, or "" when there are fewer pages.
func follow(ctx context.Context, t *httpTarget, search string, page int) (string, error) {
	address := search + "&_count=20"
	for range page - 1 {
		a, err := t.search(ctx, address, func(body io.Reader) (int64, error) {
			next, err := nextLink(body)
			address = next
			return 0, err
		})
		if err != nil || address == "" {
			return "", err
		}
		if !a.ok() {
			return "", fmt.Errorf("status %d: %s", a.status, excerpt(a.text))
		}
	}
	return address, nil
}

// nextLink reads the address of the next page from a Bundle.
func nextLink(body io.Reader) (string, error) {
	var bundle struct {
		Link []struct{ Relation, URL string }
	}
	if err := json.NewDecoder(body).Decode(&bundle); err != nil {
		return "", err
	}
	for _, l := range bundle.Link {
		if l.Relation == "next" {
			return l.URL, nil
		}
	}
	return "", nil
}

// searching is one search under one number of clients.
type searching struct {
	*corpus
	query   searchQuery
	clients int
}

// randoms returns what each client draws its values from.
func (s searching) randoms() []*rand.Rand {
	all := make([]*rand.Rand, s.clients)
	for i := range all {
		all[i] = rand.New(rand.NewPCG(s.seed, uint64(i)+1))
	}
	return all
}

// measureSearch repeats a search until the time is over. Each client sends one at least.
func measureSearch(ctx context.Context, c config, t *httpTarget, s searching) (measured, error) {
	all := make([]found, s.clients)
	taken := searchSide(t, s, all).take(ctx, c.duration)
	m := measured{Clients: s.clients, Latency: latencyOf(&taken.latency), PerSecond: thousandths(taken.rate())}
	if taken.failed > 0 {
		return m, errors.New(taken.failure)
	}
	m.Matches = onPage(all)
	return m, context.Cause(ctx)
}

// found is how much one client has found.
type found struct{ matches, pages uint64 }

// onPage is how many matches a page had on average.
func onPage(all []found) float64 {
	var sum found
	for _, one := range all {
		sum.matches, sum.pages = sum.matches+one.matches, sum.pages+one.pages
	}
	if sum.pages == 0 {
		return 0
	}
	return thousandths(float64(sum.matches) / float64(sum.pages))
}

// searchSide sends a search to a server, with values drawn anew for each request. Each client counts what it
// finds.
func searchSide(t *httpTarget, s searching, all []found) side {
	randoms, readers := s.randoms(), make([]func(io.Reader) (int64, error), s.clients)
	for i := range readers {
		readers[i] = countMatches(&all[i].matches)
	}
	return side{clients: s.clients, next: func(client int) func(context.Context) error {
		address := withCount(s.query.made(s.corpus, randoms[client]))
		return func(ctx context.Context) error {
			a, err := t.search(ctx, address, readers[client])
			if err == nil && !a.ok() {
				err = fmt.Errorf("%s: status %d: %s", address, a.status, excerpt(a.text))
			}
			all[client].pages++
			return err
		}
	}}
}

func withCount(address string) string {
	if strings.HasPrefix(address, "http") || strings.Contains(address, "_summary=count") {
		return address
	}
	return address + "&_count=20"
}

// countMatches reads a Bundle and counts the entries that are matches, without keeping it or taking it apart.
func countMatches(n *uint64) func(io.Reader) (int64, error) {
	mark, buffer := []byte(`"mode":"match"`), make([]byte, 64<<10)
	return func(body io.Reader) (int64, error) {
		var size int64
		for kept := 0; ; {
			read, err := body.Read(buffer[kept:])
			size += int64(read)
			text := buffer[:kept+read]
			*n += uint64(bytes.Count(text, mark))
			if errors.Is(err, io.EOF) {
				return size, nil
			}
			if err != nil {
				return size, err
			}
			// A mark may lie across two reads, but never whole in what is kept.
			kept = copy(buffer, text[max(0, len(text)-len(mark)+1):])
		}
	}
}

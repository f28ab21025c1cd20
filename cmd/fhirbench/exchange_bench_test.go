package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// What the load generator takes from the server on the same machine.

func BenchmarkBundleOf100(b *testing.B) {
	g := &generator{seed: 1, practice: absentPractice()}
	for i := uint64(0); b.Loop(); i++ {
		b.SetBytes(int64(len(g.bundleOf(100*i, 100))))
	}
}

func BenchmarkCountCreated(b *testing.B) {
	text := strings.Repeat(`{"response":{"status":"201 Created","location":"Task/0123456789abcdef/_history/1","etag":"W/\"1\""}},`, 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		n := 0
		if _, err := countCreated(&n)(strings.NewReader(text)); err != nil || n != 100 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkFeedPageOf1000(b *testing.B) {
	g := &generator{seed: 1, practice: absentPractice()}
	var entries []string
	for i, o := range g.singlesOf(0, 1000) {
		entries = append(entries, fmt.Sprintf(`{"fullUrl":"http://h/fhir/%s/%d","resource":%s,"response":{"status":"201","etag":"W/\"1\"","lastModified":"2026-01-01T00:00:00.000Z"}}`, o.typeName, i, o.body))
	}
	text := []byte(`{"resourceType":"Bundle","link":[{"relation":"next","url":"http://h"}],"entry":[` + strings.Join(entries, ",") + `]}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var p feedPage
		if err := p.read(jsontext.NewDecoder(bytes.NewReader(text))); err != nil || len(p.arrived) != 1000 {
			b.Fatal(len(p.arrived), err)
		}
	}
}

func BenchmarkRawBatchOf100(b *testing.B) {
	dsn := pgtest.New(b).DSN
	fillStore(b, dsn, 100)
	raw, err := openRawBatches(b.Context(), config{dsn: dsn, clients: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = raw.close(b.Context()) }()
	if err := raw.copyNewest(b.Context(), 100); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := raw.run(b.Context(), 100, 100); err != nil {
			b.Fatal(err)
		}
	}
}

package fhir

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestXHTMLExamples(t *testing.T) {
	t.Parallel()
	// These were published with nothing in their narrative, against txt-2.
	empty := map[string]bool{
		"ActivityDefinition/blood-tubes-supply":        true,
		"ActivityDefinition/heart-valve-replacement":   true,
		"EventDefinition/example":                      true,
		"Questionnaire/zika-virus-exposure-assessment": true,
	}
	n := 0
	for id, div := range xhtmlExamples(t) {
		n++
		msg := checkXHTML([]byte(div))
		if empty[id] != strings.HasPrefix(msg, "Give the narrative some text") || !empty[id] && msg != "" {
			t.Errorf("%s: checkXHTML = %q", id, msg)
		}
	}
	if n < 1000 {
		t.Errorf("found %d narratives in the examples, want more than 1000", n)
	}
}

// xhtmlExamples yields each narrative of the official examples, with the
// reference of the resource that it is in or under.
func xhtmlExamples(t *testing.T) func(yield func(string, string) bool) {
	t.Helper()
	f, err := os.Open(filepath.Join(xhtmlShared(t), "r4", "examples.ndjson.gz"))
	if err != nil {
		t.Skipf("no official examples: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, string) bool) {
		for d := json.NewDecoder(z); ; {
			var r map[string]any
			err := d.Decode(&r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%v/%v", r["resourceType"], r["id"])
			if !xhtmlWalk(r, func(div string) bool { return yield(id, div) }) {
				return
			}
		}
	}
}

func xhtmlWalk(v any, yield func(string) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !xhtmlWalk(e, yield) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if div, ok := e.(string); ok && k == "div" && !yield(div) {
				return false
			}
			if !xhtmlWalk(e, yield) {
				return false
			}
		}
	}
	return true
}

func xhtmlShared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OPENCONSULT_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	return filepath.Join(filepath.Dir(dir), "shared")
}

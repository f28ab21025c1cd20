package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// bundleTypes are the types of resources in a row: of ten, four are messages, three Tasks, two filled-in forms and one an
// observation. A message belongs to the Task before it and an observation comes from the form before it, so that half of
// them name another one of their Bundle.
var bundleTypes = [10]string{
	"Task", "Communication", "QuestionnaireResponse", "Task", "Communication", "Observation", "Task", "Communication",
	"QuestionnaireResponse", "Communication",
}

type bundle struct {
	ResourceType string        `json:"resourceType"`
	Type         string        `json:"type"`
	Entry        []bundleEntry `json:"entry"`
}

type bundleEntry struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource"`
	Request  entryRequest    `json:"request"`
}

type entryRequest struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

// urn is the temporary name of the resource with a number.
func urn(number uint64) string { return fmt.Sprintf("urn:uuid:0000f41b-0000-4000-8000-%012x", number) }

// bundleOf makes a transaction that creates size resources, numbered from first.
func (g *generator) bundleOf(first uint64, size int) []byte {
	b := bundle{ResourceType: "Bundle", Type: "transaction"}
	latest := map[string]string{} // temporary names by type
	for i := range size {
		h := held{typeName: bundleTypes[i%len(bundleTypes)], number: first + uint64(i)}
		b.Entry = append(b.Entry, bundleEntry{
			FullURL: urn(h.number), Resource: g.linked(h, latest),
			Request: entryRequest{Method: http.MethodPost, URL: h.typeName},
		})
		latest[h.typeName] = urn(h.number)
	}
	return encode(b)
}

// linked makes a resource that names others by their temporary names.
func (g *generator) linked(h held, latest map[string]string) []byte {
	d := g.draft(h)
	switch h.typeName {
	case "Communication":
		m := d.communication()
		m.PartOf = []reference{{Reference: latest["Task"], Type: "Task"}}
		return encode(m)
	case "Observation":
		o := d.observation()
		o.DerivedFrom = []reference{{Reference: latest["QuestionnaireResponse"], Type: "QuestionnaireResponse"}}
		return encode(o)
	}
	return g.resource(h)
}

// singlesOf makes the same resources to be created one by one: what they name is there already.
func (g *generator) singlesOf(first uint64, size int) []op {
	ops := make([]op, size)
	for i := range ops {
		h := held{typeName: bundleTypes[i%len(bundleTypes)], number: first + uint64(i)}
		ops[i] = op{kind: create, typeName: h.typeName, body: g.resource(h)}
	}
	return ops
}

// countCreated reads the answer to a Bundle and counts the entries that were created. It looks for their text first: to take
// the answer apart would cost the server, on the same machine, more than its due.
func countCreated(n *int) func(io.Reader) (int64, error) {
	return func(body io.Reader) (int64, error) {
		text, err := io.ReadAll(body)
		if err != nil {
			return 0, err
		}
		if *n = bytes.Count(text, []byte(`"status":"201`)); *n > 0 {
			return int64(len(text)), nil
		}
		var b struct {
			Entry []struct{ Response struct{ Status string } }
		}
		if err := json.Unmarshal(text, &b); err != nil {
			return 0, fmt.Errorf("the answer is no Bundle: %w", err)
		}
		for _, e := range b.Entry {
			if strings.HasPrefix(e.Response.Status, "201") {
				*n++
			}
		}
		return int64(len(text)), nil
	}
}

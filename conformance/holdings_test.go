package conformance_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// records returns what is stored: the official examples, Synthea's patients, some
// of R4's definitions, and copies of all of them.
func records(t *testing.T) []example {
	t.Helper()
	list := slices.DeleteFunc(examples(t), func(x example) bool { return x.broken != "" })
	list = append(list, patients(t)...)
	list = append(list, definitions(t)...)
	n := len(list)
	for i := range *meaningCopies {
		for _, x := range list[:n] {
			list = append(list, x.copied(i))
		}
	}
	return list
}

// patients returns the resources of Synthea's Bundles, which refer to each other
// by the URLs of their entries.
func patients(t *testing.T) []example {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(shared(), "suites", "synthea", "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Skipf("the patients of Synthea are not here (set OPENCONSULT_SHARED): %v", err)
	}
	var list []example
	for _, name := range names[:min(len(names), 3)] {
		var bundle syntheaBundle
		if err := unpacked(t, name).Decode(&bundle); err != nil {
			t.Fatal(err)
		}
		var urls []string
		for _, e := range bundle.Entry {
			urls = append(urls, `"`+e.FullURL+`"`, `"`+keyOf(t, e.Resource).String()+`"`)
		}
		local := strings.NewReplacer(urls...)
		for _, e := range bundle.Entry {
			list = append(list, example{key: keyOf(t, e.Resource), text: local.Replace(string(e.Resource))})
		}
	}
	return list
}

type syntheaBundle struct {
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
	}
}

// unpacked reads the JSON in a compressed file.
func unpacked(t *testing.T, name string) *json.Decoder {
	t.Helper()
	packed, err := os.ReadFile(name)
	if err != nil {
		t.Skipf("the public test data is not here (set OPENCONSULT_SHARED): %v", err)
	}
	text, err := gunzip(packed)
	if err != nil {
		t.Fatal(err)
	}
	return json.NewDecoder(bytes.NewReader(text))
}

// definitions returns some of R4's own definitions, which refer to each other by
// URL.
func definitions(t *testing.T) []example {
	t.Helper()
	var list []example
	for _, name := range []string{"CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "OperationDefinition", "SearchParameter", "ValueSet"} {
		lines := unpacked(t, filepath.Join(shared(), "r4", name+".ndjson.gz"))
		for range 40 {
			var text json.RawMessage
			if lines.Decode(&text) != nil {
				break
			}
			if len(text) < 100_000 {
				list = append(list, example{key: keyOf(t, text), text: string(text)})
			}
		}
	}
	return list
}

// shared is where test data lies that is not ours.
func shared() string {
	return cmp.Or(os.Getenv("OPENCONSULT_SHARED"), filepath.Join("..", "..", "shared"))
}

func keyOf(t *testing.T, text []byte) fhir.Key {
	t.Helper()
	var named struct{ ResourceType, ID string }
	if err := json.Unmarshal(text, &named); err != nil {
		t.Fatal(err)
	}
	return fhir.Key{Type: named.ResourceType, ID: named.ID}
}

// store stores what can be. Some resources were others before, and some others
// are gone.
func (m *meaning) store(list []example) {
	next := make(chan int)
	kept := make([]bool, len(list))
	last := map[fhir.Key]int{}
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for i := range next {
				kept[i] = m.put(list, i)
			}
		})
	}
	for i, x := range list {
		if _, twice := last[x.key]; !twice {
			last[x.key] = i
			next <- i
		}
	}
	close(next)
	group.Wait()
	for _, i := range last {
		if kept[i] {
			m.library.add(m.t, list[i].key, list[i].text)
		}
	}
	m.t.Logf("seed %d, %d resources", *meaningSeed, len(m.library.byKey))
	if len(m.library.byKey) < 1000 {
		m.t.Errorf("only %d of %d resources are stored", len(m.library.byKey), len(list))
	}
}

// put stores the example at i, after another under its id if there is one of its
// type, and deletes a third.
func (m *meaning) put(list []example, i int) bool {
	x := list[i]
	if before := list[max(i-1, 0)]; i%5 == 0 && before.key.Type == x.key.Type {
		before.key.ID += "-gone"
		gone := before.named(before.key.ID)
		m.send(request{method: "PUT", path: "/fhir/" + gone.key.String(), body: gone.text})
		m.send(request{method: "DELETE", path: "/fhir/" + gone.key.String()})
		m.send(request{method: "PUT", path: "/fhir/" + x.key.String(), body: before.named(x.key.ID).text})
	}
	put := m.send(request{method: "PUT", path: "/fhir/" + x.key.String(), body: x.text})
	return put.status == http.StatusCreated || put.status == http.StatusOK
}

// named returns x with another id.
func (x example) named(id string) example {
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(x.text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	v["id"] = id
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return example{key: fhir.Key{Type: x.key.Type, ID: id}, text: string(text)}
}

var localReference = regexp.MustCompile(`"reference":"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,60})"`)

// copied returns a copy of x that refers to copies.
func (x example) copied(n int) example {
	suffix := fmt.Sprintf("-%d", n)
	y := x.named(x.key.ID[:min(len(x.key.ID), 60)] + suffix)
	y.text = localReference.ReplaceAllString(y.text, `"reference":"${1}`+suffix+`"`)
	return y
}

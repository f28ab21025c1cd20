package terminology

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// define decodes resources and returns a context in which they are found.
func define(t testing.TB, sources ...string) context.Context {
	t.Helper()
	var all []*definition.Definition
	for _, src := range sources {
		all = append(all, decode(t, src))
	}
	return definition.Beside(context.Background(), all)
}

func decode(t testing.TB, src string) *definition.Definition {
	t.Helper()
	var head struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal([]byte(src), &head); err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Decode(head.ResourceType, []byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return definition.Of(r.Root())
}

func newService() *Service { return New(Config{Definitions: definition.NewCatalog(nil)}) }

// core returns the resources of a type that come with R4.
func core[T any](t testing.TB, typ string) []T {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "r4", typ+".ndjson.gz"))
	if err != nil {
		t.Skipf("needs the official R4 definitions: %v", err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	lines := bufio.NewReaderSize(unzipped, 1<<20)
	dec := json.NewDecoder(lines)
	for dec.More() {
		var one T
		if err := dec.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// A setOf is what tests read of a ValueSet.
type setOf struct {
	URL     string
	Compose struct {
		Include []struct {
			System   string
			Concept  []struct{ Code string }
			ValueSet []string
		}
		Exclude []any
	}
}

// The code systems and value sets of the tests.
const (
	animals = `{"resourceType":"CodeSystem","url":"urn:animals","version":"2","name":"Animals","status":"active","content":"complete","caseSensitive":true,"language":"en",
		"property":[{"code":"legs","type":"integer"},{"code":"eats","type":"code"},{"code":"off","uri":"http://hl7.org/fhir/concept-properties#inactive","type":"boolean"},{"code":"kin","type":"Coding"}],
		"concept":[
			{"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
				{"code":"mammal","display":"Mammal","concept":[
					{"code":"dog","display":"Dog","definition":"It barks.","designation":[{"language":"de","value":"Hund"},{"language":"nl-BE","value":"Hond"}],"property":[{"code":"legs","valueInteger":4},{"code":"eats","valueCode":"fish"}]},
					{"code":"bat","display":"Bat","property":[{"code":"legs","valueInteger":2},{"code":"parent","valueCode":"flyer"}]}]},
				{"code":"bird","display":"Bird","concept":[
					{"code":"dodo","display":"Dodo","property":[{"code":"off","valueBoolean":true}]},
					{"code":"duck","display":"Mallard duck","property":[{"code":"legs","valueInteger":2},{"code":"kin","valueCoding":{"system":"urn:x","code":"goose"}}]}]},
				{"code":"flyer","display":"Flying animal","property":[{"code":"child","valueCode":"duck"}]},
				{"code":"fish","display":"Fish","property":[{"code":"status","valueCode":"deprecated"}]}]}]}`
	part = `{"resourceType":"CodeSystem","url":"urn:part","status":"active","content":"fragment","concept":[{"code":"A"},{"code":"b","display":"Bee"}]}`
	gone = `{"resourceType":"CodeSystem","url":"urn:gone","status":"active","content":"not-present"}`
	more = `{"resourceType":"CodeSystem","url":"urn:more","status":"active","content":"supplement","supplements":"urn:animals|2",
		"concept":[{"code":"duck","designation":[{"language":"fr","value":"Canard colvert"}],"property":[{"code":"legs","valueInteger":2}]}]}`
)

// set returns a ValueSet with a compose.
func set(url, compose string) string {
	return `{"resourceType":"ValueSet","url":"` + url + `","version":"1","status":"active","compose":` + compose + `}`
}

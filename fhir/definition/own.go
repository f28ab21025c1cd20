package definition

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
)

// ownBase begins the canonical URLs of the definitions of this server itself.
const ownBase = "https://fhir.openconsult.example/"

// ownID begins the logical ids of those definitions, so that they are nobody else's.
const ownID = "openconsult-"

// ownVersion is the business version of those definitions.
const ownVersion = "1.0.0"

// An OwnResource is one of the definitions of this server itself, as it is published.
type OwnResource struct {
	Key  fhir.Key // where it can be read
	Text []byte   // JSON, which nobody changes
}

// Own returns the code systems and extensions that this server defines itself, in the
// order of type and URL. Every Catalog finds them by their URLs.
func Own() []OwnResource {
	a := own()
	all := make([]OwnResource, len(a.entries))
	for i, e := range a.entries {
		all[i] = OwnResource{fhir.Key{Type: e.typ, ID: ownID + strings.TrimPrefix(e.url, ownBase+e.typ+"/")}, a.text[e.offset : e.offset+e.length : e.offset+e.length]}
	}
	return all
}

// own returns them as an archive, which needs no unpacking. It panics if one of them
// cannot be written, which only a broken build can cause.
var own = sync.OnceValue(func() *archive {
	a := &archive{}
	add := func(typ, name string, resource any) {
		var b bytes.Buffer
		w := json.NewEncoder(&b)
		w.SetEscapeHTML(false)
		if err := w.Encode(resource); err != nil {
			panic(fmt.Sprintf("write the %s %s: %v", typ, name, err))
		}
		text := bytes.TrimSpace(b.Bytes())
		a.entries = append(a.entries, &archived{
			typ: typ, url: ownBase + typ + "/" + name, version: ownVersion, status: "active", archive: a, offset: len(a.text), length: len(text),
		})
		a.text = append(a.text, text...)
	}
	for _, s := range ownSystems() {
		add("CodeSystem", s.name, s.resource())
	}
	for _, x := range ownExtensions() {
		add("StructureDefinition", x.name, x.resource())
	}
	slices.SortFunc(a.entries, func(x, y *archived) int { return cmp.Or(cmp.Compare(x.typ, y.typ), cmp.Compare(x.url, y.url)) })
	return a
})

// comes returns what comes with the server of a type with a URL.
func comes(typ, url string) []*archived {
	if strings.HasPrefix(url, ownBase) {
		return own().find(typ, url)
	}
	return core().find(typ, url)
}

// An ownHead begins every definition of our own.
type ownHead struct {
	ResourceType string `json:"resourceType"`
	ID           string `json:"id"`
	URL          string `json:"url"`
	Version      string `json:"version"`
	Name         string `json:"name"`
	Title        string `json:"title"`
	Status       string `json:"status"`
	Publisher    string `json:"publisher"`
	Description  string `json:"description"`
}

func headOf(typ, name, title, description string) ownHead {
	return ownHead{typ, ownID + name, ownBase + typ + "/" + name, ownVersion, camel(name), title, "active", "OpenConsult", description}
}

// camel returns a name as it may stand in code: "TaskKind" for "task-kind".
func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

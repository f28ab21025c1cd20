package conformance

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Published resource is one of the server's own, which everybody may read and nobody
// can change.
type Published struct {
	Key  fhir.Key
	Text []byte // JSON
}

// Tag returns the entity tag of p.
func (p Published) Tag() string { return tagOf(p.Text) }

type searchParameter struct {
	ResourceType string   `json:"resourceType"`
	ID           string   `json:"id"`
	URL          string   `json:"url"`
	Version      string   `json:"version"`
	Name         string   `json:"name"`
	Status       string   `json:"status"`
	Publisher    string   `json:"publisher"`
	Description  string   `json:"description"`
	Code         string   `json:"code"`
	Base         []string `json:"base"`
	Type         string   `json:"type"`
	Expression   string   `json:"expression"`
	Target       []string `json:"target,omitempty"`
}

// SearchParameters returns the definitions of the search parameters that the server adds
// to those of R4. It panics if one cannot be written, which only a broken build can cause.
func SearchParameters() []Published {
	var all []Published
	for _, p := range search.Own() {
		text, err := json.Marshal(searchParameter{
			ResourceType: "SearchParameter", ID: p.Key().ID, URL: p.URL, Version: "1.0.0", Name: nameOf(p.Base[0] + "-" + p.Code), Status: "active",
			Publisher: "OpenConsult", Description: p.Description, Code: p.Code, Base: p.Base, Type: p.Type, Expression: p.Expression, Target: p.Targets,
		})
		if err != nil {
			panic(fmt.Sprintf("write the SearchParameter %s: %v", p.URL, err))
		}
		all = append(all, Published{p.Key(), text})
	}
	return all
}

// nameOf returns what stands for words with hyphens in code.
func nameOf(words string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(words, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// publishedOf returns the addresses of the server's own resources of a type.
func (s Served) publishedOf(typ string) []string {
	var all []string
	for _, k := range s.Published {
		if k.Type == typ {
			all = append(all, k.String())
		}
	}
	return all
}

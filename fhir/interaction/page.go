package interaction

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Page is one page of a search.
type Page struct {
	search.Request
	After string // a position that the page before gave; empty is the first page
}

// A sealed is what a page link holds. It says whom it was given to, so that it is
// of no use to others.
type sealed struct {
	Caller string   `json:"c"`
	Types  []string `json:"t,omitempty"`
	Within string   `json:"w,omitempty"`
	Params []string `json:"p"`           // names and values in turn
	Now    int64    `json:"n,omitempty"` // milliseconds since 1970, if a value may be relative to it
	After  string   `json:"a,omitempty"`
}

// SealPage returns p as an opaque word that only this installation can read and
// make, and that is good for this caller only.
func (s *Session) SealPage(p Page) (string, error) {
	text := sealed{Caller: s.grant.ID(), Types: p.Types, Within: within(p.Within), After: p.After}
	for _, parameter := range p.Params {
		if strings.Contains(parameter.Value, string(search.Approximately)) {
			text.Now = p.Now.UnixMilli()
		}
		text.Params = append(text.Params, parameter.Name, parameter.Value)
	}
	plain, err := json.Marshal(text)
	if err != nil {
		return "", err
	}
	return s.store.Seal(plain), nil
}

// OpenPage returns the page that word was sealed from, for the search of p's
// types and compartment. One that was changed, is another caller's or leads
// elsewhere is refused.
func (s *Session) OpenPage(p Page, word string) (Page, error) {
	refused := fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link is not valid here any more; start again from the first page.")
	plain, err := s.store.Unseal(word)
	if fhir.AsOutcome(err) != nil {
		return Page{}, refused
	}
	if err != nil {
		return Page{}, err
	}
	var text sealed
	if err := json.Unmarshal(plain, &text); err != nil || len(text.Params)%2 != 0 {
		return Page{}, refused
	}
	if text.Caller != s.grant.ID() || text.Within != within(p.Within) || !slices.Equal(text.Types, p.Types) {
		return Page{}, refused
	}
	p.After, p.Params, p.Lenient = text.After, nil, false
	if text.Now != 0 {
		p.Now = time.UnixMilli(text.Now)
	}
	for pair := range slices.Chunk(text.Params, 2) {
		p.Params = append(p.Params, search.Parameter{Name: pair[0], Value: pair[1]})
	}
	return p, nil
}

func within(k *fhir.Key) string {
	if k == nil {
		return ""
	}
	return k.String()
}

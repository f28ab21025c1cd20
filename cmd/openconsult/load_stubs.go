package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
)

// stubs makes what Bundles refer to by identifier, where it is not there: a resource
// with that identifier, tagged as such, and nothing else.
type stubs struct {
	target *target

	mu   sync.Mutex
	seen map[string]bool
}

// stubSystem and stubCode tag what was made because something referred to it.
const (
	stubSystem = "https://fhir.openconsult.example/CodeSystem/load"
	stubCode   = "stub"
)

// byIdentifier finds references like Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999.
var byIdentifier = regexp.MustCompile(`"reference"\s*:\s*"([A-Z][A-Za-z]+)\?identifier=([^"&|\\]*)(?:\||%7C)([^"&|\\]+)"`)

// onlyIfNone finds the criteria of conditional creates.
var onlyIfNone = regexp.MustCompile(`"ifNoneExist"\s*:\s*"([^"]*)"`)

// A named is something that is referred to by identifier.
type named struct{ typ, system, value string }

// make makes what a Bundle refers to, is not there, and is not made by the Bundle.
func (s *stubs) make(ctx context.Context, bundle []byte) error {
	var missing []named
	made := map[string]bool{}
	for _, m := range onlyIfNone.FindAllSubmatch(bundle, -1) {
		made[string(m[1])] = true
	}
	s.mu.Lock()
	for _, m := range byIdentifier.FindAllSubmatch(bundle, -1) {
		_, query, _ := strings.Cut(strings.TrimSuffix(string(m[0]), `"`), "?")
		if s.seen[string(m[0])] || made[query] {
			continue
		}
		system, errSystem := url.QueryUnescape(string(m[2]))
		value, errValue := url.QueryUnescape(string(m[3]))
		if errSystem == nil && errValue == nil {
			s.seen[string(m[0])] = true
			missing = append(missing, named{string(m[1]), system, value})
		}
	}
	s.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	a, err := s.target.insist(ctx, request{method: http.MethodPost, address: s.target.at(""), header: http.Header{"Prefer": {"return=minimal"}}, body: stubBatch(missing)})
	if err != nil {
		return err
	}
	if !a.ok() {
		return fmt.Errorf("make what is referred to: %w", a.complaint())
	}
	// What could not be made, the Bundle will be rejected for.
	return nil
}

func stubBatch(missing []named) []byte {
	dst := []byte(`{"resourceType":"Bundle","type":"batch","entry":[`)
	for i, n := range missing {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fhir.AppendString(append(dst, `{"resource":{"resourceType":`...), n.typ)
		dst = append(dst, `,"meta":{"tag":[{"system":"`+stubSystem+`","code":"`+stubCode+`"}]},"identifier":[{`...)
		if n.system != "" {
			dst = append(fhir.AppendString(append(dst, `"system":`...), n.system), ',')
		}
		dst = fhir.AppendString(append(dst, `"value":`...), n.value)
		dst = fhir.AppendString(append(dst, `}]},"request":{"method":"POST","url":`...), n.typ)
		criteria := "identifier=" + url.QueryEscape(n.system+"|"+n.value)
		dst = append(fhir.AppendString(append(dst, `,"ifNoneExist":`...), criteria), `}}`...)
	}
	return append(dst, `]}`...)
}

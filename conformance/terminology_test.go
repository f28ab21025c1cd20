package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// largeSystem is the URL of a [hierarchy].
const largeSystem = "https://practice.example/CodeSystem/large"

// A hierarchy is a code system of many concepts, of which many have two parents.
type hierarchy struct{ parents [][]int }

// newHierarchy returns one of n concepts. Each is below others with a smaller number.
func newHierarchy(n int) hierarchy {
	h := hierarchy{make([][]int, n)}
	for i := 1; i < n; i++ {
		h.parents[i] = []int{(i - 1) / 8}
		if other := i * 7919 % (i/2 + 1); i%3 == 0 && other != (i-1)/8 {
			h.parents[i] = append(h.parents[i], other)
		}
	}
	return h
}

func (hierarchy) code(i int) string { return fmt.Sprint(100000 + i) }

// below returns the codes of a concept and all below it.
func (h hierarchy) below(top int) map[string]bool {
	in := make([]bool, len(h.parents))
	in[top] = true
	all := map[string]bool{h.code(top): true}
	for i := top + 1; i < len(in); i++ {
		if in[i] = slices.ContainsFunc(h.parents[i], func(p int) bool { return in[p] }); in[i] {
			all[h.code(i)] = true
		}
	}
	return all
}

// json returns the CodeSystem. Every seventh concept speaks of a fever.
func (h hierarchy) json(version string) []byte {
	type property struct {
		Code  string `json:"code"`
		Value string `json:"valueCode"`
	}
	type concept struct {
		Code     string     `json:"code"`
		Display  string     `json:"display"`
		Property []property `json:"property,omitempty"`
	}
	all := make([]concept, len(h.parents))
	for i := range all {
		all[i] = concept{Code: h.code(i), Display: fmt.Sprintf("%s finding %d", []string{"Fever", "Pain", "Cough", "Rash", "Ache", "Itch", "Cramp"}[i%7], i)}
		for _, p := range h.parents[i] {
			all[i].Property = append(all[i].Property, property{"parent", h.code(p)})
		}
	}
	list, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts always marshal
	}
	return fmt.Appendf(nil, `{"resourceType":"CodeSystem","id":"large","url":%q,"version":%q,"status":"active","content":"complete","hierarchyMeaning":"is-a",
		"property":[{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],"concept":%s}`, largeSystem, version, list)
}

// TestLargeCodeSystem stores a code system of 20,000 concepts, which is more than is
// kept in memory, and asks about it; also after a restart.
func TestLargeCodeSystem(t *testing.T) {
	t.Parallel()
	s := serve(t)
	h := newHierarchy(20_000)
	keep(t, s.base, "CodeSystem/large", h.json("1"))
	keep(t, s.base, "ValueSet/part", fmt.Appendf(nil, `{"resourceType":"ValueSet","id":"part","url":"https://practice.example/ValueSet/part","status":"active",
		"compose":{"include":[{"system":%q,"filter":[{"property":"concept","op":"is-a","value":%q}]}]}}`, largeSystem, h.code(5)))
	keep(t, s.base, "Condition/a", fmt.Appendf(nil, `{"resourceType":"Condition","id":"a","subject":{"reference":"Patient/a"},"code":{"coding":[{"system":%q,"code":%q}]}}`, largeSystem, h.code(700*8+1)))
	for range 2 {
		h.asked(t, s.base)
		s.restart()
	}
}

// asked compares answers with what h is.
func (h hierarchy) asked(t *testing.T, base string) {
	t.Helper()
	part := h.below(5)
	wanted := map[bool]int{}
	for i := 0; i < len(h.parents); i += 97 {
		in := part[h.code(i)]
		wanted[in]++
		if got := operate(t, base, "ValueSet/part/$validate-code?system="+largeSystem+"&code="+h.code(i)).value("result"); got != in {
			t.Errorf("%s in the value set: %v, want %v", h.code(i), got, in)
		}
		relation := "not-subsumed"
		switch {
		case i == 5:
			relation = "equivalent"
		case in:
			relation = "subsumes"
		case h.below(i)[h.code(5)]:
			relation = "subsumed-by"
		}
		if got := operate(t, base, "CodeSystem/$subsumes?system="+largeSystem+"&codeA="+h.code(5)+"&codeB="+h.code(i)).value("outcome"); got != relation {
			t.Errorf("%s and %s: %v, want %s", h.code(5), h.code(i), got, relation)
		}
	}
	if wanted[true] == 0 || wanted[false] == 0 {
		t.Fatalf("nothing is decided: %v", wanted)
	}
	h.expanded(t, base, part)
	if status, body := send(t, "GET", base+"/CodeSystem/$lookup?system="+largeSystem+"&code=none", nil); status != http.StatusNotFound {
		t.Errorf("an unknown code: %d %s", status, body)
	}
	if status, body := send(t, "GET", base+"/Condition?code:in=ValueSet/part", nil); status != http.StatusBadRequest || !strings.Contains(string(body), "too-costly") {
		t.Errorf("a search for all codes of a large value set: %d %s", status, body)
	}
	if status, body := send(t, "GET", base+"/Condition?code:below="+largeSystem+"%7C"+h.code(0), nil); status != http.StatusBadRequest || !strings.Contains(string(body), "too-costly") {
		t.Errorf("a search for 20,000 codes: %d %s", status, body)
	}
	for _, search := range []string{"below=" + largeSystem + "%7C" + h.code(700), "above=" + largeSystem + "%7C" + h.code(700*8+1)} {
		if found := operate(t, base, "Condition?code:"+search); *found.Total != 1 {
			t.Errorf("a search for %s finds %d", search, *found.Total)
		}
	}
}

// expanded wants all of part in the pages of an expansion, each once.
func (h hierarchy) expanded(t *testing.T, base string, part map[string]bool) {
	t.Helper()
	seen := map[string]bool{}
	for offset := 0; offset < len(part); offset += 997 {
		page := operate(t, base, fmt.Sprintf("ValueSet/part/$expand?count=997&offset=%d", offset)).Expansion
		if page.Total != len(part) {
			t.Fatalf("the total is %d, want %d", page.Total, len(part))
		}
		for _, c := range page.Contains {
			if seen[c.Code] || !part[c.Code] {
				t.Fatalf("%s is there twice, or not below %s", c.Code, h.code(5))
			}
			seen[c.Code] = true
		}
	}
	if len(seen) != len(part) {
		t.Errorf("the pages have %d codes, want %d", len(seen), len(part))
	}
	fevers := 0
	for i := 0; i < len(h.parents); i += 7 {
		if part[h.code(i)] {
			fevers++
		}
	}
	if got := operate(t, base, "ValueSet/part/$expand?count=5&filter=fev+find").Expansion; got.Total != fevers || len(got.Contains) != 5 {
		t.Errorf("%d fevers on a page of %d, want %d", got.Total, len(got.Contains), fevers)
	}
}

// TestTerminologyElsewhere changes a value set and a code system on one server and asks
// another one, which sees it within some seconds.
func TestTerminologyElsewhere(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t).DSN
	here, stop := start(t, dsn, api.Config{})
	defer stop()
	there, stopThere := start(t, dsn, api.Config{})
	defer stopThere()
	set := func(codes string) []byte {
		return []byte(`{"resourceType":"ValueSet","id":"set","url":"https://practice.example/ValueSet/set","status":"active","compose":{"include":[{"system":"urn:oid:1.2.3","concept":[` + codes + `]}]}}`)
	}
	total := func(base string) int {
		return operate(t, base, "ValueSet/$expand?url="+url.QueryEscape("https://practice.example/ValueSet/set")).Expansion.Total
	}
	keep(t, here, "ValueSet/set", set(`{"code":"a"}`))
	await(t, "the value set is known there", func() bool {
		status, _ := send(t, "GET", there+"/ValueSet/$expand?url=https://practice.example/ValueSet/set", nil)
		return status == http.StatusOK
	})
	keep(t, here, "ValueSet/set", set(`{"code":"a"},{"code":"b"}`))
	changed := time.Now()
	if total(here) != 2 {
		t.Error("where it was changed it is not seen at once")
	}
	await(t, "the change is seen there", func() bool { return total(there) == 2 })
	t.Logf("seen on the other server after %v", time.Since(changed).Round(time.Millisecond))
}

// An operated is what an operation was answered with: Parameters, a ValueSet, a Bundle.
type operated struct {
	Parameter []struct {
		Name         string
		ValueBoolean *bool
		ValueCode    string
		ValueString  string
	}
	Expansion struct {
		Total    int
		Contains []struct{ Code string }
	}
	Total *int
}

// value returns the value of a parameter.
func (a operated) value(name string) any {
	for _, p := range a.Parameter {
		switch {
		case p.Name != name:
		case p.ValueBoolean != nil:
			return *p.ValueBoolean
		default:
			return p.ValueCode + p.ValueString
		}
	}
	return nil
}

// operate asks with GET until what is read in is there.
func operate(t *testing.T, base, path string) (a operated) {
	t.Helper()
	var status int
	var body []byte
	await(t, path, func() bool {
		status, body = send(t, "GET", base+"/"+path, nil)
		return status != http.StatusServiceUnavailable
	})
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	return a
}

// keep stores a resource.
func keep(t *testing.T, base, key string, body []byte) {
	t.Helper()
	if status, answer := send(t, "PUT", base+"/"+key, body); status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("%s: %d %s", key, status, answer)
	}
}

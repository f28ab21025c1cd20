package conformance_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestSelfSearch stores every official example and asks for each value that each
// parameter has in it: the search must find all examples with that value, the
// one it was taken from among them.
func TestSelfSearch(t *testing.T) {
	t.Parallel()
	list := examples(t)
	base := serveIdle(t).base
	registry, err := search.NewRegistry(spec.R4(), base, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	questions := map[question][]string{}
	for _, x := range list {
		if x.broken != "" {
			continue
		}
		put, err := request{method: "PUT", path: "/fhir/" + x.key.String(), body: x.text}.send(http.DefaultClient, base)
		if err != nil || put.status >= 300 {
			t.Fatalf("%s is not stored: %v\n%s", x.key, err, put)
		}
	}
	stored := map[fhir.Key]string{}
	for _, x := range list {
		if x.broken == "" {
			stored[x.key] = x.text
		}
	}
	for k, text := range stored {
		for _, q := range questionsOf(t, registry, k, text) {
			questions[q] = append(questions[q], k.ID)
		}
	}
	ask(t, base, questions)
}

// A question is a search for one value.
type question struct {
	typ   string
	kind  search.Type
	query string
}

// questionsOf returns a search for each value that k is found by.
func questionsOf(t *testing.T, r *search.Registry, k fhir.Key, text string) []question {
	t.Helper()
	res, err := fhir.Decode(k.Type, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ix, err := r.Index(res.Root(), k.ID)
	if err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	seen := map[question]bool{}
	for _, e := range ix.Entries {
		for _, value := range asked(e.Param, e.Value) {
			seen[question{k.Type, e.Param.Type, value}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b question) int { return cmp.Compare(a.query, b.query) })
}

// ask asks all questions, several at once, and counts them by parameter type.
func ask(t *testing.T, base string, questions map[question][]string) {
	next := make(chan question)
	counts := map[search.Type]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	for range clients {
		group.Go(func() {
			for q := range next {
				x, err := request{method: "GET", path: "/fhir/" + q.typ + "?" + q.query + "&_count=1000&_elements=id"}.send(client, base)
				if err != nil || x.status != http.StatusOK {
					t.Errorf("%s?%s: %v\n%s", q.typ, q.query, err, x)
					continue
				}
				found := map[string]bool{}
				entries, _ := find(x.tree, "entry[*].resource.id")
				for _, id := range entries {
					found[fmt.Sprint(id)] = true
				}
				for _, id := range questions[q] {
					if !found[id] {
						t.Errorf("%s?%s does not find %s", q.typ, q.query, id)
					}
				}
				mu.Lock()
				counts[q.kind] += len(questions[q])
				mu.Unlock()
			}
		})
	}
	for q := range questions {
		next <- q
	}
	close(next)
	group.Wait()
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%s: %d values found", kind, counts[kind])
		total += counts[kind]
	}
	t.Logf("%d values found by %d searches", total, len(questions))
	if total < 8000 {
		t.Errorf("only %d values were asked for", total)
	}
}

// asked writes the searches for one value, as name=value, escaped.
func asked(p *search.Param, v search.Value) []string {
	var list []string
	for _, text := range askedTexts(p, v) {
		list = append(list, p.Code+"="+url.QueryEscape(text))
	}
	switch v := v.(type) {
	case search.String:
		list = append(list, p.Code+":exact="+url.QueryEscape(escapedValue(v.Text)))
	case search.Token:
		for _, text := range v.Texts {
			list = append(list, p.Code+":text="+url.QueryEscape(escapedValue(text)))
		}
	case search.Reference:
		if v.Identifier != nil {
			list = append(list, p.Code+":identifier="+url.QueryEscape(tokenText(*v.Identifier)))
		}
	}
	return list
}

// askedTexts writes a value as a client asks for it. Open ranges have no text
// that is equal to them, so their ends are asked for.
func askedTexts(p *search.Param, v search.Value) []string {
	switch v := v.(type) {
	case search.Token:
		if v.Code == "" && v.System == "" {
			return nil
		}
		return []string{tokenText(v)}
	case search.String:
		if v.Folded == "" {
			return nil
		}
		return []string{escapedValue(v.Text)}
	case search.Reference:
		return referenceTexts(v)
	case search.URI:
		return []string{escapedValue(v.Text)}
	case search.Quantity:
		return rangeTexts(v.Range, number, unitText(v))
	case search.Range:
		if p.Type == search.DateType {
			return rangeTexts(v, moment, "")
		}
		return rangeTexts(v, number, "")
	case search.Composite:
		return compositeTexts(p, v)
	}
	return nil
}

func tokenText(v search.Token) string {
	if v.System == "" {
		return escapedValue(v.Code)
	}
	return escapedValue(v.System) + "|" + escapedValue(v.Code)
}

func referenceTexts(v search.Reference) []string {
	switch {
	case v.Key.ID != "":
		return []string{v.Key.String()}
	case v.URL != "" && v.Version != "":
		return []string{escapedValue(v.URL), escapedValue(v.URL) + "|" + escapedValue(v.Version)}
	case v.URL != "":
		return []string{escapedValue(v.URL)}
	}
	return nil
}

func unitText(q search.Quantity) string {
	switch {
	case q.Code != "":
		return "|" + escapedValue(q.System) + "|" + escapedValue(q.Code)
	case q.Unit != "":
		return "||" + escapedValue(q.Unit)
	}
	return ""
}

func compositeTexts(p *search.Param, v search.Composite) []string {
	texts := []string{""}
	for i, part := range v {
		var longer []string
		for _, end := range askedTexts(p.Parts[i].Param, part) {
			for _, begin := range texts {
				if i > 0 {
					begin += "$"
				}
				longer = append(longer, begin+end)
			}
		}
		texts = longer
	}
	return texts
}

// rangeTexts asks for a point by its value, and for a range by its ends.
func rangeTexts(r search.Range, write func(float64) string, unit string) []string {
	if r.Lo == r.Hi {
		return []string{write(r.Lo) + unit}
	}
	var list []string
	if !math.IsInf(r.Lo, 0) {
		list = append(list, "ge"+write(r.Lo)+unit)
	}
	if !math.IsInf(r.Hi, 0) {
		list = append(list, "lt"+write(r.Hi)+unit)
	}
	return list
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// moment writes microseconds as a client writes a time.
func moment(f float64) string {
	return time.UnixMicro(int64(f)).UTC().Format("2006-01-02T15:04:05.000000Z")
}

// escapedValue escapes what has a meaning in the value of a parameter.
func escapedValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(s)
}

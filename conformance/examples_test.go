package conformance_test

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// An example is one of the resources that HL7 publishes with the specification.
type example struct {
	key    fhir.Key
	text   string
	broken string // the element that is at fault; empty for most
	status int    // by which it is refused, if it is
}

// TestExamples sends every official example and reads it back in every way there
// is: as JSON, as XML, in its history and in that of its type. Each must be what
// was sent, to the last digit, but for where a photo was taken. Those that contradict the specification are
// refused, with the element named.
func TestExamples(t *testing.T) {
	t.Parallel()
	list := examples(t)
	e := &exchanges{t: t, base: serveIdle(t).base, kept: map[string]any{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: patience}}
	t.Cleanup(e.client.CloseIdleConnections)
	next := make(chan example)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for x := range next {
				e.roundTrip(x)
			}
		})
	}
	for _, x := range list {
		next <- x
	}
	close(next)
	group.Wait()
	e.typeHistories()
	t.Logf("%d examples: %d stored and read back as JSON, as XML and in histories; %d refused as they must be; %d numbers compared by their text",
		len(list), len(e.kept), e.refused.Load(), e.numbers.Load())
}

// clients is how many send at once.
const clients = 4

// examples reads all official examples, and which of them are broken.
func examples(t *testing.T) []example {
	t.Helper()
	shared := os.Getenv("OPENCONSULT_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(shared, "r4", "examples.ndjson.gz"))
	if err != nil {
		t.Skipf("the official examples are not here (set OPENCONSULT_SHARED): %v", err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	refusals, used := refusedExamples(t), map[string]bool{}
	var list []example
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var named struct{ ResourceType, ID string }
		if err := json.Unmarshal(lines.Bytes(), &named); err != nil {
			t.Fatal(err)
		}
		k := fhir.Key{Type: named.ResourceType, ID: named.ID}
		x, refused := refusals[k.String()]
		if refused {
			used[k.String()] = true
		}
		x.key, x.text = k, lines.Text()
		list = append(list, x)
	}
	if err := lines.Err(); err != nil || len(list) < 700 || len(used) != len(refusals) {
		t.Fatalf("%d examples were read, %d of %d broken ones among them: %v", len(list), len(used), len(refusals), err)
	}
	return list
}

// refusedExamples returns what is wrong with each example that contradicts the
// specification: in its structure, or only in what else R4 demands.
func refusedExamples(t *testing.T) map[string]example {
	t.Helper()
	all := map[string]example{}
	for name, status := range map[string]int{"../fhir/testdata/broken-examples.txt": http.StatusBadRequest, "testdata/refused-examples.txt": http.StatusUnprocessableEntity} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Split(line, "\t")
			if len(fields) != 3 {
				t.Fatalf("%s: %q is not: Type/id, element, reason", name, line)
			}
			all[fields[0]] = example{broken: fields[1], status: status}
		}
	}
	return all
}

// exchanges are what clients of one server do with the examples.
type exchanges struct {
	t      *testing.T
	base   string
	client *http.Client

	refused, numbers atomic.Int64

	mu   sync.Mutex
	kept map[string]any // what every read must show, by Type/id
}

// do sends a request. Its headers are pairs of name and value.
func (e *exchanges) do(r request) exchange {
	x, err := r.send(e.client, e.base)
	if err != nil {
		e.t.Error(err)
	}
	return x
}

// roundTrip sends one example and reads it back.
func (e *exchanges) roundTrip(x example) {
	path := "/fhir/" + x.key.String()
	put := e.do(request{method: "PUT", path: path, body: x.text})
	if x.broken != "" {
		e.checkRefusal(x, put)
		return
	}
	e.mu.Lock()
	want := http.StatusCreated
	if e.kept[x.key.String()] != nil {
		want = http.StatusOK
	}
	sent := e.harmless(x)
	e.kept[x.key.String()] = sent
	e.mu.Unlock()
	if put.status != want {
		e.t.Errorf("%s: want %d\n%s", x.key, want, put)
		return
	}
	e.numbers.Add(numbersIn(sent))
	e.same(x.key.String()+" as it was acknowledged", sent, e.value(put.answer))
	e.same(x.key.String()+" as JSON", sent, e.value(e.do(request{method: "GET", path: path, headers: [][2]string{{"Accept", "application/fhir+json"}}}).answer))
	e.same(x.key.String()+" as XML", unescapedDivs(sent), e.fromXML(x, path))
	history := e.do(request{method: "GET", path: path + "/_history"})
	entries, err := find(history.tree, "entry[*].resource")
	if err != nil || len(entries) == 0 {
		e.t.Errorf("%s: %v\n%s", x.key, err, history)
		return
	}
	e.same(x.key.String()+" in its history", sent, unstamped(entries[0]))
}

// harmless returns what is stored of an example: a photo goes without what it tells beside the
// picture.
func (e *exchanges) harmless(x example) any {
	sent := e.value(x.text)
	r, _ := sent.(map[string]any)
	if x.key.Type != "Binary" || r["contentType"] != attachment.JPEG {
		return sent
	}
	text, _ := r["data"].(string)
	content, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		content, err = attachment.Clean(attachment.JPEG, content)
	}
	if err != nil {
		e.t.Errorf("%s: %v", x.key, err)
	}
	r["data"] = base64.StdEncoding.EncodeToString(content)
	return sent
}

// checkRefusal makes sure that a broken example is refused for what is broken.
func (e *exchanges) checkRefusal(x example, put exchange) {
	elements, err := find(put.tree, "issue[*].expression[*]")
	if err != nil || put.status != x.status {
		e.t.Errorf("%s must be refused by %d (%v)\n%s", x.key, x.status, err, put)
		return
	}
	for _, element := range elements {
		if element == x.broken {
			e.refused.Add(1)
			return
		}
	}
	e.t.Errorf("%s is refused for %v, not for %s", x.key, elements, x.broken)
}

// fromXML reads a resource as XML and returns what it says.
func (e *exchanges) fromXML(x example, path string) any {
	read := e.do(request{method: "GET", path: path, headers: [][2]string{{"Accept", "application/fhir+xml"}}})
	if got := read.header.Get("Content-Type"); read.status != http.StatusOK || !strings.HasPrefix(got, "application/fhir+xml") {
		e.t.Errorf("%s is not read as XML\n%s", x.key, read)
		return nil
	}
	r, err := fhir.DecodeXML(x.key.Type, []byte(read.answer))
	if err != nil {
		e.t.Errorf("%s: the server's XML does not decode: %v", x.key, err)
		return nil
	}
	return unescapedDivs(e.value(string(r.Source())))
}

// typeHistories walks through the history of every type that was sent. Each
// resource must be in it, once.
func (e *exchanges) typeHistories() {
	byType := map[string]int{}
	for key := range e.kept {
		typ, _, _ := strings.Cut(key, "/")
		byType[typ]++
	}
	for typ, n := range byType {
		seen := map[string]bool{}
		for url := e.base + "/" + typ + "/_history?_count=20"; url != ""; {
			page := e.do(request{method: "GET", path: url})
			url = ""
			if next, err := find(page.tree, "link[relation=next].url"); err == nil && len(next) == 1 {
				url, _ = next[0].(string)
			}
			e.checkPage(typ, page, seen)
		}
		if len(seen) != n {
			e.t.Errorf("the history of %s shows %d resources, want %d", typ, len(seen), n)
		}
	}
}

func (e *exchanges) checkPage(typ string, page exchange, seen map[string]bool) {
	resources, err := find(page.tree, "entry[*].resource")
	if err != nil || len(resources) == 0 {
		e.t.Errorf("history of %s: %v\n%s", typ, err, page)
	}
	for _, r := range resources {
		members, _ := r.(map[string]any)
		key := fmt.Sprintf("%s/%s", members["resourceType"], members["id"])
		if seen[key] {
			e.t.Errorf("the history of %s shows %s twice", typ, key)
		}
		seen[key] = true
		e.same(key+" in the history of its type", e.kept[key], unstamped(r))
	}
}

// same compares two values. The order of members does not count; numbers are
// compared by their text.
func (e *exchanges) same(what string, sent, got any) {
	if d := difference("", sent, got); d != "" {
		e.t.Errorf("%s: %s", what, d)
	}
}

// value returns what the text of a resource says, without its stamp.
func (e *exchanges) value(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		e.t.Errorf("decode %.200q: %v", text, err)
	}
	return unstamped(v)
}

// unstamped returns a resource without what the server alone says about it.
func unstamped(resource any) any {
	r, _ := resource.(map[string]any)
	meta, _ := r["meta"].(map[string]any)
	delete(meta, "versionId")
	delete(meta, "lastUpdated")
	if tags, _ := json.Marshal(meta["tag"]); string(tags) == `[{"code":"NOT_SCANNED","system":"`+interaction.ScanSystem+`"}]` {
		delete(meta, "tag")
	}
	if len(meta) == 0 {
		delete(r, "meta")
	}
	return resource
}

// unescapedDivs returns a copy of v in which the characters of narratives stand for
// themselves: XML and JSON write them by different references.
func unescapedDivs(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = unescapedDivs(v[i])
		}
		return list
	case map[string]any:
		members := make(map[string]any, len(v))
		for name := range v {
			members[name] = unescapedDivs(v[name])
			if s, ok := v[name].(string); ok && name == "div" {
				members[name] = html.UnescapeString(s)
			}
		}
		return members
	}
	return v
}

// difference returns where two values differ first, or "".
func difference(path string, a, b any) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	switch a := a.(type) {
	case map[string]any:
		b, _ := b.(map[string]any)
		for name := range a {
			if d := difference(path+"."+name, a[name], b[name]); d != "" {
				return d
			}
		}
	case []any:
		b, _ := b.([]any)
		for i := range min(len(a), len(b)) {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); d != "" {
				return d
			}
		}
	}
	return fmt.Sprintf("%s: %.300v became %.300v", path, a, b)
}

func numbersIn(v any) int64 {
	var n int64
	switch v := v.(type) {
	case json.Number:
		return 1
	case []any:
		for _, x := range v {
			n += numbersIn(x)
		}
	case map[string]any:
		for _, x := range v {
			n += numbersIn(x)
		}
	}
	return n
}

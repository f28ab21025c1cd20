package typed

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// A verdict is what the two decoders say about one body.
type verdict struct {
	src    string
	root   *tree
	ours   *fhir.Outcome // nil when accepted
	theirs []fhir.Issue  // empty when accepted
}

func judge(root *tree) (verdict, error) {
	src := root.append(nil)
	_, err := fhir.Decode("", src)
	_, issues, broken := parse(src)
	v := verdict{string(src), root, fhir.AsOutcome(err), issues}
	switch {
	case broken != nil:
		return v, broken
	case err != nil && v.ours == nil:
		return v, err
	}
	return v, nil
}

// classes names the reasons why the two disagree about v; "" stands for none
// that is known.
func (v verdict) classes() []string {
	switch {
	case v.ours != nil && len(v.theirs) == 0:
		var list []string
		for _, is := range v.ours.Issues {
			list = append(list, v.lax(is))
		}
		return list
	case v.ours == nil && len(v.theirs) > 0:
		var list []string
		for _, is := range v.theirs {
			list = append(list, v.strict(is))
		}
		return list
	}
	return nil
}

// disagreements returns the classes of testdata/disagreements.txt.
func disagreements(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "disagreements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 || fields[1] != "fhir" && fields[1] != "google" {
			t.Fatalf("disagreements.txt: %q is not class, who accepts and reason between tabs", line)
		}
		known[fields[0]] = true
	}
	return known
}

// A tally counts verdicts.
type tally struct {
	mu       sync.Mutex
	accepted int // by both
	refused  int // by both
	by       map[string]int
	unknown  []string
	failures []string
}

func (c *tally) count(v verdict, err error, known map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := v.classes()
	switch {
	case err != nil:
		c.failures = append(c.failures, fmt.Sprintf("%v: %s", err, v.src))
	case len(list) == 0 && v.ours == nil:
		c.accepted++
	case len(list) == 0:
		c.refused++
	}
	for i, class := range list {
		if !known[class] {
			c.unknown = append(c.unknown, v.explain(i, class))
			continue
		}
		c.by[class]++
	}
}

func (v verdict) explain(i int, class string) string {
	who, list := "google/fhir", v.theirs
	if v.ours != nil {
		who, list = "ours", v.ours.Issues
	}
	around := list[i].Expression
	around = around[:max(0, strings.LastIndexByte(around, '.'))]
	near := "nothing"
	if value := v.root.at(around); value != nil {
		near = string(value.append(nil))
	}
	return fmt.Sprintf("%q: only %s refuses: %+v\n\tin %.2000s", class, who, list[i], near)
}

// TestOracle holds the decoder against google/fhir over the official examples
// and seeded mutations of them. Where the two disagree, the reason must be one of
// testdata/disagreements.txt.
func TestOracle(t *testing.T) {
	t.Parallel()
	known := disagreements(t)
	sources := examples(t, 20_000)
	if len(sources) == 0 {
		t.Fatal("there are no examples")
	}
	sources = append(sources,
		`{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Patient","active":true}},{"name":"b","valueString":"c"}]}`,
		`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"http://a","valueCode":"b"}]}]}]}`,
	)
	trees := make([]*tree, len(sources))
	for i, src := range sources {
		trees[i] = parseTree(t, src)
	}
	mutants := 20_000
	if testing.Short() {
		mutants = 2_000
	}
	c := &tally{by: map[string]int{}}
	work(len(sources)+mutants, func(i int) {
		root := trees[i%len(trees)]
		if i >= len(trees) {
			root = mutate(rand.New(rand.NewPCG(4, uint64(i))), root)
		}
		v, err := judge(root)
		c.count(v, err, known)
	})
	c.report(t, known)
}

// work calls f for 0 to n-1, on all processors.
func work(n int, f func(i int)) {
	next := make(chan int)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

func (c *tally) report(t *testing.T, known map[string]bool) {
	t.Helper()
	t.Logf("both accept %d, both refuse %d", c.accepted, c.refused)
	for _, class := range slices.Sorted(maps.Keys(known)) {
		t.Logf("%-24s %d", class, c.by[class])
		if c.by[class] == 0 && !testing.Short() {
			t.Errorf("the disagreement %s no longer occurs; remove it from disagreements.txt", class)
		}
	}
	for _, f := range c.failures {
		t.Error(f)
	}
	for i, u := range c.unknown {
		if i == 20 {
			t.Errorf("and %d more", len(c.unknown)-i)
			return
		}
		t.Error(u)
	}
	if c.accepted < 300 || c.refused < 500 {
		t.Errorf("both accept %d and refuse %d; the mutations are lopsided", c.accepted, c.refused)
	}
}

// BenchmarkOracle is what google/fhir needs for what fhir.Decode and Stored do,
// on the same inputs as the benchmarks of fhir.
func BenchmarkOracle(b *testing.B) {
	communication, err := os.ReadFile(filepath.Join("..", "testdata", "communication.json"))
	if err != nil {
		b.Fatal(err)
	}
	for name, src := range map[string][]byte{"communication": communication, "qr300": questionnaireResponse(300)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				m, issues, err := parse(src)
				if err != nil || len(issues) > 0 {
					b.Fatal(err, issues)
				}
				if _, err := marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/fhir", func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := fhir.Decode("", src)
				if err != nil {
					b.Fatal(err)
				}
				r.Stored("a")
			}
		})
	}
}

// questionnaireResponse returns one with n items in groups of ten.
func questionnaireResponse(n int) []byte {
	answers := []string{`"valueBoolean":true`, `"valueDecimal":1.50`, `"valueString":"It began in March and has not changed since."`,
		`"valueCoding":{"system":"http://snomed.info/sct","code":"373066001","display":"Yes"}`}
	var b strings.Builder
	b.WriteString(`{"resourceType":"QuestionnaireResponse","id":"qr","questionnaire":"https://fhir.example.org/Questionnaire/skin|1.0","status":"completed","subject":{"reference":"Patient/p-204"},"authored":"2024-03-04T09:00:00+01:00","item":[`)
	for i := range n {
		switch {
		case i == 0:
			b.WriteString(`{"linkId":"group-0","text":"Group 0","item":[`)
		case i%10 == 0:
			fmt.Fprintf(&b, `]},{"linkId":"group-%d","text":"Group %[1]d","item":[`, i/10)
		default:
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"linkId":"question-%d","text":"How does question %[1]d apply?","answer":[{%s}]}`, i, answers[i%len(answers)])
	}
	b.WriteString(`]}]}`)
	return []byte(b.String())
}

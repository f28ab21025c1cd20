package search

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == text {
		return
	}
	had, now := strings.Split(string(want), "\n"), strings.Split(text, "\n")
	for i := range min(len(had), len(now)) {
		if had[i] != now[i] {
			t.Fatalf("%s line %d: got\n%s\nwant\n%s", name, i+1, now[i], had[i])
		}
	}
	t.Fatalf("%s: got %d lines, want %d", name, len(now), len(had))
}

// written are resources of kinds that the examples lack.
var written = []string{
	`{"resourceType":"ValueSet","id":"a","url":"http://a/v","version":"1","status":"draft","compose":{"include":[{"system":"http://a/c","concept":[{"code":"X"},{"code":"y"}]}]},"expansion":{"identifier":"urn:x","timestamp":"2024-01-01T00:00:00Z","contains":[{"code":"Z"}]}}`,
	`{"resourceType":"Condition","id":"b","subject":{"reference":"Group/g"},"onsetRange":{"low":{"value":3,"unit":"years","system":"http://unitsofmeasure.org","code":"a"},"high":{"value":48,"unit":"months","system":"http://unitsofmeasure.org","code":"mo"}},"abatementRange":{"high":{"value":4,"unit":"years"}}}`,
	`{"resourceType":"Condition","id":"c","subject":{"reference":"https://fhir.example.org/r4/Patient/p/_history/2"},"onsetPeriod":{"start":"2024-01"},"abatementPeriod":{"end":"2024-02-03"}}`,
	`{"resourceType":"QuestionnaireResponse","id":"d","status":"completed","questionnaire":"http://a/q|2","item":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject","valueBoolean":true}],"linkId":"1","answer":[{"valueReference":{"reference":"Patient/q"}},{"valueString":"no"}]},{"linkId":"2","answer":[{"valueReference":{"reference":"Patient/z"}}]}]}`,
	`{"resourceType":"MolecularSequence","id":"e","coordinateSystem":0,"referenceSeq":{"chromosome":{"text":"1"},"referenceSeqId":{"coding":[{"code":"N1"}]},"windowStart":1,"windowEnd":9},"variant":[{"start":2,"end":3},{"start":5,"end":6},{"start":7}]}`,
	`{"resourceType":"Device","id":"f","extension":[{"url":"http://hl7.org/fhir/SearchParameter/device-extensions-Device-din","valueIdentifier":{"system":"http://d","value":"D1"}},{"url":"http://other","valueString":"x"}],"patient":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Hidden"}]}]}`,
	`{"resourceType":"Bundle","id":"g","type":"message","entry":[{"resource":{"resourceType":"MessageHeader","id":"m","eventUri":"http://e","source":{"endpoint":"http://s"}}},{"fullUrl":"https://fhir.example.org/r4/Patient/p","resource":{"resourceType":"Patient","id":"p"}}]}`,
	`{"resourceType":"Group","id":"h","type":"person","actual":false,"characteristic":[{"code":{"text":"Age"},"valueBoolean":true,"exclude":false},{"code":{"coding":[{"code":"sex"}]},"valueCodeableConcept":{"coding":[{"system":"http://s","code":"f"}]},"exclude":true},{"code":{"text":"Height"},"valueQuantity":{"value":1},"exclude":false}]}`,
	`{"resourceType":"Appointment","id":"i","status":"booked","start":"2024-03-04T09:00:00+01:00","participant":[{"status":"accepted","actor":{"type":"Patient","identifier":{"system":"http://n","value":"1"}}},{"status":"declined","actor":{"reference":"urn:uuid:5d1b0f6e-22b1-4f6f-9a3b-6f7a7a1f0a11"}}]}`,
	`{"resourceType":"Procedure","id":"j","status":"completed","subject":{"reference":"Patient/p"},"performedString":"last year"}`,
}

func TestIndexGolden(t *testing.T) {
	t.Parallel()
	chosen := []string{
		"Patient/example", "Observation/bmi", "Observation/blood-pressure", "Observation/2minute-apgar-score", "Task/example1",
		"Communication/example", "QuestionnaireResponse/3141", "Condition/f202", "Condition/example2",
		"Encounter/f003", "Appointment/examplereq", "Group/102", "MolecularSequence/example", "MolecularSequence/coord-0-base",
		"DocumentReference/example", "Bundle/father", "PlanDefinition/zika-virus-intervention", "Invoice/example", "MedicationRequest/medrx0311",
		"Location/1", "ActivityDefinition/referralPrimaryCareMentalHealth",
	}
	r := registry(t)
	found := map[string]string{}
	for _, res := range examples(t) {
		name := res.Type() + "/" + res.ID()
		if slices.Contains(chosen, name) {
			found[name] = "# " + name + "\n" + strings.Join(lines(indexed(t, r, res)), "\n") + "\n"
		}
	}
	for _, name := range []string{"communication", "task", "patient"} {
		res := sample(t, name)
		chosen = append(chosen, name)
		found[name] = "# testdata/" + name + "\n" + strings.Join(lines(indexed(t, r, res)), "\n") + "\n"
	}
	for _, src := range written {
		res := decoded(t, src)
		chosen = append(chosen, src)
		found[src] = "# " + src + "\n" + strings.Join(lines(indexed(t, r, res)), "\n") + "\n"
	}
	var text strings.Builder
	for _, name := range chosen {
		if found[name] == "" {
			t.Errorf("there is no example %s", name)
		}
		text.WriteString(found[name])
	}
	golden(t, "index.txt", text.String())
}

// TestIndexExamples counts what all examples are found by, and extracts twice.
func TestIndexExamples(t *testing.T) {
	t.Parallel()
	r, again := registry(t), registry(t)
	entries, params := map[Type]int{}, map[Type]map[string]bool{}
	for _, res := range examples(t) {
		ix := indexed(t, r, res)
		if !slices.Equal(lines(ix), lines(indexed(t, again, res))) {
			t.Errorf("%s is not always found by the same", ix.Key)
		}
		for _, e := range ix.Entries {
			checkEntry(t, ix.Key, e)
			entries[e.Param.Type]++
			if params[e.Param.Type] == nil {
				params[e.Param.Type] = map[string]bool{}
			}
			params[e.Param.Type][e.Param.URL] = true
		}
	}
	for _, typ := range []Type{NumberType, DateType, StringType, TokenType, ReferenceType, CompositeType, QuantityType, URIType} {
		t.Logf("%-9s %6d entries of %3d parameters", typ, entries[typ], len(params[typ]))
		if entries[typ] == 0 {
			t.Errorf("no example has a value of a %s parameter", typ)
		}
	}
}

// checkEntry holds a value against what its parameter promises.
func checkEntry(t *testing.T, k fhir.Key, e Entry) {
	t.Helper()
	p, ok := e.Param, true
	switch v := e.Value.(type) {
	case Token:
		ok = p.Type == TokenType && (v.Code != "" || len(v.Texts) > 0)
		if p.Bare && v.System != p.System {
			t.Errorf("%s %s: a bare token of %s", k, p.Code, v.System)
		}
	case String:
		ok = p.Type == StringType && v.Folded != "" && v.Folded == Fold(v.Text)
	case Reference:
		ok = p.Type == ReferenceType && (v.Key.ID != "" || v.URL != "" || v.Identifier != nil)
		if v.Key.ID != "" && len(p.Targets) > 0 && !slices.Contains(p.Targets, v.Key.Type) {
			t.Errorf("%s %s: a reference to %s", k, p.Code, v.Key.Type)
		}
	case Range:
		ok = (p.Type == DateType || p.Type == NumberType) && v.Lo <= v.Hi && (p.Type == NumberType || v.Lo < v.Hi)
	case Quantity:
		ok = p.Type == QuantityType && v.Lo <= v.Hi && v.Canonical.Lo <= v.Canonical.Hi
	case URI:
		ok = p.Type == URIType && v.Text != ""
	case Composite:
		ok = p.Type == CompositeType && len(v) == len(p.Parts)
		for i, part := range v {
			checkEntry(t, k, Entry{p.Parts[i].Param, part})
		}
	default:
		ok = false
	}
	if !ok {
		t.Errorf("%s %s: %s is no value of a %s parameter", k, p.Code, show(p, e.Value), p.Type)
	}
}

// TestIndexMutants extracts from examples whose members and values have been
// exchanged, removed and doubled, so that odd but decodable resources come up.
func TestIndexMutants(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rnd := rand.New(rand.NewPCG(4, 1))
	done := 0
	for _, res := range examples(t) {
		if len(res.Source()) > 8<<10 {
			continue
		}
		for range 12 {
			m, err := fhir.Decode("", mutate(rnd, res.Source()))
			if err != nil {
				continue
			}
			done++
			ix, err := r.Index(m.Root(), "x")
			if err != nil {
				if fhir.AsOutcome(err) == nil {
					t.Fatalf("%v in %s", err, m.Source())
				}
				continue
			}
			for _, e := range ix.Entries {
				checkEntry(t, ix.Key, e)
			}
		}
	}
	t.Logf("%d mutants were decodable", done)
	if done < 500 {
		t.Errorf("only %d mutants could be decoded", done)
	}
}

// mutate changes one string or number of a JSON text, or the name of a choice.
func mutate(rnd *rand.Rand, src []byte) []byte {
	parts := bytes.Split(src, []byte(`"`))
	at := rnd.IntN(len(parts))
	odd := []string{"", " ", "é", "\\u0000x", "2024", "2024-02-30", "9999-12-31", "#x", "urn:uuid:x", "Patient/1", "a|b", "|", "true",
		"http://unitsofmeasure.org", "mg", "x y", "\\n", "ﷺ", base + "/Patient/2/_history/3", "<"}
	switch rnd.IntN(4) {
	case 0:
		parts[at] = parts[rnd.IntN(len(parts))]
	case 1:
		parts[at] = []byte(odd[rnd.IntN(len(odd))])
	case 2:
		parts[at] = bytes.Replace(parts[at], []byte("DateTime"), []byte("Period"), 1)
	default:
		other := rnd.IntN(len(parts))
		parts[at], parts[other] = parts[other], parts[at]
	}
	return bytes.Join(parts, []byte(`"`))
}

func BenchmarkIndex(b *testing.B) {
	r := registry(b)
	for _, name := range []string{"communication", "task", "patient"} {
		res := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(res.Source())))
			for b.Loop() {
				if _, err := r.Index(res.Root(), "a"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(indexed(b, r, res).Entries)), "entries")
		})
	}
}

// TestIndexBounds: what would multiply without end is refused.
func TestIndexBounds(t *testing.T) {
	t.Parallel()
	coding := strings.Repeat(`{"system":"http://a","code":"b"},`, 200)
	concept := `{"coding":[` + strings.TrimSuffix(coding, ",") + `]}`
	res := decoded(t, fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":%s,"valueCodeableConcept":%s}`, concept, concept))
	_, err := registry(t).Index(res.Root(), "a")
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != fhir.Unprocessable || o.Issues[0].Code != fhir.TooCostly {
		t.Errorf("40,000 combinations: got %v", err)
	}
}

// TestIndexCustomBounds: a parameter that was added and finds too much in a
// resource keeps that from nothing else.
func TestIndexCustomBounds(t *testing.T) {
	t.Parallel()
	const url, given = "http://a/SearchParameter/", "http://hl7.org/fhir/SearchParameter/individual-given"
	pair := func(code, expression, part string, position int) Custom {
		return Custom{Type: "Patient", Position: position, Definition: &spec.SearchParameter{
			URL: url + code, Code: code, Type: "composite", Base: []string{"Patient"}, Expression: expression,
			Components: []spec.Component{{Definition: given, Expression: part}, {Definition: given, Expression: part}},
		}}
	}
	r, err := NewRegistry(spec.R4(), base, 2, []Custom{
		pair("walked", "Patient", "name.given", 40),
		pair("computed", "Patient.name.skip(0)", "given", 41),
		pair("small", "Patient.name", "family", 42),
	})
	if err != nil {
		t.Fatal(err)
	}
	names := strings.TrimSuffix(strings.Repeat(`"Liz",`, 200), ",")
	ix := indexed(t, r, decoded(t, `{"resourceType":"Patient","id":"a","gender":"female","name":[{"family":"Bennet","given":["Beth"]},{"given":[`+names+`]}]}`))
	same(t, "walked", values(ix, "walked"), nil)
	same(t, "computed", values(ix, "computed"), nil)
	same(t, "small", values(ix, "small"), []string{`composite (string "Bennet" "bennet") (string "Bennet" "bennet")`})
	if len(values(ix, "gender")) != 1 || len(ix.Failed) != 2 {
		t.Errorf("gender: %v; failed: %v", values(ix, "gender"), ix.Failed)
	}
}

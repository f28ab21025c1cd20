package search

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// vocabulary is a Terminology of plain data.
type vocabulary struct {
	sets    map[string][]spec.Coding
	parents map[spec.Coding]spec.Coding // also the root of each hierarchy, without a code
	asked   int
	failure error
}

func (v *vocabulary) Codes(_ context.Context, valueSet string, most int) ([]spec.Coding, error) {
	v.asked++
	codes, ok := v.sets[valueSet]
	switch {
	case v.failure != nil:
		return nil, v.failure
	case !ok:
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such value set.")
	case len(codes) > most:
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "There are too many.")
	}
	return codes, nil
}

func (v *vocabulary) Below(_ context.Context, of spec.Coding, _ int) ([]spec.Coding, error) {
	return v.related(of, func(c spec.Coding) bool { return slices.Contains(v.line(c), of) })
}

func (v *vocabulary) Above(_ context.Context, of spec.Coding, _ int) ([]spec.Coding, error) {
	return v.related(of, func(c spec.Coding) bool { return slices.Contains(v.line(of), c) })
}

func (v *vocabulary) related(of spec.Coding, is func(spec.Coding) bool) ([]spec.Coding, error) {
	v.asked++
	var all []spec.Coding
	for c := range maps.Keys(v.parents) {
		if c.Code != "" && is(c) {
			all = append(all, c)
		}
	}
	if _, known := v.parents[spec.Coding{System: of.System}]; !known {
		return nil, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such code system.")
	}
	return all, v.failure
}

// line returns c and what it is below.
func (v *vocabulary) line(c spec.Coding) []spec.Coding {
	var line []spec.Coding
	for ; c.Code != ""; c = v.parents[c] {
		line = append(line, c)
	}
	return line
}

func coding(text string) spec.Coding {
	system, code, _ := strings.Cut(text, "|")
	return spec.Coding{System: system, Code: code}
}

func codings(texts ...string) []spec.Coding {
	var all []spec.Coding
	for _, text := range texts {
		all = append(all, coding(text))
	}
	return all
}

func testVocabulary() *vocabulary {
	v := &vocabulary{
		sets: map[string][]spec.Coding{
			"http://a.org/heart":    codings("s|heart", "s|valve"),
			"http://a.org/heart|2":  codings("s|heart"),
			"http://a.org/none":     nil,
			"http://a.org/most":     numbered(MaxCodes),
			"http://a.org/too-many": numbered(MaxCodes + 1),
			"ValueSet/7":            codings("s|hand"),
		},
		parents: map[spec.Coding]spec.Coding{coding("s|"): {}},
	}
	for _, line := range []string{"organ body", "heart organ", "valve heart", "hand body", "body "} {
		child, parent, _ := strings.Cut(line, " ")
		v.parents[coding("s|"+child)] = coding("s|" + parent)
	}
	for i := range 8 {
		v.sets[fmt.Sprintf("http://a.org/most%d", i)] = numbered(MaxCodes)
	}
	return v
}

func numbered(n int) []spec.Coding {
	all := make([]spec.Coding, n)
	for i := range all {
		all[i] = coding(fmt.Sprintf("s|c%d", i))
	}
	return all
}

// parseWith parses "Type?query" with a terminology.
func parseWith(t testing.TB, v Terminology, address string) (*Query, error) {
	t.Helper()
	typ, query, _ := strings.Cut(address, "?")
	req := Request{Types: []string{typ}, Now: testNow}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		req.Params = append(req.Params, Parameter{name, value})
	}
	return testRegistry(t).ParseWith(t.Context(), v, req)
}

func TestTerminologyMeaning(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"Observation?code:in=http://a.org/heart":                                   "code s|heart, s|valve",
		"Observation?code:in=http://a.org/heart|2":                                 "code s|heart",
		"Observation?code:in=ValueSet/7":                                           "code s|hand",
		"Observation?code:in=http://a.org/heart,ValueSet/7":                        "code s|heart, s|valve, s|hand",
		"Observation?code:not-in=http://a.org/heart":                               "not code s|heart, s|valve",
		"Observation?code:in=http://a.org/none":                                    "code ",
		"Observation?code:not-in=http://a.org/none":                                "not code ",
		"Observation?code:below=s|valve":                                           "code s|valve",
		"Observation?code:above=s|body":                                            "code s|body",
		"Observation?code:below=s|unheard-of":                                      "code s|unheard-of",
		"Observation?patient.general-practitioner:Organization.type:in=ValueSet/7": "patient:Patient.general-practitioner:Organization.type s|hand",
		"Patient?_has:Observation:patient:code:in=ValueSet/7":                      "has Observation:patient:code s|hand",
		"Observation?_filter=code in ValueSet/7":                                   "code s|hand",
		"Observation?_filter=code ni http://a.org/none":                            "not code ",
		"Observation?_filter=code in http://a.org/none or status eq final":         "(code  or status *|final)",
		"Observation?_filter=code ss s|valve":                                      "code s|valve",
	} {
		q, err := parseWith(t, testVocabulary(), address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if got := meanings(q); got != want {
			t.Errorf("%s means %q, want %q", address, got, want)
		}
	}
}

func TestTerminologyRefused(t *testing.T) {
	t.Parallel()
	most := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprintf("code:in=http://a.org/most%d", i))
		}
		return strings.Join(s, "&")
	}
	for _, tt := range []struct {
		address string
		code    fhir.Code
		text    string
	}{
		{"Observation?code:in=http://a.org/other", fhir.NotFound, `value set "http://a.org/other"`},
		{"Observation?code:in=http://a.org/heart|3", fhir.NotFound, `value set "http://a.org/heart|3"`},
		{"Observation?code:not-in=ValueSet/8", fhir.NotFound, `value set "ValueSet/8"`},
		{"Observation?code:in=http://a.org/too-many", fhir.TooCostly, "takes 2000 at most"},
		{"Observation?code:in=http://a.org/most,ValueSet/7", fhir.TooCostly, "2000 codes"},
		{"Observation?" + most(MaxAllCodes/MaxCodes+1), fhir.TooCostly, "10000 codes at most"},
		{"Observation?code:below=" + several(MaxInquiries+1, "s|c"), fhir.TooCostly, "50 value sets"},
		{"Observation?code:below=heart", fhir.Value, "system|code"},
		{"Observation?code:above=heart", fhir.Value, "system|code"},
		{"Observation?code:below=t|heart", fhir.NotFound, `code system "t" cannot be searched for. There is no such code system.`},
		{"Observation?status:below=fnal", fhir.CodeInvalid, "final"},
		{"Observation?_filter=code in http://a.org/other", fhir.NotFound, `value set "http://a.org/other"`},
	} {
		_, err := parseWith(t, testVocabulary(), tt.address)
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.BadRequest || len(o.Issues) != 1 || o.Issues[0].Code != tt.code || !strings.Contains(o.Issues[0].Text, tt.text) {
			t.Errorf("%s: %v, want %s that says %q", tt.address, err, tt.code, tt.text)
		}
	}
	for _, within := range []string{most(MaxAllCodes / MaxCodes), "code:in=http://a.org/most", "code:below=" + several(MaxInquiries, "s|c")} {
		if _, err := parseWith(t, testVocabulary(), "Observation?"+within); err != nil {
			t.Errorf("at the bound: %v", err)
		}
	}
}

// several returns n different values.
func several(n int, prefix string) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return strings.Join(all, ",")
}

// TestTerminologyLenient leaves out what is not known, and nothing that is too much.
func TestTerminologyLenient(t *testing.T) {
	t.Parallel()
	parse := func(value string) (*Query, error) {
		req := Request{Types: []string{"Observation"}, Lenient: true, Params: []Parameter{{"code:in", value}}}
		return testRegistry(t).ParseWith(t.Context(), testVocabulary(), req)
	}
	if q, err := parse("http://a.org/other"); err != nil || len(q.Where) != 0 || len(q.Warnings) != 1 {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := parse("http://a.org/too-many"); fhir.AsOutcome(err) == nil {
		t.Errorf("a search that is wider than what was asked: %v", err)
	}
}

// TestTerminologyFails passes failures on, and does not ask again.
func TestTerminologyFails(t *testing.T) {
	t.Parallel()
	v := testVocabulary()
	v.failure = errors.New("disk full")
	_, err := parseWith(t, v, "Observation?code:in=ValueSet/7&combo-code:in=ValueSet/7&code:below=s|heart")
	if !errors.Is(err, v.failure) || fhir.AsOutcome(err) != nil || v.asked != 1 {
		t.Errorf("after %d inquiries: %v", v.asked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	req := Request{Types: []string{"Observation"}, Params: []Parameter{{"code:in", "ValueSet/7"}}}
	if _, err = testRegistry(t).ParseWith(ctx, waiting{testVocabulary()}, req); !errors.Is(err, context.Canceled) || fhir.AsOutcome(err) != nil {
		t.Errorf("a caller that is gone gets %v", err)
	}
	if _, err = testRegistry(t).ParseWith(t.Context(), nil, req); fhir.AsOutcome(err) == nil {
		t.Errorf("without a terminology: %v", err)
	}
	where, err := testRegistry(t).CriteriaWith(t.Context(), testVocabulary(), "Observation", "code:in=ValueSet/7")
	if err != nil || len(where) != 1 || meaning(where[0]) != "code s|hand" {
		t.Errorf("criteria are %v, %v", where, err)
	}
}

// waiting is a Terminology that has no answer before its caller has gone.
type waiting struct{ *vocabulary }

func (waiting) Codes(ctx context.Context, _ string, _ int) ([]spec.Coding, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("ask another server: %w", ctx.Err())
}

// TestTerminologyMatches holds what is found against what the terminology says of
// every resource: :in and :below find what has such a code, and :not-in all others,
// without a code too.
func TestTerminologyMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		name := func(n int) string { return fmt.Sprintf("k%d", n) }
		v := &vocabulary{sets: map[string][]spec.Coding{}, parents: map[spec.Coding]spec.Coding{{System: "http://s"}: {}}}
		for i := range 6 {
			parent := spec.Coding{System: "http://s"}
			if up := rapid.IntRange(-1, i-1).Draw(rt, "parent"); up >= 0 {
				parent.Code = name(up)
			}
			v.parents[spec.Coding{System: "http://s", Code: name(i)}] = parent
		}
		for _, i := range rapid.SliceOfDistinct(rapid.IntRange(0, 5), rapid.ID).Draw(rt, "set") {
			v.sets["http://v"] = append(v.sets["http://v"], spec.Coding{System: "http://s", Code: name(i)})
		}
		if v.sets["http://v"] == nil {
			v.sets["http://v"] = []spec.Coding{}
		}
		var has []spec.Coding
		body := ""
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 5), 0, 3).Draw(rt, "codes") {
			system := rapid.SampledFrom([]string{"http://s", "http://t"}).Draw(rt, "system")
			has = append(has, spec.Coding{System: system, Code: name(i)})
			body += fmt.Sprintf(`,{"system":%q,"code":%q}`, system, name(i))
		}
		if body != "" {
			body = `,"type":[{"coding":[` + body[1:] + `]}]`
		}
		w := newWorld(t, `{"resourceType":"Organization","id":"o","active":true`+body+`}`)
		of := spec.Coding{System: "http://s", Code: name(rapid.IntRange(0, 5).Draw(rt, "of"))}
		in := slices.ContainsFunc(has, func(c spec.Coding) bool { return slices.Contains(v.sets["http://v"], c) })
		below := slices.ContainsFunc(has, func(c spec.Coding) bool { return slices.Contains(v.line(c), of) })
		above := slices.ContainsFunc(has, func(c spec.Coding) bool { return slices.Contains(v.line(of), c) })
		for query, want := range map[string]bool{
			"type:in=http://v": in, "type:not-in=http://v": !in, "_filter=type ni http://v": !in,
			"type:below=http://s|" + of.Code: below, "type:above=http://s|" + of.Code: above,
		} {
			q, err := parseWith(t, v, "Organization?"+query)
			if err != nil {
				rt.Fatal(err)
			}
			if got := w.find("Organization", q.Where) == "o"; got != want {
				rt.Errorf("%s finds it: %t, want %t; it has %v, the value set %v, the hierarchy %v", query, got, want, has, v.sets, v.parents)
			}
		}
	})
}

// FuzzParseWith parses queries with a terminology. What is refused must be an Outcome
// for the caller, and what is taken must not be nothing where something was asked.
func FuzzParseWith(f *testing.F) {
	for _, seed := range []string{
		"code:in=http://a.org/heart", "code:not-in=ValueSet/7,http://a.org/none", `code:in=http://a.org/heart\|2`, "code:below=s|heart&code:above=s|valve",
		"_filter=code in http://a.org/none and not (code ss s|body)", "patient.general-practitioner:Organization.type:in=ValueSet/7", "code:in=http://a.org/too-many", "code:below=|a",
		"_has:Observation:has-member:code:not-in=ValueSet/7", "status:below=final",
	} {
		f.Add(seed)
	}
	r := testRegistry(f)
	f.Fuzz(func(t *testing.T, query string) {
		params, err := Parameters(query)
		if err != nil {
			return
		}
		req := Request{Types: []string{"Observation"}, Params: params}
		q, err := r.ParseWith(t.Context(), testVocabulary(), req)
		if err != nil {
			if o := fhir.AsOutcome(err); o == nil || len(o.Issues) == 0 || o.Class != fhir.BadRequest {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if strings.Contains(meanings(q), "<nil>") {
			t.Fatalf("%q means %s", query, meanings(q))
		}
		asked := slices.ContainsFunc(q.Applied, func(p Parameter) bool { return strings.Contains(p.Name, ":in") || strings.Contains(p.Name, ":below") })
		if asked && len(q.Where) == 0 {
			t.Fatalf("%q asks for nothing", query)
		}
		Match(And(q.Where), &Index{Key: fhir.Key{Type: "Observation", ID: "x"}}, nowhere{})
	})
}

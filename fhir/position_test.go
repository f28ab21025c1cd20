package fhir_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// from returns text from the given place on, or nil when there is no such place.
func from(text []byte, line, column int) []byte {
	for ; line > 1; line-- {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return nil
		}
		text = text[i+1:]
	}
	for ; column > 1; column-- {
		r, size := utf8.DecodeRune(text)
		if size == 0 || r == '\n' {
			return nil
		}
		text = text[size:]
	}
	return text[:len(text):len(text)]
}

// each calls f for n and everything below it.
func each(n fhir.Node, f func(fhir.Node)) {
	f(n)
	for c := range n.Children() {
		each(c, f)
	}
}

// inPlace makes sure that everything in r stands in text where it says, and returns
// how many elements it looked at.
func inPlace(t *testing.T, text []byte, r *fhir.Resource) int {
	t.Helper()
	seen := 0
	each(r.Root(), func(n fhir.Node) {
		seen++
		line, column := n.Position()
		want := n.Raw()
		if len(want) == 0 {
			want = []byte("{")
		}
		if line < 1 || column < 1 || !bytes.HasPrefix(from(text, line, column), want) {
			t.Errorf("%s is not at line %d, column %d", n.Path(), line, column)
		}
	})
	return seen
}

// TestPosition finds every element of real resources, on one line and on many.
func TestPosition(t *testing.T) {
	t.Parallel()
	for name, src := range inputs(t) {
		for _, text := range [][]byte{src, bytes.ReplaceAll(src, []byte(`,"`), []byte(",\r\n\t\""))} {
			r, err := fhir.Decode("", text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name != "bundle100" {
				inPlace(t, text, r)
			}
		}
	}
}

func TestPositionCounts(t *testing.T) {
	t.Parallel()
	text := "\xEF\xBB\xBF{\n \"resourceType\": \"Patient\",\r\n" +
		" \"name\": [{\"family\": \"Müller😀\", \"given\": [\"Ö\", null], \"_given\": [null, {\"id\": \"x\"}]}],\n\"_birthDate\":\n  {\"id\":\"y\"}}"
	r, err := fhir.Decode("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Patient 1:1", "Patient.name[0] 3:11", "Patient.name[0].family 3:22", "Patient.name[0].given[0] 3:43",
		"Patient.name[0].given[1] 3:72", "Patient.name[0].given[1].id 3:79", "Patient.birthDate 5:3", "Patient.birthDate.id 5:9"}
	if got := positions(r); !slices.Equal(got, want) {
		t.Errorf("places are\n%q, want\n%q", got, want)
	}
	is := fhir.At(r.Root().Child("name"))
	if is != (fhir.Issue{Expression: "Patient.name[0]", Line: 3, Column: 11}) {
		t.Errorf("issue is %+v", is)
	}
	if line, column := (fhir.Node{}).Position(); line != 0 || column != 0 {
		t.Errorf("nothing is at line %d, column %d", line, column)
	}
}

func positions(r *fhir.Resource) []string {
	var got []string
	each(r.Root(), func(n fhir.Node) {
		line, column := n.Position()
		got = append(got, fmt.Sprintf("%s %d:%d", n.Path(), line, column))
	})
	return got
}

// TestPositionOfDerived has no places for what nobody sent, and those that it was
// sent with for what was changed since.
func TestPositionOfDerived(t *testing.T) {
	t.Parallel()
	src := []byte(`{"resourceType":"Observation","subject":{"reference":"urn:uuid:0f3c2d6e-1b6a-4d0e-9a3b-1f1f6f6f0001"},
		"performer":[{"reference":"Patient/2"}],"status":"final","code":{"text":"a"}}`)
	r, err := fhir.Decode("", src)
	if err != nil {
		t.Fatal(err)
	}
	relinked := r
	for _, id := range []string{"a", "b"} {
		if relinked, err = fhir.Relink(relinked, func(string) (string, bool) { return "Patient/" + id, true }); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := positions(relinked), positions(r); !slices.Equal(got, want) {
		t.Errorf("places are %q after a change of links, want %q", got, want)
	}
	derived, err := fhir.DecodeDerived("", r.Stored("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*fhir.Resource{r.Unplaced(), relinked.Unplaced(), derived} {
		for _, place := range positions(r) {
			if !strings.HasSuffix(place, " 0:0") {
				t.Errorf("there is a place: %s", place)
			}
		}
	}
	if !bytes.Equal(r.Unplaced().Stored("x"), r.Stored("x")) {
		t.Error("it is another resource without places")
	}
	_, err = fhir.DecodeDerived("Patient", []byte(`{"resourceType":"Patient","a":1}`))
	if o := fhir.AsOutcome(err); o == nil || o.Issues[0].Line != 0 || o.Issues[0].Column != 0 {
		t.Errorf("a problem of what was derived: %+v", err)
	}
}

// TestPositionInSubmission counts within the whole Bundle.
func TestPositionInSubmission(t *testing.T) {
	t.Parallel()
	s, err := fhir.DecodeSubmission([]byte(submitted))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range s.Entries {
		if e.Resource != nil {
			n += inPlace(t, []byte(submitted), e.Resource)
		}
	}
	if n < 10 {
		t.Errorf("%d elements were looked at", n)
	}
}

// TestPositionXML finds every element at its tag, or at its attribute.
func TestPositionXML(t *testing.T) {
	t.Parallel()
	for name, src := range inputs(t) {
		if name == "bundle100" {
			continue
		}
		r, err := fhir.Decode("", src)
		if err != nil {
			t.Fatal(err)
		}
		text := bytes.ReplaceAll(r.AppendXML(nil), []byte("><"), []byte(">\n <"))
		if r, err = fhir.DecodeXML("", text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		inPlaceXML(t, text, r)
	}
	text := []byte("<!-- é --><f:Bundle xmlns:f=\"http://hl7.org/fhir\">\n<f:type value=\"batch\"/><f:entry>" +
		"<f:resource><f:Patient><f:birthDate id=\"a\"/></f:Patient></f:resource><f:request><f:method value=\"POST\"/>" +
		"<f:url value=\"Patient\"/></f:request></f:entry></f:Bundle>")
	s, err := fhir.DecodeSubmissionXML(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := positions(s.Entries[0].Resource), []string{"Patient 2:45", "Patient.birthDate 2:56", "Patient.birthDate.id 2:69"}; !slices.Equal(got, want) {
		t.Errorf("places are %q, want %q", got, want)
	}
}

func inPlaceXML(t *testing.T, text []byte, r *fhir.Resource) {
	t.Helper()
	each(r.Root(), func(n fhir.Node) {
		line, column := n.Position()
		rest := from(text, line, column)
		name := n.Property()
		if n.Type().Kind == spec.KindResource {
			name = n.Type().Name
		}
		tag, isTag := bytes.CutPrefix(rest, []byte("<"))
		tag = tag[:max(bytes.IndexAny(tag, " \t\r\n=/>"), 0)]
		if i := bytes.IndexByte(tag, ':'); i >= 0 {
			tag = tag[i+1:]
		}
		e := n.Element()
		if string(tag) != name || isTag == (e != nil && e.Attribute) {
			t.Errorf("%s is not at line %d, column %d: %.30s", n.Path(), line, column, rest)
		}
	})
}

// TestPlaceOfProblems has the places of all kinds of problems.
func TestPlaceOfProblems(t *testing.T) {
	t.Parallel()
	const head = "{\"resourceType\":\"Patient\",\n "
	for _, c := range []struct{ body, want string }{
		{`"foo":1}`, "unknown-element 2:2"},
		{`"active":true,"active":false}`, "duplicate-property 2:16"},
		{`"active": 1}`, "wrong-json-type 2:12"},
		{`"name": {}}`, "array-required 2:10"},
		{`"active": [true]}`, "array-not-allowed 2:12"},
		{`"name": []}`, "empty-array 2:10"},
		{`"name":[{"text":"a"}, {}]}`, "empty-element 2:24"},
		{`"name":[{"family":""}]}`, "empty-value 2:20"},
		{`"name":[{"given":["a",null]}]}`, "stray-null 2:24"},
		{`"name":[{"given":["é","é"],"_given":[{"id":"a"}]}]}`, "uneven-arrays 2:38"},
		{`"gender":"man"}`, "code-not-in-value-set 2:11"},
		{`"deceasedBoolean":true,"deceasedDateTime":"2020"}`, "choice-with-two-types 2:25"},
		{`"deceasedString":"a"}`, "unknown-choice-type 2:2"},
		{`"link":[ {"type":"refer"}]}`, "missing-element 2:11"},
		{`"managingOrganization":{"reference":"a"}}`, "invalid-reference 2:38"},
		{`"managingOrganization":{"reference":"Patient/1"}}`, "reference-type-not-allowed 2:38"},
		{`"birthDate":"tomorrow"}`, "invalid-value 2:14"},
		{`"text":{"status":"empty","div":"<p/>"}}`, "invalid-narrative 2:33"},
		{`"contained":[{"id":"a"}, {"resourceType":"Foo"}]}`, "missing-resource-type 2:15 unknown-resource-type 2:27"},
		{`"active":true,}`, "malformed-json 2:16"},
		{`"active":true`, "malformed-json 2:15"},
		{`"active":true} x`, "content-after-end 2:17"},
		{"\"id\":\"é\xff\"}", "invalid-utf8 2:9"},
		{`"b":1,"birthDate":"x","link":[{"type":"x","other":{}}],"c":1}`,
			"unknown-element 2:2 invalid-value 2:20 code-not-in-value-set 2:40 empty-element 2:52 unknown-element 2:57"},
	} {
		_, err := fhir.Decode("", []byte(head+c.body))
		o := fhir.AsOutcome(err)
		if o == nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		complete(t, o)
		var got []string
		for _, is := range o.Issues {
			got = append(got, fmt.Sprintf("%s %d:%d", is.Detail, is.Line, is.Column))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.body, s, c.want)
		}
	}
}

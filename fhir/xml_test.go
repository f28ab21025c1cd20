package fhir_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// communication is about 2 kB of JSON.
const communication = `{"resourceType":"Communication","id":"c1","meta":{"profile":["https://fhir.example/StructureDefinition/message"]},` +
	`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Dear&nbsp;patient, your results are normal &amp; no follow-up is needed.</p></div>"},` +
	`"extension":[{"url":"https://fhir.example/StructureDefinition/urgency","valueCode":"routine"}],` +
	`"identifier":[{"system":"https://fhir.example/id/message","value":"b4b3b4a0-94b7-4f30-a2a8-0f5e0c37b4ab"}],` +
	`"basedOn":[{"reference":"ServiceRequest/7a1b","type":"ServiceRequest"}],"inResponseTo":[{"reference":"Communication/c0"}],` +
	`"status":"completed","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/communication-category","code":"notification","display":"Notification"}],"text":"Message"}],` +
	`"priority":"routine","medium":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationMode","code":"WRITTEN","display":"written"}]}],` +
	`"subject":{"reference":"Patient/p1","display":"Jane Example"},"topic":{"text":"Blood results \"June\" <final>"},"encounter":{"reference":"Encounter/e1"},` +
	`"sent":"2024-06-11T09:30:00+01:00","_sent":{"id":"s","extension":[{"url":"https://fhir.example/StructureDefinition/clock","valueDecimal":1.50}]},"received":"2024-06-11T09:31:12.345Z",` +
	`"recipient":[{"reference":"Patient/p1"},{"reference":"RelatedPerson/r1","display":"John Example"}],"sender":{"reference":"PractitionerRole/pr1","display":"Dr A. Example"},` +
	`"reasonCode":[{"coding":[{"system":"http://snomed.info/sct","code":"165332000","display":"Laboratory procedure"}]}],` +
	`"payload":[{"contentString":"Line one\nLine two\twith a tab\r\nand \"quotes\" & <angles>"},{"contentAttachment":{"contentType":"application/pdf","url":"Binary/b1","size":48213,"hash":"2jmj7l5rSw0yVb/vlWAYkK/YBwk=","title":"results.pdf","creation":"2024-06-11"}},{"contentReference":{"reference":"DocumentReference/d1"}}],` +
	`"note":[{"authorReference":{"reference":"Practitioner/a"},"time":"2024-06-11T10:00:00Z","text":"Called; no answer."}]}`

func decodeXML(t testing.TB, src []byte) *fhir.Resource {
	t.Helper()
	r, err := fhir.DecodeXML("", src)
	if err != nil {
		t.Fatalf("%.300s...: %v", src, err)
	}
	return r
}

// value returns what JSON text says, with numbers as they are written and
// narratives with the characters that their references stand for.
func value(t testing.TB, src []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return plainDivs(v)
}

func plainDivs(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plainDivs(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainDivs(v[k])
			if s, ok := v[k].(string); ok && k == "div" {
				v[k] = html.UnescapeString(s)
			}
		}
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
		for k := range a {
			if d := difference(path+"."+k, a[k], b[k]); d != "" {
				return d
			}
		}
	case []any:
		b, _ := b.([]any)
		for i := range min(len(a), len(b)) {
			if d := difference(path+"[]", a[i], b[i]); d != "" {
				return d
			}
		}
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return path + ": " + string(x) + " became " + string(y)
}

// wellFormed reads a document with a parser that knows XML only.
func wellFormed(src []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(src)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func TestXMLExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, line := range append(examples(t), communication) {
		r, err := fhir.Decode("", []byte(line))
		if err != nil {
			continue
		}
		n++
		doc := r.AppendXML(nil)
		if err := wellFormed(doc); err != nil {
			t.Errorf("%s/%s is not well-formed: %v", r.Type(), r.ID(), err)
		}
		back, err := fhir.DecodeXML(r.Type(), doc)
		if err != nil {
			t.Errorf("%s/%s: %v", r.Type(), r.ID(), err)
			continue
		}
		if d := difference(r.Type()+"/"+r.ID(), value(t, r.Source()), value(t, back.Source())); d != "" {
			t.Error(d)
		}
	}
	t.Logf("%d examples written and read", n)
	if n < 700 {
		t.Errorf("%d examples were written; want nearly all", n)
	}
}

func TestXMLOfUKCore(t *testing.T) {
	t.Parallel()
	n, refused := 0, 0
	err := filepath.WalkDir(shared(t, "suites/ukcore"), func(path string, e os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".xml" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, err := fhir.DecodeXML("", src)
		if err != nil {
			refused++
			t.Logf("%s: %v", filepath.Base(path), err)
			return nil
		}
		n++
		back := decodeXML(t, r.AppendXML(nil))
		if !bytes.Equal(back.Source(), r.Source()) {
			t.Errorf("%s: %s", filepath.Base(path), difference("", value(t, r.Source()), value(t, back.Source())))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files read, %d refused", n, refused)
	if n < 500 {
		t.Errorf("%d files of UK Core were read; want nearly all", n)
	}
}

func BenchmarkAppendXML(b *testing.B) {
	r, err := fhir.Decode("", []byte(communication))
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(r.AppendXML(nil))))
	for b.Loop() {
		dst = r.AppendXML(dst[:0])
	}
}

func BenchmarkDecodeXML(b *testing.B) {
	r, err := fhir.Decode("", []byte(communication))
	if err != nil {
		b.Fatal(err)
	}
	doc := r.AppendXML(nil)
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := fhir.DecodeXML("Communication", doc); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDecodeXML(f *testing.F) {
	r, err := fhir.Decode("", []byte(communication))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.AppendXML(nil))
	for _, c := range xmlRefused {
		f.Add([]byte(c.xml))
	}
	for _, doc := range xmlAccepted {
		f.Add([]byte(doc[0]))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.DecodeXML("", src)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if len(src) < 10_000 {
			inPlaceXML(t, bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), r)
		}
		doc := r.AppendXML(nil)
		back, err := fhir.DecodeXML(r.Type(), doc)
		if err != nil {
			t.Fatalf("%s cannot be read: %v", doc, err)
		}
		if !bytes.Equal(r.Source(), back.Source()) {
			t.Errorf("%s became %s", r.Source(), back.Source())
		}
		for _, x := range [][]byte{src, doc} {
			if err := wellFormed(x); err != nil {
				t.Errorf("%s was read, but %v", x, err)
			}
		}
	})
}

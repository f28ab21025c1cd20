package fhir_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const (
	someURN = "urn:uuid:0f3c2d6e-1b6a-4d0e-9a3b-1f1f6f6f0001"
	ownURL  = "http://other.example/fhir/Patient/7"
)

// targets is what the links of the tests lead to.
func targets(url string) (string, bool) {
	to, ok := map[string]string{
		someURN: "Patient/1", ownURL: "Patient/2", "urn:oid:1.2.3": "Device/3", "Patient?identifier=a|b": "Patient/4",
		"http://loinc.org": "CodeSystem/5", "http://other.example/device/8": "Patient/8", "#a": "Patient/6", `http://x.example/a/b?c="&d`: "Binary/7",
	}[url]
	return to, ok
}

func TestRelink(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"reference", `{"resourceType":"Observation","status":"final","code":{"text":"a"},"subject":{"reference":"@"}}`, "Patient/1"},
		{"reference with a display after it", `{"resourceType":"Observation","status":"final","code":{"text":"a"},"subject":{"reference":"@","display":"b"},"note":[{"text":"c"}]}`, "Patient/1"},
		{"escaped reference", `{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"` + strings.Replace(someURN, "urn", `\u0075rn`, 1) + `"}}`, "Patient/1"},
		{"version", `{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"@/_history/3"}}`, "Patient/1/_history/3"},
		{"fragment", `{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"@#x"}}`, "Patient/1#x"},
		{"absolute", `{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"` + ownURL + `"}}`, "Patient/2"},
		{"conditional", `{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"Patient?identifier=a|b"}}`, "Patient/4"},
		{"contained", `{"resourceType":"Basic","code":{"text":"a"},"contained":[{"resourceType":"Basic","code":{"text":"a"},"subject":{"reference":"@"}}]}`, "Patient/1"},
		{"in an extension", `{"resourceType":"Basic","code":{"text":"a"},"extension":[{"url":"http://x","valueReference":{"reference":"@"}}]}`, "Patient/1"},
		{"in an extension of a value", `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x","valueUri":"@"}]}}`, "Patient/1"},
		{"uri", `{"resourceType":"Basic","code":{"text":"a"},"implicitRules":"@"}`, "Patient/1"},
		{"url", `{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"url":"@"}}]}`, "Patient/1"},
		{"oid as a uri", `{"resourceType":"Basic","code":{"text":"a"},"extension":[{"url":"http://x","valueUri":"urn:oid:1.2.3"}]}`, "Device/3"},
		{"bundle entry", `{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"@"}]}`, "Patient/1"},
		{"href", `{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a title=\"x\" href=\"@\">é \u00e9</a></div>"}}`, "Patient/1"},
		{"href in single quotes", `{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><!-- <a href=\"x\"> --><a href = '@'>b</a></div>"}}`, "Patient/1"},
		{"src", `{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><img\nsrc=\"` + ownURL + `\" alt=\"a > b\"/></div>"}}`, "Patient/2"},
	} {
		in := strings.ReplaceAll(tt.in, "@", someURN)
		r, err := fhir.Decode("", []byte(in))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, err := fhir.Relink(r, targets)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		// What the link was is found by what changed.
		lo, hi := changed(in, string(got.Source()))
		want := in[:lo] + tt.want + in[hi:]
		if string(got.Source()) != want || !strings.Contains(string(got.Source()), `"`+tt.want) && !strings.Contains(string(got.Source()), `'`+tt.want) {
			t.Errorf("%s:\n got %s\nwant the %s of\n%s", tt.name, got.Source(), tt.want, in)
		}
		whole(t, got)
	}
}

// changed returns the part of a that b has otherwise, grown to the whole of the link.
func changed(a, b string) (lo, hi int) {
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		lo++
	}
	n := 0
	for n < len(a)-lo && n < len(b)-lo && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	// What both share at the ends of the link belongs to it.
	for lo > 0 && a[lo-1] != '"' && a[lo-1] != '\'' {
		lo--
	}
	for n > 0 && a[len(a)-n] != '"' && a[len(a)-n] != '\'' && a[len(a)-n] != '\\' {
		n--
	}
	return lo, len(a) - n
}

// whole fails the test unless r is what its source is decoded to.
func whole(t testing.TB, r *fhir.Resource) {
	t.Helper()
	again, err := fhir.Decode("", r.Source())
	if err != nil {
		t.Fatalf("it does not decode any more: %v\n%s", err, r.Source())
	}
	if !bytes.Equal(again.Stored("1"), r.Stored("1")) {
		t.Errorf("it would be stored as\n%s\nand not as\n%s", r.Stored("1"), again.Stored("1"))
	}
	sameNodes(t, r.Root(), again.Root())
}

// sameNodes fails the test unless both elements and all within are the same.
func sameNodes(t testing.TB, a, b fhir.Node) {
	t.Helper()
	if a.Path() != b.Path() || !bytes.Equal(a.Raw(), b.Raw()) || a.Type() != b.Type() || a.Index() != b.Index() {
		t.Fatalf("%s is %s, not %s", a.Path(), a.Raw(), b.Raw())
	}
	var others []fhir.Node
	for n := range b.Children() {
		others = append(others, n)
	}
	i := 0
	for n := range a.Children() {
		if i >= len(others) {
			t.Fatalf("%s has too many elements", a.Path())
		}
		sameNodes(t, n, others[i])
		i++
	}
	if i < len(others) {
		t.Fatalf("%s lacks elements", a.Path())
	}
}

func TestRelinkLeaves(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"resourceType":"Patient","active":true}`,
		`{"resourceType":"Patient","identifier":[{"system":"urn:ietf:rfc:3986","value":"` + someURN + `"}]}`, // a string
		`{"resourceType":"Patient","identifier":[{"system":"` + someURN + `0"}]}`,                            // merely begins so
		`{"resourceType":"Basic","code":{"coding":[{"system":"http://loinc.org","code":"a"}]}}`,              // a code system, not a resource
		`{"resourceType":"Basic","meta":{"profile":["` + someURN + `"]},"code":{"text":"a"}}`,                // a canonical
		`{"resourceType":"Basic","code":{"text":"a"},"extension":[{"url":"http://x","valueUuid":"` + someURN + `"}]}`,
		`{"resourceType":"Basic","code":{"text":"a"},"extension":[{"url":"http://x","valueOid":"urn:oid:1.2.3"}]}`,
		`{"resourceType":"Basic","code":{"text":"` + someURN + `"},"subject":{"reference":"Patient/1"}}`,
		`{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><!-- <a href=\"` + someURN + `\"> --><p title=\"href=` + someURN + `\">href=\"` + someURN + `\"</p></div>"}}`,
	} {
		r, err := fhir.Decode("", []byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fhir.Relink(r, targets); err != nil || got != r {
			t.Errorf("%s\nbecame %s (%v)", in, got.Source(), err)
		}
	}
}

func TestRelinkSeveral(t *testing.T) {
	t.Parallel()
	in := `{ "resourceType":"List", "id":"a", "meta":{"versionId":"3", "source":"` + someURN + `"}, "status":"current","mode":"working", "subject":{"reference":"` + ownURL + `"},
		"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"` + someURN + `\">1<\/a><a href=\"http://x.example/a/b?c=&quot;&amp;d\">2</a></div>"},
		"entry":[{"item":{"reference":"` + someURN + `"}},{"item":{"reference":"` + ownURL + `","display":"b"}}], "note":[{"text":"` + someURN + `"}]}`
	r, err := fhir.Decode("", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	got, err := fhir.Relink(r, targets)
	if err != nil {
		t.Fatal(err)
	}
	note := strings.LastIndex(in, someURN)
	want := strings.NewReplacer(someURN, "Patient/1", ownURL, "Patient/2", "http://x.example/a/b?c=&quot;&amp;d", "Binary/7").Replace(in[:note]) + in[note:]
	if string(got.Source()) != want {
		t.Errorf("got %s\nwant %s", got.Source(), want)
	}
	whole(t, got)
	if string(r.Source()) != in {
		t.Error("the resource itself was changed")
	}
}

func TestRelinkMisdirects(t *testing.T) {
	t.Parallel()
	in := `{"resourceType":"Observation","status":"final","code":{"text":"a"},"encounter":{"reference":"` + someURN + `"},"device":{"reference":"http://other.example/device/8"},"subject":{"reference":"` + someURN + `"}}`
	r, err := fhir.Decode("", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fhir.Relink(r, targets)
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) != 2 || o.Issues[0].Expression != "Observation.encounter.reference" || o.Issues[1].Expression != "Observation.device.reference" {
		t.Errorf("got %v, want an issue for encounter and for device", err)
	}
}

func FuzzRelink(f *testing.F) {
	in := inputs(f)
	for _, name := range []string{"communication", "task", "patient"} {
		f.Add(in[name])
	}
	f.Add([]byte(`{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a \u0068ref='` + someURN + `' title=''>b</a><img src=\"&#x75;rn:x\"/></div>"},"subject":{"reference":"` + someURN + `"}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.Decode("", src)
		if err != nil {
			return
		}
		before := bytes.Clone(src)
		n := 0
		got, err := fhir.Relink(r, func(url string) (string, bool) {
			n++
			return "Patient/" + strings.Repeat("x", n%9) + `"<&é`, n%3 > 0
		})
		if !bytes.Equal(before, src) {
			t.Fatal("the source was changed")
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := fhir.Decode("", got.Source())
		if err != nil {
			return // the new links are none that every element takes
		}
		if !bytes.Equal(again.Stored("1"), got.Stored("1")) {
			t.Fatalf("it would be stored as\n%s\nand not as\n%s", got.Stored("1"), again.Stored("1"))
		}
		sameNodes(t, got.Root(), again.Root())
	})
}

func BenchmarkRelink(b *testing.B) {
	in := inputs(b)
	none := func(string) (string, bool) { return "", false }
	all := func(string) (string, bool) { return "Patient/0f3c2d6e-1b6a-4d0e-9a3b-1f1f6f6f0001", true }
	for _, name := range []string{"communication", "task", "patient", "qr30"} {
		r, err := fhir.Decode("", in[name])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) { relinking(b, r, none) })
		b.Run(name+"/all", func(b *testing.B) { relinking(b, r, all) })
	}
}

func relinking(b *testing.B, r *fhir.Resource, to func(string) (string, bool)) {
	b.ReportAllocs()
	for b.Loop() {
		// That a link leads nowhere is none of the benchmark's business.
		_, _ = fhir.Relink(r, to)
	}
}

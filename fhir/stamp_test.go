package fhir_test

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

func TestStoredAndStamp(t *testing.T) {
	t.Parallel()
	const head = `{"resourceType":"Patient","id":"x"`
	const stamp = `"meta":{"versionId":"12","lastUpdated":"2024-02-29T12:30:15.678Z"`
	for _, c := range []struct{ name, in, stored, stamped string }{
		{"bare", `{"resourceType":"Patient"}`,
			head + `}`, head + `,` + stamp + `}}`},
		{"other id", `{"id":"y","active":true,"resourceType":"Patient"}`,
			head + `,"active":true}`, head + `,` + stamp + `},"active":true}`},
		{"meta of the server only", `{"resourceType":"Patient","meta":{"versionId":"3","lastUpdated":"2020-01-01T00:00:00Z","_versionId":{"id":"a"},"_lastUpdated":{"id":"b"}},"active":true}`,
			head + `,"active":true}`, head + `,` + stamp + `},"active":true}`},
		{"meta of the client", `{"resourceType":"Patient","active":true,"meta":{"versionId":"3","source":"http://a","tag":[{"code":"b"}]}}`,
			head + `,"meta":{"source":"http://a","tag":[{"code":"b"}]},"active":true}`,
			head + `,` + stamp + `,"source":"http://a","tag":[{"code":"b"}]},"active":true}`},
		{"whitespace", " {\n\t\"resourceType\" : \"Patient\" ,\r\n \"name\" : [ { \"text\" : \"a  b \\\" : c\" } ] , \"meta\" : { \"source\" : \"http://a\" } } \n",
			head + `,"meta":{"source":"http://a"},"name":[{"text":"a  b \" : c"}]}`,
			head + `,` + stamp + `,"source":"http://a"},"name":[{"text":"a  b \" : c"}]}`},
		{"order, escapes and decimals", `{"resourceType":"Patient","multipleBirthInteger":2,"extension":[{"valueDecimal":1.500e0,"url":"http:\/\/a"}],"contained":[{"id":"a","resourceType":"Basic","meta":{"versionId":"1"},"code":{"text":"\u00e9"}}]}`,
			head + `,"multipleBirthInteger":2,"extension":[{"valueDecimal":1.500e0,"url":"http:\/\/a"}],"contained":[{"id":"a","resourceType":"Basic","meta":{"versionId":"1"},"code":{"text":"\u00e9"}}]}`,
			head + `,` + stamp + `},"multipleBirthInteger":2,"extension":[{"valueDecimal":1.500e0,"url":"http:\/\/a"}],"contained":[{"id":"a","resourceType":"Basic","meta":{"versionId":"1"},"code":{"text":"\u00e9"}}]}`},
	} {
		r, err := fhir.Decode("Patient", []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		stored := r.Stored("x")
		if string(stored) != c.stored {
			t.Errorf("%s: stored as\n%s, want\n%s", c.name, stored, c.stored)
		}
		zone := time.FixedZone("", 2*60*60)
		got := fhir.Stamp([]byte("> "), stored, fhir.Key{Type: "Patient", ID: "x"}, fhir.Meta{Version: 12, Updated: stamped.Add(912 * time.Microsecond).In(zone)})
		if string(got) != "> "+c.stamped {
			t.Errorf("%s: stamped as\n%s, want\n%s", c.name, got, c.stamped)
		}
	}
}

func TestStoredWithoutID(t *testing.T) {
	t.Parallel()
	r, err := fhir.Decode("", []byte(`{"resourceType":"Patient","id":"a","active":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.Stored("")); got != `{"resourceType":"Patient","active":true}` {
		t.Errorf("stored as %s", got)
	}
	if r.Type() != "Patient" || r.ID() != "a" || r.VersionID() != "" {
		t.Errorf("type %q, id %q, version %q", r.Type(), r.ID(), r.VersionID())
	}
}

func BenchmarkStamp(b *testing.B) {
	src := inputs(b)["communication"]
	r, err := fhir.Decode("", src)
	if err != nil {
		b.Fatal(err)
	}
	k := fhir.Key{Type: r.Type(), ID: "a"}
	stored := r.Stored(k.ID)
	b.SetBytes(int64(len(stored)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		out = fhir.Stamp(out[:0], stored, k, fhir.Meta{Version: 1, Updated: stamped})
	}
}

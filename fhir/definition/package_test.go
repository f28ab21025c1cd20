package definition

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/openconsult/openconsult/fhir"
)

// A member is one file of an archive to be.
type member struct {
	name, body string
	kind       byte  // 0 for a file
	size       int64 // of zeros, instead of body
}

func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: max(m.size, int64(len(m.body))), Typeflag: tar.TypeReg}
		if m.kind != 0 {
			h.Typeflag, h.Linkname, h.Size = m.kind, "/etc/passwd", 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		var body io.Reader = strings.NewReader(m.body)
		if m.size > 0 {
			body = io.LimitReader(zeros{}, m.size)
		}
		if _, err := io.Copy(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// little is room for tests.
func little() room { return room{files: 100, file: 1 << 20, unpacked: 4 << 20} }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func valueSet(id, url string) string {
	return fmt.Sprintf(`{"resourceType":"ValueSet","id":%q,"url":%q,"version":"1","status":"active"}`, id, url)
}

func sample() []member {
	return []member{
		{name: "package/package.json", body: `{"name":"example.forms","version":"1.2.0","fhirVersions":["4.0.1"],"dependencies":{"hl7.fhir.r4.core":"4.0.1","a.b":"2"}}`},
		{name: "package/.index.json", body: `{"index-version":1,"files":[]}`},
		{name: "package/readme.md", body: `# Forms`},
		{name: "package/Questionnaire-q.json", body: `{"resourceType":"Questionnaire","id":"q","url":"http://example.org/Questionnaire/q","status":"active"}`},
		{name: "package/StructureDefinition-s.xml", body: `<StructureDefinition xmlns="http://hl7.org/fhir"><id value="s"/><url value="http://example.org/s"/><name value="S"/><status value="active"/><kind value="resource"/><abstract value="false"/><type value="Patient"/></StructureDefinition>`},
		{name: "package/ValueSet-b.json", body: valueSet("b", "http://example.org/b")},
		{name: "package/ValueSet-a.JSON", body: valueSet("a", "http://example.org/a")},
		{name: "package/xml/ValueSet-b.xml", body: `<ValueSet xmlns="http://hl7.org/fhir"><id value="b"/><url value="http://example.org/b"/><version value="1"/><status value="active"/></ValueSet>`},
		{name: "package/CodeSystem-c.json", body: `{"resourceType":"CodeSystem","url":"http://example.org/CodeSystem/c_1","status":"active","content":"complete"}`},
		{name: "package/SearchParameter-p.json", body: `{"resourceType":"SearchParameter","id":"p","url":"http://example.org/p","name":"p","status":"active","description":"d","code":"p","base":["Patient"],"type":"token"}`},
		{name: "package/ImplementationGuide-i.json", body: `{"resourceType":"ImplementationGuide","id":"i","url":"http://example.org/i","name":"I","status":"active","packageId":"i","fhirVersion":["4.0.1"]}`},
		{name: "package/ConceptMap-m.json", body: `{"resourceType":"ConceptMap","id":"m","url":"http://example.org/m","status":"active"}`},
		{name: "package/Patient-x.json", body: `{"resourceType":"Patient","id":"x"}`},
		{name: "package/example/ValueSet-e.json", body: valueSet("e", "http://example.org/e")},
		{name: "package/other/Basic-o.json", body: `{"resourceType":"Basic","id":"o","code":{"text":"o"}}`},
	}
}

func TestReadPackage(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{".git/config.json": {Data: []byte(`{}`)}}
	for _, m := range sample() {
		files[m.name] = &fstest.MapFile{Data: []byte(m.body)}
	}
	fromFolder, err := ReadFolder(files)
	if err != nil {
		t.Fatal(err)
	}
	fromArchive, err := ReadPackage("x.tgz", bytes.NewReader(pack(t, sample()...)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Package{fromFolder, fromArchive} {
		if p.Name != "example.forms" || p.Version != "1.2.0" || !reflect.DeepEqual(p.Dependencies, []Dependency{{"a.b", "2"}, {"hl7.fhir.r4.core", "4.0.1"}}) {
			t.Errorf("the package is %s %s %v", p.Name, p.Version, p.Dependencies)
		}
		want := []string{"CodeSystem/c-1-", "ValueSet/a", "ValueSet/b", "ConceptMap/m", "StructureDefinition/s", "SearchParameter/p", "Questionnaire/q", "ImplementationGuide/i"}
		wantKeys(t, p.Contents, want)
		wantKeys(t, p.Examples, []string{"Patient/x", "ValueSet/e", "Basic/o"})
		if len(p.Problems) != 1 || p.Problems[0].Severity != fhir.Warning || !strings.HasPrefix(p.Problems[0].Text, "package/xml/ValueSet-b.xml: ") {
			t.Errorf("problems %v", p.Problems)
		}
	}
	if fromFolder.Contents[0].ID != fromArchive.Contents[0].ID {
		t.Error("the same resource has two ids")
	}
}

// wantKeys wants these resources; a key that ends in - is the beginning of one.
func wantKeys(t *testing.T, files []File, want []string) {
	t.Helper()
	var got []string
	for i, f := range files {
		key := f.Resource.Type() + "/" + f.ID
		if i < len(want) && strings.HasSuffix(want[i], "-") && strings.HasPrefix(key, want[i]) {
			key = want[i]
		}
		got = append(got, key)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("resources %v, want %v", got, want)
	}
}

func TestPackageProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		member member
		want   string // in the one problem
	}{
		{"malformed", member{name: "package/a.json", body: `{"resourceType":"Patient",`}, "package/a.json: The JSON ends too early"},
		{"no resource", member{name: "package/a.json", body: `{"a":1}`}, "holds no resource"},
		{"unknown type", member{name: "package/a.json", body: `{"resourceType":"Nonsense"}`}, "is not an R4 resource type"},
		{"unknown element", member{name: "package/a.json", body: `{"resourceType":"Patient","nonsense":1}`}, "no such element"},
		{"xml", member{name: "package/a.xml", body: `<Nonsense xmlns="http://hl7.org/fhir"/>`}, "package/a.xml: "},
		{"xml bomb", member{name: "a.xml", body: `<!DOCTYPE x [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>`}, "a.xml: "},
		{"binary", member{name: "a.json", body: "\xff\xfe\"resourceType\""}, "a.json: "},
		{"outside", member{name: "package/../../a.json", body: `{}`}, "leads out of the package"},
		{"absolute", member{name: "/etc/a.json", body: `{}`}, "leads out of the package"},
		{"backslash", member{name: `a\..\b.json`, body: `{}`}, "leads out of the package"},
		{"control", member{name: "a\x1b[2J.json", body: `{}`}, `"a\x1b[2J.json": `},
		{"long", member{name: strings.Repeat("a/", 300) + "b.json", body: `{}`}, "…a/a/"},
		{"symbolic link", member{name: "a.json", kind: tar.TypeSymlink}, "a link or a device"},
		{"hard link", member{name: "a.json", kind: tar.TypeLink}, "a link or a device"},
		{"device", member{name: "a.json", kind: tar.TypeChar}, "a link or a device"},
		{"manifest", member{name: "package/package.json", body: `[]`}, "does not say what the package is"},
		{"other version", member{name: "package/package.json", body: `{"name":"n","fhirVersions":["5.0.0"]}`}, "another version of FHIR"},
		{"too large", member{name: "a.json", size: little().file + 1}, "is larger than 1 MB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := pack(t, tt.member, member{name: "package/ValueSet-b.json", body: valueSet("b", "http://example.org/b")})
			p, err := readPackage("n.tgz", bytes.NewReader(src), little())
			if err != nil {
				t.Fatal(err)
			}
			wantKeys(t, p.Contents, []string{"ValueSet/b"})
			if p.Name != "n" || len(p.Examples) > 0 {
				t.Errorf("the package is %s with %d examples", p.Name, len(p.Examples))
			}
			if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Text, tt.want) {
				t.Errorf("problems %v, want %q", p.Problems, tt.want)
			}
		})
	}
}

func TestPackageRefused(t *testing.T) {
	t.Parallel()
	whole := pack(t, sample()...)
	limits := little()
	many := make([]member, limits.files+1)
	for i := range many {
		many[i].name = "a.txt"
	}
	bomb := make([]member, 1+limits.unpacked/limits.file)
	for i := range bomb {
		bomb[i] = member{name: fmt.Sprint(i, ".json"), size: limits.file}
	}
	tests := []struct {
		name  string
		src   []byte
		class fhir.Class
	}{
		{"empty", nil, fhir.BadRequest},
		{"garbage", []byte("PK\x03\x04 a zip archive"), fhir.BadRequest},
		{"no archive within", zipped(t, strings.NewReader(strings.Repeat("x", 2000))), fhir.BadRequest},
		{"cut off", whole[:len(whole)-20], fhir.BadRequest},
		{"too many files", pack(t, many...), fhir.TooLarge},
		{"too much", pack(t, bomb...), fhir.TooLarge},
		{"too much that is not read", pack(t, member{name: "a.bin", size: limits.unpacked + int64(limits.files)*tarBlock}, member{name: "b.bin"}), fhir.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := readPackage("x.tgz", bytes.NewReader(tt.src), limits)
			if o := fhir.AsOutcome(err); p != nil || o == nil || o.Class != tt.class {
				t.Errorf("%v, %v; want class %d", p, err, tt.class)
			}
		})
	}
}

func zipped(t *testing.T, r io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, r)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPackageCannotBeRead wants a failure of the reader as it is, not as a fault of
// the package.
func TestPackageCannotBeRead(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	whole := pack(t, sample()...)
	for _, n := range []int{0, 5, len(whole) / 2} {
		r := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(lost))
		if _, err := ReadPackage("x.tgz", r); !errors.Is(err, lost) {
			t.Errorf("after %d bytes the error is %v", n, err)
		}
	}
}

func TestPackageIDs(t *testing.T) {
	t.Parallel()
	url := "http://example.org/" + strings.Repeat("long_", 40)
	p, err := ReadFolder(fstest.MapFS{
		"1.json": {Data: []byte(valueSet("same", "http://example.org/1"))},
		"2.json": {Data: []byte(valueSet("same", "http://example.org/2"))},
		"3.json": {Data: []byte(`{"resourceType":"ValueSet","url":"` + url + `","status":"active"}`)},
		"4.json": {Data: []byte(`{"resourceType":"ValueSet","url":"urn:oid:1.2.3","status":"active"}`)},
		"5.json": {Data: []byte(`{"resourceType":"ValueSet","url":"http://example.org/ü/","status":"active"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, p.Contents, []string{"ValueSet/same", "ValueSet/2-", "ValueSet/long-long-", "ValueSet/urn-oid-1.2.3-", "ValueSet/123f896b0b5e0924"})
	for _, f := range p.Contents {
		if _, err := fhir.Decode("ValueSet", []byte(`{"resourceType":"ValueSet","id":"`+f.ID+`","status":"active"}`)); err != nil {
			t.Errorf("the id %s: %v", f.ID, err)
		}
	}
}

func TestUKCore(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	dir = filepath.Join(dir, "suites", "ukcore")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no UK Core in %s; set OPENCONSULT_SHARED to the folder that holds suites", dir)
	}
	p, err := ReadFolder(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, f := range p.Contents {
		counts[f.Resource.Type()]++
	}
	want := map[string]int{"CapabilityStatement": 1, "CodeSystem": 87, "ConceptMap": 3, "StructureDefinition": 153, "ValueSet": 134}
	if !reflect.DeepEqual(counts, want) || len(p.Examples) != 207 {
		t.Errorf("contents %v, %d examples", counts, len(p.Examples))
	}
	// One code system has stray text; eight examples are not valid.
	var broken []string
	for _, i := range p.Problems {
		if !strings.HasPrefix(i.Text, "examples/") {
			broken = append(broken, i.Text)
		}
	}
	if len(broken) != 1 || !strings.HasPrefix(broken[0], "codesystems/CodeSystem-UKCore-EthnicCategoryScotland.xml: ") {
		t.Errorf("problems %q", broken)
	}
}

func FuzzReadPackage(f *testing.F) {
	f.Add(pack(f, sample()...))
	f.Add(pack(f, member{name: "../a.json", body: `{"resourceType":"Patient"}`}, member{name: "l", kind: tar.TypeSymlink}))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := readPackage("x.tgz", bytes.NewReader(src), little())
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Errorf("the error is no outcome: %v", err)
			}
			return
		}
		for _, f := range p.Contents {
			if f.ID == "" || f.Resource == nil {
				t.Errorf("%s is without id or resource", f.Name)
			}
		}
	})
}

// FuzzTar reads what is in the archive without its compression, which hides everything
// from the fuzzer.
func FuzzTar(f *testing.F) {
	z, err := gzip.NewReader(bytes.NewReader(pack(f, member{name: "package/a.json", body: valueSet("a", "http://example.org/a")}, member{name: "b", kind: tar.TypeLink})))
	if err != nil {
		f.Fatal(err)
	}
	seed, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, src []byte) {
		p := &packing{room: little()}
		if err := p.readTar(tar.NewReader(bytes.NewReader(src))); err == nil {
			p.finish()
		}
	})
}

package conformance_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/validate"
)

// A packed is a FHIR package that is being made.
type packed struct {
	text bytes.Buffer
	zip  *gzip.Writer
	tar  *tar.Writer
}

func newPacked() *packed {
	p := &packed{}
	p.zip = gzip.NewWriter(&p.text)
	p.tar = tar.NewWriter(p.zip)
	return p
}

// add adds a file.
func (p *packed) add(t *testing.T, name string, size int64, content io.Reader) {
	t.Helper()
	if err := p.tar.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o600, Size: size}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(p.tar, content); err != nil {
		t.Fatal(err)
	}
}

// tgz returns the whole package.
func (p *packed) tgz(t *testing.T) []byte {
	t.Helper()
	if err := p.tar.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.zip.Close(); err != nil {
		t.Fatal(err)
	}
	return p.text.Bytes()
}

// pack returns a package of files by name.
func pack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	p := newPacked()
	for name, content := range files {
		p.add(t, name, int64(len(content)), strings.NewReader(content))
	}
	return p.tgz(t)
}

// packFolder returns a package of all files of a folder.
func packFolder(t *testing.T, folder string) []byte {
	t.Helper()
	p := newPacked()
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, name)
		p.add(t, name, int64(len(b)), bytes.NewReader(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.tgz(t)
}

// install sends a package.
func install(t *testing.T, base string, content io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/$install-package", content)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/gzip")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

// nicePatients is the URL of a profile that demands a birth date.
const nicePatients = "https://practice.example/StructureDefinition/nice-patient"

// practicePackage returns a package with that profile, a value set, an example, and a
// file that is broken.
func practicePackage(t *testing.T, version string) []byte {
	t.Helper()
	return pack(t, map[string]string{
		"package.json":         `{"name":"practice.example","version":"` + version + `","fhirVersions":["4.0.1"]}`,
		"profiles/nice.json":   `{"resourceType":"StructureDefinition","id":"nice","url":"` + nicePatients + `","version":"1","name":"Nice","status":"active","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`,
		"valuesets/yes.json":   `{"resourceType":"ValueSet","id":"yes","url":"https://practice.example/ValueSet/yes","title":"Package ` + version + `","status":"active","compose":{"include":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0136"}]}}`,
		"examples/ada.json":    `{"resourceType":"Patient","id":"ada"}`,
		"valuesets/broken.xml": `<ValueSet xmlns="http://hl7.org/fhir"><status value="fine"/></ValueSet>`,
	})
}

// TestInstallPackage installs a package, again, and in a version that differs in one
// definition.
func TestInstallPackage(t *testing.T) {
	t.Parallel()
	base := serve(t).base
	for _, step := range []struct{ version, told string }{
		{"1", "practice.example 1: 2 definitions are new, 0 have changed, 0 were there."},
		{"1", "practice.example 1: 0 definitions are new, 0 have changed, 2 were there."},
		{"2", "practice.example 2: 0 definitions are new, 1 have changed, 1 were there."},
	} {
		status, body := install(t, base, bytes.NewReader(practicePackage(t, step.version)))
		if status != http.StatusOK || !strings.Contains(body, step.told) || !strings.Contains(body, "broken.xml") {
			t.Errorf("version %s: %d %s, want %q", step.version, status, body, step.told)
		}
	}
	if status, body := send(t, "GET", base+"/ValueSet/$expand?url=https://practice.example/ValueSet/yes", nil); status != http.StatusOK {
		t.Errorf("what was installed is not known: %d %s", status, body)
	}
	if status, body := send(t, "GET", base+"/Patient?_summary=count", nil); status != http.StatusOK || !strings.Contains(string(body), `"total":0`) {
		t.Errorf("an example was stored: %d %s", status, body)
	}
}

// TestInstallRefused sends what is no package, or too much of one.
func TestInstallRefused(t *testing.T) {
	t.Parallel()
	base := serve(t).base
	bomb := newPacked()
	bomb.add(t, "bomb.json", 600<<20, io.LimitReader(zeros{}, 600<<20))
	whole := practicePackage(t, "1")
	for name, content := range map[string][]byte{
		"nothing":     {},
		"garbage":     []byte("PK this is no package"),
		"cut off":     whole[:len(whole)/2],
		"no archive":  gzipped(t, strings.Repeat("no archive ", 1000)),
		"a bomb":      bomb.tgz(t),
		"JSON inside": gzipped(t, `{"resourceType":"Patient"}`),
	} {
		status, body := install(t, base, bytes.NewReader(content))
		if status < 400 || status >= 500 || !strings.Contains(body, `"OperationOutcome"`) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		t.Logf("%s: %d", name, status)
	}
	if status, body := send(t, "GET", base+"/StructureDefinition?_summary=count", nil); status != http.StatusOK || !strings.Contains(string(body), `"total":0`) {
		t.Errorf("something was stored: %d %s", status, body)
	}
}

// zeros are as many as one reads.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMandatoryProfile demands a profile of all patients: what does not conform is
// refused whether it claims to or not, however it comes.
func TestMandatoryProfile(t *testing.T) {
	t.Parallel()
	s := serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, checks: func(c *interaction.Checks) {
			c.Validator = validate.New(validate.Config{Definitions: c.Definitions, Terms: c.Terms, Mandatory: map[string][]string{"Patient": {nicePatients}}})
		}})
		return stop
	})
	if status, body := send(t, "POST", s.base+"/Patient", []byte(`{"resourceType":"Patient","birthDate":"2000-01-01"}`)); status != http.StatusUnprocessableEntity || !strings.Contains(string(body), "profile") {
		t.Errorf("while the profile is not known: %d %s", status, body)
	}
	if status, body := install(t, s.base, bytes.NewReader(practicePackage(t, "1"))); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	keep(t, s.base, "Patient/good", []byte(`{"resourceType":"Patient","id":"good","birthDate":"2000-01-01"}`))
	const without = `{"resourceType":"Patient","active":true}`
	for _, test := range []struct{ method, path, body string }{
		{"POST", "Patient", without},
		{"POST", "Patient", `{"resourceType":"Patient","meta":{"profile":["` + nicePatients + `"]},"active":true}`},
		{"PUT", "Patient/good", `{"resourceType":"Patient","id":"good"}`},
		{"PATCH", "Patient/good", `[{"op":"remove","path":"/birthDate"}]`},
		{"PUT", "Patient?identifier=urn:x|y", without},
		{"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + without + `,"request":{"method":"POST","url":"Patient"}}]}`},
	} {
		status, body := sendTyped(t, test.method, s.base+"/"+test.path, test.body)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, nicePatients+"#Patient.birthDate") {
			t.Errorf("%s %s: %d %s", test.method, test.path, status, body)
		}
	}
	keep(t, s.base, "Observation/other", []byte(`{"resourceType":"Observation","id":"other","status":"final","code":{"text":"x"}}`))
}

// sendTyped sends a body as what it is.
func sendTyped(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	if !strings.HasPrefix(body, "[") {
		status, answer := send(t, method, strings.TrimSuffix(url, "/"), []byte(body))
		return status, string(answer)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json-patch+json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	answer, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(fmt.Errorf("read the answer: %w", err))
	}
	return a.StatusCode, string(answer)
}

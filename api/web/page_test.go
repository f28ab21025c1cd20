package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pages")

const testBase = "http://localhost:8080/fhir"

func TestGoldenPages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		page Page
	}{
		{"patient", Page{Title: "Patient/ada", Status: 200}},
		{"history", Page{Title: "Patient/_history", Query: "_count=3&_format=html", Status: 200}},
		{"outcome", Page{Title: "Patient/ada", Query: "nmae=x", Status: 400}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.page.Base = testBase
			tt.page.JSON = read(t, tt.name+".json")
			got := tt.page.HTML()
			inspect(t, got)
			golden := filepath.Join("testdata", tt.name+".html")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := read(t, tt.name+".html"); !bytes.Equal(got, want) {
				t.Errorf("the page is not %s; look at it and run the test with -update\n%s", golden, got)
			}
		})
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestHeadersAllowTheStyleOfThePage(t *testing.T) {
	t.Parallel()
	h := http.Header{"Etag": {"1"}}
	Headers(h)
	for _, name := range []string{"Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options", "Etag"} {
		if h.Get(name) == "" {
			t.Errorf("there is no %s", name)
		}
	}
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'; ", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "'" + styleHash(t, Page{}.HTML()) + "'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q does not have %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy %q is not strict", csp)
	}
}

func TestNavigation(t *testing.T) {
	t.Parallel()
	near := func(paths ...string) string {
		return testBase + "/metadata " + testBase + "/_history " + strings.Join(paths, " ")
	}
	patient := near(testBase+"/Patient/_history", testBase+"/Patient/1", testBase+"/Patient/1/_history")
	tests := []struct{ title, want, current string }{
		{"Patient/1", patient, testBase + "/Patient/1"},
		{"Patient/1/_history", patient, testBase + "/Patient/1/_history"},
		{"Patient/1/_history/2", patient, ""},
		{"Patient/_history", near(testBase + "/Patient/_history"), testBase + "/Patient/_history"},
		{"metadata", near(), testBase + "/metadata"},
		{"Patient/..", near(testBase + "/Patient/_history"), ""},
		{"Nothing/1", near(), ""},
		{"", near(), ""},
		{"//evil.example/x", near(), ""},
		{`Patient/"><script>`, near(testBase + "/Patient/_history"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			var hrefs []string
			current := ""
			for _, l := range navigation(tt.title, testBase) {
				hrefs = append(hrefs, l.Href)
				if l.Current {
					current = l.Href
				}
			}
			if got := strings.Join(hrefs, " "); got != strings.TrimSpace(tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if current != tt.current {
				t.Errorf("current is %q, want %q", current, tt.current)
			}
		})
	}
}

func TestFormatsKeepTheQuery(t *testing.T) {
	t.Parallel()
	tests := []struct{ title, query, want string }{
		{"Patient/1", "", testBase + "/Patient/1?_format=json"},
		{"_history", "_count=2&_format=html&_page=a%2Bb", testBase + "/_history?_count=2&_format=json&_page=a%2Bb"},
		{"Patient/1", "%zz", testBase + "/Patient/1?_format=json"},
		{"Patient/1", "a=%3Cscript%3E", testBase + "/Patient/1?_format=json&a=%3Cscript%3E"},
		{"../login", "", ""},
		{"a b", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.title+"?"+tt.query, func(t *testing.T) {
			t.Parallel()
			got := ""
			if list := (Page{Title: tt.title, Query: tt.query}).formats(testBase); len(list) > 0 {
				got = list[0].Href
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoBaseNoLinks(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"", "javascript:alert(1)//", "/fhir", "//evil.example"} {
		p := Page{Title: "Patient/1", Status: 200, Base: at, JSON: read(t, "patient.json")}
		if got := p.HTML(); bytes.Contains(got, []byte("<a ")) {
			t.Errorf("base %q gives links", at)
		}
	}
}

func TestLongResource(t *testing.T) {
	t.Parallel()
	long := func(size int) []byte {
		note, err := json.MarshalIndent(map[string]any{"resourceType": "Basic", "x": []string{strings.Repeat("é", size/2), "end of it"}}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return note
	}
	tests := []struct {
		name string
		size int
		cut  bool
	}{
		{"short", shownLimit / 2, false},
		{"long", shownLimit + 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Page{Title: "Basic/1", Base: testBase, JSON: long(tt.size)}.HTML()
			inspect(t, got)
			if cut := bytes.Contains(got, []byte("Only the first 1 MiB")); cut != tt.cut {
				t.Errorf("cut is %t, want %t", cut, tt.cut)
			}
			if shown := bytes.Contains(got, []byte("end of it")); shown == tt.cut {
				t.Errorf("end shown is %t, want %t", shown, !tt.cut)
			}
		})
	}
}

func BenchmarkPage(b *testing.B) {
	content, err := os.ReadFile("testdata/patient.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Page{Title: "Patient/ada", Status: 200, Base: testBase, JSON: content}.HTML()
	}
}

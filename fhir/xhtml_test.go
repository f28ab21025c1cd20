package fhir

import (
	"fmt"
	"strings"
	"testing"
)

// xhtmlDiv puts body into a root element that is as it should be.
func xhtmlDiv(body string) string {
	return `<div xmlns="http://www.w3.org/1999/xhtml">` + body + `</div>`
}

func TestXHTMLAccepts(t *testing.T) {
	t.Parallel()
	accepted := map[string]string{
		"text":                  xhtmlDiv("x"),
		"space around the root": "\r\n\t " + xhtmlDiv("x") + "\n",
		"single quotes":         `<div xmlns='http://www.w3.org/1999/xhtml' >x</div >`,
		"namespace repeated":    xhtmlDiv(`<p xmlns="http://www.w3.org/1999/xhtml">x</p>`),
		"unused prefix":         `<div xmlns="http://www.w3.org/1999/xhtml" xmlns:f="http://hl7.org/fhir">x</div>`,
		"languages":             xhtmlDiv(`<p lang="de" xml:lang="de" xml:space="preserve">x</p>`),
		"comment":               xhtmlDiv("<!-- <b> & - > --><!---->x"),
		"comment before":        "<!-- generated -->" + xhtmlDiv("x"),
		"empty elements":        xhtmlDiv("x<br/><hr /><a name=\"n\"/>"),
		"markup as text":        xhtmlDiv("&lt;script&gt;alert(1)&lt;/script&gt; > ]] >"),
		"XML references":        xhtmlDiv("&amp;&lt;&gt;&quot;&apos;&#9;&#x2764;&#x10FFFF;"),
		"HTML 4 references":     xhtmlDiv("&nbsp;&copy;&uuml;&thetasym;&euro;"),
		"only a no-break space": xhtmlDiv("&#160;"),
		"only an image":         xhtmlDiv(`<img src="#photo" alt=""/>`),
		"any language":          xhtmlDiv("患者 <b>Ünal</b> 🩺"),
		"links":                 xhtmlDiv(`<a href="https://a.example/?b=c&amp;d">x</a><a href="MAILTO:a@b">y</a><a href="tel:+49">z</a><a href="urn:oid:1.2">z</a>`),
		"relative links":        xhtmlDiv(`<a href="Patient/1#a:b">x</a><a href="#n">y</a><a href="//a.example:8080/">z</a><a href="">e</a>`),
		"long relative link":    xhtmlDiv(`<a href="` + strings.Repeat("valueset-", 20) + `.html">x</a>`),
		"image data":            xhtmlDiv(`<img src="data:image/png;base64,AA=="/><img src="Data: image/WebP;base64,AA=="/>`),
		"image map":             xhtmlDiv(`<img src="a.png" usemap="#m" ismap="ismap"/><map name="m"><area shape="rect" coords="0,0,1,1" href="#a" alt="a"/></map>`),
		"style":                 xhtmlDiv(`<p style="color: RGB(1, 2, 3); width:calc( (1px + 2px) * 3 ); font: 12px/14px 'A b'">x</p>`),
		"style with image data": xhtmlDiv(`<p style="background-image: url( &quot;data: image/png;base64,AA//BB==&quot;)">x</p>`),
		"deepest":               xhtmlDiv(strings.Repeat("<b>", 63) + "x" + strings.Repeat("</b>", 63)),
		"most attributes":       xhtmlDiv("<p" + xhtmlAttributes(32) + ">x</p>"),
	}
	for name, s := range accepted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if msg := checkXHTML([]byte(s)); msg != "" {
				t.Errorf("checkXHTML(%q) = %q, want none", s, msg)
			}
			if err := xhtmlStrict([]byte(s)); err != nil {
				t.Errorf("encoding/xml disagrees about %q: %v", s, err)
			}
		})
	}
}

// xhtmlAttributes returns n different attributes.
func xhtmlAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:p%d="u"`, i)
	}
	return b.String()
}

func TestXHTMLRefuses(t *testing.T) {
	t.Parallel()
	const element, attribute = "Remove the element ", "Remove the attribute "
	const link, src, style = `Let the attribute "href"`, `Let the attribute "src"`, `Remove from the attribute "style"`
	refused := []struct{ name, s, want string }{
		{"nothing", "", "Write the narrative as one element"},
		{"blank", " \n", "Write the narrative as one element"},
		{"text only", "x", "Move the text"},
		{"byte order mark", "\uFEFF" + xhtmlDiv("x"), "Move the text"},
		{"text after", xhtmlDiv("x") + "y", "Move the text"},
		{"reference after", xhtmlDiv("x") + "&#32;", "Move the text"},
		{"CDATA before", "<![CDATA[x]]>" + xhtmlDiv("x"), "Write the text"},
		{"two roots", xhtmlDiv("x") + xhtmlDiv("y"), "Put everything"},
		{"wrong root", `<p xmlns="http://www.w3.org/1999/xhtml">x</p>`, "Put everything"},
		{"no namespace", "<div>x</div>", "Add xmlns="},
		{"no namespace, empty", "<div/>", "Add xmlns="},
		{"only a prefix declared", `<div xmlns:h="http://www.w3.org/1999/xhtml">x</div>`, "Add xmlns="},
		{"wrong namespace", `<div xmlns="http://hl7.org/fhir">x</div>`, "Use xmlns="},
		{"other namespace within", xhtmlDiv(`<p xmlns="http://www.w3.org/2000/svg">x</p>`), "Use xmlns="},
		{"prefixed root", `<x:div xmlns:x="http://www.w3.org/1999/xhtml">x</x:div>`, `Write the element "x:div"`},
		{"prefixed element", xhtmlDiv(`<h:p xmlns:h="http://www.w3.org/1999/xhtml">x</h:p>`), `Write the element "h:p"`},
		{"reserved prefix", `<div xmlns="http://www.w3.org/1999/xhtml" xmlns:xml="u">x</div>`, attribute},
		{"undeclared prefix", `<div xmlns="http://www.w3.org/1999/xhtml" xmlns:p="">x</div>`, attribute},
		{"empty prefix", `<div xmlns="http://www.w3.org/1999/xhtml" xmlns:="u">x</div>`, attribute},
		{"empty root", `<div xmlns="http://www.w3.org/1999/xhtml"/>`, "Give the narrative"},
		{"blank root", xhtmlDiv(" \n<p>&#32;</p><!-- x --><br/>"), "Give the narrative"},
		{"image without source", xhtmlDiv(`<img alt="x"/>`), "Give the narrative"},

		{"document type", "<!DOCTYPE html>" + xhtmlDiv("x"), "Remove the document type"},
		{"entity bomb", `<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>` + xhtmlDiv("&b;"), "Remove the document type"},
		{"declared entity", xhtmlDiv(`<!ENTITY x SYSTEM "file:///etc/passwd">&x;`), "Remove the document type"},
		{"conditional comment", xhtmlDiv("<![if IE]>x"), "Remove the document type"},
		{"XML declaration", `<?xml version="1.0"?>` + xhtmlDiv("x"), "Remove the XML declaration"},
		{"style sheet instruction", xhtmlDiv(`<?xml-stylesheet href="//a.example"?>x`), "Remove the XML declaration"},
		{"CDATA with markup", xhtmlDiv(`<![CDATA[><img src=x onerror=alert(1)>]]>`), "Write the text"},
		{"open CDATA", xhtmlDiv(`<![CDATA[x`), "Write the text"},
		{"end of CDATA in text", xhtmlDiv("x]]>"), `Write "]]>"`},
		{"comment over at once", xhtmlDiv(`<!--><img src="x" onerror="alert(1)"/>-->x`), `Remove the ">"`},
		{"comment over after a dash", xhtmlDiv(`<!---><img src="x" onerror="alert(1)"/>-->x`), `Remove the ">"`},
		{"comment over with a bang", xhtmlDiv(`<!-- --!><img src="x" onerror="alert(1)"/>-->x`), "End every comment"},
		{"dashes in a comment", xhtmlDiv(`<!-- a -- b -->x`), "End every comment"},
		{"three dashes", xhtmlDiv(`<!-- a --->x`), "End every comment"},
		{"open comment", xhtmlDiv(`<!-- x`), "End every comment"},

		{"unclosed element", xhtmlDiv("<b>x"), `Put the end tag "div"`},
		{"unclosed root", `<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p>`, `Close the element "div"`},
		{"crossed elements", xhtmlDiv("<b><i>x</b></i>"), `Put the end tag "b"`},
		{"end tag too many", xhtmlDiv("x") + "</div>", `Put the end tag "div"`},
		{"HTML line break", xhtmlDiv("x<br>"), `Put the end tag "div"`},
		{"end tag with attribute", xhtmlDiv(`<b>x</b a="b">`), `Complete the end tag "b"`},
		{"open end tag", `<div xmlns="http://www.w3.org/1999/xhtml">x</div`, `Complete the end tag "div"`},
		{"open start tag", `<div xmlns="http://www.w3.org/1999/xhtml"`, `Put a space`},
		{"slash in a tag", xhtmlDiv("x<br/ >"), `Put a space`},
		{"attributes touching", xhtmlDiv(`<p id="a"class="b">x</p>`), `Put a space`},
		{"attribute without value", xhtmlDiv(`<td nowrap>x</td>`), `Write the attribute "nowrap"`},
		{"unquoted value", xhtmlDiv(`<td colspan=2>x</td>`), `Put the value of the attribute "colspan"`},
		{"open value", xhtmlDiv(`<p title="x>x</p>`), `Put the value of the attribute "title"`},
		{"attribute twice", xhtmlDiv(`<p id="a" id="b">x</p>`), `Write the attribute "id" of the narrative only once`},
		{"less-than in a value", xhtmlDiv(`<p title="a<b">x</p>`), `Write "<" as "&lt;" in the attribute "title"`},
		{"less-than in the text", xhtmlDiv("a < b"), `Write "<" in the text`},
		{"name that is not ASCII", xhtmlDiv("<é>x</é>"), `Write "<" in the text`},
		{"end of input after less-than", xhtmlDiv("x") + "<", `Write "<" in the text`},
		{"too deep", xhtmlDiv(strings.Repeat("<b>", 64) + "x" + strings.Repeat("</b>", 64)), "Nest"},
		{"too many attributes", xhtmlDiv("<p" + xhtmlAttributes(33) + ">x</p>"), `Give the element "p"`},

		{"bare ampersand", xhtmlDiv("a & b"), `Write "&"`},
		{"ampersand at the end", `<div xmlns="http://www.w3.org/1999/xhtml">&`, `Write "&"`},
		{"unknown reference", xhtmlDiv("&xxe;"), `Write "&"`},
		{"HTML 5 reference", xhtmlDiv(`<a href="javascript&colon;alert(1)">x</a>`), `Write "&"`},
		{"reference without semicolon", xhtmlDiv(`<a href="a?b=c&copy=d">x</a>`), `Write "&"`},
		{"reference to nothing", xhtmlDiv("&#;&#x;"), `Write "&"`},
		{"reference to a control", xhtmlDiv("&#8;"), `Write "&"`},
		{"reference to NUL", xhtmlDiv("&#x00;"), `Write "&"`},
		{"reference to a surrogate", xhtmlDiv("&#xD800;"), `Write "&"`},
		{"reference beyond Unicode", xhtmlDiv("&#x110000;"), `Write "&"`},
		{"reference that overflows", xhtmlDiv("&#4294967361;"), `Write "&"`},
		{"capital X in a reference", xhtmlDiv("&#X41;"), `Write "&"`},
		{"NUL", xhtmlDiv("a\x00b"), "Remove the characters"},
		{"escape", xhtmlDiv("a\x1bb"), "Remove the characters"},
		{"not UTF-8", xhtmlDiv("a\xffb"), "Remove the characters"},
		{"noncharacter", xhtmlDiv("a\uFFFEb"), "Remove the characters"},

		{"script", xhtmlDiv(`<script>alert(1)</script>`), element + `"script"`},
		{"script in capitals", xhtmlDiv(`<SCRIPT SRC="http://a.example/x.js"></SCRIPT>`), element + `"SCRIPT"`},
		{"nested script", xhtmlDiv(`<scr<script>ipt>alert(1)</script>`), element + `"scr"`},
		{"script with a slash", xhtmlDiv(`<script/src="//a.example"/>`), element + `"script"`},
		{"noscript", xhtmlDiv(`<noscript><p title="&lt;/noscript&gt;">x</p></noscript>`), element + `"noscript"`},
		{"svg", xhtmlDiv(`<svg onload="alert(1)"/>`), element + `"svg"`},
		{"math", xhtmlDiv(`<math href="javascript:alert(1)">x</math>`), element + `"math"`},
		{"object", xhtmlDiv(`<object data="x"/>`), element + `"object"`},
		{"embed", xhtmlDiv(`<embed src="x"/>`), element + `"embed"`},
		{"applet", xhtmlDiv(`<applet code="x"/>`), element + `"applet"`},
		{"iframe", xhtmlDiv(`<iframe srcdoc="x"/>`), element + `"iframe"`},
		{"frameset", xhtmlDiv(`<frameset onload="alert(1)"/>`), element + `"frameset"`},
		{"form", xhtmlDiv(`<form action="x"><input/></form>`), element + `"form"`},
		{"button", xhtmlDiv(`<button formaction="javascript:alert(1)">x</button>`), element + `"button"`},
		{"meta refresh", xhtmlDiv(`<meta http-equiv="refresh" content="0;url=javascript:alert(1)"/>`), element + `"meta"`},
		{"base", xhtmlDiv(`<base href="javascript:alert(1);//"/>`), element + `"base"`},
		{"link", xhtmlDiv(`<link rel="stylesheet" href="//a.example/x.css"/>`), element + `"link"`},
		{"style element", xhtmlDiv(`<style>@import "//a.example/x.css";</style>`), element + `"style"`},
		{"head", xhtmlDiv(`<head><title>x</title></head>`), element + `"head"`},
		{"body", xhtmlDiv(`<body onload="alert(1)">x</body>`), element + `"body"`},
		{"video", xhtmlDiv(`<video><source onerror="alert(1)"/></video>`), element + `"video"`},
		{"details", xhtmlDiv(`<details ontoggle="alert(1)" open="">x</details>`), element + `"details"`},
		{"template", xhtmlDiv(`<template><b>x</b></template>`), element + `"template"`},
		{"deprecated element", xhtmlDiv(`<font color="red">x</font>`), element + `"font"`},
		{"marked insertion", xhtmlDiv(`<ins>x</ins>`), element + `"ins"`},
		{"long name", xhtmlDiv(`<` + strings.Repeat("z", 100) + `>x`), element + `"` + strings.Repeat("z", 40) + `" from`},
		{"name with a dot", xhtmlDiv(`<a.b>x</a.b>`), "Remove the element from"},
		{"capitals", xhtmlDiv("<P>x</P>"), `Write the element name "P"`},
		{"root in capitals", `<DIV xmlns="http://www.w3.org/1999/xhtml">x</DIV>`, `Write the element name "DIV"`},
		{"capitals in the end tag", xhtmlDiv("<b>x</B>"), `Put the end tag "B"`},

		{"event", xhtmlDiv(`<p onclick="alert(1)">x</p>`), attribute + `"onclick"`},
		{"event in mixed case", xhtmlDiv(`<p OnMouseOver="alert(1)">x</p>`), attribute + `"OnMouseOver"`},
		{"event on an image", xhtmlDiv(`<img src="x" onerror="alert(1)"/>`), attribute + `"onerror"`},
		{"event after a slash", xhtmlDiv(`<img/onerror="alert(1)"/>`), "Put a space"},
		{"event on the root", `<div xmlns="http://www.w3.org/1999/xhtml" onload="x">x</div>`, attribute + `"onload"`},
		{"xlink", xhtmlDiv(`<a xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="x">x</a>`), attribute + `"xlink:href"`},
		{"form action", xhtmlDiv(`<p formaction="x">x</p>`), attribute + `"formaction"`},
		{"source set", xhtmlDiv(`<img srcset="//a.example/x 1x" src="#a"/>`), attribute + `"srcset"`},
		{"background", xhtmlDiv(`<table background="javascript:alert(1)"><tr><td>x</td></tr></table>`), attribute + `"background"`},
		{"attribute in capitals", xhtmlDiv(`<a HREF="#a">x</a>`), attribute + `"HREF"`},

		{"javascript", xhtmlDiv(`<a href="javascript:alert(1)">x</a>`), link},
		{"javascript in mixed case", xhtmlDiv(`<a href="JaVaScRiPt:alert(1)">x</a>`), link},
		{"javascript after a space", xhtmlDiv(`<a href=" javascript:alert(1)">x</a>`), link},
		{"javascript after a no-break space", xhtmlDiv(`<a href="&nbsp;javascript:alert(1)">x</a>`), link},
		{"javascript with a tab", xhtmlDiv("<a href=\"java\tscript:alert(1)\">x</a>"), link},
		{"javascript with a referred tab", xhtmlDiv(`<a href="jav&#x09;ascript:alert(1)">x</a>`), link},
		{"javascript with a referred newline", xhtmlDiv(`<a href="jav&#10;ascript:alert(1)">x</a>`), link},
		{"javascript in references", xhtmlDiv(`<a href="&#106;&#x61;&#118;ascript:alert(1)">x</a>`), link},
		{"javascript with a referred colon", xhtmlDiv(`<a href="javascript&#58;alert(1)">x</a>`), link},
		{"javascript with zeros", xhtmlDiv(`<a href="&#0000106avascript:alert(1)">x</a>`), `Write "&"`},
		{"javascript after a soft hyphen", xhtmlDiv(`<a href="&shy;javascript:alert(1)">x</a>`), link},
		{"javascript after much space", xhtmlDiv(`<a href="` + strings.Repeat(" ", 100) + `javascript:alert(1)">x</a>`), link},
		{"javascript on an area", xhtmlDiv(`<map name="m"><area href="javascript:alert(1)"/></map>`), link},
		{"javascript in a citation", xhtmlDiv(`<q cite="javascript:alert(1)">x</q>`), `Let the attribute "cite"`},
		{"vbscript", xhtmlDiv(`<a href="vbscript:msgbox(1)">x</a>`), link},
		{"livescript", xhtmlDiv(`<a href="livescript:x">x</a>`), link},
		{"file", xhtmlDiv(`<a href="file:///etc/passwd">x</a>`), link},
		{"view-source", xhtmlDiv(`<a href="view-source:https://a.example">x</a>`), link},
		{"very long scheme", xhtmlDiv(`<a href="` + strings.Repeat("x", 60) + `&#58;y">x</a>`), link},
		{"data in a link", xhtmlDiv(`<a href="data:text/html;base64,AA==">x</a>`), link},
		{"image data in a link", xhtmlDiv(`<a href="data:image/png;base64,AA==">x</a>`), link},
		{"javascript image", xhtmlDiv(`<img src="javascript:alert(1)"/>`), src},
		{"text data in an image", xhtmlDiv(`<img src="data:text/html,x"/>`), src},
		{"svg data in an image", xhtmlDiv(`<img src="data:image/svg+xml;base64,AA=="/>`), src},
		{"image data not in base64", xhtmlDiv(`<img src="data:image/png,AA"/>`), src},
		{"mail in an image", xhtmlDiv(`<img src="mailto:a@b"/>`), src},

		{"style url", xhtmlDiv(`<p style="background: url(http://a.example/x.png)">x</p>`), style},
		{"style url, spaced", xhtmlDiv(`<p style="background: URL ( '//a.example/x.png')">x</p>`), style},
		{"style url, relative", xhtmlDiv(`<p style="background: url(x.png)">x</p>`), style},
		{"style url in references", xhtmlDiv(`<p style="background: u&#114;l&#40;//a.example)">x</p>`), style},
		{"style url, escaped", xhtmlDiv(`<p style="background: u\72l(//a.example)">x</p>`), style},
		{"style url, svg data", xhtmlDiv(`<p style="background: url(data:image/svg+xml;base64,AA)">x</p>`), style},
		{"style url, second", xhtmlDiv(`<p style="background: url('data:image/png;base64,AA'),url(//a.example)">x</p>`), style},
		{"style image set", xhtmlDiv(`<p style="background: image-set('//a.example' 1x)">x</p>`), style},
		{"style expression", xhtmlDiv(`<p style="width: expression(alert(1))">x</p>`), style},
		{"style expression with comment", xhtmlDiv(`<p style="width: exp/**/ression(alert(1))">x</p>`), style},
		{"style comment in references", xhtmlDiv(`<p style="width: exp&#47;&#42;*/ression(alert(1))">x</p>`), style},
		{"style import", xhtmlDiv(`<p style="@import '//a.example/x.css'">x</p>`), style},
		{"style behaviour", xhtmlDiv(`<p style="behavior : x">x</p>`), style},
		{"style binding", xhtmlDiv(`<p style="-moz-binding: x">x</p>`), style},
		{"style javascript", xhtmlDiv(`<p style="list-style-image: javascript:alert(1)">x</p>`), style},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if msg := checkXHTML([]byte(tt.s)); !strings.HasPrefix(msg, tt.want) {
				t.Errorf("checkXHTML(%q) = %q, want %q...", tt.s, msg, tt.want)
			}
		})
	}
}

func TestXHTMLElements(t *testing.T) {
	t.Parallel()
	const txt1 = "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 " +
		"hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var"
	for name := range strings.FieldsSeq(txt1) {
		if msg := checkXHTML([]byte(xhtmlDiv("<" + name + ">x</" + name + ">"))); msg != "" {
			t.Errorf("element %s: %s", name, msg)
		}
	}
	const attributes = "abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff " +
		"charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel " +
		"rev rowspan rules scope shape span src start style summary tabindex title type valign value vspace width"
	for name := range strings.FieldsSeq(attributes) {
		if msg := checkXHTML([]byte(xhtmlDiv("<p " + name + `="1">x</p>`))); msg != "" {
			t.Errorf("attribute %s: %s", name, msg)
		}
	}
}

package fhir

import (
	"bytes"
	"unicode/utf8"
)

// The limits of a narrative's structure. Its size is bounded by the caller.
const (
	xhtmlMaxDepth      = 64
	xhtmlMaxAttributes = 32
	xhtmlMaxEcho       = 40 // bytes of a name that are repeated to the author
)

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// checkXHTML checks the text of Narrative.div against the invariants txt-1 and
// txt-2 of https://hl7.org/fhir/R4/narrative.html, and against what a browser
// could be made to run or fetch when it shows the text. It returns "" when the
// text is acceptable, and otherwise a sentence that tells the author what to
// change. The sentence holds names of elements and attributes, never content.
//
// A browser may read the accepted text as XML or as HTML: constructs that the
// two understand differently are refused, because markup can be hidden in them.
func checkXHTML(s []byte) string {
	if !xhtmlLegal(s) {
		return "Remove the characters from the narrative that are not allowed in XML, or are not valid UTF-8."
	}
	x := xhtmlScanner{s: s}
	for x.i < len(s) {
		if msg := x.next(); msg != "" {
			return msg
		}
	}
	return x.end()
}

// xhtmlSay puts name, cut and in quotes, between the two halves of a sentence.
// A name with unusual characters is left out.
func xhtmlSay(before string, name []byte, after string) string {
	name = name[:min(len(name), xhtmlMaxEcho)]
	if len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return !xhtmlEchoed(r) }) {
		return before + after
	}
	return before + ` "` + string(name) + `"` + after
}

func xhtmlEchoed(r rune) bool {
	return r < utf8.RuneSelf && xhtmlNameByte(byte(r)) && r != '.'
}

package fhir

import (
	"bytes"
	"strings"
)

// IndentXML returns a document that [Resource.AppendXML] made, laid out for
// people. Narratives stay as they are, since whitespace in them may matter.
func IndentXML(doc []byte) []byte {
	dst := make([]byte, 0, 2*len(doc))
	depth := 0
	for first := true; len(doc) > 0; first = false {
		n := xmlPiece(doc)
		piece := doc[:n]
		doc = doc[n:]
		closing := bytes.HasPrefix(piece, []byte("</"))
		if closing {
			depth--
		}
		if !first {
			dst = append(append(dst, '\n'), strings.Repeat("  ", depth)...)
		}
		dst = append(dst, piece...)
		single := closing || piece[1] == '?' || bytes.HasSuffix(piece, []byte("/>")) || bytes.HasPrefix(piece, []byte("<div"))
		if !single {
			depth++
		}
	}
	return dst
}

// xmlPiece returns the length of the first tag of doc, or of the narrative that
// it begins with.
func xmlPiece(doc []byte) int {
	if !bytes.HasPrefix(doc, []byte("<div")) {
		return xmlTag(doc)
	}
	open := 0
	for i := 0; i < len(doc); {
		rest := doc[i:]
		n := 1
		switch {
		case rest[0] != '<':
		case bytes.HasPrefix(rest, []byte("<!--")):
			n = bytes.Index(rest, []byte("-->")) + len("-->")
		default:
			n = xmlTag(rest)
			open += xmlNesting(rest[:n])
		}
		i += max(n, 1)
		if open == 0 {
			return i
		}
	}
	return len(doc)
}

// xmlNesting returns how much deeper in divs a tag leads.
func xmlNesting(tag []byte) int {
	switch name := strings.TrimRight(strings.Fields(string(tag))[0], "/>"); {
	case bytes.HasSuffix(tag, []byte("/>")):
		return 0
	case name == "<div":
		return 1
	case name == "</div":
		return -1
	}
	return 0
}

// xmlTag returns the length of the tag that doc begins with.
func xmlTag(doc []byte) int {
	quote := byte(0)
	for i, c := range doc {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return len(doc)
}

package fhir

import (
	"bytes"
	"html"
)

// relinkNarrative appends the edits that change the href and src of the narrative at
// n. Their places are those in the JSON, escapes and all.
func relinkNarrative(edits []edit, src []byte, n *node, to func(string) (string, bool)) []edit {
	raw := src[n.lo+1 : n.hi-1]
	if !bytes.Contains(raw, []byte("href")) && !bytes.Contains(raw, []byte("src")) {
		return edits
	}
	text, from := unescapePlaced(raw)
	for _, at := range linkAttributes(text) {
		other, ok := relinked(html.UnescapeString(string(text[at.lo:at.hi])), to)
		if !ok {
			continue
		}
		quoted := AppendString(nil, html.EscapeString(other))
		edits = append(edits, edit{n.lo + 1 + from[at.lo], n.lo + 1 + from[at.hi], quoted[1 : len(quoted)-1]})
	}
	return edits
}

// unescapePlaced returns the text of a JSON string, and for each of its bytes and for
// its end where it comes from.
func unescapePlaced(raw []byte) (text []byte, from []uint32) {
	for i := 0; i < len(raw); {
		size := 1
		if raw[i] == '\\' {
			size = escapeSize(raw[i:])
		}
		text = unescape(text, raw[i:i+size])
		for len(from) < len(text) {
			from = append(from, uint32(i))
		}
		i += size
	}
	return text, append(from, uint32(len(raw)))
}

// escapeSize returns the length of the escape sequence, which is valid, at the start
// of raw. A surrogate pair is one.
func escapeSize(raw []byte) int {
	if raw[1] != 'u' {
		return 2
	}
	if r := hex4(raw); r >= 0xD800 && r <= 0xDBFF {
		return 12
	}
	return 6
}

// linkAttributes returns where the values of href and src stand in a narrative, which
// is well-formed.
func linkAttributes(text []byte) []xmlSpan {
	var found []xmlSpan
	for i := 0; i < len(text); {
		switch {
		case text[i] != '<':
			i++
		case bytes.HasPrefix(text[i:], []byte("<!--")):
			i += 4 + bytes.Index(text[i+4:], []byte("-->")) + 3
		default:
			found, i = tagLinks(found, text, i+1)
		}
	}
	return found
}

// tagLinks appends the links of the tag whose name begins at i, and returns where the
// tag ends.
func tagLinks(found []xmlSpan, text []byte, i int) ([]xmlSpan, int) {
	for name := i; i < len(text) && text[i] != '>'; {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			end := i + 1 + bytes.IndexByte(text[i+1:], c)
			switch string(bytes.TrimRight(text[name:i], "= \t\r\n")) {
			case "href", "src":
				found = append(found, xmlSpan{uint32(i + 1), uint32(end)})
			}
			i = end + 1
			name = i
		case c <= ' ' && bytes.TrimLeft(text[i:], " \t\r\n")[0] != '=' && (i == 0 || text[i-1] != '='):
			i++
			name = i
		default:
			i++
		}
	}
	return found, i
}
